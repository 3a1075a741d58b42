//! The bodies of requests to the cloud, which are wiped after they have been sent.

use bytes::Bytes;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::base::reading::Serial;
use crate::base::secrets::{self, Secret};

/// The content type of [`form`].
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// Encodes these fields as a form.
pub(super) fn form(fields: &[(&str, &str)]) -> Bytes {
    // Allocated at once, because a text that grows leaves copies behind. Each byte takes at most three.
    let room = fields.iter().map(|(name, value)| 2 + 3 * (name.len() + value.len())).sum();
    let mut form = form_urlencoded::Serializer::new(String::with_capacity(room));
    form.extend_pairs(fields);
    secrets::shared(Zeroizing::new(form.finish().into_bytes()))
}

/// The request for a token.
#[derive(Serialize)]
struct TokenRequest<'a> {
    session_id: &'a str,
    serial_num: &'a str,
    username: &'a str,
}

/// Encodes the request for the token of the gateway `serial` as JSON.
pub(super) fn token_request(session: &Secret, serial: &Serial, username: &str) -> Bytes {
    let request = TokenRequest { session_id: session.expose(), serial_num: serial.as_str(), username };
    let mut json = Zeroizing::new(Vec::with_capacity(1024));
    // Cannot fail: writing to a Vec succeeds, and every text can be encoded.
    serde_json::to_writer(&mut *json, &request).ok();
    secrets::shared(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_encoded_as_forms_are() {
        let form = form(&[("user[email]", "a+b@example.com"), ("user[password]", "sun & 100%")]);
        assert_eq!(&*form, b"user%5Bemail%5D=a%2Bb%40example.com&user%5Bpassword%5D=sun+%26+100%25");
    }

    #[test]
    fn a_token_request_is_what_the_cloud_expects() {
        let (session, serial) = (Secret::new("5e55".to_owned()), Serial::parse("122300000001").unwrap());
        let request = token_request(&session, &serial, "a@example.com");
        assert_eq!(
            &*request,
            br#"{"session_id":"5e55","serial_num":"122300000001","username":"a@example.com"}"#
        );
    }
}
