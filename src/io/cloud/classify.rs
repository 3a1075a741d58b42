//! Classifies the responses of the cloud: a success, or one row of the table of hold-offs (L6).

use super::failure::{Failure, Kind};
use super::response::{Response, SessionId, flag, session_id, text};
use crate::base::secrets::Secret;

/// Classifies the response to a login. A success returns the session.
pub fn login(response: &Response) -> Result<Secret, Failure> {
    login_content(response).map_err(|failure| response.unless_session_set(failure))
}

fn login_content(response: &Response) -> Result<Secret, Failure> {
    let json = response.json()?;
    let json = json.value();
    if flag(json, "isBlocked") == Some(true) || flag(json, "success") == Some(false) {
        return Err(response.failure(Kind::Blocked, "the account is blocked"));
    }
    if response.status == 401 && text(json, "message").eq_ignore_ascii_case("invalid") {
        let why = "the e-mail address or the password was refused";
        return Err(response.failure(Kind::WrongCredentials, why));
    }
    match session_id(json) {
        SessionId::Present(id) if response.succeeded() => return Ok(id),
        SessionId::Invalid => return Err(response.unclear()),
        SessionId::Present(_) | SessionId::Absent => {}
    }
    let reports_success =
        flag(json, "success") == Some(true) || text(json, "message").eq_ignore_ascii_case("success");
    if flag(json, "requires_mfa") == Some(true) || response.succeeded() && reports_success {
        return Err(response.failure(Kind::SecondFactor, "the account requires a second factor"));
    }
    Err(response.unclear())
}

/// Classifies the response to the code of a second factor. A success returns the session. No such response has been
/// recorded (docs/protocol.md, section 1.5), so the session is read from where a login has it, or from the cookie.
pub fn code(response: &Response) -> Result<Secret, Failure> {
    code_content(response).map_err(|failure| response.unless_session_set(failure))
}

fn code_content(response: &Response) -> Result<Secret, Failure> {
    let json = response.json()?;
    let json = json.value();
    if flag(json, "isBlocked") == Some(true) {
        return Err(response.failure(Kind::Blocked, "the account is blocked"));
    }
    if flag(json, "isValid") == Some(false) {
        return Err(response.failure(Kind::WrongCode, "the code was refused"));
    }
    match (session_id(json), response.session_cookie()) {
        (SessionId::Present(id), _) if response.succeeded() => Ok(id),
        (SessionId::Absent, Some(cookie)) if response.succeeded() => Ok(cookie.value.clone()),
        _ => Err(response.unclear()),
    }
}

/// Classifies the response to the request for another code.
pub fn another_code(response: &Response) -> Result<(), Failure> {
    let json = response.json()?;
    let json = json.value();
    if flag(json, "isBlocked") == Some(true) {
        return Err(response.failure(Kind::Blocked, "the account is blocked"));
    }
    if response.succeeded() && flag(json, "success") != Some(false) {
        return Ok(());
    }
    Err(response.unexpected(Kind::Transient))
}

/// Classifies the response to a request for a token. A success returns the token as text. One source sends it bare, the
/// other in a JSON object.
pub fn token(response: &Response) -> Result<Secret, Failure> {
    let status = response.status;
    if status == 403 && !response.text().contains("too many active sessions") {
        let why = "the request for a token of this gateway was refused (HTTP 403). The gateway may not belong to this \
                   account: the Enphase app shows the gateways that do";
        return Err(response.failure(Kind::Transient, why));
    }
    if let Some(failure) = response.common_failure() {
        return Err(failure);
    }
    if response.succeeded()
        && let Some(token) = response.token()
    {
        return Ok(token.secret);
    }
    if response.text().contains("you need to sign in first") {
        return Err(response.failure(Kind::SessionOver, "the session has expired"));
    }
    if response.is_html() && (200..400).contains(&status) {
        let why = format!("received an HTML page instead of a token (HTTP {status})");
        return Err(response.failure(Kind::Blocked, why));
    }
    // Usually a temporary failure of the service (docs/protocol.md, sections 1.2 and 1.8), never a wrong password.
    if status == 401 {
        return Err(response.failure(Kind::Transient, format!("no token was returned (HTTP {status})")));
    }
    Err(response.unexpected(Kind::Unexpected))
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::io::cloud::response::{Cookie, SESSION_COOKIE};

    fn response(status: u16, body: &str) -> Response {
        Response { status, body: Zeroizing::new(body.as_bytes().to_vec()), ..Response::default() }
    }

    fn login_kind(status: u16, body: &str) -> Kind {
        login(&response(status, body)).unwrap_err().kind
    }

    fn token_kind(status: u16, body: &str) -> Kind {
        token(&response(status, body)).unwrap_err().kind
    }

    const PAGE: &str = "<!DOCTYPE html><html><body>Log in</body></html>";

    #[test]
    fn a_session_is_a_success_with_and_without_the_newer_fields() {
        let body = r#"{"message":"success","session_id":"0123456789abcdef0123456789abcdef"}"#;
        assert_eq!(login(&response(200, body)).unwrap().expose(), "0123456789abcdef0123456789abcdef");
    }

    #[test]
    fn too_many_sessions_is_recognized_in_any_form() {
        for (status, body) in [
            (200, r#"{"message":"Too many active sessions.."}"#),
            (401, r#"{"errors":[{"text":"TOO MANY ACTIVE SESSIONS"}]}"#),
            (503, "<html>too many active sessions</html>"),
            (429, r#"{"message":"Too many active sessions.."}"#),
        ] {
            assert_eq!(login_kind(status, body), Kind::TooManySessions, "{status} {body}");
            assert_eq!(token_kind(status, body), Kind::TooManySessions, "{status} {body}");
        }
    }

    #[test]
    fn only_an_explicit_refusal_is_a_wrong_password() {
        assert_eq!(login_kind(401, r#"{"message":"Invalid"}"#), Kind::WrongCredentials);
        assert_eq!(login_kind(401, r#"{"message":"Come back later"}"#), Kind::Transient);
        assert_eq!(login_kind(200, r#"{"message":"Invalid"}"#), Kind::Unclear);
        assert_eq!(token_kind(401, r#"{"message":"Invalid"}"#), Kind::Transient);
    }

    #[test]
    fn a_second_factor_is_a_success_without_a_session() {
        for body in [
            r#"{"success":true,"isBlocked":false}"#,
            r#"{"requires_mfa":true}"#,
            r#"{"message":"success"}"#,
            r#"{"message":"success","session_id":""}"#,
        ] {
            assert_eq!(login_kind(200, body), Kind::SecondFactor, "{body}");
        }
    }

    #[test]
    fn blocked_accounts_login_walls_and_429_are_blocked() {
        for (status, body) in [
            (200, r#"{"success":true,"isBlocked":true}"#),
            (200, r#"{"success":false,"isBlocked":false}"#),
            (200, PAGE),
            (302, PAGE),
            (401, PAGE),
            (429, "{}"),
        ] {
            assert_eq!(login_kind(status, body), Kind::Blocked, "{status} {body}");
        }
        assert_eq!(token_kind(200, PAGE), Kind::Blocked);
    }

    #[test]
    fn outages_and_unknown_errors_are_transient() {
        for (status, body) in
            [(500, PAGE), (503, ""), (200, ""), (200, "  "), (404, "{}"), (404, ""), (406, "x"), (302, "")]
        {
            assert_eq!(login_kind(status, body), Kind::Transient, "{status} {body}");
        }
        for (status, body) in [(401, PAGE), (403, "Forbidden"), (502, PAGE), (200, ""), (401, "")] {
            assert_eq!(token_kind(status, body), Kind::Transient, "{status} {body}");
        }
    }

    #[test]
    fn an_unknown_success_may_have_opened_a_session() {
        for body in ["[1", r#"{"sessionId":"5e55"}"#, "welcome", r#""5e55""#] {
            assert_eq!(login_kind(200, body), Kind::Unclear, "{body}");
        }
    }

    #[test]
    fn an_unknown_token_response_is_described_without_its_values() {
        for (status, body) in
            [(400, "{}"), (200, "Error: no"), (404, PAGE), (404, ""), (410, ""), (302, ""), (200, "[]")]
        {
            assert_eq!(token_kind(status, body), Kind::Unexpected, "{status} {body}");
        }
        let mut unknown = response(200, r#"{"error":"s3cret","code":7}"#);
        unknown.content_type = Some("application/json".to_owned());
        insta::assert_snapshot!(token(&unknown).unwrap_err(), @"unexpected response (HTTP 200: application/json, 27 bytes, {code: number, error: text})");
    }

    #[test]
    fn a_token_is_found_bare_and_in_a_document() {
        use base64::Engine;
        use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
        let claims = r#"{"aud":"122300000001","iss":"Entrez","exp":1795170000,"iat":1763634000}"#;
        let jwt = [r#"{"alg":"ES256"}"#, claims, "signature"].map(|part| BASE64.encode(part)).join(".");
        let document = format!(r#"{{"generation_time":1763634000,"token":"{jwt}","expires_at":1795170000}}"#);
        for body in [&jwt, &format!(" {jwt}\n"), &document] {
            assert_eq!(token(&response(200, body)).unwrap().expose(), jwt);
            assert_eq!(token_kind(404, body), Kind::Unexpected);
        }
    }

    #[test]
    fn a_code_opens_a_session_by_its_number_or_by_the_cookie() {
        let number = response(200, r#"{"message":"success","session_id":"5e55"}"#);
        assert_eq!(code(&number).unwrap().expose(), "5e55");
        let value = Secret::new("c00c1e".to_owned());
        let mut cookie = response(200, r#"{"isValid":true,"isBlocked":false}"#);
        cookie.cookies.push(Cookie { name: SESSION_COOKIE.to_owned(), value });
        assert_eq!(code(&cookie).unwrap().expose(), "c00c1e");
    }

    #[test]
    fn a_wrong_code_is_distinguished_from_other_failures() {
        let kind = |status, body| code(&response(status, body)).unwrap_err().kind;
        assert_eq!(kind(200, r#"{"isValid":false,"isBlocked":false}"#), Kind::WrongCode);
        assert_eq!(kind(200, r#"{"isValid":false,"isBlocked":true}"#), Kind::Blocked);
        assert_eq!(kind(200, r#"{"message":"Too many active sessions.."}"#), Kind::TooManySessions);
        assert_eq!(kind(200, r#"{"isValid":true}"#), Kind::Unclear);
        assert_eq!(kind(200, PAGE), Kind::Blocked);
        assert_eq!(kind(503, ""), Kind::Transient);
        assert_eq!(kind(422, "{}"), Kind::Transient);
    }

    #[test]
    fn another_code_was_sent_unless_the_response_is_a_failure() {
        let sent = |status, body| another_code(&response(status, body)).map_err(|failure| failure.kind);
        assert_eq!(sent(200, r#"{"success":true,"isBlocked":false}"#), Ok(()));
        assert_eq!(sent(200, r#"{"success":false}"#), Err(Kind::Transient));
        assert_eq!(sent(200, r#"{"success":true,"isBlocked":true}"#), Err(Kind::Blocked));
        assert_eq!(sent(404, "{}"), Err(Kind::Transient));
    }

    fn with_cookie(name: &str, mut response: Response) -> Response {
        let value = Secret::new("c00c1e".to_owned());
        response.cookies.push(Cookie { name: name.to_owned(), value });
        response
    }

    #[test]
    fn a_session_may_be_a_number_and_another_value_is_not_a_second_factor() {
        let body = |id: &str| format!(r#"{{"message":"success","success":true,"session_id":{id}}}"#);
        for (id, session) in
            [("123456", "123456"), ("18446744073709551615", "18446744073709551615"), ("-7", "-7")]
        {
            assert_eq!(login(&response(200, &body(id))).unwrap().expose(), session);
            assert_eq!(code(&response(200, &body(id))).unwrap().expose(), session);
        }
        for id in [
            "true",
            "false",
            "{}",
            r#"{"id":"5e55"}"#,
            "[]",
            r#"["5e55"]"#,
            "1.5",
            "123456789012345678901234567890",
        ] {
            assert_eq!(login_kind(200, &body(id)), Kind::Unclear, "{id}");
            assert_eq!(login_kind(401, &body(id)), Kind::Transient, "{id}");
            assert_eq!(code(&response(200, &body(id))).unwrap_err().kind, Kind::Unclear, "{id}");
        }
        for id in ["null", "\"\"", "\" \""] {
            assert_eq!(login_kind(200, &body(id)), Kind::SecondFactor, "{id}");
        }
    }

    #[test]
    fn flags_may_be_texts_and_numbers() {
        for (body, kind) in [
            (r#"{"isBlocked":"true"}"#, Kind::Blocked),
            (r#"{"isBlocked":1,"success":true}"#, Kind::Blocked),
            (r#"{"success":"false"}"#, Kind::Blocked),
            (r#"{"success":"True","isBlocked":0}"#, Kind::SecondFactor),
            (r#"{"requires_mfa":1}"#, Kind::SecondFactor),
            (r#"{"success":[],"isBlocked":{}}"#, Kind::Unclear),
        ] {
            assert_eq!(login_kind(200, body), kind, "{body}");
        }
    }

    #[test]
    fn a_failed_login_that_sets_the_session_s_cookie_may_have_opened_it() {
        for (status, body) in
            [(200, ""), (503, PAGE), (500, ""), (502, "{}"), (404, "{}"), (302, ""), (406, "x"), (401, "{}")]
        {
            let kinds = [login, code].map(|classify| {
                let kind = |name| classify(&with_cookie(name, response(status, body))).unwrap_err().kind;
                (kind(SESSION_COOKIE), kind("locale"))
            });
            assert_eq!(kinds, [(Kind::Unclear, Kind::Transient); 2], "{status} {body}");
            let renamed = login(&with_cookie("_enlighten_5_Session", response(status, body)));
            assert_eq!(renamed.unwrap_err().kind, Kind::Unclear, "{status} {body}");
        }
        let emptied = Cookie { name: SESSION_COOKIE.to_owned(), value: Secret::new(String::new()) };
        let cleared = Response { cookies: vec![emptied], ..response(503, "") };
        assert_eq!(
            login(&cleared).unwrap_err().kind,
            Kind::Transient,
            "a cookie that is cleared opens nothing"
        );
        // Kinds with a longer hold-off stay as they are.
        for (status, body, kind) in [
            (401, r#"{"message":"Invalid"}"#, Kind::WrongCredentials),
            (200, r#"{"success":true}"#, Kind::SecondFactor),
            (429, "", Kind::Blocked),
            (200, PAGE, Kind::Blocked),
            (503, "too many active sessions", Kind::TooManySessions),
        ] {
            assert_eq!(
                login(&with_cookie(SESSION_COOKIE, response(status, body))).unwrap_err().kind,
                kind,
                "{body}"
            );
        }
    }

    #[test]
    fn a_forbidden_token_is_attributed_to_the_account() {
        for body in ["Forbidden", "", "{}", PAGE] {
            let failure = token(&response(403, body)).unwrap_err();
            assert_eq!(failure.kind, Kind::Transient, "{body}");
            assert!(failure.why.contains("may not belong to this account"), "{body}: {failure}");
        }
        assert_eq!(token_kind(403, "Too many active sessions.."), Kind::TooManySessions);
        let other = token(&response(401, "{}")).unwrap_err();
        assert!(!other.why.contains("belong"), "{other}");
    }

    #[test]
    fn an_expired_session_is_distinguished_from_a_temporary_failure() {
        assert_eq!(token_kind(401, r#"{"message":"You need to sign in first"}"#), Kind::SessionOver);
    }

    #[test]
    fn a_failure_never_repeats_what_the_cloud_said() {
        let failure = login(&response(418, r#"{"secret":"s3cret"}"#)).unwrap_err();
        assert!(!failure.to_string().contains("s3cret"));
    }
}
