//! What is sent to the cloud, wiped when it has been sent.

use bytes::Bytes;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::base::reading::Serial;
use crate::base::secrets::{self, Secret};

/// The type of [`form`].
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// A form of these fields.
pub(super) fn form(fields: &[(&str, &str)]) -> Bytes {
    // All the room at once, because a text that grows leaves pieces of itself behind; each byte takes three at most.
    let room = fields.iter().map(|(name, value)| 2 + 3 * (name.len() + value.len())).sum();
    let mut form = form_urlencoded::Serializer::new(String::with_capacity(room));
    form.extend_pairs(fields);
    secrets::shared(Zeroizing::new(form.finish().into_bytes()))
}

/// What a token is asked for with.
#[derive(Serialize)]
struct Wish<'a> {
    session_id: &'a str,
    serial_num: &'a str,
    username: &'a str,
}

/// The wish for the token of the gateway `serial`, as JSON.
pub(super) fn wish(session: &Secret, serial: &Serial, username: &str) -> Bytes {
    let wish = Wish { session_id: session.expose(), serial_num: serial.as_str(), username };
    let mut json = Zeroizing::new(Vec::with_capacity(1024));
    // A Vec can be written to, and texts can be written as JSON.
    serde_json::to_writer(&mut *json, &wish).ok();
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
    fn a_wish_is_what_the_cloud_expects() {
        let wish =
            wish(&Secret::new("5e55".to_owned()), &Serial::parse("122300000001").unwrap(), "a@example.com");
        assert_eq!(
            &*wish,
            br#"{"session_id":"5e55","serial_num":"122300000001","username":"a@example.com"}"#
        );
    }
}
