//! Watches for problems, publishes them, and delivers alerts to the configured webhook.
//!
//! The rules decide (`rules/alerts`); here are the observations (`observations.rs`), the stored state (`alerts_file.rs`) and
//! the delivery (`courier.rs`). All of it is one task, which nothing else waits for.

mod alerts_file;
mod courier;
mod observations;

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use fastrand::Rng;
use jiff::tz::TimeZone;
use tokio::time::{Instant, sleep_until};

use crate::app::config;
use crate::app::latest::Latest;
use crate::app::status::StatusList;
use crate::base::clock::Clock;
use crate::io::state_dir::StateDir;
use crate::output::alerts::event;
use crate::rules::alerts::{Alerts, Item, Notice, Now};
use alerts_file::AlertsFile;
use courier::Courier;

/// The interval at which everything is looked at.
const LOOK: Duration = Duration::from_secs(30);

/// The settings of the watcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The delivery, if there is one.
    pub delivery: Option<config::Alerts>,
    /// Short-lived tokens are renewed too.
    pub renew_short_tokens: bool,
}

/// What the watcher looks at and writes to.
#[derive(Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Inputs {
    pub state: StateDir,
    pub clock: Clock,
    pub zone: TimeZone,
    pub latest: Latest,
    pub statuses: StatusList,
    pub rng: Rng,
}

/// Watches for problems.
#[derive(Debug)]
pub struct Watcher {
    settings: Settings,
    inputs: Inputs,
    started: Instant,
    file: AlertsFile,
    /// `None` until the stored state was read.
    alerts: Option<Alerts>,
    courier: Option<Courier>,
}

impl Watcher {
    /// Creates a watcher.
    pub fn new(settings: Settings, mut inputs: Inputs) -> Self {
        let started = Instant::now();
        let rng = inputs.rng.fork();
        let delivery = settings.delivery.clone();
        let courier =
            delivery.map(|delivery| Courier::new(delivery, inputs.zone.clone(), inputs.clock.clone(), rng));
        Self {
            file: AlertsFile::new(inputs.state.clone(), started),
            settings,
            inputs,
            started,
            alerts: None,
            courier,
        }
    }

    /// Watches until `stop`, which also interrupts a delivery; it is begun again at the next start.
    pub async fn run(mut self: Box<Self>, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut next = self.started;
        loop {
            let owed = self.alerts.as_ref().map(Alerts::owed).unwrap_or_default();
            tokio::select! {
                biased;
                () = &mut stop => break,
                delivered = deliver(self.courier.as_mut(), &owed) => self.delivered(delivered),
                () = sleep_until(next) => {
                    self.look().await;
                    next = Instant::now() + LOOK;
                }
            }
        }
        if let Some(alerts) = &self.alerts {
            self.file.finish(|| alerts.stored()).await;
        }
    }

    fn now(&self) -> Now {
        Now { wall: self.inputs.clock.now(), run: self.started.elapsed() }
    }

    /// Looks at everything once.
    async fn look(&mut self) {
        let now = self.now();
        if self.alerts.is_none() {
            self.alerts = self.file.load(now).await;
        }
        let Some(alerts) = &mut self.alerts else { return };
        let seen = {
            let statuses = self.inputs.statuses.reader();
            let latest = self.inputs.latest.reader();
            let (places, snapshot) = (statuses.borrow(), latest.borrow());
            let local = now.wall.to_zoned(self.inputs.zone.clone()).datetime();
            if observations::learn_daylight(alerts, &places, &snapshot, local) {
                self.file.changed(false);
            }
            let around = observations::Around {
                places: &places,
                snapshot: &snapshot,
                disk: self.inputs.state.error(),
                renew_short_tokens: self.settings.renew_short_tokens,
                local,
                now: now.wall,
            };
            observations::observe(alerts, &around)
        };
        let before = alerts.current().count();
        let announced = alerts.look(&seen, now);
        if self.courier.is_none() {
            alerts.forget_ends();
        }
        if alerts.current().count() != before {
            self.file.changed(false);
        }
        if !announced.is_empty() {
            self.file.changed(true);
        }
        self.inputs.latest.put_problems(alerts.current().map(Into::into).collect());
        self.publish(&announced, now);
        if let Some(alerts) = &self.alerts {
            self.file.save_when_due(Instant::now(), || alerts.stored());
        }
    }

    /// Publishes what was announced to the broker and the server.
    fn publish(&self, announced: &[Notice], now: Now) {
        for item in announced.iter().flat_map(|notice| &notice.items) {
            self.publish_item(item, now);
        }
    }

    fn publish_item(&self, item: &Item, now: Now) {
        let event = event(item, now.wall);
        tracing::debug!(kind = event.kind, "{}", event.message);
        match &item.serial {
            Some(serial) => self.inputs.latest.put_event(serial, event),
            None => self.inputs.latest.put_daemon_event(event),
        }
    }

    /// Records the outcome of a delivery.
    fn delivered(&mut self, delivered: Option<Notice>) {
        if let (Some(alerts), Some(notice)) = (&mut self.alerts, delivered) {
            alerts.delivered(&notice);
            self.file.changed(true);
            self.file.save_when_due(Instant::now(), || alerts.stored());
        }
    }
}

/// Delivers the first notice that is owed. Completes after each attempt, and never without a courier.
async fn deliver(courier: Option<&mut Courier>, owed: &[Notice]) -> Option<Notice> {
    match courier {
        Some(courier) => courier.deliver(owed).await,
        None => std::future::pending().await,
    }
}
