//! Passwords, tokens, session ids and cookies: wrapped so that they cannot be printed by mistake, and wiped
//! when dropped.
//!
//! What is ours is wiped: every [`Secret`], the files that held one, the bodies of the cloud's answers and what was
//! parsed from them, the bodies and headers that are sent. What libraries copy is not: the buffers in which hyper
//! puts a request together and rustls encrypts it, the headers of an answer, the broker's password in its client's
//! options, the environment that the kernel keeps for the process. Against those there is only this: no core dump,
//! and no look into the memory but for root.

use std::fmt;

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serializer};
use serde_json::Value;
use zeroize::{Zeroize, Zeroizing};

/// A text that never reaches a log, an error, argv, MQTT or a readable file. Its `Debug` hides it, it has no
/// `Display` and no `Serialize`.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Wraps `text`; the caller keeps no copy.
    pub fn new(text: String) -> Self {
        // A text with room to spare would be moved to a smaller place, and the old one be left as it was.
        let text = Zeroizing::new(text);
        Self(SecretString::from(Box::from(text.as_str())))
    }

    /// The text itself, for the one place that has to send or store it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// For a library that shares what it sends: wiped when the last share is let go.
    pub fn to_bytes(&self) -> Bytes {
        shared(Zeroizing::new(self.expose().as_bytes().to_vec()))
    }

    /// Whether there is nothing in it.
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

/// For the fields of state files (mode 0600) that hold a secret: `#[serde(serialize_with = "secrets::store")]`.
pub fn store<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

/// What is to be sent and holds a secret; wiped when the last share of it is let go.
pub fn shared(bytes: Zeroizing<Vec<u8>>) -> Bytes {
    Bytes::from_owner(bytes)
}

/// A JSON document that may hold secrets: its texts are wiped when it is dropped. It has no `Debug`.
#[expect(missing_debug_implementations, reason = "nobody may print it")]
pub struct Document(Value);

impl Document {
    /// Parses `bytes`; nothing for what is no JSON.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().map(Self)
    }

    /// The document.
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

/// The owner's account in the Enphase cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The e-mail address.
    pub username: String,
    /// The password.
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
