//! The login of firmware before 7: Digest, over http.

use digest_auth::{AuthContext, HttpMethod, WwwAuthenticateHeader};
use hyper::Method;

use crate::base::secrets::Secret;

/// A user of firmware before 7, and the newest challenge.
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

    /// Returns the user that every gateway has: `envoy`, with the last six digits of the serial number. `None` for a
    /// shorter serial number.
    pub(crate) fn standard(serial: &str) -> Option<Self> {
        let start = serial.len().checked_sub(6)?;
        let password = serial.get(start..)?;
        Some(Self::new("envoy", &Secret::new(password.to_owned())))
    }

    /// Returns whether the user and the password are these.
    pub(crate) fn is_for(&self, user: &str, password: &Secret) -> bool {
        self.user == user && self.password == *password
    }

    /// Stores the challenge of a 401; returns whether it can be answered.
    pub(crate) fn take_challenge(&mut self, header: &str) -> bool {
        self.challenge = match header.split_at_checked(6) {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("digest") => digest_auth::parse(rest).ok(),
            _ => None,
        };
        self.challenge.is_some()
    }

    /// Returns the `Authorization` header for a request. The nonce is used again with an increasing counter, so that a
    /// challenge costs an additional request only once. `None` before the first challenge.
    pub(crate) fn authorization(
        &mut self,
        method: &Method,
        path: &str,
        body: Option<&str>,
    ) -> Option<Secret> {
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

    fn authorization(digest: &mut Digest) -> String {
        let header = digest.authorization(&Method::GET, "/api/v1/production/inverters", None).unwrap();
        header.expose().to_owned()
    }

    #[test]
    fn the_standard_password_is_the_end_of_the_serial() {
        let digest = Digest::standard("121400123456").unwrap();
        assert_eq!((digest.user.as_str(), digest.password.expose()), ("envoy", "123456"));
        assert!(Digest::standard("12345").is_none());
    }

    #[test]
    fn a_nonce_is_used_again_with_an_increasing_counter() {
        let mut digest = Digest::standard("121400123456").unwrap();
        assert!(digest.authorization(&Method::GET, "/", None).is_none());
        assert!(digest.take_challenge(CHALLENGE));
        assert!(authorization(&mut digest).contains("nc=00000001"));
        assert!(authorization(&mut digest).contains("nc=00000002"));
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
                digest.authorization(&Method::GET, "/", None);
            }
        }
    }
}
