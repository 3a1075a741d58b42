//! What is known of one page: the last good response, what came since, and when the page may be requested again.

use std::time::Duration;

use tokio::time::Instant;

use super::outcome::Outcome;
use super::pages::{Pace, Page};
use crate::base::backoff::doubling;

/// How long a response is served after it could not be replaced.
pub(super) const LONGEST_AGE: Duration = Duration::from_secs(10 * 60);
/// The time after which a page that was refused or failed once is requested again, unless its period is longer.
const RETRY: Duration = Duration::from_secs(60);
/// The longest time for which a refusal is passed on without another request.
const LONGEST_REFUSAL: Duration = Duration::from_secs(3600);
/// The longest hold-off of a page that does not respond.
const LONGEST_HANGING: Duration = Duration::from_secs(15 * 60);
/// The longest hold-off that the gateway can ask for.
const LONGEST_BUSY: Duration = Duration::from_secs(10 * 60);

/// A response, and when it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept<R> {
    pub(super) response: R,
    pub(super) at: Instant,
}

/// What is known of one page.
#[derive(Debug)]
pub(super) struct Record<R> {
    good: Option<Kept<R>>,
    /// The response of the last request, if it was not good.
    other: Option<(Outcome, Kept<R>)>,
    /// When the page may be requested again.
    due: Instant,
    /// The number of consecutive requests that were not good.
    failures: u32,
}

impl<R> Record<R> {
    pub(super) const fn new(now: Instant) -> Self {
        Self { good: None, other: None, due: now, failures: 0 }
    }

    /// Returns `true` if the page may be requested now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        now >= self.due
    }

    /// Records the outcome of a request for `page` that ended at `now`, and the response if there was one. The page is not
    /// requested again within `period`.
    pub(super) fn record(
        &mut self,
        page: &Page,
        outcome: Outcome,
        response: Option<R>,
        period: Duration,
        now: Instant,
    ) {
        if outcome == Outcome::Unreachable {
            return;
        }
        self.failures = if outcome == Outcome::Good { 0 } else { self.failures.saturating_add(1) };
        self.due = now + period.max(self.hold_off(page, outcome));
        match (outcome, response.map(|response| Kept { response, at: now })) {
            (Outcome::Good, kept) => (self.good, self.other) = (kept, None),
            (_, kept) => self.other = kept.map(|kept| (outcome, kept)),
        }
    }

    fn hold_off(&self, page: &Page, outcome: Outcome) -> Duration {
        match outcome {
            Outcome::Good | Outcome::Unreachable => Duration::ZERO,
            Outcome::Failing => RETRY,
            Outcome::Refused => doubling(RETRY, LONGEST_REFUSAL, self.failures),
            // Some firmware fails to list many inverters (see `Oddity::HangingDeviceData`).
            Outcome::Hanging if page.pace == Pace::Inverters => LONGEST_HANGING,
            Outcome::Hanging => doubling(RETRY, LONGEST_HANGING, self.failures),
            Outcome::Busy(asked) => asked.unwrap_or(RETRY).min(LONGEST_BUSY),
        }
    }

    /// Returns the response for other programs: a refusal, because it is what the gateway says about the page; otherwise the
    /// last good one, unless it is too old; otherwise whatever the gateway returned.
    pub(super) fn best(&self, now: Instant) -> Option<&Kept<R>> {
        let is_young = |kept: &&Kept<R>| now.saturating_duration_since(kept.at) <= LONGEST_AGE;
        let other = self.other.as_ref();
        let refusal = other.filter(|(outcome, _)| *outcome == Outcome::Refused).map(|(_, kept)| kept);
        let refusal = refusal.filter(|kept| !self.is_due(now) || is_young(kept));
        let any = other.map(|(_, kept)| kept).filter(is_young);
        refusal.or_else(|| self.good.as_ref().filter(is_young)).or(any)
    }

    /// Returns the last good response, and when it arrived.
    pub(super) fn newest(&self) -> Option<(&R, Instant)> {
        self.good.as_ref().map(|kept| (&kept.response, kept.at))
    }

    /// Returns `true` if there is nothing left to serve or to wait for.
    pub(super) fn is_spent(&self, now: Instant) -> bool {
        self.is_due(now) && self.best(now).is_none()
    }

    /// Makes a page due that was refused or failed, because the gateway has changed.
    pub(super) fn forgive(&mut self, now: Instant) {
        if self.failures > 0 {
            (self.due, self.failures) = (now, 0);
        }
    }

    /// Returns every response that is kept.
    pub(super) fn responses(&self) -> impl Iterator<Item = &R> {
        self.good.iter().chain(self.other.iter().map(|(_, kept)| kept)).map(|kept| &kept.response)
    }
}
