//! Passwords, tokens, session ids and cookies, wrapped so that they cannot be printed by mistake, and wiped when dropped.
//!
//! The program wipes its own memory: every [`Secret`], the content of files with secrets, the bodies of the cloud's
//! responses and their parsed form, the bodies and headers of requests. It cannot wipe copies made by libraries: the
//! buffers of hyper and rustls, the headers of responses, the broker's password in the options of its client, and the
//! process environment in the kernel. Those are only protected by disabling core dumps and access to the memory by other
//! users than root.

use std::fmt;

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serializer};
use serde_json::Value;
use zeroize::{Zeroize, Zeroizing};

/// A text that must not reach a log, an error, argv, MQTT or a readable file. Its `Debug` hides it, and it has no
/// `Display` or `Serialize`.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Wraps `text`. The caller must not keep a copy.
    pub fn new(text: String) -> Self {
        // Converting a string with spare capacity would reallocate it, without wiping the old memory.
        let text = Zeroizing::new(text);
        Self(SecretString::from(Box::from(text.as_str())))
    }

    /// Returns the text, for code that sends or stores it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Copies the text for sending. The copy is wiped when its last clone is dropped.
    pub fn to_bytes(&self) -> Bytes {
        shared(Zeroizing::new(self.expose().as_bytes().to_vec()))
    }

    /// Returns `true` if the text is empty.
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// Serializes a secret in a state file (mode 0600): `#[serde(serialize_with = "secrets::store")]`.
pub fn store<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

/// Converts `bytes` for sending. They are wiped when the last clone is dropped.
pub fn shared(bytes: Zeroizing<Vec<u8>>) -> Bytes {
    Bytes::from_owner(bytes)
}

/// A JSON document that may contain secrets. Its texts are wiped when it is dropped, and it has no `Debug`.
#[expect(missing_debug_implementations, reason = "it must not be printed")]
pub struct Document(Value);

impl Document {
    /// Parses `bytes`, or returns `None` if they are not JSON.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().map(Self)
    }

    /// Returns the document.
    pub fn value(&self) -> &Value {
        &self.0
    }
}

impl Drop for Document {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(rows) => rows.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The credentials of the owner's account in the Enphase cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Credentials {
    /// The e-mail address.
    pub username: String,
    pub password: Secret,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let credentials = Credentials {
            username: "owner@example.com".to_owned(),
            password: Secret::new("hunter2".to_owned()),
        };
        assert!(!format!("{credentials:?}").contains("hunter2"));
    }

    #[test]
    fn every_text_of_a_document_is_wiped() {
        let mut document = serde_json::json!({"a": "s3cret", "b": [1, {"c": "s3cret"}, ["s3cret"]]});
        wipe(&mut document);
        assert_eq!(document, serde_json::json!({"a": "", "b": [1, {"c": ""}, [""]]}));
    }

    #[test]
    fn what_is_shared_is_what_was_wrapped() {
        let mut roomy = String::with_capacity(100);
        roomy.push_str("hunter2");
        let secret = Secret::new(roomy);
        assert_eq!((secret.expose(), &secret.to_bytes()[..]), ("hunter2", &b"hunter2"[..]));
    }
}
