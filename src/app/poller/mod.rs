//! The poll loop of one gateway: wait, poll, report.
//!
//! The rules make the decisions: `sources` chooses the next page, `schedule` the time of the next poll, and `outage` the
//! reports of a failure. `logins`, through `token_provider`, decides whether to request a token. No failure of a poll
//! ends the daemon.

mod access;
pub mod claims;
pub mod counter_file;
pub mod gateway_time;
mod guarded_totals;
mod login;
mod newcomers;
mod page_desk;
mod polled_gateway;
mod reader;
mod reports;
mod request_desk;
pub mod reset_totals;
mod shared;
pub mod trouble;
mod verdicts;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use tokio::time::Instant;

use crate::base::reading::{Reading, Serial};
use crate::io::gateway::OpenError;
use crate::rules::schedule::{Failure, Schedule};
use crate::rules::silence::Silence;
pub use reader::Reader;
use reports::Reports;
use request_desk::{Due, RequestDesk};
pub use shared::Shared;
use trouble::Trouble;

/// Polls one gateway and reports the results.
#[derive(Debug)]
pub struct Poller {
    reader: Reader,
    schedule: Schedule,
    requests: RequestDesk,
    reports: Reports,
}

impl Poller {
    /// Creates a poller that uses `reader` from `start` on. The status of the gateway is at index `place`.
    pub fn new(place: usize, reader: Reader, start: Instant) -> Self {
        let (interval, shared) = (reader.interval(), reader.shared());
        Self {
            schedule: Schedule::new(start, interval),
            requests: RequestDesk::new(Arc::clone(shared), reader.heartbeat().clone()),
            reports: Reports::new(
                place,
                reader.serial().cloned(),
                Silence::new(interval, start),
                Arc::clone(shared),
            ),
            reader,
        }
    }

    /// Polls until `stop`, which also interrupts a poll; files on disk are always complete. Returns the serial number of
    /// the gateway, if it is known. Boxed: otherwise the task stores `self` twice.
    pub async fn run(mut self: Box<Self>, stop: impl Future<Output = ()>) -> Option<Serial> {
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = self.turn() => {}
            }
        }
        self.reader.finish().await;
        self.reader.serial().cloned()
    }

    /// Polls at the next scheduled time or at a request, and reports the result; or requests one page that a program wants
    /// before then.
    async fn turn(&mut self) {
        let wait = self.requests.wait(&self.schedule, self.reader.last_serial(), self.reader.pages());
        let request = match self.reports.watch(wait).await {
            Due::Poll(request) => request,
            Due::Page(page) => return Box::pin(self.reports.watch(self.reader.fetch(page))).await,
        };
        // Boxed, so that a poll takes memory only while it runs: most of the time all pollers wait.
        let polled = Box::pin(self.reports.watch(self.reader.poll())).await;
        self.reader.heartbeat().beat();
        self.reader.pages().record_poll(&polled);
        self.reschedule(&polled);
        if let Some(request) = request {
            self.requests.report(request, &polled, self.reader.serial());
        }
        self.report(polled);
    }

    fn reschedule(&mut self, polled: &Result<Option<Reading>, Trouble>) {
        let now = Instant::now();
        match polled {
            Err(Trouble::Gateway(error)) => self.schedule.failed(now, Failure::of(error)),
            Err(Trouble::Open(OpenError::NotFound)) => self.schedule.failed(now, Failure::Absent),
            Err(Trouble::NoProduction { .. } | Trouble::Nothing) => {
                self.schedule.failed(now, Failure::Unread);
            }
            Err(Trouble::ReadAlready { .. }) => self.schedule.rest(now),
            _ => self.schedule.answered(now),
        }
    }

    /// Polls once and reports the result.
    pub async fn run_once(mut self) {
        let polled = self.reader.poll_past_hanging_pages().await;
        self.report(polled);
    }

    fn report(&mut self, polled: Result<Option<Reading>, Trouble>) {
        let notices = self.reader.take_notices();
        // Events about totals are reported with the next reading.
        let events = if let Ok(Some(_)) = &polled { self.reader.take_events() } else { Vec::new() };
        let serial = self.reader.serial();
        self.reports.report_notices(notices, serial);
        self.reports.report_events(events, serial);
        self.reports.report(polled, serial);
    }
}
