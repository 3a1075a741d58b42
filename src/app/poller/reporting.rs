//! Reports the result of a poll: to the log at changes, to `latest` always, and to systemd as a short status.

use std::time::Duration;

use tokio::time::Instant;

use super::Poller;
use super::trouble::Trouble;
use crate::app::latest::Availability;
use crate::app::status::Status;
use crate::base::durations::length;
use crate::base::outage::OutageReport;
use crate::base::reading::{Event, Reading, Serial};
use crate::output::text;
use crate::rules::schedule::is_quiet;
use crate::rules::sources::{Level, Sources};

/// The time without a reading after which a gateway is offline. Three intervals, if that is longer.
const OFFLINE: Duration = Duration::from_secs(120);

impl Poller {
    /// Reports the result of a poll to `latest`, the status and the log.
    pub(super) fn report(&mut self, polled: Result<Option<Reading>, Trouble>) {
        let now = Instant::now();
        self.report_notices();
        match polled {
            Ok(None) => {}
            Ok(Some(reading)) => {
                self.report_incidents();
                self.last_reading = Some(now);
                self.report_recovery(&reading.gateway.serial, now);
                self.shared.statuses.put(self.place, Status::Read(text::status(&reading)));
                self.shared.latest.put_reading(reading);
            }
            Err(trouble) => {
                let offline = self.report_trouble(&trouble, now);
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
    fn report_trouble(&mut self, trouble: &Trouble, now: Instant) -> bool {
        let local = self.shared.clock.now().to_zoned(self.shared.zone.clone());
        let quiet = trouble.may_be_a_restart() && self.last_reading.is_some() && is_quiet(&local);
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
        let patience = OFFLINE.max(3 * self.settings.interval);
        let silent = self.last_reading.is_none_or(|last| now.saturating_duration_since(last) >= patience);
        if let Some(serial) = self.serial().filter(|_| silent) {
            self.shared.latest.put_availability(&serial, Availability::Offline(trouble.to_string()));
        }
        silent
    }

    fn report_notices(&mut self) {
        let notices = self.sources.as_mut().map(Sources::notices).unwrap_or_default();
        let gateway = self.serial().map(tracing::field::display);
        for notice in notices {
            match notice.level {
                Level::Warn => tracing::warn!(gateway, kind = notice.kind, "{}", notice.message),
                Level::Info => tracing::info!(gateway, kind = notice.kind, "{}", notice.message),
            }
            self.event(notice.kind, notice.message);
        }
    }

    pub(super) fn event(&self, kind: &'static str, message: String) {
        if let Some(serial) = self.serial() {
            let time = self.shared.clock.now();
            self.shared.latest.tell(&serial, Event { time, kind, message });
        }
    }

    /// Returns the serial number of the last gateway that responded, or the configured one.
    pub(super) fn serial(&self) -> Option<Serial> {
        self.last_serial.clone().or_else(|| self.settings.serial.clone())
    }

    /// Reports the events about totals and inverters, and writes the counter file if that is due.
    pub(super) fn report_incidents(&mut self) {
        for incident in std::mem::take(&mut self.incidents) {
            if incident.is_an_end() {
                tracing::info!(kind = incident.kind, "{}", incident.message);
            } else {
                tracing::warn!(kind = incident.kind, "{}", incident.message);
            }
            self.event(incident.kind, incident.message);
        }
        let day = self.shared.clock.now().to_zoned(self.shared.zone.clone()).date();
        if let Some(totals) = &mut self.totals {
            totals.save_when_due(&self.shared.state, day, Instant::now());
        }
    }
}
