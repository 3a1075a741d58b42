//! What the handlers of requests work with.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::watch;
use tokio::time::Instant;

use super::page_parts::PageParts;
use super::rendered::Rendered;
use crate::app::config;
use crate::app::consumers::registry::Registry;
use crate::app::history::reader::HistoryReader;
use crate::app::latest::Latest;
use crate::app::page_cache::PageCache;
use crate::app::requests::Requests;
use crate::app::status::StatusList;
use crate::base::clock::Clock;
use crate::base::heartbeat::Heartbeats;
use crate::base::tally::Tally;

/// What the handlers of requests work with.
#[derive(Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Context {
    pub settings: config::Server,
    pub latest: Latest,
    pub rendered: Arc<Rendered>,
    pub page: PageParts,
    pub statuses: StatusList,
    pub requests: Requests,
    pub registry: Registry,
    /// The pages of each gateway that has a proxy.
    pub pages: Vec<PageCache>,
    pub clock: Clock,
    pub tally: Tally,
    pub heartbeats: Heartbeats,
    pub zone: TimeZone,
    /// `None` if the history is switched off.
    pub history: Option<HistoryReader>,
    /// The longest poll interval of the gateways.
    pub interval: Duration,
    /// Values are published to a broker.
    pub has_broker: bool,
    /// The names of this machine.
    pub names: Vec<String>,
    /// Identifies this run in the ids of streams.
    pub run: u32,
    pub started_at: Timestamp,
    pub started: Instant,
    /// Becomes `true` at a stop, and when the listeners close.
    pub stop: watch::Receiver<bool>,
}

impl Context {
    /// Waits until the server stops.
    pub async fn stopped(&self) {
        // A dropped sender is a stop too.
        drop(self.stop.clone().wait_for(|stop| *stop).await);
    }

    /// Returns `true` if the server stops.
    pub fn is_stopping(&self) -> bool {
        *self.stop.borrow() || self.stop.has_changed().is_err()
    }
}
