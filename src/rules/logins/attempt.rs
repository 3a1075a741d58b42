//! A request to the cloud as stored in the record.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::clocks::Age;
use crate::base::reading::Serial;
use crate::io::cloud::Kind;

/// The kind of a request to the cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// A login with the password. If it succeeds, it opens a session of the account.
    Login,
    /// A request for the token on an open session.
    Token,
    /// A request for the token at the other endpoint, after an unknown response from the first.
    OtherToken,
    /// The code of a second factor, which completes a login and opens the session.
    Code,
    /// A request to send another code.
    AnotherCode,
}

/// The reason for contacting the cloud (L2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// There is no token.
    NoToken,
    /// The token has expired.
    Expired,
    /// A long-lived token is about to expire.
    Renewal,
    /// The gateway has refused the token with a clean 401 twice.
    Refused,
    /// The operator requested a token.
    Operator,
}

/// A request to the cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The kind of the request.
    pub step: Step,
    /// The reason for the request.
    pub reason: Reason,
    /// The gateway that the token is for.
    pub serial: Serial,
    /// The record's age when the request was sent.
    pub at: Age,
    /// The record's age when the outcome was recorded; `None` in records of earlier versions.
    #[serde(default)]
    pub ended: Option<Age>,
    /// The wall clock when the request was sent, for display and for recognizing an old copy of the record.
    pub time: Timestamp,
    /// A placeholder for the attempts of a damaged record; no request was sent.
    #[serde(default)]
    pub stands_in: bool,
    /// `None` while the request is in progress, and permanently after a crash.
    pub outcome: Option<Outcome>,
}

/// The outcome of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The cloud returned the session, the token or the confirmation.
    Success,
    /// The request failed.
    Failed {
        /// The row in the table of hold-offs (L6).
        kind: Kind,
        /// The description of the failure.
        why: String,
    },
}

impl Attempt {
    /// Returns `true` for a login that succeeded or was interrupted.
    pub fn counts_as_login(&self) -> bool {
        self.can_open_session() && matches!(self.outcome, None | Some(Outcome::Success))
    }

    /// Returns `true` for a login that opened a session, or may have opened one without a usable response.
    pub fn may_have_opened_session(&self) -> bool {
        self.counts_as_login() || self.can_open_session() && self.failed_as(Kind::Unclear)
    }

    /// Returns `true` for the kinds of requests that can open a session: a login and the code of a second factor.
    pub(super) fn can_open_session(&self) -> bool {
        matches!(self.step, Step::Login | Step::Code)
    }

    /// Returns `true` if the cloud returned a token.
    pub(super) fn fetched_token(&self) -> bool {
        matches!(self.step, Step::Token | Step::OtherToken) && self.outcome == Some(Outcome::Success)
    }

    /// Returns `true` if the attempt failed as `how`.
    pub(super) fn failed_as(&self, how: Kind) -> bool {
        matches!(&self.outcome, Some(Outcome::Failed { kind, .. }) if *kind == how)
    }

    /// Returns `true` if the attempt failed with a kind in `row` of the table of hold-offs (L6).
    pub(super) fn is_in_row(&self, row: Kind) -> bool {
        matches!(&self.outcome, Some(Outcome::Failed { kind, .. }) if kind.row() == row)
    }

    /// Returns `true` if the other token endpoint is tried next, without a hold-off.
    pub(super) fn leads_to_other_endpoint(&self) -> bool {
        self.step == Step::Token && self.failed_as(Kind::Unexpected)
    }
}
