//! The responses of the cloud to failed requests, verbatim where they are known.

use crate::simulator::fault::Fault;
use crate::simulator::response::Answer;

/// The cookie value that connects the code of a second factor with its login.
pub(super) const NONCE: &str = "5d3c1a";

const TOO_MANY: &str = "Too many active sessions..";

/// Wrong e-mail address or password: 401.
pub fn wrong_credentials() -> Fault {
    Fault::Respond(Answer::json(401, r#"{"message":"Invalid"}"#))
}

/// The session limit, in JSON.
pub fn too_many_sessions(status: u16) -> Fault {
    Fault::Respond(Answer::json(status, format!(r#"{{"message":"{TOO_MANY}"}}"#)))
}

/// The session limit, as an HTML page.
pub fn too_many_sessions_page(status: u16) -> Fault {
    let page = format!("<!DOCTYPE html><html><body><p class=\"error\">{TOO_MANY}</p></body></html>");
    Fault::Respond(Answer::html(status, page))
}

/// A second factor is required: a success without a session.
pub fn second_factor() -> Fault {
    let answer = Answer::json(200, r#"{"success":true,"isBlocked":false}"#);
    Fault::Respond(answer.cookie("login_otp_nonce", NONCE))
}

/// A second factor is required, with an explicit field.
pub fn requires_mfa() -> Fault {
    Fault::Respond(Answer::json(200, r#"{"requires_mfa":true}"#))
}

/// The account is blocked.
pub fn blocked() -> Fault {
    Fault::Respond(Answer::json(200, r#"{"success":false,"isBlocked":true}"#))
}

/// A login page in place of JSON.
pub fn login_wall() -> Fault {
    let page =
        "<!DOCTYPE html><html><head><title>Enphase Login</title></head><body><form></form></body></html>";
    Fault::Respond(Answer::html(200, page))
}

/// A request without an `Accept` or `User-Agent` header.
pub fn not_acceptable() -> Fault {
    Fault::Respond(Answer::html(406, "<html><body>Not Acceptable</body></html>"))
}

/// 429, optionally with the seconds to wait.
pub fn too_many_requests(retry_after: Option<u64>) -> Fault {
    let answer = Answer::text(429, "Retry later\n");
    Fault::Respond(match retry_after {
        Some(seconds) => answer.header("retry-after", &seconds.to_string()),
        None => answer,
    })
}

/// An outage, 500 to 599.
pub fn outage(status: u16) -> Fault {
    Fault::Respond(Answer::html(status, "<html><body><h1>We'll be back soon</h1></body></html>"))
}

/// 200 without a body.
pub fn empty() -> Fault {
    Fault::Respond(Answer::empty(200))
}

/// A token request without a session.
pub fn sign_in_first(status: u16) -> Fault {
    Fault::Respond(Answer::json(status, r#"{"message":"You need to sign in first"}"#))
}

/// An error text in place of a token, with status 200.
pub fn error_text() -> Fault {
    Fault::Respond(Answer::text(200, "Error: could not generate a token for this gateway"))
}

/// 404 with an HTML page.
pub fn not_found() -> Fault {
    Fault::Respond(Answer::html(404, "<html><body><h1>Not found</h1></body></html>"))
}

/// A success in an unknown format.
pub fn unknown_success() -> Fault {
    Fault::Respond(Answer::json(200, r#"{"status":"ok","data":{"hint":"s3cret"}}"#))
}

/// The token is not for this account: 403.
pub fn forbidden() -> Fault {
    Fault::Respond(Answer::text(403, "Forbidden"))
}
