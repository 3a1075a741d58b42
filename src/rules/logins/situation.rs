//! What a decision depends on beside the record: tokens, account, clocks, and whether a person asks.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::age::Sight;
use super::verdict::Verdict;
use crate::base::reading::Serial;
use crate::io::cloud::answer::Kind;
use crate::io::token::{Token, TokenId};

/// What is known of a stored token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFacts {
    /// Its name.
    pub id: TokenId,
    /// When it was made.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Whether it lives for 30 days or more.
    pub is_long_lived: bool,
    /// When it was stored.
    pub stored_at: Timestamp,
}

impl TokenFacts {
    /// The facts of a token that was stored at `stored_at`.
    pub fn new(token: &Token, stored_at: Timestamp) -> Self {
        Self {
            id: token.id(),
            issued_at: token.issued_at,
            expires_at: token.expires_at,
            is_long_lived: token.is_long_lived(),
            stored_at,
        }
    }

    /// When a long-lived token may be renewed: 30 days before its end, or in the last third of a life of less
    /// than 90 days, moved by up to a day that differs from token to token.
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

/// Who wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// Nobody: the daemon looks by itself.
    Absent,
    /// A person asked; the hold-offs are obeyed.
    Asks,
    /// A person insists, and was told what it risks.
    Insists,
}

/// What there is to log in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// Nothing.
    Missing,
    /// Credentials that were refused before (wrong), or that a second factor is wanted for.
    Refused(Kind),
    /// Credentials that nothing speaks against.
    Ready,
}

/// Everything a decision looks at beside the record.
#[derive(Debug)]
pub struct Situation<'a> {
    /// The gateway the token is for.
    pub serial: &'a Serial,
    /// The account's name, to know whether an open session is its own.
    pub username: &'a str,
    /// The stored tokens, the newest first: a candidate, and the one in use.
    pub tokens: &'a [TokenFacts],
    /// What the clocks show; the gateway's is seen only when it has just answered.
    pub sight: &'a Sight,
    /// Who wants it.
    pub operator: Operator,
    /// How long ago that person asked.
    pub asked_ago: Duration,
    /// What the gateway said of its tokens, as far as it was asked.
    pub verdicts: &'a [(TokenId, Verdict)],
    /// Whether the gateway has never had a token, and answers where another one is known.
    pub is_newcomer: bool,
    /// What there is to log in with.
    pub account: Account,
    /// Whether the configuration allows to renew short tokens (L8).
    pub renew_short_tokens: bool,
}

impl Situation<'_> {
    /// What the gateway said of a token.
    pub(super) fn verdict(&self, token: &TokenId) -> Option<Verdict> {
        self.verdicts.iter().find(|(known, _)| known == token).map(|(_, verdict)| *verdict)
    }
}
