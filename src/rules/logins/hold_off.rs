//! Hold-offs after failures (L6).

use std::time::Duration;

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use super::clocks::{Age, Clocks};
use crate::base::backoff::{doubling, with_jitter};
use crate::io::cloud::{Failure, Kind};

/// The first hold-off after a transient failure; it doubles up to 6 hours.
pub(super) const SHORTEST_HOLD_OFF: Duration = Duration::from_secs(5 * 60);
const LONGEST_HOLD: Duration = Duration::from_secs(6 * 3600);
/// The minimum time between two automatic logins.
pub const DAY: Duration = Duration::from_secs(24 * 3600);
/// The period in which at most three automatic logins happen.
pub const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);
/// The cap on `Retry-After`: ten years would be a mistake of the server.
const LONGEST_RETRY_AFTER: Duration = MONTH;

/// The time before which the cloud is not contacted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The record's age at which the hold-off ends.
    pub until: Age,
    /// The failure that caused the hold-off.
    pub kind: Kind,
}

/// A refusal of credentials, which only a person can resolve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    /// Either wrong credentials or a second factor.
    pub kind: Kind,
    /// The salted hash of the refused credentials.
    pub credentials: String,
}

/// Returns the length of the hold-off after `failure`, the last of `in_a_row` consecutive ones.
pub fn length(failure: &Failure, in_a_row: u32, clocks: &Clocks, rng: &mut Rng) -> Duration {
    hold_off(failure.kind, in_a_row, rng).max(retry_after(failure, clocks))
}

/// Returns the hold-off of `kind` in the table (L6) after `in_a_row` consecutive failures.
fn hold_off(kind: Kind, in_a_row: u32, rng: &mut Rng) -> Duration {
    match kind {
        Kind::TooManySessions => doubling(DAY, 3 * DAY, in_a_row),
        Kind::Blocked => DAY,
        _ => with_jitter(doubling(SHORTEST_HOLD_OFF, LONGEST_HOLD, in_a_row), rng),
    }
}

fn retry_after(failure: &Failure, clocks: &Clocks) -> Duration {
    let length = failure.retry_after.map(|retry_after| retry_after.from(clocks.moment.wall));
    length.unwrap_or_default().min(LONGEST_RETRY_AFTER)
}
