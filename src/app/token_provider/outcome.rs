//! The outcome of ensuring that a gateway has a token.

use crate::io::cloud::Failure;
use crate::io::token::Token;
use crate::rules::logins::attempt::Step;
use crate::rules::logins::decision::Decision;

/// The outcome of [`TokenProvider::ensure_token`](super::TokenProvider::ensure_token).
#[derive(Debug)]
pub enum Outcome {
    /// No request was sent, because of this decision.
    NothingSent(Decision),
    /// A token has arrived and is stored. The gateway has not seen it yet.
    Arrived(Token),
    /// A request to the cloud failed.
    Failed {
        /// The request that failed.
        step: Step,
        /// The failure.
        failure: Failure,
        /// The decision after the failure.
        next: Decision,
    },
}
