//! When each endpoint was asked, how it went, and when it may be asked again.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::pages::period;
use crate::gateway::{Endpoint, Error};
use crate::retry::doubling;

/// The longest time an endpoint that refused is left alone: what a role or firmware cannot do, it cannot do in
/// a minute either.
const LONGEST_HOLD: Duration = Duration::from_secs(6 * 3600);
/// A page that failed is asked again after this, or in the next cycle if it belongs to each.
const RETRY: Duration = Duration::from_secs(60);
/// A page that hangs is left alone for so long (see `Oddity::HangingDeviceData`).
const AFTER_HANGING: Duration = Duration::from_secs(15 * 60);
/// Ticks are not exact: what is due within this is due.
const SLACK: Duration = Duration::from_secs(5);

/// Why an endpoint is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The token's role does not reach it.
    Role,
    /// This firmware does not have it.
    Missing,
}

#[derive(Debug)]
struct Visit {
    cycle: u64,
    at: Instant,
    hold: Duration,
    answered: bool,
    refusals: u32,
    refusal: Option<Refusal>,
    failed: bool,
}

/// How asking each endpoint went.
#[derive(Debug, Default)]
pub(super) struct Visits(BTreeMap<Endpoint, Visit>);

impl Visits {
    /// Whether `endpoint` may be asked in `cycle` at `now`.
    pub(super) fn due(&self, endpoint: Endpoint, cycle: u64, now: Instant) -> bool {
        self.0.get(&endpoint).is_none_or(|visit| {
            visit.cycle != cycle && now.saturating_duration_since(visit.at) + SLACK >= visit.hold
        })
    }

    /// Why `endpoint` refused at its last visit.
    pub(super) fn refusal(&self, endpoint: Endpoint) -> Option<Refusal> {
        self.0.get(&endpoint)?.refusal
    }

    /// Whether `endpoint` gave nothing at its last visit.
    pub(super) fn failed(&self, endpoint: Endpoint) -> bool {
        self.0.get(&endpoint).is_some_and(|visit| visit.failed)
    }

    /// Whether `endpoint` was asked in `cycle`.
    pub(super) fn asked_in(&self, cycle: u64) -> bool {
        self.0.values().any(|visit| visit.cycle == cycle)
    }

    /// All that refuse.
    pub(super) fn refusals(&self) -> impl Iterator<Item = (Endpoint, Refusal)> {
        self.0.iter().filter_map(|(endpoint, visit)| Some((*endpoint, visit.refusal?)))
    }

    /// Makes `endpoint` due.
    pub(super) fn forget(&mut self, endpoint: Endpoint) {
        if let Some(visit) = self.0.get_mut(&endpoint) {
            visit.hold = Duration::ZERO;
        }
    }

    /// Lets every endpoint that refused be asked again.
    pub(super) fn forget_refusals(&mut self) {
        self.0.retain(|_, visit| visit.refusal.is_none());
    }

    /// Takes down a good answer, to be asked for again after `hold`.
    pub(super) fn answered(&mut self, endpoint: Endpoint, cycle: u64, at: Instant, hold: Duration) {
        let visit = Visit { cycle, at, hold, answered: true, refusals: 0, refusal: None, failed: false };
        self.0.insert(endpoint, visit);
    }

    /// Takes down that there was no answer to use. Gives the refusal if it is news.
    pub(super) fn went_wrong(
        &mut self,
        endpoint: Endpoint,
        cycle: u64,
        at: Instant,
        trouble: Trouble,
    ) -> Option<Refusal> {
        let before = self.0.remove(&endpoint);
        let answered = before.as_ref().is_some_and(|visit| visit.answered);
        let refusals = before.as_ref().map_or(0, |visit| visit.refusals) + 1;
        let (refusal, hold) = match trouble {
            // A page that did answer comes back, say after a restart; one that never did is not there.
            Trouble::Refused(refusal) if answered => (Some(refusal), doubling(RETRY, LONGEST_HOLD, refusals)),
            Trouble::Refused(refusal) => (Some(refusal), LONGEST_HOLD),
            Trouble::Hanging => (None, AFTER_HANGING),
            Trouble::Other => (None, RETRY.min(period(endpoint))),
        };
        let refusals = if refusal.is_some() { refusals } else { 0 };
        self.0.insert(endpoint, Visit { cycle, at, hold, answered, refusals, refusal, failed: true });
        refusal.filter(|_| before.is_none_or(|visit| visit.refusal != refusal))
    }
}

/// How a request went wrong, for deciding when to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The gateway will not answer it.
    Refused(Refusal),
    /// It does not answer, while others do.
    Hanging,
    /// Anything else.
    Other,
}

impl Trouble {
    /// From the error of a request.
    pub(super) fn of(endpoint: Endpoint, error: &Error) -> Self {
        match error {
            Error::Missing { .. } => Self::Refused(Refusal::Missing),
            Error::Forbidden { .. } => Self::Refused(Refusal::Role),
            Error::Unreachable { .. } | Error::Busy { .. } if endpoint == Endpoint::DeviceData => {
                Self::Hanging
            }
            _ => Self::Other,
        }
    }
}
