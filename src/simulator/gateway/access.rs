//! Authentication at a simulated gateway: by token and session since firmware 7, by Digest before.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use digest_auth::{AuthContext, AuthorizationHeader, HttpMethod};
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use crate::simulator::jwt;
use crate::simulator::server::Call;

/// The time without use after which a session ends.
const IDLE: Duration = Duration::from_secs(600);
const REALM: &str = "enphaseenergy.com";
/// The maximum number of stored challenges.
const NONCES: usize = 64;
/// The pages that need no authentication before firmware 7.
const OPEN_BEFORE_7: [&str; 11] = [
    "/info",
    "/info.xml",
    "/home",
    "/home.json",
    "/production.json",
    "/api/v1/production",
    "/api/v1/consumption",
    "/inventory",
    "/inventory.json",
    "/ivp/meters",
    "/ivp/meters/readings",
];

/// The sessions and the token rules of a gateway.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) serial: String,
    /// `true` if `/ivp/*` requires the cookie even with a token (some firmware 7, April 2026).
    pub(super) cookie_required: bool,
    /// `true` if every token is refused.
    pub(super) tokens_refused: bool,
    /// The time up to which issued tokens are refused.
    pub(super) revoked_until: Option<Timestamp>,
    /// The number of sessions opened so far.
    pub(super) opened: u64,
    sessions: HashMap<String, Instant>,
    nonces: VecDeque<String>,
    challenges: u64,
}

/// The credentials that authenticated a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Credentials {
    Bearer,
    Session,
}

impl Access {
    pub(super) fn new(serial: String, cookie_required: bool) -> Self {
        Self {
            serial,
            cookie_required,
            tokens_refused: false,
            revoked_until: None,
            opened: 0,
            sessions: HashMap::new(),
            nonces: VecDeque::new(),
            challenges: 0,
        }
    }

    /// Returns whether a token is valid at `now`, by the gateway's clock: for this gateway, not expired, not revoked.
    pub(super) fn accepts(&self, token: &str, now: Timestamp) -> bool {
        let Some(claims) = jwt::claims(token) else { return false };
        let seconds = |name| claims.get(name).and_then(Value::as_i64);
        let revoked = self.revoked_until.is_some_and(|until| seconds("iat") <= Some(until.as_second()));
        !self.tokens_refused
            && !revoked
            && claims.get("aud").is_some_and(|serial| *serial == *self.serial)
            && seconds("exp") > Some(now.as_second())
    }

    /// Opens a session, and returns its cookie.
    pub(super) fn open_session(&mut self) -> String {
        self.opened += 1;
        // Without this, a client that stores no cookies would fill the memory within a month.
        self.sessions.retain(|_, used| used.elapsed() <= IDLE);
        let session = format!("{:016x}{:08x}", self.opened.wrapping_mul(0x9E37_79B9_7F4A_7C15), self.opened);
        self.sessions.insert(session.clone(), Instant::now());
        session
    }

    /// Returns the cookies of the open sessions.
    pub(super) fn sessions(&self) -> impl Iterator<Item = &str> {
        self.sessions.keys().map(String::as_str)
    }

    pub(super) fn end_sessions(&mut self) {
        self.sessions.clear();
    }

    /// Returns the credentials that authenticate `call`, on firmware 7 and later.
    pub(super) fn credentials(&mut self, call: &Call, now: Timestamp) -> Option<Credentials> {
        let session = call.cookie("sessionId").is_some_and(|cookie| self.touch(cookie));
        let bearer = call.bearer().is_some_and(|token| self.accepts(token, now));
        let session_only = self.cookie_required && call.path().starts_with("/ivp/");
        match (bearer, session) {
            (true, _) if !session_only => Some(Credentials::Bearer),
            (_, true) => Some(Credentials::Session),
            _ => None,
        }
    }

    fn touch(&mut self, session: &str) -> bool {
        let Some(used) = self.sessions.get_mut(session) else { return false };
        let alive = used.elapsed() <= IDLE;
        if alive {
            *used = Instant::now();
        }
        alive
    }

    /// Authenticates a request by Digest, on firmware before 7. The error is the challenge.
    pub(super) fn digest(&mut self, call: &Call) -> Result<(), String> {
        if OPEN_BEFORE_7.contains(&call.path()) || self.digest_fits(call) {
            return Ok(());
        }
        self.challenges += 1;
        let nonce = format!("{:016x}", self.challenges.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        self.nonces.truncate(NONCES - 1);
        self.nonces.push_front(nonce.clone());
        Err(format!(r#"Digest qop="auth", realm="{REALM}", nonce="{nonce}""#))
    }

    /// Checks a Digest response for the user `envoy` and the last six digits of the serial number.
    fn digest_fits(&self, call: &Call) -> bool {
        let header = call.header("authorization").and_then(|text| AuthorizationHeader::parse(text).ok());
        let Some(header) = header else { return false };
        let password = self.serial.get(self.serial.len().saturating_sub(6)..).unwrap_or_default();
        let method = HttpMethod(call.method.as_str().into());
        let context =
            AuthContext::new_with_method("envoy", password, header.uri.as_str(), None::<&[u8]>, method);
        let mut expected = header.clone();
        expected.digest(&context);
        header.username == "envoy"
            && header.uri == call.target
            && self.nonces.contains(&header.nonce)
            && header.response == expected.response
    }
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;
    use hyper::body::Bytes;

    use super::*;
    use crate::simulator::{Role, mint_token};

    const DAY: Duration = Duration::from_secs(86_400);

    fn now() -> Timestamp {
        "2026-06-21T12:00:00Z".parse().unwrap()
    }

    fn call(target: &str, headers: &[(&'static str, String)]) -> Call {
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        Call { method: hyper::Method::GET, target: target.into(), headers, body: Bytes::new() }
    }

    #[test]
    fn a_token_is_valid_for_its_gateway_until_it_expires() {
        let mut access = Access::new("122300000001".into(), false);
        let token = mint_token("122300000001", Role::Owner, now(), DAY);
        assert!(access.accepts(&token, now()));
        assert!(!access.accepts(&token, now() + DAY));
        assert!(!access.accepts(&mint_token("122300000002", Role::Owner, now(), DAY), now()));
        assert!(!access.accepts("nonsense", now()));
        access.revoked_until = Some(now());
        assert!(!access.accepts(&token, now()));
        assert!(access.accepts(&mint_token("122300000001", Role::Owner, now() + DAY, DAY), now() + DAY));
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_ends_after_ten_minutes_without_use() {
        let mut access = Access::new("1".into(), false);
        let cookie = [("cookie", format!("a=b; sessionId={}", access.open_session()))];
        for _ in 0..3 {
            tokio::time::advance(IDLE).await;
            let credentials = access.credentials(&call("/ivp/meters", &cookie), now());
            assert_eq!(credentials, Some(Credentials::Session));
        }
        tokio::time::advance(IDLE + Duration::from_millis(1)).await;
        assert_eq!(access.credentials(&call("/ivp/meters", &cookie), now()), None);
    }

    #[tokio::test]
    async fn a_token_is_not_enough_if_the_cookie_is_required() {
        let mut access = Access::new("1".into(), true);
        let bearer = ("authorization", format!("Bearer {}", mint_token("1", Role::Owner, now(), DAY)));
        assert_eq!(access.credentials(&call("/ivp/meters", std::slice::from_ref(&bearer)), now()), None);
        let elsewhere = call("/api/v1/production", std::slice::from_ref(&bearer));
        assert_eq!(access.credentials(&elsewhere, now()), Some(Credentials::Bearer));
        let both = [bearer, ("cookie", format!("sessionId={}", access.open_session()))];
        assert_eq!(access.credentials(&call("/ivp/meters", &both), now()), Some(Credentials::Session));
    }

    #[test]
    fn digest_accepts_the_end_of_the_serial_number() {
        let mut access = Access::new("121712345678".into(), false);
        let target = "/api/v1/production/inverters";
        let mut prompt = digest_auth::parse(&access.digest(&call(target, &[])).unwrap_err()).unwrap();
        let mut answer = |password: &str| {
            let context = AuthContext::new("envoy", password.to_owned(), target);
            vec![("authorization", prompt.respond(&context).unwrap().to_header_string())]
        };
        let (right, wrong) = (answer("345678"), answer("000000"));
        assert!(access.digest(&call(target, &right)).is_ok());
        assert!(access.digest(&call(target, &wrong)).is_err());
        assert!(access.digest(&call("/api/v1/production", &[])).is_ok());
    }
}
