//! Connects the server to the tasks of the daemon.

use std::sync::Arc;

use axum::Router;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::running_task::{RunningTask, Stopped};
use crate::app::config::{self, Config, Service};
use crate::app::consumers::live_list;
use crate::app::consumers::registry::Registry;
use crate::app::history::reader::HistoryReader;
use crate::app::listeners::{Error, Listeners, names};
use crate::app::page_cache::PageCache;
use crate::app::poller::Shared;
use crate::app::proxy;
use crate::app::server::{self, Context, PageParts};
use crate::base::heartbeat::Heartbeat;
use crate::base::reading::Serial;
use crate::io::state_dir::StateDir;
use crate::rules::logins::clocks::GatewayTime;

/// Opens the configured listeners, if there are any.
pub(super) async fn open(config: &Config, state: &StateDir) -> Result<Option<Listeners>, Error> {
    match &config.server {
        Some(_) => Ok(Some(Listeners::open(config, state).await?)),
        None => Ok(None),
    }
}

/// The running server, if there is one.
#[derive(Default)]
pub(super) struct Server(Option<RunningTask<()>>);

impl Server {
    /// Starts on open listeners. `run` identifies this run of the server.
    pub(super) async fn start(
        &mut self,
        set: &mut JoinSet<()>,
        listeners: Listeners,
        config: &Config,
        shared: &Shared,
        pages: &[Option<PageCache>],
        (run, history): (u32, Option<HistoryReader>),
    ) {
        let Some(settings) = &config.server else { return };
        let (sender, stop) = watch::channel(false);
        publish_cloud(shared).await;
        let registry = Registry::open(settings.limits.clone(), &shared.state, &shared.clock).await;
        let context = Context {
            pages: pages.iter().flatten().cloned().collect(),
            history,
            ..context(settings, config, shared, &registry, run, stop.clone())
        };
        let routers = Routers {
            server: server::router(context),
            proxies: proxies(config, shared, &registry, pages, &stop),
        };
        report(&listeners, config);
        let state = shared.state.clone();
        let serve = move |stopped: Stopped| async move {
            let stopping = async {
                stopped.await;
                sender.send_replace(true);
            };
            let serving = listeners.serve(|service| routers.of(service), stop);
            let serving = async {
                tokio::select! {
                    () = serving => {}
                    () = registry.keep() => {}
                    () = live_list::serve(&state, &registry) => {}
                }
                registry.save().await;
            };
            tokio::join!(serving, stopping);
            None
        };
        self.0 = Some(RunningTask::start(set, (), Heartbeat::new(), serve));
    }

    /// Stops, and closes the listeners.
    pub(super) async fn stop(&mut self) {
        if let Some(running) = self.0.take() {
            running.stop().await;
        }
    }

    /// Returns what stops the server.
    pub(super) fn stop_signal(&self) -> Option<&watch::Sender<bool>> {
        self.0.as_ref().map(|running| &running.stop)
    }
}

/// Publishes the last contact with the cloud, which is known before a gateway responds.
async fn publish_cloud(shared: &Shared) {
    // During a login, the poller that waits for it publishes the outcome.
    let Ok(mut token_provider) = shared.token_provider.try_lock() else { return };
    let (Ok(any), clocks) = (Serial::parse("0"), token_provider.clocks(GatewayTime::NoResponse)) else {
        return;
    };
    match token_provider.record(&any, &clocks).await {
        Ok(_) => shared.latest.put_cloud(token_provider.cloud_report()),
        // The state directory logs its errors itself.
        Err(error) => tracing::debug!("{error}"),
    }
}

/// Logs the addresses of each service.
fn report(listeners: &Listeners, config: &Config) {
    let at = |wanted: Service| {
        let addresses = listeners.addresses().filter(move |(service, _)| *service == wanted);
        let addresses: Vec<String> = addresses.map(|(_, listen)| listen.to_string()).collect();
        addresses.join(" and ")
    };
    let server = at(Service::Server);
    if !server.is_empty() {
        tracing::info!("serving at {server}");
    }
    for (place, gateway) in config.gateways.iter().enumerate() {
        let proxy = at(Service::Proxy(place));
        if !proxy.is_empty() {
            tracing::info!("serving the pages of {gateway} at {proxy}");
        }
    }
}

/// The routes of each service.
struct Routers {
    server: Router,
    /// The routes of each gateway's proxy; empty for a gateway without one.
    proxies: Vec<Router>,
}

impl Routers {
    fn of(&self, service: Service) -> Router {
        match service {
            Service::Server => self.server.clone(),
            Service::Proxy(place) => self.proxies.get(place).cloned().unwrap_or_default(),
        }
    }
}

/// Creates the proxies of all gateways.
fn proxies(
    config: &Config,
    shared: &Shared,
    registry: &Registry,
    pages: &[Option<PageCache>],
    stop: &watch::Receiver<bool>,
) -> Vec<Router> {
    let proxy = |(gateway, pages): (&config::Gateway, &Option<PageCache>)| {
        let Some(pages) = pages else { return Router::new() };
        proxy::router(proxy::Context {
            pages: pages.clone(),
            registry: registry.clone(),
            interval: gateway.interval,
            names: names(config),
            serial: gateway.proxy_serial.clone(),
            tally: shared.tally.clone(),
            stop: stop.clone(),
        })
    };
    config.gateways.iter().zip(pages).map(proxy).collect()
}

/// Creates what the handlers of the server work with. `run` identifies this run of the server.
fn context(
    settings: &config::Server,
    config: &Config,
    shared: &Shared,
    registry: &Registry,
    run: u32,
    stop: watch::Receiver<bool>,
) -> Context {
    Context {
        settings: settings.clone(),
        latest: shared.latest.clone(),
        rendered: Arc::default(),
        page: PageParts::default(),
        statuses: shared.statuses.clone(),
        requests: shared.requests.clone(),
        registry: registry.clone(),
        pages: Vec::new(),
        clock: shared.clock.clone(),
        tally: shared.tally.clone(),
        heartbeats: shared.heartbeats.clone(),
        zone: shared.zone.clone(),
        history: None,
        interval: config.longest_interval(),
        has_broker: config.mqtt.is_some(),
        names: names(config),
        run,
        started_at: shared.clock.now(),
        started: Instant::now(),
        stop,
    }
}
