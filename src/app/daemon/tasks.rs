//! The tasks of one configuration: a poller for each gateway, the publisher, and standard output.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::reload::{Change, ReloadLimit, reloaded};
use super::shared::{places, shared};
use super::stdout::Stdout;
use super::{Inputs, outputs, systemd};
use crate::app::config::{self, Config, Mqtt};
use crate::app::latest::Availability;
use crate::app::poller::{Poller, Reader, Shared};
use crate::app::publisher::broker;
use crate::app::status::Status;
use crate::app::token_provider::ending::Ending;
use crate::base::heartbeat::Heartbeat;
use crate::base::reading::Serial;
use crate::io::state_dir::StateDir;

/// The time limit for all tasks to end.
const STOP_TIMEOUT: Duration = Duration::from_millis(1800);

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
    set: JoinSet<()>,
    /// The number of the newest write that is on standard output.
    written_to_stdout: u64,
}

/// The poller of one gateway, and the gateway's index in the status list.
struct RunningPoller {
    place: usize,
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
}

impl PublisherSettings {
    fn of(config: &Config) -> Option<Self> {
        let longest_interval =
            config.gateways.iter().map(|gateway| gateway.interval).max().unwrap_or_default();
        let several = config.gateways.len() > 1;
        config.mqtt.clone().map(|settings| Self { settings, longest_interval, several })
    }
}

/// A task that can be stopped on its own.
struct RunningTask<S> {
    settings: S,
    heartbeat: Heartbeat,
    stop: watch::Sender<bool>,
    /// Receives the serial number of the gateway that the task read, when the task has ended.
    ended: oneshot::Receiver<Option<Serial>>,
}

impl<S> RunningTask<S> {
    /// Stops the task, and returns the gateway that it read.
    async fn stop(self) -> Option<Serial> {
        self.stop.send_replace(true);
        timeout(STOP_TIMEOUT, self.ended).await.ok()?.ok()?
    }
}

impl Tasks {
    pub(super) fn start(config: &Config, state: &StateDir, inputs: &mut Inputs, client_id: &str) -> Self {
        let (rng, ending) = (inputs.rng.fork(), Ending::default());
        let shared = shared(config, state, &inputs.clock, rng, &ending);
        let set = JoinSet::new();
        let mut started = Self { shared, gateways: Vec::new(), publisher: None, set, written_to_stdout: 0 };
        started.start_missing(config, inputs, client_id);
        started
    }

    /// Starts the tasks of `config` that are not running.
    fn start_missing(&mut self, config: &Config, inputs: &mut Inputs, client_id: &str) {
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
            self.start_publisher(published, config, inputs.rng.fork(), client_id);
        }
    }

    fn start_poller(&mut self, settings: config::Gateway, start: Instant) {
        let place = self.shared.statuses.open();
        let heartbeat = Heartbeat::new();
        let reader = Reader::new(settings.clone(), self.shared.clone(), heartbeat.clone());
        // Boxed: otherwise the task stores the poller twice.
        let poller = Box::new(Poller::new(place, reader, start));
        let task = self.start_task(settings, heartbeat, |stop| poller.run(stop));
        self.gateways.push(RunningPoller { place, task });
    }

    fn start_publisher(&mut self, published: PublisherSettings, config: &Config, rng: Rng, client_id: &str) {
        let settings = &published.settings;
        let options = outputs::broker(settings, client_id);
        let content = outputs::content(settings, config, &self.shared, client_id);
        let (latest, heartbeat) = (self.shared.latest.clone(), Heartbeat::new());
        let beats = heartbeat.clone();
        let publish = move |stop| async move {
            let caught_up = watch::Sender::new(0);
            broker::run(options, content, &latest, &beats, rng, &caught_up, stop).await;
            None
        };
        self.publisher = Some(self.start_task(published, heartbeat, publish));
    }

    fn start_task<S, F>(
        &mut self,
        settings: S,
        heartbeat: Heartbeat,
        work: impl FnOnce(Stopped) -> F,
    ) -> RunningTask<S>
    where
        F: Future<Output = Option<Serial>> + Send + 'static,
    {
        let stop = watch::Sender::new(false);
        let (tell, ended) = oneshot::channel();
        let work = work(stopped(&stop));
        self.set.spawn(async move {
            // Without a receiver, all tasks are being stopped.
            tell.send(work.await).unwrap_or_default();
        });
        RunningTask { settings, heartbeat, stop, ended }
    }

    /// Switches to `new`, which has the same account. Tasks with unchanged settings keep running.
    pub(super) async fn reconfigure(&mut self, new: &Config, inputs: &mut Inputs, client_id: &str) {
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
        self.start_missing(new, inputs, client_id);
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
    pub(super) async fn stop(mut self) -> Ending {
        let stops = self.gateways.iter().map(|poller| &poller.task.stop);
        for stop in stops.chain(self.publisher.iter().map(|task| &task.stop)) {
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
        self.shared.ending
    }
}

/// A future that completes when a task has to stop.
type Stopped = Pin<Box<dyn Future<Output = ()> + Send>>;

fn stopped(stop: &watch::Sender<bool>) -> Stopped {
    let mut stop = stop.subscribe();
    // A dropped sender is a stop too.
    Box::pin(async move { drop(stop.wait_for(|stop| *stop).await) })
}
