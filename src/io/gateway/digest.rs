//! The login of firmware before 7: Digest, over http.

use digest_auth::{AuthContext, HttpMethod, WwwAuthenticateHeader};
use hyper::Method;

use crate::base::secrets::Secret;

/// A user of an old gateway, and its newest challenge.
#[derive(Debug)]
pub(crate) struct Digest {
    user: String,
    password: Secret,
    challenge: Option<WwwAuthenticateHeader>,
}

impl Digest {
    pub(crate) fn new(user: &str, password: &Secret) -> Self {
        Self { user: user.to_owned(), password: password.clone(), challenge: None }
    }

    /// The user every gateway has: `envoy`, with the last six digits of the serial number. `None` for a serial
    /// that is shorter.
    pub(crate) fn standard(serial: &str) -> Option<Self> {
        let start = serial.len().checked_sub(6)?;
        let password = serial.get(start..)?;
        Some(Self::new("envoy", &Secret::new(password.to_owned())))
    }

    /// Whether it has this user and this password.
    pub(crate) fn is_for(&self, user: &str, password: &Secret) -> bool {
        self.user == user && self.password == *password
    }

    /// Takes the challenge of a 401; whether it is one that can be answered.
    pub(crate) fn take_challenge(&mut self, header: &str) -> bool {
        let digest = header.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("digest"));
        self.challenge = header.get(6..).filter(|_| digest).and_then(|rest| digest_auth::parse(rest).ok());
        self.challenge.is_some()
    }

    /// The `Authorization` for a request: the nonce is used again with a counter that grows, so that a challenge
    /// costs one more request only once. `None` before the first challenge.
    pub(crate) fn answer(&mut self, method: &Method, path: &str, body: Option<&str>) -> Option<Secret> {
        let context = AuthContext::new_with_method(
            self.user.as_str(),
            self.password.expose(),
            path,
            body.map(str::as_bytes),
            HttpMethod::from(method.as_str()),
        );
        let header = self.challenge.as_mut()?.respond(&context).ok()?;
        Some(Secret::new(header.to_header_string()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CHALLENGE: &str = r#"Digest qop="auth", realm="enphaseenergy.com", nonce="1703033831""#;

    fn answer(digest: &mut Digest) -> String {
        let answer = digest.answer(&Method::GET, "/api/v1/production/inverters", None).unwrap();
        answer.expose().to_owned()
    }

    #[test]
    fn the_standard_password_is_the_end_of_the_serial() {
        let digest = Digest::standard("121400123456").unwrap();
        assert_eq!((digest.user.as_str(), digest.password.expose()), ("envoy", "123456"));
        assert!(Digest::standard("12345").is_none());
    }

    #[test]
    fn a_nonce_is_used_again_with_a_growing_counter() {
        let mut digest = Digest::standard("121400123456").unwrap();
        assert!(digest.answer(&Method::GET, "/", None).is_none());
        assert!(digest.take_challenge(CHALLENGE));
        assert!(answer(&mut digest).contains("nc=00000001"));
        assert!(answer(&mut digest).contains("nc=00000002"));
    }

    #[test]
    fn another_kind_of_challenge_is_not_answered() {
        let mut digest = Digest::standard("121400123456").unwrap();
        assert!(!digest.take_challenge("Basic realm=\"enphaseenergy.com\""));
        assert!(!digest.take_challenge("Digest nonce=\"1\""));
    }

    proptest! {
        #[test]
        fn no_challenge_makes_it_panic(header in "(Digest )?[ -~]{0,80}") {
            let mut digest = Digest::standard("121400123456").unwrap();
            if digest.take_challenge(&header) {
                digest.answer(&Method::GET, "/", None);
            }
        }
    }
}
