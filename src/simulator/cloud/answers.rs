//! What the cloud says on bad days, word for word where it is known.

use crate::simulator::answer::Answer;
use crate::simulator::fault::Fault;

/// What ties the code of a second factor to its login.
pub(super) const NONCE: &str = "5d3c1a";

const TOO_MANY: &str = "Too many active sessions..";

/// Wrong e-mail or password: 401.
pub fn wrong_credentials() -> Fault {
    Fault::Says(Answer::json(401, r#"{"message":"Invalid"}"#))
}

/// The session limit, in JSON.
pub fn too_many_sessions(status: u16) -> Fault {
    Fault::Says(Answer::json(status, format!(r#"{{"message":"{TOO_MANY}"}}"#)))
}

/// The session limit, on a page for people.
pub fn too_many_sessions_page(status: u16) -> Fault {
    let page = format!("<!DOCTYPE html><html><body><p class=\"error\">{TOO_MANY}</p></body></html>");
    Fault::Says(Answer::html(status, page))
}

/// A second factor is wanted; the answer looks like a success without a session.
pub fn second_factor() -> Fault {
    let answer = Answer::json(200, r#"{"success":true,"isBlocked":false}"#);
    Fault::Says(answer.cookie("login_otp_nonce", NONCE))
}

/// A second factor is wanted, said aloud.
pub fn requires_mfa() -> Fault {
    Fault::Says(Answer::json(200, r#"{"requires_mfa":true}"#))
}

/// The account is blocked.
pub fn blocked() -> Fault {
    Fault::Says(Answer::json(200, r#"{"success":false,"isBlocked":true}"#))
}

/// The page to log in at, where JSON was asked for.
pub fn login_wall() -> Fault {
    let page =
        "<!DOCTYPE html><html><head><title>Enphase Login</title></head><body><form></form></body></html>";
    Fault::Says(Answer::html(200, page))
}

/// Neither JSON nor a user agent was offered.
pub fn not_acceptable() -> Fault {
    Fault::Says(Answer::html(406, "<html><body>Not Acceptable</body></html>"))
}

/// 429, with the seconds to wait if they are told.
pub fn too_many_requests(retry_after: Option<u64>) -> Fault {
    let answer = Answer::text(429, "Retry later\n");
    Fault::Says(match retry_after {
        Some(seconds) => answer.header("retry-after", &seconds.to_string()),
        None => answer,
    })
}

/// An outage, 500 to 599.
pub fn outage(status: u16) -> Fault {
    Fault::Says(Answer::html(status, "<html><body><h1>We'll be back soon</h1></body></html>"))
}

/// 200 and nothing.
pub fn empty() -> Fault {
    Fault::Says(Answer::empty(200))
}

/// The second step without a session.
pub fn sign_in_first(status: u16) -> Fault {
    Fault::Says(Answer::json(status, r#"{"message":"You need to sign in first"}"#))
}

/// An error where a token belongs, with status 200.
pub fn error_text() -> Fault {
    Fault::Says(Answer::text(200, "Error: could not generate a token for this gateway"))
}

/// Nothing is where it was: 404 and a page.
pub fn not_found() -> Fault {
    Fault::Says(Answer::html(404, "<html><body><h1>Not found</h1></body></html>"))
}

/// A success of a shape that nobody has seen.
pub fn riddle() -> Fault {
    Fault::Says(Answer::json(200, r#"{"status":"ok","data":{"hint":"s3cret"}}"#))
}

/// The token is not for this account: 403.
pub fn forbidden() -> Fault {
    Fault::Says(Answer::text(403, "Forbidden"))
}
