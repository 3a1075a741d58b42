//! The bytes that a client sends to the server, which must neither panic nor hang, and whose responses must be responses.

use std::time::Duration;

use axum::Router;
use enphased::app::config::{self, environment::Environment};
use enphased::app::consumers::registry::Registry;
use enphased::app::latest::{Availability, Latest};
use enphased::app::requests::Requests;
use enphased::app::server::{Context, PageParts, router};
use enphased::app::status::StatusList;
use enphased::base::clock::Clock;
use enphased::base::heartbeat::{Heartbeat, Heartbeats};
use enphased::base::reading::Serial;
use enphased::base::tally::Tally;
use enphased::io::http::{Client, Peer};
use enphased::io::state_dir::StateDir;
use jiff::tz::TimeZone;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::Instant;

use super::exchange::exchange;

/// A server whose clock stands still.
#[derive(Debug)]
pub(crate) struct Server {
    runtime: Runtime,
    router: Router,
    stop: watch::Sender<bool>,
    /// The heartbeats of the tasks behind it.
    pub(crate) heartbeats: Heartbeats,
    _directory: tempfile::TempDir,
}

impl Server {
    /// Starts a server that knows a gateway which does not respond.
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        let runtime = runtime.expect("a runtime");
        let (stop, stopped) = watch::channel(false);
        let heartbeats = Heartbeats::default();
        let context = runtime.block_on(context(&directory, stopped, &heartbeats));
        Self { runtime, router: router(context), stop, heartbeats, _directory: directory }
    }

    /// Creates the heartbeat of a task, by the clock of the server.
    pub(crate) fn heartbeat(&self) -> Heartbeat {
        self.runtime.block_on(async { Heartbeat::new() })
    }

    /// Lets time pass.
    pub(crate) fn wait(&self, time: Duration) {
        self.runtime.block_on(async { tokio::time::sleep(time).await });
    }

    /// Sends `data` on a connection of its own, compares what returns with HTTP, and returns it as text.
    pub(crate) fn receive(&self, data: &[u8]) -> String {
        let client = Client::new(Peer { address: [127, 0, 0, 1].into(), port: 8480 });
        let exchange = exchange(client, self.router.clone(), self.stop.subscribe(), data);
        let received = self.runtime.block_on(exchange);
        let text = String::from_utf8_lossy(&received).into_owned();
        assert!(text.is_empty() || text.starts_with("HTTP/1."), "{text}");
        assert!(!text.starts_with("HTTP/1.1 500"), "{text}");
        assert!(!text.contains("PRIVATE"), "{text}");
        text
    }
}

async fn context(
    directory: &tempfile::TempDir,
    stop: watch::Receiver<bool>,
    heartbeats: &Heartbeats,
) -> Context {
    let text = "[server]\nlisten = [\"127.0.0.1:0\"]\nrequests_per_minute = 4294967295\nmax_consumers = 4096\n\
                allow_origins = [\"http://a\"]\n";
    let config = config::complete(text, None, &Environment::default()).expect("a configuration");
    let settings = config.server.expect("a server");
    let state = StateDir::open(directory.path()).expect("a directory of our own");
    let clock = Clock::system();
    let latest = Latest::new();
    let serial = Serial::parse("122300000001").expect("a serial number");
    latest.put_availability(&serial, Availability::Offline("no response".to_owned()));
    Context {
        registry: Registry::open(settings.limits.clone(), &state, &clock).await,
        pages: Vec::new(),
        settings,
        latest,
        rendered: std::sync::Arc::default(),
        page: PageParts::default(),
        statuses: StatusList::new(),
        requests: Requests::new(),
        started_at: clock.now(),
        clock,
        tally: Tally::default(),
        heartbeats: heartbeats.clone(),
        history: None,
        zone: TimeZone::UTC,
        interval: Duration::from_secs(30),
        has_broker: false,
        names: vec!["pi".to_owned()],
        run: 1,
        started: Instant::now(),
        stop,
    }
}
