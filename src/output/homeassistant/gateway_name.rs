//! The name of a gateway: the configuration key `name`, or a short default.
//!
//! Domoticz shows an entity as `Device (Entity)` and has room for [`ROOM`] characters. It takes a name only once, when it
//! creates a device.

use crate::base::reading::{GatewayFacts, Serial};

/// The number of characters that fit on Domoticz's tab *Utility* beside a power of four digits (tested with V2025.1).
pub const ROOM: usize = 26;
/// The maximum number of characters of a gateway's name. The names of entities take the rest of [`ROOM`].
pub const LONGEST: usize = 10;

/// The reason that a text cannot be the name of a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// The text is empty or has no letter and no digit.
    #[error("a name needs at least one letter or digit")]
    Empty,
    /// The text does not fit.
    #[error(
        "a name has at most {LONGEST} characters, because Domoticz shows no more; write a short one like \"East\""
    )]
    TooLong,
    /// Brokers, Domoticz or Home Assistant would interpret the character.
    #[error("a name consists of letters, digits, spaces and the characters - . _")]
    Character,
}

/// Checks the name of a gateway. Ignores surrounding blanks.
pub fn parse(text: &str) -> Result<String, InvalidName> {
    let text = text.trim();
    if !text.chars().all(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '.' | '_')) {
        return Err(InvalidName::Character);
    }
    if text.chars().count() > LONGEST {
        return Err(InvalidName::TooLong);
    }
    if identifying(text).is_empty() {
        return Err(InvalidName::Empty);
    }
    Ok(text.to_owned())
}

/// Returns the part of a name that distinguishes it from others in an entity id: the letters and digits, in lower case.
pub fn identifying(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Returns the name of a gateway. `several` gateways without a configured name are distinguished by the last digits of
/// their serial numbers.
pub(super) fn name(gateway: &GatewayFacts, several: bool) -> String {
    match &gateway.name {
        Some(name) => name.clone(),
        None if several => format!("Envoy {}", end(gateway.serial.as_str(), LONGEST - "Envoy ".len())),
        None => "Envoy".to_owned(),
    }
}

/// Returns whether two gateways without a configured name would have the same name.
pub fn are_alike(one: &Serial, other: &Serial) -> bool {
    end(one.as_str(), LONGEST - "Envoy ".len()) == end(other.as_str(), LONGEST - "Envoy ".len())
}

/// Returns the facts of a gateway with a name of as many digits as fit, unless it has a configured one.
pub fn with_more_digits(gateway: &GatewayFacts) -> GatewayFacts {
    let default = || format!("E{}", end(gateway.serial.as_str(), LONGEST - "E".len()));
    GatewayFacts { name: Some(gateway.name.clone().unwrap_or_else(default)), ..gateway.clone() }
}

/// Returns the last `count` characters of `text`.
pub(super) fn end(text: &str, count: usize) -> &str {
    let before = text.chars().count().saturating_sub(count);
    let start = text.char_indices().nth(before).map_or(text.len(), |(start, _)| start);
    text.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::test_readings;

    #[test]
    fn a_name_is_a_short_text_without_special_characters() {
        for (text, name) in
            [("East", "East"), (" Süd-Dach 1 ", "Süd-Dach 1"), ("a.b_c", "a.b_c"), ("屋根", "屋根")]
        {
            assert_eq!(parse(text), Ok(name.to_owned()));
        }
        for text in
            ["a<b", "a(b)", "a/b", "a\"b", "a\nb", "a+b", "a#", "a\u{202e}b", "a'b", "a;b", "a{b", "e\u{301}"]
        {
            assert_eq!(parse(text), Err(InvalidName::Character), "{text:?}");
        }
        for text in ["", "  ", "-", ". _"] {
            assert_eq!(parse(text), Err(InvalidName::Empty), "{text:?}");
        }
        assert_eq!(parse("East garage"), Err(InvalidName::TooLong));
        assert_eq!(parse(&"é".repeat(LONGEST)), Ok("é".repeat(LONGEST)));
    }

    #[test]
    fn a_gateway_without_a_name_is_called_envoy() {
        let mut gateway = test_readings::full().gateway;
        assert_eq!(
            (name(&gateway, false), name(&gateway, true)),
            ("Envoy".to_owned(), "Envoy 0000".to_owned())
        );
        gateway.name = Some("East".to_owned());
        assert_eq!((name(&gateway, false), name(&gateway, true)), ("East".to_owned(), "East".to_owned()));
        assert!(name(&test_readings::bare().gateway, true).chars().count() <= LONGEST);
    }

    #[test]
    fn gateways_with_the_same_end_have_names_with_more_digits() {
        let serial = |text: &str| Serial::parse(text).unwrap();
        assert!(are_alike(&serial("122300000003"), &serial("121400000003")));
        assert!(!are_alike(&serial("122300000003"), &serial("122300000002")));
        let mut gateway = test_readings::full().gateway;
        gateway.serial = serial("122300000003");
        assert_eq!(name(&with_more_digits(&gateway), true), "E300000003");
        gateway.serial = serial("121400000003");
        assert_eq!(name(&with_more_digits(&gateway), true), "E400000003");
        gateway.name = Some("East".to_owned());
        assert_eq!(name(&with_more_digits(&gateway), true), "East");
    }

    #[test]
    fn the_end_of_a_short_text_is_the_whole() {
        assert_eq!((end("12", 4), end("", 4), end("123456", 4), end("1", 0)), ("12", "", "3456", ""));
    }
}
