//! The cloud session that a login has opened, kept until the tokens are fetched (L7).

use serde::{Deserialize, Serialize};

use super::clocks::Age;
use super::hold_off::DAY;
use crate::base::secrets::{self, Secret};

/// A cloud session opened by a login (L7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The session id.
    #[serde(serialize_with = "secrets::store")]
    pub id: Secret,
    /// The account that the session belongs to.
    pub username: String,
    /// The record's age when the session was opened.
    pub since: Age,
}

impl Session {
    /// Returns `true` if the session may still fetch a token: it is of the account `username` and of the last day.
    pub(super) fn is_open(&self, username: &str, now: Age) -> bool {
        self.username == username && now.since(self.since) < DAY
    }
}
