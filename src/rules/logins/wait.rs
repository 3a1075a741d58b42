//! What speaks against contacting the cloud now, and for how long (L6).

use std::time::Duration;

use super::age::Age;
use super::attempt::{Attempt, Reason, Step};
use super::hold::{DAY, MONTH, SHORTEST_HOLD};
use super::record::Record;
use crate::io::cloud::answer::Kind;

/// How many logins happen by themselves in a month.
const LOGINS_IN_A_MONTH: usize = 3;
/// How many sessions may be opened by themselves in a day, when answers are lost and nobody knows.
const SESSIONS_IN_A_DAY: usize = 3;

/// What speaks against contacting the cloud now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The gateway does not answer: a token would be of no use, and there is no second clock.
    GatewaySilent,
    /// The token has expired by the clock, and the gateway has not been asked yet whether it accepts it all the same.
    GatewayNotAsked,
    /// The same, and the gateway, which tells no time, has not refused the token clearly and twice.
    GatewayUnsure,
    /// The hold-off after a failure.
    HoldOff(Kind),
    /// An attempt was interrupted, and counts as a login.
    Interrupted,
    /// There was a login within the last day.
    OnceADay,
    /// There were three logins within the last month.
    ThriceAMonth,
    /// There were three within the last day that may have opened a session each, though no answer told so.
    ThriceUnclear,
}

/// Of all that speaks against it now, what lasts longest.
pub fn longest_wait(record: &Record, step: Step, reason: Reason, now: Age) -> Option<(Duration, Waiting)> {
    let mut waits = Vec::new();
    let mut wait = |since: Age, length: Duration, why: Waiting| {
        waits.push((length.saturating_sub(now.since(since)), why));
    };
    if let Some(attempt) = record.attempts.last().filter(|attempt| attempt.outcome.is_none()) {
        // Without an outcome a login counts as one, and is found below.
        wait(attempt.at, SHORTEST_HOLD, Waiting::Interrupted);
    }
    if step == Step::Login {
        let newest_first = || record.attempts.iter().rev();
        let logins: Vec<&Attempt> = newest_first().filter(|attempt| attempt.counts_as_login()).collect();
        if let Some(last) = logins.first() {
            let interrupted = last.outcome.is_none();
            wait(last.at, DAY, if interrupted { Waiting::Interrupted } else { Waiting::OnceADay });
        }
        // When the third last login leaves the month, one more may be made.
        if let Some(third) = logins.get(LOGINS_IN_A_MONTH - 1) {
            wait(third.at, MONTH, Waiting::ThriceAMonth);
        }
        if let Some(third) = newest_first().filter(|one| one.may_have_opened()).nth(SESSIONS_IN_A_DAY - 1) {
            wait(third.at, DAY, Waiting::ThriceUnclear);
        }
        let tried = |attempt: &&Attempt| attempt.step == Step::Login && attempt.reason == Reason::Renewal;
        if let Some(attempt) = newest_first().find(tried).filter(|_| reason == Reason::Renewal) {
            wait(attempt.at, DAY, Waiting::OnceADay);
        }
    }
    let hold = record.hold.as_ref().map(|hold| (hold.until.since(now), Waiting::HoldOff(hold.kind)));
    waits.extend(hold);
    waits.into_iter().filter(|(left, _)| !left.is_zero()).max_by_key(|(left, _)| *left)
}
