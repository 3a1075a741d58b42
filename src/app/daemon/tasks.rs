//! The tasks of one configuration: a poller for each gateway, the publisher, and standard output.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::alerts::Alerts;
use super::history::{self, History};
use super::reload::{Change, ReloadLimit, reloaded};
use super::running_task::{RunningTask, STOP_TIMEOUT};
use super::server::{self, Server};
use super::shared::{places, shared};
use super::stdout::Stdout;
use super::{Inputs, outputs, systemd};
use crate::app::config::{self, Config, Mqtt};
use crate::app::latest::Availability;
use crate::app::listeners::Listeners;
use crate::app::page_cache::PageCache;
use crate::app::poller::{Poller, Reader, Shared};
use crate::app::publisher::broker;
use crate::app::status::Status;
use crate::app::token_provider::ending::Ending;
use crate::base::heartbeat::Heartbeat;
use crate::io::state_dir::StateDir;

/// The delay between the first polls of two gateways, so that many gateways are not all contacted at the same moment.
const STAGGER: Duration = Duration::from_millis(20);

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
    gateways: Vec<RunningPoller>,
    publisher: Option<RunningTask<PublisherSettings>>,
    server: Server,
    history: History,
    alerts: Alerts,
    set: JoinSet<()>,
    /// Unique at the broker.
    client_id: String,
    /// The number of the newest write that is on standard output.
    written_to_stdout: u64,
}

/// The poller of one gateway, and the gateway's index in the status list.
struct RunningPoller {
    place: usize,
    /// The pages for the gateway's proxy, if it has one.
    pages: Option<PageCache>,
    task: RunningTask<config::Gateway>,
}

/// The settings that the publisher depends on.
#[derive(PartialEq)]
struct PublisherSettings {
    settings: Mqtt,
    /// Determines how long Home Assistant considers a value valid.
    longest_interval: Duration,
    /// Determines the names of gateways without a configured one.
    several: bool,
    /// The page that devices in Home Assistant link to.
    page: Option<String>,
}

impl PublisherSettings {
    fn of(config: &Config) -> Option<Self> {
        let longest_interval =
            config.gateways.iter().map(|gateway| gateway.interval).max().unwrap_or_default();
        let several = config.gateways.len() > 1;
        let page = config.server.as_ref().and_then(outputs::page);
        config.mqtt.clone().map(|settings| Self { settings, longest_interval, several, page })
    }
}

/// Returns whether the server answers requests for the history.
const fn has_history(config: &Config) -> bool {
    config.history.is_some()
}

/// Returns the gateways with a proxy. With another poller it has other pages, so it starts again.
fn proxied(config: &Config) -> Vec<&config::Gateway> {
    config.gateways.iter().filter(|gateway| !gateway.proxy.is_empty()).collect()
}

impl Tasks {
    pub(super) fn start(config: &Config, state: &StateDir, inputs: &mut Inputs, client_id: String) -> Self {
        let (rng, ending) = (inputs.rng.fork(), Ending::default());
        let shared = shared(config, state, &inputs.clock, rng, &ending);
        let set = JoinSet::new();
        let mut started = Self {
            shared,
            gateways: Vec::new(),
            publisher: None,
            server: Server::default(),
            history: History::default(),
            alerts: Alerts::default(),
            set,
            client_id,
            written_to_stdout: 0,
        };
        started.start_missing(config, inputs);
        started
    }

    /// Starts the tasks of `config` that are not running.
    fn start_missing(&mut self, config: &Config, inputs: &mut Inputs) {
        let mut start = Instant::now();
        for gateway in &config.gateways {
            if !self.gateways.iter().any(|poller| poller.task.settings == *gateway) {
                self.start_poller(gateway.clone(), start);
                start += STAGGER;
            }
        }
        if self.publisher.is_none()
            && let Some(published) = PublisherSettings::of(config)
        {
            self.start_publisher(published, config, inputs.rng.fork());
        }
        self.history.start(&mut self.set, config, &self.shared, inputs);
        self.alerts.start(&mut self.set, config, &self.shared, &mut inputs.rng);
    }

    fn start_poller(&mut self, settings: config::Gateway, start: Instant) {
        let place = self.shared.statuses.open();
        self.shared.statuses.name(place, settings.place(), settings.serial.clone());
        let heartbeat = Heartbeat::new();
        let mut reader = Reader::new(settings.clone(), self.shared.clone(), heartbeat.clone());
        let pages = (!settings.proxy.is_empty()).then(|| PageCache::new(settings.interval));
        if let Some(pages) = &pages {
            reader = reader.with_pages(pages.clone());
        }
        // Boxed: otherwise the task stores the poller twice.
        let poller = Box::new(Poller::new(place, reader, start));
        let task = RunningTask::start(&mut self.set, settings, heartbeat, |stop| poller.run(stop));
        self.gateways.push(RunningPoller { place, pages, task });
    }

    fn start_publisher(&mut self, published: PublisherSettings, config: &Config, rng: Rng) {
        let settings = &published.settings;
        let options = outputs::broker(settings, &self.client_id);
        let content = outputs::content(settings, config, &self.shared, &self.client_id);
        let (latest, heartbeat) = (self.shared.latest.clone(), Heartbeat::new());
        let beats = heartbeat.clone();
        let publish = move |stop| async move {
            let caught_up = watch::Sender::new(0);
            broker::run(options, content, &latest, &beats, rng, &caught_up, stop).await;
            None
        };
        self.publisher = Some(RunningTask::start(&mut self.set, published, heartbeat, publish));
    }

    /// Starts the server and the proxies on their open listeners.
    pub(super) async fn serve(&mut self, listeners: Option<Listeners>, config: &Config, inputs: &mut Inputs) {
        if let Some(listeners) = listeners {
            let run = inputs.rng.u32(..);
            let pages = self.pages(config);
            let history = history::reader(config, inputs);
            self.server.start(&mut self.set, listeners, config, &self.shared, &pages, (run, history)).await;
        }
    }

    /// Returns the pages of each gateway of `config` that has a proxy.
    fn pages(&self, config: &Config) -> Vec<Option<PageCache>> {
        let pages = |gateway: &config::Gateway| {
            let poller = self.gateways.iter().find(|poller| poller.task.settings == *gateway)?;
            poller.pages.clone()
        };
        config.gateways.iter().map(pages).collect()
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
        let is_other =
            old.server != new.server || proxied(old) != proxied(new) || has_history(old) != has_history(new);
        if everything || is_other {
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
        let (stay, gone) = std::mem::take(&mut self.gateways)
            .into_iter()
            .partition(|poller| new.gateways.contains(&poller.task.settings));
        self.gateways = stay;
        for poller in gone {
            self.stop_poller(poller, new).await;
        }
        if self
            .publisher
            .as_ref()
            .is_some_and(|task| PublisherSettings::of(new).as_ref() != Some(&task.settings))
            && let Some(publisher) = self.publisher.take()
        {
            publisher.stop().await;
        }
        self.history.stop_unless(new).await;
        self.alerts.stop_unless(new).await;
        self.start_missing(new, inputs);
        while self.set.try_join_next().is_some() {}
        let (token_provider, places) = (Arc::clone(&self.shared.token_provider), places(new));
        // A login in progress may hold the lock for a while.
        self.set.spawn(async move { token_provider.lock().await.set_gateways(places) });
    }

    /// Stops the poller of a gateway. Reports the gateway as offline, unless `new` has it with other settings.
    async fn stop_poller(&mut self, poller: RunningPoller, new: &Config) {
        let old = poller.task.settings.clone();
        let serial = poller.task.stop().await;
        self.shared.statuses.put(poller.place, Status::Removed);
        let stays = new.gateways.iter().any(|gateway| {
            gateway.address == old.address || (gateway.serial.is_some() && gateway.serial == old.serial)
        });
        if let (false, Some(serial)) = (stays, serial) {
            let reason = "the gateway was removed from the configuration".to_owned();
            self.shared.latest.put_availability(&serial, Availability::Offline(reason));
        }
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
        let heartbeats: Vec<Heartbeat> =
            self.gateways.iter().map(|poller| poller.task.heartbeat.clone()).collect();
        let heartbeats =
            [heartbeats, self.publisher.iter().map(|task| task.heartbeat.clone()).collect()].concat();
        let watch = systemd::notify_systemd(
            notify,
            &heartbeats,
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
        let stops = self.gateways.iter().map(|poller| &poller.task.stop);
        let others = self.publisher.iter().map(|task| &task.stop).chain(self.server.stop_signal());
        let others = others.chain(self.history.stop_signal()).chain(self.alerts.stop_signal());
        for stop in stops.chain(others) {
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
