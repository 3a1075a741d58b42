//! Reports the results of polls: to the log at changes, to `latest` always, and to systemd as a short status.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Shared;
use super::trouble::Trouble;
use crate::app::latest::Availability;
use crate::app::status::Status;
use crate::base::durations::length;
use crate::base::outage::{Outage, OutageReport};
use crate::base::reading::{Event, Reading, Serial};
use crate::output::text;
use crate::rules::schedule::is_quiet;
use crate::rules::sources::{Level, Notice};

/// The time without a reading after which a gateway is offline. Three intervals, if that is longer.
const OFFLINE: Duration = Duration::from_secs(120);
/// The time without a failed poll after which a gateway counts as stable.
const STEADY: Duration = Duration::from_secs(3600);

/// The reports about one gateway.
#[derive(Debug)]
pub(super) struct Reports {
    /// The index of the gateway's status.
    place: usize,
    shared: Arc<Shared>,
    /// The time without a reading after which the gateway is offline.
    patience: Duration,
    outage: Outage<&'static str>,
    /// The time of the last reading, and the gateway.
    last_reading: Option<(Serial, Instant)>,
}

impl Reports {
    /// Creates the reports about the gateway at index `place`, which is polled every `interval`.
    pub(super) fn new(place: usize, interval: Duration, shared: Arc<Shared>) -> Self {
        let patience = OFFLINE.max(3 * interval);
        Self { place, shared, patience, outage: Outage::new(STEADY), last_reading: None }
    }

    /// Reports the result of a poll of `serial` to `latest`, the status and the log.
    pub(super) fn report(&mut self, polled: Result<Option<Reading>, Trouble>, serial: Option<&Serial>) {
        let now = Instant::now();
        match polled {
            Ok(None) => {}
            Ok(Some(reading)) => {
                self.last_reading = Some((reading.gateway.serial.clone(), now));
                self.report_recovery(&reading.gateway.serial, now);
                self.shared.statuses.put(self.place, Status::Read(text::status(&reading)));
                self.shared.latest.put_reading(reading);
            }
            Err(trouble) => {
                let offline = self.report_trouble(&trouble, serial, now);
                if let (false, Trouble::NoProduction { rest: Some(rest), .. }) = (offline, trouble) {
                    self.shared.latest.put_reading(*rest);
                }
            }
        }
    }

    /// Logs the end of an outage.
    fn report_recovery(&mut self, gateway: &Serial, now: Instant) {
        match self.outage.ended(now) {
            OutageReport::Ended(Some(after)) => {
                tracing::info!(%gateway, after = %length(after), "the gateway is responding again");
            }
            OutageReport::Stable(times, within) => {
                tracing::info!(%gateway, times, within = %length(within), "the gateway is stable again");
            }
            _ => {}
        }
    }

    /// Reports a failed poll. Returns whether the failures have lasted long enough for the gateway to be offline.
    fn report_trouble(&mut self, trouble: &Trouble, serial: Option<&Serial>, now: Instant) -> bool {
        let last_reading = self.last_reading(serial);
        let local = self.shared.clock.now().to_zoned(self.shared.zone.clone());
        let quiet = trouble.may_be_a_restart() && last_reading.is_some() && is_quiet(&local);
        match self.outage.failed(trouble.kind(), quiet, now) {
            OutageReport::Begun => tracing::warn!("{trouble}"),
            OutageReport::Flapping(times) => tracing::warn!(
                times,
                "{trouble}. The gateway fails repeatedly; further failures are not logged until it has responded for an hour \
                 without one"
            ),
            _ => tracing::debug!(lasts = ?self.outage.lasts(now), "{trouble}"),
        }
        self.shared.statuses.put(self.place, Status::Trouble(trouble.to_string()));
        let silent = last_reading.is_none_or(|last| now.saturating_duration_since(last) >= self.patience);
        if silent && let Some(serial) = serial {
            self.shared.latest.put_availability(serial, Availability::Offline(trouble.to_string()));
        }
        silent
    }

    /// Returns the time of the last reading of `serial`.
    fn last_reading(&self, serial: Option<&Serial>) -> Option<Instant> {
        let (gateway, at) = self.last_reading.as_ref()?;
        (serial == Some(gateway)).then_some(*at)
    }

    /// Reports what the sources noticed about the pages of `serial`.
    pub(super) fn report_notices(&self, notices: Vec<Notice>, serial: Option<&Serial>) {
        let gateway = serial.map(tracing::field::display);
        for Notice { level, kind, message } in notices {
            match level {
                Level::Warn => tracing::warn!(gateway, kind, "{message}"),
                Level::Info => tracing::info!(gateway, kind, "{message}"),
            }
            self.event(serial, kind, message);
        }
    }

    /// Reports events about totals and inverters of `serial`.
    pub(super) fn report_events(&self, events: Vec<Event>, serial: Option<&Serial>) {
        for event in events {
            if event.is_an_end() {
                tracing::info!(kind = event.kind, "{}", event.message);
            } else {
                tracing::warn!(kind = event.kind, "{}", event.message);
            }
            self.event(serial, event.kind, event.message);
        }
    }

    fn event(&self, serial: Option<&Serial>, kind: &'static str, message: String) {
        if let Some(serial) = serial {
            self.shared.event(serial, kind, message);
        }
    }
}
