//! Removes private data from a text and keeps its structure: each serial number, address, e-mail address, token, key or
//! name becomes a placeholder, and the same value always becomes the same placeholder.
//!
//! Values with a recognisable format are found by it. Others (a password, a host name, a user) have to be added first.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The kind of a redacted value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The serial number of a gateway, an inverter or a battery: eleven digits or more.
    Serial,
    /// An IPv4 or IPv6 address.
    Address,
    /// A host name.
    Host,
    /// The MAC address of a network card.
    Mac,
    /// An e-mail address.
    Email,
    /// A token (a JWT).
    Token,
    /// A key, a hash or a session: twenty characters or more, with digits among them.
    Key,
    /// A password.
    Secret,
    /// A user name, on this machine or at a broker.
    User,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Serial => "serial",
            Self::Address => "address",
            Self::Host => "host",
            Self::Mac => "mac",
            Self::Email => "email",
            Self::Token => "token",
            Self::Key => "key",
            Self::Secret => "secret",
            Self::User => "user",
        })
    }
}

/// The minimum number of digits in a serial number. A time in seconds has ten.
const SERIAL_DIGITS: usize = 11;
/// The minimum number of characters in a key. Shorter ones are words.
const KEY_LENGTH: usize = 20;
/// The minimum number of characters for an added value to be replaced inside a longer word.
const INSIDE_WORD_LENGTH: usize = 6;
/// The suffixes of host names in a home network.
const HOME_DOMAINS: [&str; 7] =
    [".local", ".lan", ".home", ".internal", ".home.arpa", ".fritz.box", ".localdomain"];
/// The directories whose entries are named after users.
const HOMES: [&str; 2] = ["/home/", "/Users/"];

/// Redacts several texts with the same placeholders.
#[derive(Debug, Default)]
pub(super) struct Redaction {
    /// The added values, longest first.
    added: Vec<(String, Kind)>,
    /// The number of each value within its kind.
    numbers: BTreeMap<(Kind, String), usize>,
}

impl Redaction {
    /// Adds `text` as a value to redact.
    pub(super) fn add(&mut self, text: &str, kind: Kind) {
        let text = text.trim();
        if !text.is_empty() && !self.added.iter().any(|(other, _)| other.eq_ignore_ascii_case(text)) {
            self.added.push((text.to_owned(), kind));
            self.added.sort_by_key(|(added, _)| std::cmp::Reverse(added.len()));
        }
    }

    /// Returns `text` with placeholders in place of private values.
    pub(super) fn redact(&mut self, text: &str) -> String {
        let mut clean = String::with_capacity(text.len());
        let (mut rest, mut before) = (text, None);
        while let Some(next) = rest.chars().next() {
            let found = self.added_at(rest, before).or_else(|| formatted_at(rest, before));
            let Some((kind, length)) = found else {
                clean.push(next);
                (rest, before) = (rest.get(next.len_utf8()..).unwrap_or_default(), Some(next));
                continue;
            };
            let (taken, left) = rest.split_at_checked(length).unwrap_or((rest, ""));
            clean.push_str(&self.placeholder(kind, taken));
            (rest, before) = (left, taken.chars().next_back());
        }
        clean
    }

    fn placeholder(&mut self, kind: Kind, text: &str) -> String {
        let next = 1 + self.numbers.keys().filter(|(other, _)| *other == kind).count();
        let number = self.numbers.entry((kind, text.to_ascii_lowercase())).or_insert(next);
        format!("<{kind} {number}>")
    }

    /// Finds the longest added value that `rest` begins with.
    fn added_at(&self, rest: &str, before: Option<char>) -> Option<(Kind, usize)> {
        let begins = |added: &str| {
            let start = rest.get(..added.len()).is_some_and(|start| start.eq_ignore_ascii_case(added));
            let after = rest.get(added.len()..).and_then(|rest| rest.chars().next());
            let word =
                !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric);
            start && (word || added.len() >= INSIDE_WORD_LENGTH)
        };
        self.added.iter().find(|(added, _)| begins(added)).map(|(added, kind)| (*kind, added.len()))
    }
}

/// Recognises the value at the start of `rest` by its format, and returns its kind and length.
fn formatted_at(rest: &str, before: Option<char>) -> Option<(Kind, usize)> {
    let first = rest.chars().next()?;
    if let Some(length) = token(rest) {
        return Some((Kind::Token, length));
    }
    let inside = before.is_some_and(|before| before.is_ascii_alphanumeric());
    if let (false, Some(length)) = (inside, key(rest)) {
        return Some((Kind::Key, length));
    }
    // A serial number may follow letters, as in a host name.
    if first.is_ascii_digit() && !before.is_some_and(|before| before.is_ascii_digit()) {
        let length = run(rest, |c| c.is_ascii_digit());
        if length >= SERIAL_DIGITS {
            return Some((Kind::Serial, length));
        }
    }
    if inside {
        return None;
    }
    if let Some(home) = HOMES.iter().find(|home| rest.starts_with(**home)) {
        return user(rest, home);
    }
    let found = [
        (Kind::Address, address(rest)),
        (Kind::Mac, mac(rest)),
        (Kind::Email, email(rest)),
        (Kind::Host, host(rest)),
    ];
    found.into_iter().find_map(|(kind, length)| Some((kind, length?)))
}

/// Returns the length of the longest prefix of `text` whose characters are all ASCII and `wanted`.
fn run(text: &str, wanted: impl Fn(char) -> bool) -> usize {
    text.find(|c: char| !c.is_ascii() || !wanted(c)).unwrap_or(text.len())
}

fn user(rest: &str, home: &str) -> Option<(Kind, usize)> {
    let name = run(rest.get(home.len()..)?, |c| c.is_ascii_alphanumeric() || "._-".contains(c));
    (name > 0).then_some((Kind::User, home.len() + name))
}

/// Recognises a JWT, which begins with the base64 encoding of `{"`.
fn token(rest: &str) -> Option<usize> {
    let length = run(rest, |c| c.is_ascii_alphanumeric() || "-_.=".contains(c));
    (rest.starts_with("eyJ") && length >= KEY_LENGTH).then_some(length)
}

/// Recognises six or more pairs of hexadecimal digits.
fn mac(rest: &str) -> Option<usize> {
    let length = run(rest, |c| c.is_ascii_hexdigit() || c == ':' || c == '-');
    let text = rest.get(..length)?;
    let separator = text.chars().nth(2)?;
    let pairs = text.split(separator).take_while(|pair| pair.len() == 2 && *pair != "::").count();
    (":-".contains(separator) && pairs >= 6).then(|| pairs * 3 - 1)
}

fn email(rest: &str) -> Option<usize> {
    let name = run(rest, |c| c.is_ascii_alphanumeric() || "._%+-".contains(c));
    // A form writes `@` as `%40`, and a name may contain a percent sign too.
    let name = rest.get(..name)?.find("%40").unwrap_or(name);
    let at = ["@", "%40"].into_iter().find(|at| rest.get(name..).is_some_and(|rest| rest.starts_with(at)))?;
    let domain = run(rest.get(name + at.len()..)?, |c| c.is_ascii_alphanumeric() || ".-".contains(c));
    (name > 0 && domain > 0).then_some(name + at.len() + domain)
}

fn address(rest: &str) -> Option<usize> {
    let quads = run(rest, |c| c.is_ascii_digit() || c == '.');
    let quads = rest.get(..quads)?.trim_end_matches('.');
    if quads.parse::<Ipv4Addr>().is_ok() {
        return Some(quads.len());
    }
    let groups = run(rest, |c| c.is_ascii_hexdigit() || c == ':' || c == '.');
    let groups = rest.get(..groups)?.trim_end_matches('.');
    let short = groups.strip_suffix(':').unwrap_or(groups);
    [groups, short].into_iter().find(|text| text.parse::<Ipv6Addr>().is_ok()).map(str::len)
}

fn host(rest: &str) -> Option<usize> {
    let length = run(rest, |c| c.is_ascii_alphanumeric() || ".-_".contains(c));
    let name = rest.get(..length)?.trim_end_matches('.');
    let lower = name.to_ascii_lowercase();
    HOME_DOMAINS.iter().any(|end| lower.len() > end.len() && lower.ends_with(end)).then_some(name.len())
}

fn key(rest: &str) -> Option<usize> {
    let length = run(rest, |c| c.is_ascii_alphanumeric() || c == '_');
    // Identifiers have fewer digits, and digits alone are a serial number.
    let digits = rest.get(..length)?.bytes().filter(u8::is_ascii_digit).count();
    (length >= KEY_LENGTH && (3..length).contains(&digits)).then_some(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redacted(text: &str) -> String {
        let mut redaction = Redaction::default();
        redaction.add("hunter2 & co", Kind::Secret);
        redaction.add("pi", Kind::User);
        redaction.add("solar-box", Kind::Host);
        redaction.redact(text)
    }

    #[test]
    fn each_format_is_replaced_and_equal_values_get_equal_placeholders() {
        for (text, expected) in [
            (
                "gateway 122300000001 and 482525046373, again 122300000001.",
                "gateway <serial 1> and <serial 2>, again <serial 1>.",
            ),
            ("counters-122300000001.copy.json", "counters-<serial 1>.copy.json"),
            ("https://192.168.1.20:443/info", "https://<address 1>:443/info"),
            ("at [fe80::1]:443, ::1 and 10.0.0.1.", "at [<address 1>]:443, <address 2> and <address 3>."),
            ("00:1D:C0:12:34:56 is 00-1d-c0-12-34-57", "<mac 1> is <mac 2>"),
            ("owner+home@example.com or owner%40example.com", "<email 1> or <email 2>"),
            ("eyJhbGciOiJFUzI1NiJ9.eyJhdWQiOiIxIn0.c2ln", "<token 1>"),
            ("envoy.local, Envoy.local and nas.fritz.box:1883", "<host 1>, <host 1> and <host 2>:1883"),
            (
                "the password hunter2 & co of pi, not of pictures",
                "the password <secret 1> of <user 1>, not of pictures",
            ),
            ("mqtt://SOLAR-BOX:1883", "mqtt://<host 1>:1883"),
            ("/home/alice/.config/enphased", "<user 1>/.config/enphased"),
            ("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "<key 1>"),
        ] {
            assert_eq!(redacted(text), expected);
        }
    }

    #[test]
    fn versions_times_paths_and_numbers_are_kept() {
        for text in [
            "firmware D8.3.5289, part 800-00555-r03",
            "2026-11-20T10:19:31Z, 1763634000 s, 4545926 Wh",
            "https://enlighten.enphaseenergy.com/login/login.json (HTTP 503)",
            "/ivp/meters/readings and /api/v1/production/inverters",
            "the gateway's own clock: 10:19:31",
        ] {
            assert_eq!(redacted(text), text);
        }
    }

    /// Generates a value that must be redacted.
    fn private() -> impl Strategy<Value = String> {
        prop_oneof![
            "[0-9]{12}",
            any::<[u8; 4]>().prop_map(|bytes| Ipv4Addr::from(bytes).to_string()),
            any::<[u16; 8]>().prop_map(|groups| Ipv6Addr::from(groups).to_string()),
            any::<[u8; 6]>().prop_map(|bytes| bytes.map(|byte| format!("{byte:02x}")).join(":")),
            "[a-z][a-z.+]{0,8}[a-z]@[a-z]{2,8}\\.(com|nl|de)",
            "eyJ[A-Za-z0-9_-]{20,60}\\.[A-Za-z0-9_-]{20,60}\\.[A-Za-z0-9_-]{20,60}",
            "[0-9a-f]{32}".prop_filter("digits", |text| text.bytes().filter(u8::is_ascii_digit).count() > 2),
            "[a-z]{3,9}\\.(local|lan|fritz\\.box)",
            Just("hunter2 & co".to_owned()),
            Just("solar-box".to_owned()),
        ]
    }

    /// Generates the text before and after such a value.
    fn around() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            " ",
            "\n",
            "\"",
            ", ",
            "(",
            ") ",
            " https://",
            "/",
            " = \"",
            "'",
            "<b>",
            "; at ",
            "ü ",
        ])
    }

    proptest! {
        #[test]
        fn nothing_private_survives(parts in prop::collection::vec((around(), private()), 1..12)) {
            let text: String = parts.iter().flat_map(|(around, private)| [around, private.as_str()]).collect();
            let clean = redacted(&text);
            for (_, private) in &parts {
                prop_assert!(!clean.contains(private.as_str()), "{private} in {clean}");
            }
        }

        #[test]
        fn the_same_text_becomes_the_same_placeholder(private in private(), around in around()) {
            let clean = redacted(&format!(" {private} {around}{private} "));
            let first = clean.split('<').nth(1).unwrap().split('>').next().unwrap();
            prop_assert_eq!(clean.matches(&format!("<{first}>")).count(), 2, "{}", clean);
        }

        #[test]
        fn any_text_can_be_redacted(text in ".{0,200}") {
            redacted(&text);
        }
    }
}
