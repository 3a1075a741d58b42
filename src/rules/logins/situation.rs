//! The input of a decision in addition to the record: tokens, account, clocks, and the operator's request.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::clocks::Clocks;
use super::verdict::Verdict;
use crate::base::reading::Serial;
use crate::io::cloud::Kind;
use crate::io::token::{Token, TokenId};

/// The properties of a stored token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct TokenFacts {
    pub id: TokenId,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    /// The lifetime is 30 days or more.
    pub is_long_lived: bool,
    pub stored_at: Timestamp,
}

impl TokenFacts {
    /// Collects the properties of a token that was stored at `stored_at`.
    pub fn new(token: &Token, stored_at: Timestamp) -> Self {
        Self {
            id: token.id(),
            issued_at: token.issued_at,
            expires_at: token.expires_at,
            is_long_lived: token.is_long_lived(),
            stored_at,
        }
    }

    /// Returns when a long-lived token may be renewed: 30 days before it expires, or after two thirds of a lifetime
    /// under 90 days. An offset of up to a day, derived from the token, is added.
    pub fn renewal_opens(&self) -> Timestamp {
        let life = self.expires_at.duration_since(self.issued_at);
        let month = SignedDuration::from_hours(30 * 24);
        let ahead = month.min(life / 3);
        let offset =
            self.id.to_string().bytes().fold(0_i64, |sum, byte| (sum * 31 + i64::from(byte)) % 86_400);
        let opens = self.expires_at.saturating_sub(ahead).unwrap_or(self.expires_at);
        opens.saturating_add(SignedDuration::from_secs(offset)).unwrap_or(opens)
    }
}

/// The operator's part in a request for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// The daemon acts on its own.
    Absent,
    /// A person requested a token; the hold-offs are obeyed.
    Asks,
    /// A person used `--force`, which explains the risk.
    Insists,
}

/// The state of the configured credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// No credentials are configured.
    Missing,
    /// The credentials were refused before, or the account requires a second factor.
    Refused(Kind),
    /// The credentials are new or were accepted.
    Ready,
}

/// The input of a decision in addition to the record.
#[derive(Debug)]
pub struct Situation<'a> {
    /// The gateway that the token is for.
    pub serial: &'a Serial,
    /// The account; an open session is used only if it belongs to it.
    pub username: &'a str,
    /// The stored tokens, newest first: a candidate, and the one in use.
    pub tokens: &'a [TokenFacts],
    /// The clocks; the gateway's is known only if it has just responded.
    pub clocks: &'a Clocks,
    /// The operator's part in the request.
    pub operator: Operator,
    /// The time since the operator's request.
    pub asked_ago: Duration,
    /// The gateway's latest verdicts on its tokens.
    pub verdicts: &'a [(TokenId, Verdict)],
    /// The gateway has never had a token, and responds in the place of a known gateway.
    pub is_newcomer: bool,
    /// The state of the credentials.
    pub account: Account,
    /// The configuration key `renew_short_tokens` (L8).
    pub renew_short_tokens: bool,
}

impl Situation<'_> {
    /// Returns the gateway's latest verdict on a token.
    pub(super) fn verdict(&self, token: &TokenId) -> Option<Verdict> {
        self.verdicts.iter().find(|(known, _)| known == token).map(|(_, verdict)| *verdict)
    }
}
