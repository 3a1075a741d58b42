//! The pollers of the configured gateways.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::running_task::RunningTask;
use crate::app::config::{Config, Gateway};
use crate::app::latest::Availability;
use crate::app::page_cache::PageCache;
use crate::app::poller::{Poller, Reader, Shared};
use crate::app::status::Status;
use crate::base::heartbeat::Heartbeat;

/// The delay between the first polls of two gateways, so that many gateways are not all contacted at the same moment.
const STAGGER: Duration = Duration::from_millis(20);

/// The running pollers.
#[derive(Default)]
pub(super) struct Pollers(Vec<RunningPoller>);

/// The poller of one gateway.
struct RunningPoller {
    /// The gateway's index in the status list.
    place: usize,
    /// The pages for the gateway's proxy, if it has one.
    pages: Option<PageCache>,
    task: RunningTask<Gateway>,
}

impl Pollers {
    /// Starts the pollers of those of `gateways` that have none.
    pub(super) fn start_missing(&mut self, set: &mut JoinSet<()>, gateways: &[Gateway], shared: &Shared) {
        let mut start = Instant::now();
        for gateway in gateways {
            if self.of(gateway).is_none() {
                self.0.push(RunningPoller::start(set, gateway.clone(), shared, start));
                start += STAGGER;
            }
        }
    }

    /// Stops the pollers whose gateways `new` does not have with the same settings, other than those of the proxy.
    pub(super) async fn stop_unless(&mut self, new: &Config, shared: &Shared) {
        let (stay, gone) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|poller| new.gateways.iter().any(|one| one.is_polled_like(&poller.task.settings)));
        self.0 = stay;
        for poller in gone {
            poller.stop(new, shared).await;
        }
    }

    /// Returns the pages of each of `gateways` that has a proxy.
    pub(super) fn pages(&self, gateways: &[Gateway]) -> Vec<Option<PageCache>> {
        gateways.iter().map(|gateway| self.of(gateway)?.pages.clone()).collect()
    }

    pub(super) fn heartbeats(&self) -> impl Iterator<Item = &Heartbeat> {
        self.0.iter().map(|poller| &poller.task.heartbeat)
    }

    /// Returns what stops the pollers.
    pub(super) fn stop_signals(&self) -> impl Iterator<Item = &watch::Sender<bool>> {
        self.0.iter().map(|poller| &poller.task.stop)
    }

    fn of(&self, gateway: &Gateway) -> Option<&RunningPoller> {
        self.0.iter().find(|poller| poller.task.settings.is_polled_like(gateway))
    }
}

impl RunningPoller {
    fn start(set: &mut JoinSet<()>, settings: Gateway, shared: &Shared, start: Instant) -> Self {
        let place = shared.statuses.open();
        shared.statuses.name(place, settings.place(), settings.serial.clone());
        let heartbeat = Heartbeat::new();
        let mut reader = Reader::new(settings.clone(), shared.clone(), heartbeat.clone());
        let pages = (!settings.proxy.is_empty()).then(|| PageCache::new(settings.interval));
        if let Some(pages) = &pages {
            reader = reader.with_pages(pages.clone());
        }
        // Boxed: otherwise the task stores the poller twice.
        let poller = Box::new(Poller::new(place, reader, start));
        let task = RunningTask::start(set, settings, heartbeat, |stop| poller.run(stop));
        Self { place, pages, task }
    }

    /// Stops, and reports the gateway as offline, unless `new` has it with other settings.
    async fn stop(self, new: &Config, shared: &Shared) {
        let old = self.task.settings.clone();
        let serial = self.task.stop().await;
        shared.statuses.put(self.place, Status::Removed);
        let stays = new.gateways.iter().any(|gateway| {
            gateway.address == old.address || (gateway.serial.is_some() && gateway.serial == old.serial)
        });
        if let (false, Some(serial)) = (stays, serial) {
            let reason = "the gateway was removed from the configuration".to_owned();
            shared.latest.put_availability(&serial, Availability::Offline(reason));
        }
    }
}
