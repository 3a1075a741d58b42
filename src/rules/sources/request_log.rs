//! The log of requests: the time and result of the last request for each page, and the time of the next.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::backoff::doubling;
use crate::io::gateway::{Endpoint, Error, Stage};

/// The longest hold-off of a refused page: a missing role or firmware feature does not appear within minutes.
const LONGEST_HOLD_OFF: Duration = Duration::from_secs(6 * 3600);
/// The longest hold-off of a refused page that the gateway has, by its firmware or because it responded before.
const LONGEST_FAULT: Duration = Duration::from_secs(5 * 60);
/// The retry interval of a failed page, unless its period is shorter.
const RETRY: Duration = Duration::from_secs(60);
/// The longest hold-off of a page that does not respond (see `Oddity::HangingDeviceData`).
const AFTER_HANGING: Duration = Duration::from_secs(15 * 60);
/// The longest hold-off that the gateway can ask for.
const LONGEST_BUSY: Duration = Duration::from_secs(10 * 60);
/// The tolerance for ticks, which are not exact.
const SLACK: Duration = Duration::from_secs(5);

/// The reason why a page is not available on this gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The token's role, or the user of firmware before 7, may not read the page.
    Role,
    /// The firmware does not have the page.
    Missing,
}

/// The failures of requests, distinguished by the hold-off that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The gateway refused the request.
    Refused(Refusal),
    /// No response arrived on an open connection.
    Hanging,
    /// The gateway asked clients to back off, possibly for this long.
    Busy(Option<Duration>),
    /// The request failed for another reason.
    Other,
}

impl Failure {
    /// Classifies the error of a request.
    pub(super) const fn of(error: &Error) -> Self {
        match error {
            Error::Missing { .. } => Self::Refused(Refusal::Missing),
            Error::Forbidden { .. } => Self::Refused(Refusal::Role),
            Error::Unreachable { stage: Stage::Response, .. } => Self::Hanging,
            Error::Busy { retry_after, .. } => Self::Busy(*retry_after),
            _ => Self::Other,
        }
    }

    /// Returns the hold-off after `failures` consecutive failures; `exists` if the gateway is known to have the page.
    fn hold_off(self, endpoint: Endpoint, failures: u32, exists: bool) -> Duration {
        match self {
            Self::Refused(_) if exists => doubling(RETRY, LONGEST_FAULT, failures),
            Self::Refused(_) => doubling(RETRY, LONGEST_HOLD_OFF, failures),
            Self::Hanging | Self::Busy(_) if endpoint == Endpoint::DeviceData => AFTER_HANGING,
            Self::Hanging => doubling(RETRY, AFTER_HANGING, failures),
            Self::Busy(asked) => asked.unwrap_or(RETRY).min(LONGEST_BUSY),
            Self::Other => RETRY.min(endpoint.period()),
        }
    }

    /// Returns the longest hold-off while nothing can be read from the gateway.
    ///
    /// The gateway may be starting, so refusals are ignored. Only requests that hang keep a distance.
    const fn longest_in_an_outage(self) -> Duration {
        match self {
            Self::Hanging | Self::Busy(_) => RETRY,
            Self::Refused(_) | Self::Other => Duration::ZERO,
        }
    }
}

/// The time of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestTime {
    pub(super) cycle: u64,
    pub(super) at: Instant,
}

#[derive(Debug)]
struct LastRequest {
    when: RequestTime,
    hold_off: Duration,
    /// The page has yielded a good response at least once.
    answered: bool,
    /// The failure of the last request, with a description.
    failure: Option<(Failure, String)>,
    /// The number of consecutive failures.
    failures: u32,
}

/// The last request of each page.
#[derive(Debug, Default)]
pub(super) struct RequestLog(BTreeMap<Endpoint, LastRequest>);

impl RequestLog {
    /// Returns `true` if `endpoint` may be requested at `when`.
    pub(super) fn due(&self, endpoint: Endpoint, when: RequestTime) -> bool {
        self.0.get(&endpoint).is_none_or(|request| {
            request.when.cycle != when.cycle
                && when.at.saturating_duration_since(request.when.at) + SLACK >= request.hold_off
        })
    }

    /// Returns `true` if the last request of `endpoint` succeeded.
    pub(super) fn succeeded(&self, endpoint: Endpoint) -> bool {
        self.0.get(&endpoint).is_some_and(|request| request.failure.is_none())
    }

    /// Describes the failure of the last request of `endpoint`, if it failed.
    pub(super) fn why(&self, endpoint: Endpoint) -> Option<&str> {
        let (_, words) = self.0.get(&endpoint)?.failure.as_ref()?;
        Some(words)
    }

    /// Returns the number of consecutive failures of `endpoint`.
    pub(super) fn failures(&self, endpoint: Endpoint) -> u32 {
        self.0.get(&endpoint).map_or(0, |request| request.failures)
    }

    /// Returns `true` if the last request of `endpoint` got no response.
    pub(super) fn hangs(&self, endpoint: Endpoint) -> bool {
        self.0.get(&endpoint).is_some_and(|request| matches!(request.failure, Some((Failure::Hanging, _))))
    }

    /// Returns the refusal of the last request of `endpoint`.
    pub(super) fn refusal(&self, endpoint: Endpoint) -> Option<Refusal> {
        match self.0.get(&endpoint)?.failure {
            Some((Failure::Refused(refusal), _)) => Some(refusal),
            _ => None,
        }
    }

    /// Returns the refusal of the last request of `endpoint`, if the page has never responded.
    pub(super) fn always_refused(&self, endpoint: Endpoint) -> Option<Refusal> {
        if self.0.get(&endpoint)?.answered { None } else { self.refusal(endpoint) }
    }

    /// Returns `true` if `endpoint` was requested in `cycle`.
    pub(super) fn was_requested(&self, endpoint: Endpoint, cycle: u64) -> bool {
        self.0.get(&endpoint).is_some_and(|request| request.when.cycle == cycle)
    }

    /// Iterates over the refused pages.
    pub(super) fn refusals(&self) -> impl Iterator<Item = (Endpoint, Refusal)> {
        self.0.keys().filter_map(|endpoint| Some((*endpoint, self.refusal(*endpoint)?)))
    }

    /// Makes `endpoint` due immediately.
    pub(super) fn make_due(&mut self, endpoint: Endpoint) {
        if let Some(request) = self.0.get_mut(&endpoint) {
            request.hold_off = Duration::ZERO;
        }
    }

    /// Sets the hold-off of `endpoint`, counted from its last request.
    pub(super) fn set_hold_off(&mut self, endpoint: Endpoint, hold_off: Duration) {
        if let Some(request) = self.0.get_mut(&endpoint) {
            request.hold_off = hold_off;
        }
    }

    /// Makes every refused page due again.
    pub(super) fn forget_refusals(&mut self) {
        self.0.retain(|_, request| !matches!(request.failure, Some((Failure::Refused(_), _))));
    }

    /// Records a good response. The page is requested again after `hold_off`.
    pub(super) fn answered(&mut self, endpoint: Endpoint, when: RequestTime, hold_off: Duration) {
        let request = LastRequest { when, hold_off, answered: true, failure: None, failures: 0 };
        self.0.insert(endpoint, request);
    }

    /// Records a failure with its description. `certain` means that the firmware is known to have the page.
    pub(super) fn failed(
        &mut self,
        endpoint: Endpoint,
        when: RequestTime,
        (failure, why): (Failure, String),
        certain: bool,
    ) {
        let before = self.0.remove(&endpoint);
        let answered = before.as_ref().is_some_and(|request| request.answered);
        let failures = before.map_or(0, |request| request.failures).saturating_add(1);
        let hold_off = failure.hold_off(endpoint, failures, certain || answered);
        self.0.insert(
            endpoint,
            LastRequest { when, hold_off, answered, failure: Some((failure, why)), failures },
        );
    }

    /// Shortens all hold-offs, because nothing could be read from the gateway: the pages are not to blame.
    pub(super) fn forgive_failures(&mut self) {
        for request in self.0.values_mut() {
            if let Some((failure, _)) = request.failure {
                request.hold_off = request.hold_off.min(failure.longest_in_an_outage());
                request.failures = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: Failure = Failure::Refused(Refusal::Missing);

    /// Returns the minutes after which `endpoint` is due again while every request fails.
    fn holds(endpoint: Endpoint, failure: Failure, times: usize) -> Vec<u64> {
        let certain = endpoint == Endpoint::MeterReadings;
        let (mut requests, mut when) = (RequestLog::default(), RequestTime { cycle: 0, at: Instant::now() });
        let mut holds = Vec::new();
        for _ in 0..times {
            requests.failed(endpoint, when, (failure, "HTTP 404".to_owned()), certain);
            let failed_at = when.at;
            while !requests.due(endpoint, when) {
                when = RequestTime { cycle: when.cycle + 1, at: when.at + RETRY };
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
        let busy = |seconds| Failure::Busy(seconds).hold_off(Endpoint::ProductionJson, 1, true).as_secs();
        assert_eq!(busy(Some(Duration::from_secs(30))), 30);
        assert_eq!(busy(Some(Duration::MAX)), 600);
        assert_eq!(busy(None), 60);
    }

    #[test]
    fn in_an_outage_everything_is_asked_for_again_within_a_minute() {
        let mut requests = RequestLog::default();
        let start = RequestTime { cycle: 1, at: Instant::now() };
        for _ in 0..9 {
            requests.failed(Endpoint::Meters, start, (REFUSED, "HTTP 404".to_owned()), false);
            requests.failed(Endpoint::DeviceData, start, (Failure::Hanging, "timed out".to_owned()), false);
        }
        let minute = RequestTime { cycle: 2, at: start.at + RETRY };
        assert!(!requests.due(Endpoint::Meters, minute) && !requests.due(Endpoint::DeviceData, minute));
        requests.forgive_failures();
        assert!(requests.due(Endpoint::Meters, minute) && requests.due(Endpoint::DeviceData, minute));
        assert!(!requests.due(Endpoint::Meters, start), "not twice in one cycle");
    }
}
