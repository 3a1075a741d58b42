//! The tokens of one gateway: the one in use, and a new one until the gateway has accepted it (L7).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Token;
use super::readable::Readable;

/// The origin of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Readable<String>", into = "String")]
pub enum Origin {
    /// From a login to the cloud.
    Login,
    /// Imported by a person.
    Import,
    /// An origin that another version of this program wrote. It is preserved for that version.
    Other(String),
}

impl From<Readable<String>> for Origin {
    fn from(word: Readable<String>) -> Self {
        match word {
            Readable::Known(word) => match word.as_str() {
                "login" => Self::Login,
                "import" => Self::Import,
                _ => Self::Other(word),
            },
            Readable::Odd(_) => Self::default(),
        }
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> Self {
        match origin {
            Origin::Login => "login".to_owned(),
            Origin::Import => "import".to_owned(),
            Origin::Other(word) => word,
        }
    }
}

impl Default for Origin {
    fn default() -> Self {
        Self::Other("unknown".to_owned())
    }
}

/// A token as stored in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredToken {
    /// The token.
    pub token: Token,
    /// The origin of the token.
    pub origin: Origin,
    /// When the token was obtained.
    pub stored_at: Timestamp,
    /// When the gateway first accepted the token.
    pub verified_at: Option<Timestamp>,
}

/// The tokens of one gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// The token in use, which the gateway has accepted.
    pub current: Option<StoredToken>,
    /// A new token that the gateway has not checked yet.
    pub candidate: Option<StoredToken>,
}

impl Tokens {
    /// Returns the token to use: the candidate only if there is no other.
    pub fn in_use(&self) -> Option<&StoredToken> {
        self.current.as_ref().or(self.candidate.as_ref())
    }

    /// Adds a new token as the candidate, beside the one in use.
    pub fn arrived(&mut self, token: Token, origin: Origin, now: Timestamp) {
        let same = self.current.as_ref().is_some_and(|stored| stored.token == token);
        if !same {
            self.candidate = Some(StoredToken { token, origin, stored_at: now, verified_at: None });
        }
    }

    /// Makes the candidate the token in use, because the gateway has accepted it.
    pub fn promote(&mut self, now: Timestamp) {
        if let Some(stored) = self.candidate.take() {
            self.current = Some(StoredToken { verified_at: Some(now), ..stored });
        }
    }
}
