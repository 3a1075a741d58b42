//! What the proxy of one gateway works with.

use std::time::Duration;

use axum::response::Response;
use tokio::sync::watch;

use crate::app::consumers::registry::Registry;
use crate::app::page_cache::PageCache;
use crate::base::reading::Serial;
use crate::base::tally::Tally;

/// What the proxy of one gateway works with.
#[derive(Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Context {
    pub pages: PageCache,
    pub registry: Registry,
    /// The poll interval of the gateway.
    pub interval: Duration,
    /// The names of this machine.
    pub names: Vec<String>,
    /// The serial number that `/info` shows, in place of the gateway's own.
    pub serial: Option<Serial>,
    pub tally: Tally,
    /// Becomes `true` at a stop, and when the listeners close.
    pub stop: watch::Receiver<bool>,
}

impl Context {
    /// Counts a request by its outcome, and returns the response.
    pub(super) fn counted(&self, outcome: &'static str, response: Response) -> Response {
        self.tally.count("enphased_proxy_requests_total", &[("outcome", outcome)]);
        response
    }

    /// Waits until the proxy stops.
    pub(super) async fn stopped(&self) {
        // A dropped sender is a stop too.
        drop(self.stop.clone().wait_for(|stop| *stop).await);
    }
}
