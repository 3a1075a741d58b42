//! Connects the server to the tasks of the daemon.

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::running_task::{RunningTask, Stopped};
use crate::app::config::{self, Config};
use crate::app::poller::Shared;
use crate::app::server::registry::Registry;
use crate::app::server::{Context, Error, Listeners, host_name};
use crate::base::heartbeat::Heartbeat;
use crate::io::state_dir::StateDir;

/// Opens the listeners of the server, if there is one.
pub(super) async fn open(config: &Config, state: &StateDir) -> Result<Option<Listeners>, Error> {
    match &config.server {
        Some(settings) => Ok(Some(Listeners::open(settings, state).await?)),
        None => Ok(None),
    }
}

/// The running server, if there is one.
#[derive(Default)]
pub(super) struct Server(Option<RunningTask<config::Server>>);

impl Server {
    /// Starts on open listeners. `run` identifies this run of the server.
    pub(super) async fn start(
        &mut self,
        set: &mut JoinSet<()>,
        listeners: Listeners,
        config: &Config,
        shared: &Shared,
        run: u32,
    ) {
        let settings = listeners.settings().clone();
        let (sender, stop) = watch::channel(false);
        let context = context(&settings, config, shared, run, stop.clone()).await;
        let addresses: Vec<String> = listeners.addresses().map(|listen| listen.to_string()).collect();
        tracing::info!("serving at {}", addresses.join(" and "));
        let serve = move |stopped: Stopped| async move {
            let stopping = async {
                stopped.await;
                sender.send_replace(true);
            };
            tokio::join!(listeners.serve(context, stop), stopping);
            None
        };
        self.0 = Some(RunningTask::start(set, settings, Heartbeat::new(), serve));
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

/// Creates what the handlers of the server work with. `run` identifies this run of the server.
async fn context(
    settings: &config::Server,
    config: &Config,
    shared: &Shared,
    run: u32,
    stop: watch::Receiver<bool>,
) -> Context {
    let names = host_name().into_iter().chain(settings.host_names.iter().cloned()).collect();
    Context {
        settings: settings.clone(),
        latest: shared.latest.clone(),
        statuses: shared.statuses.clone(),
        requests: shared.requests.clone(),
        registry: Registry::open(settings.limits.clone(), &shared.state, &shared.clock).await,
        clock: shared.clock.clone(),
        tally: shared.tally.clone(),
        zone: shared.zone.clone(),
        interval: config.gateways.iter().map(|gateway| gateway.interval).max().unwrap_or_default(),
        has_broker: config.mqtt.is_some(),
        names,
        run,
        started_at: shared.clock.now(),
        started: Instant::now(),
        stop,
    }
}
