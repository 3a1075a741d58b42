//! Reports the results of polls: to the log at changes, to `latest` always, and to systemd as a short status.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::Shared;
use super::trouble::Trouble;
use crate::app::latest::Availability;
use crate::app::status::Status;
use crate::base::durations::length;
use crate::base::outage::{Outage, OutageReport};
use crate::base::reading::{Event, Reading, Serial};
use crate::output::text;
use crate::rules::schedule::is_quiet;
use crate::rules::silence::Silence;
use crate::rules::sources::{Level, Notice};

/// The time without a failed poll after which a gateway counts as stable.
const STEADY: Duration = Duration::from_secs(3600);

/// The reports about one gateway.
#[derive(Debug)]
pub(super) struct Reports {
    /// The index of the gateway's status.
    place: usize,
    shared: Arc<Shared>,
    /// The gateway of the last report.
    serial: Option<Serial>,
    silence: Silence,
    outage: Outage<&'static str>,
    /// The reason that the last poll failed.
    trouble: Option<String>,
}

impl Reports {
    /// Creates the reports about the gateway `serial`, whose status is at index `place`.
    pub(super) const fn new(
        place: usize,
        serial: Option<Serial>,
        silence: Silence,
        shared: Arc<Shared>,
    ) -> Self {
        Self { place, shared, serial, silence, outage: Outage::new(STEADY), trouble: None }
    }

    /// Waits for `work`, and meanwhile reports the gateway as offline as soon as it has given no reading for too long.
    pub(super) async fn watch<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        while let Some(deadline) = self.silence.deadline() {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = sleep_until(deadline) => self.report_silence(),
            }
        }
        work.await
    }

    /// Reports that the gateway has given no reading for too long.
    fn report_silence(&mut self) {
        self.silence.deadline_passed();
        let why = self.trouble.clone().unwrap_or_else(|| {
            let patience = length(self.silence.patience());
            format!("no reading from the gateway for {patience}; waiting for its response")
        });
        // A failed poll has been reported already, and a gateway without a reading yet may wait for its token.
        if self.silence.has_read() && !self.outage.is_unavailable() {
            let quiet = self.is_quiet();
            self.report_outage(&why, Trouble::AWAY, quiet);
        }
        if let Some(serial) = &self.serial {
            self.shared.latest.put_availability(serial, Availability::Offline(why));
        }
    }

    /// Reports the result of a poll of `serial` to `latest`, the status and the log.
    pub(super) fn report(&mut self, polled: Result<Option<Reading>, Trouble>, serial: Option<&Serial>) {
        let now = Instant::now();
        if self.serial.as_ref() != serial {
            self.serial = serial.cloned();
            if let Some(serial) = serial {
                self.shared.statuses.identify(self.place, serial);
            }
            self.silence.restart(now);
        }
        self.count(&polled);
        match polled {
            Ok(None) => {}
            Ok(Some(reading)) => {
                self.silence.reading_arrived(now);
                self.trouble = None;
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

    fn count(&self, polled: &Result<Option<Reading>, Trouble>) {
        let outcome = match polled {
            // Nothing was due.
            Ok(None) => return,
            Ok(Some(_)) => "ok",
            Err(trouble) => trouble.kind(),
        };
        let serial = self.serial.as_ref().map(Serial::as_str).unwrap_or_default();
        self.shared.tally.count("enphased_polls_total", &[("serial", serial), ("outcome", outcome)]);
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

    /// Reports a failed poll. Returns whether the gateway is offline.
    fn report_trouble(&mut self, trouble: &Trouble, now: Instant) -> bool {
        let message = trouble.to_string();
        let quiet = trouble.may_be_a_restart() && self.silence.has_read() && self.is_quiet();
        self.report_outage(&message, trouble.kind(), quiet);
        let offline = self.silence.poll_failed(now);
        if offline && let Some(serial) = &self.serial {
            self.shared.latest.put_availability(serial, Availability::Offline(message.clone()));
        }
        self.trouble = Some(message);
        offline
    }

    /// Logs a failure if it begins an outage, and sets the status.
    fn report_outage(&mut self, message: &str, kind: &'static str, quiet: bool) {
        let now = Instant::now();
        match self.outage.failed(kind, quiet, now) {
            OutageReport::Begun => tracing::warn!("{message}"),
            OutageReport::Flapping(times) => tracing::warn!(
                times,
                "{message}. The gateway fails repeatedly; further failures are not logged until it has responded for an hour \
                 without one"
            ),
            _ => tracing::debug!(lasts = ?self.outage.lasts(now), "{message}"),
        }
        self.shared.statuses.put(self.place, Status::Trouble { kind, message: message.to_owned() });
    }

    /// Returns whether it is the time of the nightly restart.
    fn is_quiet(&self) -> bool {
        is_quiet(&self.shared.clock.now().to_zoned(self.shared.zone.clone()))
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
