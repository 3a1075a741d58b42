//! The record of requests: when each page was asked for, how it went, and when it may be asked for again.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::backoff::doubling;
use crate::io::gateway::{Endpoint, Error};

/// The longest time a page that was refused is left alone: what a role or firmware cannot do, it cannot do in a minute
/// either.
const LONGEST_HOLD: Duration = Duration::from_secs(6 * 3600);
/// The same for a page that the gateway has, by its firmware or because it answered before.
const LONGEST_FAULT: Duration = Duration::from_secs(5 * 60);
/// A page that failed is asked for again after this, or in the next cycle if it belongs to each.
const RETRY: Duration = Duration::from_secs(60);
/// The longest time a page is left alone on which requests hang (see `Oddity::HangingDeviceData`).
const AFTER_HANGING: Duration = Duration::from_secs(15 * 60);
/// The longest time a page is left alone because the gateway asked for it.
const LONGEST_BUSY: Duration = Duration::from_secs(10 * 60);
/// Ticks are not exact: what is due within this is due.
const SLACK: Duration = Duration::from_secs(5);

/// Why a page is not there for this gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The token's role, or the user of firmware before 7, does not reach it.
    Role,
    /// This firmware does not have it.
    Missing,
}

/// How a request failed, by when the page is asked for again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The gateway refuses it.
    Refused(Refusal),
    /// No response came on an open connection.
    Hanging,
    /// The gateway asked to be left alone, perhaps for so long.
    Busy(Option<Duration>),
    /// Anything else.
    Other,
}

impl Failure {
    /// From the error of a request.
    pub(super) const fn of(error: &Error) -> Self {
        match error {
            Error::Missing { .. } => Self::Refused(Refusal::Missing),
            Error::Forbidden { .. } => Self::Refused(Refusal::Role),
            Error::Unreachable { connected: true, .. } => Self::Hanging,
            Error::Busy { retry_after, .. } => Self::Busy(*retry_after),
            _ => Self::Other,
        }
    }

    /// How long the page is left alone after `failures` failures in a row; `exists` if the gateway has it.
    fn hold(self, endpoint: Endpoint, failures: u32, exists: bool) -> Duration {
        match self {
            Self::Refused(_) if exists => doubling(RETRY, LONGEST_FAULT, failures),
            Self::Refused(_) => doubling(RETRY, LONGEST_HOLD, failures),
            Self::Hanging | Self::Busy(_) if endpoint == Endpoint::DeviceData => AFTER_HANGING,
            Self::Hanging => doubling(RETRY, AFTER_HANGING, failures),
            Self::Busy(asked) => asked.unwrap_or(RETRY).min(LONGEST_BUSY),
            Self::Other => RETRY.min(endpoint.period()),
        }
    }

    /// The longest hold while nothing of the gateway can be read: it may be starting, and then every refusal is
    /// worthless. Requests that hang are still kept apart.
    const fn longest_in_an_outage(self) -> Duration {
        match self {
            Self::Hanging | Self::Busy(_) => RETRY,
            Self::Refused(_) | Self::Other => Duration::ZERO,
        }
    }
}

/// When a request is made or was answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct When {
    /// In which cycle.
    pub(super) cycle: u64,
    /// At which moment.
    pub(super) at: Instant,
}

#[derive(Debug)]
struct Visit {
    when: When,
    hold: Duration,
    /// A good answer came at some time.
    answered: bool,
    /// How the last request failed, in words too.
    failure: Option<(Failure, String)>,
    /// Failures in a row.
    failures: u32,
}

/// The last request of each page.
#[derive(Debug, Default)]
pub(super) struct Visits(BTreeMap<Endpoint, Visit>);

impl Visits {
    /// Whether `endpoint` may be asked for in the cycle and at the moment of `when`.
    pub(super) fn due(&self, endpoint: Endpoint, when: When) -> bool {
        self.0.get(&endpoint).is_none_or(|visit| {
            visit.when.cycle != when.cycle
                && when.at.saturating_duration_since(visit.when.at) + SLACK >= visit.hold
        })
    }

    /// Whether the last request of `endpoint` brought a good answer.
    pub(super) fn succeeded(&self, endpoint: Endpoint) -> bool {
        self.0.get(&endpoint).is_some_and(|visit| visit.failure.is_none())
    }

    /// Why the last request of `endpoint` failed, in words.
    pub(super) fn why(&self, endpoint: Endpoint) -> Option<&str> {
        let (_, words) = self.0.get(&endpoint)?.failure.as_ref()?;
        Some(words)
    }

    /// How many requests of `endpoint` failed in a row.
    pub(super) fn failures(&self, endpoint: Endpoint) -> u32 {
        self.0.get(&endpoint).map_or(0, |visit| visit.failures)
    }

    /// Whether the last request of `endpoint` hung.
    pub(super) fn hangs(&self, endpoint: Endpoint) -> bool {
        self.0.get(&endpoint).is_some_and(|visit| matches!(visit.failure, Some((Failure::Hanging, _))))
    }

    /// Why `endpoint` was refused at its last request.
    pub(super) fn refusal(&self, endpoint: Endpoint) -> Option<Refusal> {
        match self.0.get(&endpoint)?.failure {
            Some((Failure::Refused(refusal), _)) => Some(refusal),
            _ => None,
        }
    }

    /// Why `endpoint` was refused at its last request, if it never answered either.
    pub(super) fn always_refused(&self, endpoint: Endpoint) -> Option<Refusal> {
        self.refusal(endpoint).filter(|_| self.0.get(&endpoint).is_some_and(|visit| !visit.answered))
    }

    /// Whether `endpoint` was asked for in `cycle`.
    pub(super) fn asked(&self, endpoint: Endpoint, cycle: u64) -> bool {
        self.0.get(&endpoint).is_some_and(|visit| visit.when.cycle == cycle)
    }

    /// All pages that refuse.
    pub(super) fn refusals(&self) -> impl Iterator<Item = (Endpoint, Refusal)> {
        self.0.keys().filter_map(|endpoint| Some((*endpoint, self.refusal(*endpoint)?)))
    }

    /// Makes `endpoint` due.
    pub(super) fn ask_soon(&mut self, endpoint: Endpoint) {
        if let Some(visit) = self.0.get_mut(&endpoint) {
            visit.hold = Duration::ZERO;
        }
    }

    /// Leaves `endpoint` alone for `hold` from its last request on.
    pub(super) fn hold(&mut self, endpoint: Endpoint, hold: Duration) {
        if let Some(visit) = self.0.get_mut(&endpoint) {
            visit.hold = hold;
        }
    }

    /// Lets every page that was refused be asked for again.
    pub(super) fn forget_refusals(&mut self) {
        self.0.retain(|_, visit| !matches!(visit.failure, Some((Failure::Refused(_), _))));
    }

    /// Records a good answer; the page is asked for again after `hold`.
    pub(super) fn answered(&mut self, endpoint: Endpoint, when: When, hold: Duration) {
        let visit = Visit { when, hold, answered: true, failure: None, failures: 0 };
        self.0.insert(endpoint, visit);
    }

    /// Records a failure, and why in words. `certain` says that the gateway has the page by its firmware.
    pub(super) fn failed(
        &mut self,
        endpoint: Endpoint,
        when: When,
        (failure, why): (Failure, String),
        certain: bool,
    ) {
        let before = self.0.remove(&endpoint);
        let answered = before.as_ref().is_some_and(|visit| visit.answered);
        let failures = before.map_or(0, |visit| visit.failures).saturating_add(1);
        let hold = failure.hold(endpoint, failures, certain || answered);
        self.0.insert(endpoint, Visit { when, hold, answered, failure: Some((failure, why)), failures });
    }

    /// Nothing of the gateway could be read, so no failure is a judgement of its page: everything is asked for again.
    pub(super) fn excuse(&mut self) {
        for visit in self.0.values_mut() {
            if let Some((failure, _)) = visit.failure {
                visit.hold = visit.hold.min(failure.longest_in_an_outage());
                visit.failures = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: Failure = Failure::Refused(Refusal::Missing);

    /// The minutes after which `endpoint` is due again while every request fails.
    fn holds(endpoint: Endpoint, failure: Failure, times: usize) -> Vec<u64> {
        let certain = endpoint == Endpoint::MeterReadings;
        let (mut visits, mut when) = (Visits::default(), When { cycle: 0, at: Instant::now() });
        let mut holds = Vec::new();
        for _ in 0..times {
            visits.failed(endpoint, when, (failure, "HTTP 404".to_owned()), certain);
            let failed_at = when.at;
            while !visits.due(endpoint, when) {
                when = When { cycle: when.cycle + 1, at: when.at + RETRY };
            }
            holds.push((when.at - failed_at).as_secs() / 60);
        }
        holds
    }

    #[test]
    fn a_refused_page_is_left_alone_briefly_at_first_and_then_for_longer() {
        assert_eq!(holds(Endpoint::Tariff, REFUSED, 11), [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360]);
        assert_eq!(holds(Endpoint::MeterReadings, REFUSED, 5), [1, 2, 4, 5, 5], "it exists");
        assert_eq!(holds(Endpoint::MeterReadings, Failure::Hanging, 6), [1, 2, 4, 8, 15, 15]);
        assert_eq!(holds(Endpoint::DeviceData, Failure::Hanging, 2), [15, 15]);
        assert_eq!(holds(Endpoint::ProductionJson, Failure::Other, 2), [1, 1]);
    }

    #[test]
    fn a_busy_page_is_left_alone_as_long_as_it_asks_for_minutes_at_most() {
        let busy = |seconds| Failure::Busy(seconds).hold(Endpoint::ProductionJson, 1, true).as_secs();
        assert_eq!(busy(Some(Duration::from_secs(30))), 30);
        assert_eq!(busy(Some(Duration::MAX)), 600);
        assert_eq!(busy(None), 60);
    }

    #[test]
    fn in_an_outage_everything_is_asked_for_again_within_a_minute() {
        let mut visits = Visits::default();
        let start = When { cycle: 1, at: Instant::now() };
        for _ in 0..9 {
            visits.failed(Endpoint::Meters, start, (REFUSED, "HTTP 404".to_owned()), false);
            visits.failed(Endpoint::DeviceData, start, (Failure::Hanging, "timed out".to_owned()), false);
        }
        let minute = When { cycle: 2, at: start.at + RETRY };
        assert!(!visits.due(Endpoint::Meters, minute) && !visits.due(Endpoint::DeviceData, minute));
        visits.excuse();
        assert!(visits.due(Endpoint::Meters, minute) && visits.due(Endpoint::DeviceData, minute));
        assert!(!visits.due(Endpoint::Meters, start), "not twice in one cycle");
    }
}
