//! Serial numbers, which identify gateways, inverters and batteries.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The maximum length of a serial number. Those of gateways and inverters have 12 digits.
const LONGEST: usize = 16;

/// The serial number of a gateway, an inverter or a battery: 1 to 16 ASCII letters and digits.
///
/// Serial numbers arrive from the network and become parts of file names and topics, so other characters are rejected.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "Arc<str>", try_from = "Cow<'_, str>")]
pub struct Serial(Arc<str>);

/// The error for a text that is not a serial number. It does not repeat the text, which may come from an attacker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a serial number has 1 to 16 letters and digits, usually 12 digits")]
pub struct NotASerial;

impl Serial {
    /// Parses a serial number. Surrounding blanks are not accepted.
    pub fn parse(text: &str) -> Result<Self, NotASerial> {
        let is_serial =
            (1..=LONGEST).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
        if is_serial { Ok(Self(text.into())) } else { Err(NotASerial) }
    }

    /// Returns the letters and digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Serial {
    type Err = NotASerial;

    fn from_str(text: &str) -> Result<Self, NotASerial> {
        Self::parse(text)
    }
}

impl TryFrom<Cow<'_, str>> for Serial {
    type Error = NotASerial;

    fn try_from(text: Cow<'_, str>) -> Result<Self, NotASerial> {
        Self::parse(&text)
    }
}

impl From<Serial> for Arc<str> {
    fn from(serial: Serial) -> Self {
        serial.0
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_serial_is_letters_and_digits_and_nothing_else() {
        for text in ["122300000001", "1", "A1b2", "1234567890123456"] {
            assert_eq!(Serial::parse(text).unwrap().as_str(), text);
        }
        for text in [
            "",
            "12345678901234567",
            "122300000001.copy",
            "..",
            "../x",
            "a/b",
            "a b",
            " 1",
            "1\n",
            r#"{"a":1}"#,
            "é",
            "１２",
            "1\u{202e}",
            "1_2",
            "-1",
        ] {
            assert_eq!(Serial::parse(text), Err(NotASerial), "{text:?}");
        }
    }

    #[test]
    fn what_is_stored_is_checked_as_well() {
        let parse = serde_json::from_str::<Serial>;
        assert_eq!(parse(r#""122300000001""#).unwrap().as_str(), "122300000001");
        assert!(parse(r#""122300000001.copy""#).is_err());
        assert!(parse("122300000001").is_err());
        assert!(serde_json::from_str::<BTreeMap<Serial, u8>>(r#"{"1":1}"#).is_ok());
        assert!(serde_json::from_str::<BTreeMap<Serial, u8>>(r#"{"..":1}"#).is_err());
        assert_eq!(serde_json::to_string(&Serial::parse("1a").unwrap()).unwrap(), r#""1a""#);
    }

    proptest! {
        #[test]
        fn a_serial_is_always_one_plain_file_name(text in "\\PC{0,20}|[0-9A-Za-z./\\\\]{0,18}") {
            if let Ok(serial) = Serial::parse(&text) {
                prop_assert_eq!(serial.as_str(), text.as_str());
                prop_assert!(!text.is_empty() && text.len() <= 16 && text.chars().all(|c| c.is_ascii_alphanumeric()));
            }
        }
    }
}
