//! The outcome of a request of the second factor.

use crate::io::cloud::{Failure, Kind};
use crate::rules::logins::Record;
use crate::rules::logins::attempt::Step;
use crate::rules::logins::second_factor;

/// The outcome of entering a code, or of requesting another one.
#[derive(Debug)]
pub enum Entered {
    /// The code was accepted; a token can be fetched now.
    LoggedIn,
    /// The cloud has sent another code.
    Sent,
    /// The code was wrong. Contains the number of attempts left.
    Wrong(usize),
    /// The cloud did not send another code. The first one may still arrive.
    NotSent(Failure),
    /// The maximum number of requests is reached.
    NoMore,
    /// The login has failed.
    Failed(Failure),
}

impl Entered {
    pub(super) fn no_login_waits() -> Self {
        Self::Failed(Failure::transient("this login is no longer waiting for a code"))
    }

    /// Returns the outcome of a request that failed. `record` contains the failure.
    pub(super) fn after_failure(record: &Record, failure: Failure) -> Self {
        match second_factor::left(record, Step::Code) {
            Some(more) if failure.kind == Kind::WrongCode => Self::Wrong(more),
            Some(_) => Self::NotSent(failure),
            None => Self::Failed(failure),
        }
    }
}
