//! The tasks of one configuration: a poller for each gateway, the publisher, and standard output.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::optional_task::OptionalTask;
use super::pollers::Pollers;
use super::reload::{Change, ReloadLimit, reloaded};
use super::running_task::STOP_TIMEOUT;
use super::server::{self, Server};
use super::shared::{places, shared};
use super::stdout::Stdout;
use super::{Inputs, alerts, history, publisher, systemd};
use crate::app::alerts as watcher;
use crate::app::config::{self, Config};
use crate::app::history::recorder;
use crate::app::listeners::Listeners;
use crate::app::poller::Shared;
use crate::app::token_provider::ending::Ending;
use crate::io::state_dir::StateDir;

/// The reason that the tasks were interrupted.
pub(super) enum Next {
    Stop,
    Reload(Box<Config>, Change),
}

/// The state that outlives a reload.
#[derive(Default)]
pub(super) struct AcrossReloads {
    stdout: Stdout,
    limit: ReloadLimit,
}

pub(super) type Stop<'a> = Pin<&'a mut (dyn Future<Output = ()> + Send)>;

/// The running tasks of one configuration.
pub(super) struct Tasks {
    shared: Shared,
    pollers: Pollers,
    publisher: OptionalTask<publisher::Settings>,
    server: Server,
    history: OptionalTask<recorder::Settings>,
    alerts: OptionalTask<watcher::Settings>,
    set: JoinSet<()>,
    /// Unique at the broker.
    client_id: String,
    /// The number of the newest write that is on standard output.
    written_to_stdout: u64,
}

/// Returns whether the server of `new` differs from that of `old`: in its settings, its proxies or its history.
fn has_other_server(old: &Config, new: &Config) -> bool {
    old.server != new.server
        || old.history.is_some() != new.history.is_some()
        || proxied(old).ne(proxied(new))
}

/// Returns the gateways with a proxy. With another poller it has other pages, so it starts again.
fn proxied(config: &Config) -> impl Iterator<Item = &config::Gateway> {
    config.gateways.iter().filter(|gateway| !gateway.proxy.is_empty())
}

impl Tasks {
    pub(super) fn start(config: &Config, state: &StateDir, inputs: &mut Inputs, client_id: String) -> Self {
        let (rng, ending) = (inputs.rng.fork(), Ending::default());
        let mut started = Self {
            shared: shared(config, state, &inputs.clock, rng, &ending),
            pollers: Pollers::default(),
            publisher: OptionalTask::default(),
            server: Server::default(),
            history: OptionalTask::default(),
            alerts: OptionalTask::default(),
            set: JoinSet::new(),
            client_id,
            written_to_stdout: 0,
        };
        started.start_missing(config, inputs);
        started
    }

    /// Starts the tasks of `config` that are not running.
    fn start_missing(&mut self, config: &Config, inputs: &mut Inputs) {
        let (set, shared) = (&mut self.set, &self.shared);
        self.pollers.start_missing(set, &config.gateways, shared);
        publisher::start(&mut self.publisher, set, config, shared, &self.client_id, &mut inputs.rng);
        history::start(&mut self.history, set, config, shared, inputs);
        alerts::start(&mut self.alerts, set, config, shared, &mut inputs.rng);
    }

    /// Starts the server and the proxies on their open listeners.
    pub(super) async fn serve(&mut self, listeners: Option<Listeners>, config: &Config, inputs: &mut Inputs) {
        if let Some(listeners) = listeners {
            let run = inputs.rng.u32(..);
            let pages = self.pollers.pages(&config.gateways);
            let history = history::reader(config, inputs);
            self.server.start(&mut self.set, listeners, config, &self.shared, &pages, (run, history)).await;
        }
    }

    /// Switches to `new`. Returns `false` if the server cannot listen at its new addresses: then everything stays as it was.
    pub(super) async fn switch(
        &mut self,
        (old, new): (&Config, &Config),
        change: Change,
        state: &StateDir,
        inputs: &mut Inputs,
        endings: &mut Vec<Ending>,
    ) -> bool {
        let everything = change == Change::Everything;
        let mut opened = None;
        if everything || has_other_server(old, new) {
            self.server.stop().await;
            opened = match server::open(new, state).await {
                Ok(opened) => opened,
                Err(error) => {
                    tracing::error!("{error}; keeping the old configuration");
                    let before = server::open(old, state).await.ok().flatten();
                    self.serve(before, old, inputs).await;
                    return false;
                }
            };
        }
        if everything {
            endings.retain(Ending::has_request);
            endings.push(self.stop().await);
            *self = Self::start(new, state, inputs, self.client_id.clone());
        } else {
            self.reconfigure(new, inputs).await;
        }
        self.serve(opened, new, inputs).await;
        true
    }

    /// Switches to `new`, which has the same account. Tasks with unchanged settings keep running.
    async fn reconfigure(&mut self, new: &Config, inputs: &mut Inputs) {
        self.pollers.stop_unless(new, &self.shared).await;
        self.publisher.stop_unless(publisher::settings(new).as_ref()).await;
        self.history.stop_unless(history::settings(new).as_ref()).await;
        self.alerts.stop_unless(alerts::settings(new).as_ref()).await;
        self.start_missing(new, inputs);
        while self.set.try_join_next().is_some() {}
        let (token_provider, places) = (Arc::clone(&self.shared.token_provider), places(new));
        // A login in progress may hold the lock for a while.
        self.set.spawn(async move { token_provider.lock().await.set_gateways(places) });
    }

    /// Runs until a stop or a reload.
    pub(super) async fn run(
        &mut self,
        config: &Config,
        inputs: &mut Inputs,
        kept: &mut AcrossReloads,
        reload: &impl Fn() -> Result<Config, config::Error>,
        stop: Stop<'_>,
    ) -> Next {
        let Inputs { notify, hangups, .. } = inputs;
        let AcrossReloads { stdout, limit } = kept;
        let heartbeats = self.pollers.heartbeats().chain(self.publisher.heartbeat());
        self.shared.heartbeats.set(heartbeats.cloned().collect());
        let watch = systemd::notify_systemd(
            notify,
            &self.shared.heartbeats,
            self.shared.statuses.reader(),
            self.shared.latest.reader(),
        );
        tokio::select! {
            () = stop => Next::Stop,
            () = stdout.write(config, &self.shared.latest, &mut self.written_to_stdout) => Next::Stop,
            (new, change) = reloaded(config, hangups, limit, reload) => Next::Reload(new, change),
            () = watch => Next::Stop,
        }
    }

    /// Stops all tasks within two seconds, except for a request to the cloud that is in progress. Tasks that take longer
    /// are dropped, and then the broker publishes the last will. Returns a handle to wait for that request.
    pub(super) async fn stop(&mut self) -> Ending {
        let others = self.publisher.stop_signal().into_iter().chain(self.server.stop_signal());
        let others = others.chain(self.history.stop_signal()).chain(self.alerts.stop_signal());
        for stop in self.pollers.stop_signals().chain(others) {
            stop.send_replace(true);
        }
        self.shared.ending.begin();
        let ended = async {
            while self.set.join_next().await.is_some() {}
            // A login in progress records its outcome before it releases the lock.
            drop(self.shared.token_provider.lock().await);
        };
        if timeout(STOP_TIMEOUT, ended).await.is_err() {
            tracing::debug!("some tasks did not stop in time");
        }
        self.shared.ending.clone()
    }
}
