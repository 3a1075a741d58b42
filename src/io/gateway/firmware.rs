//! The firmware version of a gateway.

use std::fmt;
use std::str::FromStr;

/// A firmware version: the numbers after the letter. Missing numbers are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Firmware {
    /// The 8 of 8.3.5289.
    pub major: u32,
    /// The 3.
    pub minor: u32,
    /// The 5289.
    pub build: u32,
}

impl Firmware {
    /// The first firmware that requires a token.
    pub const TOKENS: Self = Self::new(7, 0, 0);

    /// Creates a version.
    pub const fn new(major: u32, minor: u32, build: u32) -> Self {
        Self { major, minor, build }
    }

    /// Returns whether this version requires a token. [`Info::needs_token`](super::info::Info::needs_token) also
    /// considers `web-tokens`.
    pub fn needs_token(self) -> bool {
        self >= Self::TOKENS
    }
}

/// The error for a text that is not a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a firmware version like D8.3.5289")]
pub struct InvalidVersion;

impl FromStr for Firmware {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        // D, R or M precedes the version, depending on how the firmware was built.
        let version = text.trim().trim_start_matches(|c: char| c.is_ascii_alphabetic());
        let mut parts = version.split('.').map(leading_number);
        let major = parts.next().flatten().ok_or(InvalidVersion)?;
        let mut next = || parts.next().flatten().unwrap_or(0);
        Ok(Self { major, minor: next(), build: next() })
    }
}

/// Returns the number at the beginning of `text`. A build number may have a suffix.
fn leading_number(text: &str) -> Option<u32> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

impl fmt::Display for Firmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.build)
    }
}
