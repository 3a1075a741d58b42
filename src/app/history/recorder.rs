//! Records the history: gives every new reading to the rules, and writes what they have gathered every 15 minutes and at the
//! end of the program. Nothing here delays a poll: the disk works on a thread of its own, and a write that fails is repeated.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use tokio::time::{Instant, sleep_until, timeout};

use super::disk_job::{DiskJob, Done, load, write};
use crate::app::latest::{Latest, Snapshot};
use crate::base::clock::Clock;
use crate::base::durations::length;
use crate::base::outage::{Outage, OutageReport};
use crate::base::reading::Serial;
use crate::io::history::rows::Batch;
use crate::io::history::{Error, History};
use crate::rules::history::GatewayHistory;

/// The interval between two writes, and the time after which a clock that has jumped is trusted; by the clock, which is fast
/// in the demo.
const SAVE: Duration = Duration::from_secs(15 * 60);
/// The interval before a failed write is repeated.
const AGAIN: Duration = Duration::from_secs(60);
/// The time limit for the last write when the program ends.
const LAST: Duration = Duration::from_millis(1500);
/// The time without a failure after which the file counts as usable.
const STEADY: Duration = Duration::from_secs(3600);

/// The settings of the recorder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The time for which 5-minute samples are kept.
    pub keep: SignedDuration,
    /// The longest poll interval of the gateways.
    pub interval: SignedDuration,
}

/// Records the readings of all gateways.
pub struct Recorder {
    history: History,
    settings: Settings,
    clock: Clock,
    zone: TimeZone,
    gateways: BTreeMap<Serial, GatewayHistory>,
    /// The number of the newest write in `latest` that was recorded.
    seen: u64,
    save: Duration,
    save_at: Instant,
    load_at: Instant,
    outage: Outage<&'static str>,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("gateways", &self.gateways).finish_non_exhaustive()
    }
}

impl Recorder {
    /// Creates a recorder that writes to `history`. Days end at midnight in `zone`.
    pub fn new(history: History, settings: Settings, clock: Clock, zone: TimeZone) -> Self {
        let (now, save) = (Instant::now(), SAVE / clock.speed().max(1));
        Self {
            history,
            settings,
            clock,
            zone,
            gateways: BTreeMap::new(),
            seen: 0,
            save,
            save_at: now + save,
            load_at: now,
            outage: Outage::new(STEADY),
        }
    }

    /// Records until `stop`, and writes what is left then.
    pub async fn run(mut self, latest: Latest, stop: impl Future<Output = ()> + Send) {
        let (mut reader, mut stop) = (latest.reader(), pin!(stop));
        let mut running: Option<DiskJob> = None;
        loop {
            if running.is_none() {
                running = self.next_job();
            }
            let wake = running.as_ref().map_or_else(|| self.due(), DiskJob::late_at);
            let wake_up = async {
                match wake {
                    Some(wake) => sleep_until(wake).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = &mut stop => break,
                changed = reader.changed() => match changed {
                    Ok(()) => self.record(&reader.borrow_and_update()),
                    Err(_ended) => break,
                },
                done = DiskJob::finished(&mut running) => self.done(done),
                () = wake_up => if let Some(running) = &mut running {
                    running.mark_late();
                    self.failed(&Error::Stalled);
                },
            }
        }
        self.record(&reader.borrow());
        if timeout(LAST, self.finish(running)).await.is_err() {
            tracing::debug!("the disk did not respond in time for the last write of the history");
        }
    }

    /// Waits for the running job, and writes everything.
    async fn finish(&mut self, running: Option<DiskJob>) {
        if let Some(running) = running {
            let done = running.done().await;
            self.done(done);
        }
        let unloaded: Vec<Serial> = self.unloaded().cloned().collect();
        for serial in unloaded {
            let done = load(self.history.clone(), serial).await;
            self.done(done);
        }
        if let Some(batches) = self.take(true) {
            let done = write(self.history.clone(), batches).await;
            self.done(done);
        }
        self.history.close().await;
    }

    /// Gives the new readings in `snapshot` to the rules.
    fn record(&mut self, snapshot: &Snapshot) {
        for (serial, gateway) in snapshot.gateways_after(self.seen) {
            let Some(reading) = gateway.reading.as_ref().filter(|reading| reading.number > self.seen) else {
                continue;
            };
            let known = self.gateways.entry(serial.clone());
            let history = known.or_insert_with(|| GatewayHistory::new(serial.clone()));
            let jumped =
                history.see(&reading.value, self.settings.interval, &self.clock.moment(), &self.zone);
            if jumped {
                tracing::debug!(%serial, "the clock has jumped; the history continues from what is on disk");
                self.save_at = Instant::now() + self.save;
            }
        }
        self.seen = snapshot.written();
    }

    fn unloaded(&self) -> impl Iterator<Item = &Serial> {
        self.gateways.iter().filter(|(_, history)| !history.is_loaded()).map(|(serial, _)| serial)
    }

    /// Returns when the next job is due.
    fn due(&self) -> Option<Instant> {
        let load = self.unloaded().next().map(|_| self.load_at);
        let save = (!self.gateways.is_empty()).then_some(self.save_at);
        load.into_iter().chain(save).min()
    }

    /// Starts the job that is due.
    fn next_job(&mut self) -> Option<DiskJob> {
        let now = Instant::now();
        if self.load_at <= now
            && let Some(serial) = self.unloaded().next()
        {
            return Some(DiskJob::new(load(self.history.clone(), serial.clone())));
        }
        if self.save_at > now {
            return None;
        }
        self.save_at = now + self.save;
        Some(DiskJob::new(write(self.history.clone(), self.take(false)?)))
    }

    /// Takes what is to be written of the gateways whose totals on disk are known.
    fn take(&mut self, at_the_end: bool) -> Option<Arc<Vec<Batch>>> {
        let loaded = self.gateways.values_mut().filter(|history| history.is_loaded());
        let batches = loaded.map(|history| history.take(at_the_end, self.settings.keep));
        let batches: Vec<Batch> = batches.filter(|batch| !batch.is_empty()).collect();
        if batches.is_empty() { None } else { Some(Arc::new(batches)) }
    }

    fn done(&mut self, done: Done) {
        let outcome = match done {
            Done::Loaded(serial, Ok(stored)) => {
                if let Some(history) = self.gateways.get_mut(&serial) {
                    history.join(stored, &self.zone);
                }
                Ok(())
            }
            Done::Loaded(_, Err(error)) => {
                self.load_at = Instant::now() + AGAIN;
                Err(error)
            }
            Done::Written(batches, outcome) => {
                self.written(batches, outcome.is_ok());
                outcome
            }
        };
        match outcome {
            Ok(()) => self.succeeded(),
            Err(error) => self.failed(&error),
        }
    }

    fn written(&mut self, batches: Arc<Vec<Batch>>, is_written: bool) {
        if !is_written {
            self.save_at = Instant::now() + AGAIN;
        }
        for batch in Arc::unwrap_or_clone(batches) {
            let Some(history) = self.gateways.get_mut(&batch.gateway) else { continue };
            if is_written { history.written() } else { history.not_written(batch) }
        }
    }

    fn failed(&mut self, error: &Error) {
        let words = error.about(self.history.path());
        match self.outage.failed(error.kind(), false, Instant::now()) {
            OutageReport::Begun => {
                tracing::warn!("{words}; readings continue, and what is not written stays in memory");
            }
            OutageReport::Flapping(times) => tracing::warn!(
                times,
                "{words}. This fails repeatedly; further failures are not logged until it has worked for an hour"
            ),
            _ => tracing::debug!("{words}"),
        }
    }

    fn succeeded(&mut self) {
        let path = self.history.path().display();
        match self.outage.ended(Instant::now()) {
            OutageReport::Ended(Some(after)) => {
                tracing::info!(after = %length(after), "the history {path} can be written again");
            }
            OutageReport::Stable(times, within) => {
                tracing::info!(times, within = %length(within), "the history {path} can be written again, and is stable");
            }
            _ => {}
        }
        let dropped: u64 = self.gateways.values_mut().map(GatewayHistory::dropped).sum();
        if dropped > 0 {
            tracing::warn!(
                "{dropped} values of 5 minutes are missing in the history, because it could not be written for two days"
            );
        }
    }
}
