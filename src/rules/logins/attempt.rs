//! One request to the cloud, as the record remembers it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::age::Age;
use crate::base::reading::Serial;
use crate::io::cloud::answer::Kind;

/// Which request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// With the password; it costs the account a session.
    Login,
    /// For the token, on a session that is open.
    Token,
    /// The same at another place, after an answer that nobody has seen before.
    OtherToken,
    /// With the code of a second factor, which ends a login that asked for one and costs the session.
    Code,
    /// For another code.
    AnotherCode,
}

/// Why the cloud was contacted (L2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// There is no token.
    NoToken,
    /// The token has expired.
    Expired,
    /// A long-lived token is about to expire.
    Renewal,
    /// The gateway has refused the token, clearly and twice.
    Refused,
    /// The operator asked.
    Operator,
}

/// One request to the cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Which request.
    pub step: Step,
    /// Why it was made.
    pub reason: Reason,
    /// For which gateway.
    pub serial: Serial,
    /// When, by the record's age.
    pub at: Age,
    /// When its outcome was written down, by the record's age; unknown for attempts of earlier versions.
    #[serde(default)]
    pub ended: Option<Age>,
    /// When, by the wall clock; for people.
    pub time: Timestamp,
    /// It was not made, but stands for what a damaged record held.
    #[serde(default)]
    pub stands_in: bool,
    /// What came of it; `None` while it lasts, and for ever if we crashed meanwhile.
    pub outcome: Option<Outcome>,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It gave what was asked for.
    Success,
    /// It did not.
    Failed {
        /// The row of L6.
        kind: Kind,
        /// In words.
        why: String,
    },
}

impl Attempt {
    /// A login that succeeded, or whose end nobody saw.
    pub fn counts_as_login(&self) -> bool {
        self.can_open() && matches!(self.outcome, None | Some(Outcome::Success))
    }

    /// A login, or one whose answer does not tell whether it has opened a session.
    pub fn may_have_opened(&self) -> bool {
        self.counts_as_login() || self.can_open() && self.failed_as(Kind::Unclear)
    }

    /// Whether it may have opened a session: a login, or the code of a second factor.
    pub fn can_open(&self) -> bool {
        matches!(self.step, Step::Login | Step::Code)
    }

    /// Whether it brought a token.
    pub fn brought_token(&self) -> bool {
        matches!(self.step, Step::Token | Step::OtherToken) && self.outcome == Some(Outcome::Success)
    }

    /// Whether it failed so.
    pub fn failed_as(&self, how: Kind) -> bool {
        matches!(&self.outcome, Some(Outcome::Failed { kind, .. }) if *kind == how)
    }

    /// Whether it failed with this row of L6.
    pub fn is_in_row(&self, row: Kind) -> bool {
        matches!(&self.outcome, Some(Outcome::Failed { kind, .. }) if kind.row() == row)
    }

    /// Whether the other way to a token is tried next, without a hold-off between.
    pub fn leads_to_other_way(&self) -> bool {
        self.step == Step::Token && self.failed_as(Kind::Unexpected)
    }
}
