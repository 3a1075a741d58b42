//! How long nothing is tried after a failure (L6).

use std::time::Duration;

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use super::age::{Age, Sight};
use crate::base::backoff::{doubling, with_jitter};
use crate::io::cloud::answer::{Failure, Kind};

/// The first hold-off after a failure that may pass by itself, and the longest.
pub const SHORTEST_HOLD: Duration = Duration::from_secs(5 * 60);
const LONGEST_HOLD: Duration = Duration::from_secs(6 * 3600);
/// A day: the shortest time between two logins that happen by themselves.
pub const DAY: Duration = Duration::from_secs(24 * 3600);
/// The time in which at most three logins happen by themselves.
pub const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);
/// The most that a `Retry-After` is obeyed for: one of ten years is a mistake.
const LONGEST_RETRY_AFTER: Duration = MONTH;

/// Until when nothing is tried, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// By the record's age.
    pub until: Age,
    /// The row of L6.
    pub kind: Kind,
}

/// A refusal that only a person can end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    /// Wrong credentials or a second factor.
    pub kind: Kind,
    /// The salted hash of the credentials that were refused.
    pub credentials: String,
}

/// How long nothing is tried after `failure`, the last of so many in a row.
pub fn length(failure: &Failure, in_a_row: u32, sight: &Sight, rng: &mut Rng) -> Duration {
    hold_off(failure.kind, in_a_row, rng).max(asked_for(failure, sight))
}

/// The hold-off of a row of L6 after so many such failures in a row.
fn hold_off(kind: Kind, in_a_row: u32, rng: &mut Rng) -> Duration {
    match kind {
        Kind::TooManySessions => doubling(DAY, 3 * DAY, in_a_row),
        Kind::Blocked => DAY,
        _ => with_jitter(doubling(SHORTEST_HOLD, LONGEST_HOLD, in_a_row), rng),
    }
}

fn asked_for(failure: &Failure, sight: &Sight) -> Duration {
    let length = failure.retry_after.map(|retry_after| retry_after.from(sight.moment.wall));
    length.unwrap_or_default().min(LONGEST_RETRY_AFTER)
}
