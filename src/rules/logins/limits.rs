//! Hold-offs and ceilings that delay contacting the cloud (L6).

use std::time::Duration;

use super::attempt::{Attempt, Reason, Step};
use super::clocks::Age;
use super::hold_off::{DAY, MONTH, SHORTEST_HOLD_OFF};
use super::record::Record;
use crate::io::cloud::Kind;

/// The maximum number of automatic logins in a month.
const LOGINS_IN_A_MONTH: usize = 3;
/// The maximum number of automatic logins in a day that may have opened a session, if their responses are lost.
const SESSIONS_IN_A_DAY: usize = 3;

/// The reason to wait before contacting the cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The gateway does not respond: a token would be of no use, and there is no second clock.
    GatewaySilent,
    /// The token has expired by the clock, and the gateway has not been asked about it yet.
    GatewayNotAsked,
    /// The token has expired by our clock; the gateway returns no time and has not refused the token twice.
    GatewayUnsure,
    /// A hold-off follows a failure.
    HoldOff(Kind),
    /// An attempt was interrupted, and counts as a login.
    Interrupted,
    /// There was a login within the last day.
    OnceADay,
    /// There were three logins within the last month.
    ThriceAMonth,
    /// There were three logins within the last day that may have opened a session.
    ThriceUnclear,
}

/// Returns the longest wait that is in force for `step`, if there is one.
pub(super) fn longest_wait(
    record: &Record,
    step: Step,
    reason: Reason,
    now: Age,
) -> Option<(Duration, Waiting)> {
    let mut waits = Vec::new();
    let mut wait = |since: Age, length: Duration, why: Waiting| {
        waits.push((length.saturating_sub(now.since(since)), why));
    };
    if let Some(attempt) = record.attempts.last()
        && attempt.outcome.is_none()
    {
        // If it was a login, it also counts below.
        wait(attempt.at, SHORTEST_HOLD_OFF, Waiting::Interrupted);
    }
    if step == Step::Login {
        let newest_first = || record.attempts.iter().rev();
        let logins: Vec<&Attempt> = newest_first().filter(|attempt| attempt.counts_as_login()).collect();
        if let Some(last) = logins.first() {
            let interrupted = last.outcome.is_none();
            wait(last.at, DAY, if interrupted { Waiting::Interrupted } else { Waiting::OnceADay });
        }
        // The next login is allowed when the third last one is a month old.
        if let Some(third) = logins.get(LOGINS_IN_A_MONTH - 1) {
            wait(third.at, MONTH, Waiting::ThriceAMonth);
        }
        if let Some(third) =
            newest_first().filter(|one| one.may_have_opened_session()).nth(SESSIONS_IN_A_DAY - 1)
        {
            wait(third.at, DAY, Waiting::ThriceUnclear);
        }
        let is_renewal =
            |attempt: &&Attempt| attempt.step == Step::Login && attempt.reason == Reason::Renewal;
        if reason == Reason::Renewal
            && let Some(attempt) = newest_first().find(is_renewal)
        {
            wait(attempt.at, DAY, Waiting::OnceADay);
        }
    }
    let hold = record.hold.as_ref().map(|hold| (hold.until.since(now), Waiting::HoldOff(hold.kind)));
    waits.extend(hold);
    waits.into_iter().filter(|(left, _)| !left.is_zero()).max_by_key(|(left, _)| *left)
}
