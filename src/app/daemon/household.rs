//! Everything that works by one configuration: a poller for each gateway, a publisher, standard output.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::{Mutex, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::reload::{Change, Pace, reloaded};
use super::stdout::Stdout;
use super::{Surroundings, outputs, watch as watching};
use crate::app::config::{self, Config, Mqtt};
use crate::app::latest::{Availability, Board};
use crate::app::poller::claims::Claims;
use crate::app::poller::{Poller, Shared};
use crate::app::publisher::broker;
use crate::app::requests::Wishes;
use crate::app::status::{Standing, Standings};
use crate::app::token_provider::ending::Ending;
use crate::app::token_provider::{self, Supply};
use crate::base::clock::Clock;
use crate::base::heartbeat::Pulse;
use crate::base::reading::Serial;
use crate::io::state_dir::StateDir;
use crate::rules::logins::newcomer::Place;

/// How long everything together may take to end.
const FAREWELL: Duration = Duration::from_millis(1800);

/// Between the ticks of one gateway and the next, so that many do not all shake hands in the same moment and are
/// not read in the same moment ever after.
const APART: Duration = Duration::from_millis(20);

/// How a daemon goes on after it was disturbed.
pub(super) enum Next {
    Stop,
    Reload(Box<Config>, Change),
}

/// What outlives a reload.
#[derive(Default)]
pub(super) struct Lasting {
    stdout: Stdout,
    pace: Pace,
}

pub(super) type Stop<'a> = Pin<&'a mut (dyn Future<Output = ()> + Send)>;

/// Everything that works by one configuration.
pub(super) struct Household {
    shared: Shared,
    gateways: Vec<Reader>,
    publisher: Option<Part<Published>>,
    tasks: JoinSet<()>,
    /// The newest write of the board that is on standard output.
    shown: u64,
}

/// A gateway that is read, at its place among the standings.
struct Reader {
    place: usize,
    part: Part<config::Gateway>,
}

/// What the publisher works by.
#[derive(PartialEq)]
struct Published {
    settings: Mqtt,
    /// Home Assistant is told by it how long a value is good.
    longest_interval: Duration,
}

impl Published {
    fn of(config: &Config) -> Option<Self> {
        let longest_interval =
            config.gateways.iter().map(|gateway| gateway.interval).max().unwrap_or_default();
        config.mqtt.clone().map(|settings| Self { settings, longest_interval })
    }
}

/// A task that can be ended by itself.
struct Part<S> {
    settings: S,
    pulse: Pulse,
    stop: watch::Sender<bool>,
    /// Comes when it has ended, with the gateway that it read.
    ended: oneshot::Receiver<Option<Serial>>,
}

impl<S> Part<S> {
    /// Ends it; returns the gateway that it read.
    async fn end(self) -> Option<Serial> {
        self.stop.send_replace(true);
        timeout(FAREWELL, self.ended).await.ok()?.ok()?
    }
}

impl Household {
    pub(super) fn start(
        config: &Config,
        state: &StateDir,
        surroundings: &mut Surroundings,
        client_id: &str,
    ) -> Self {
        let (rng, ending) = (surroundings.rng.fork(), Ending::default());
        let shared = shared(config, state, &surroundings.clock, rng, &ending);
        let tasks = JoinSet::new();
        let mut household = Self { shared, gateways: Vec::new(), publisher: None, tasks, shown: 0 };
        household.start_missing(config, surroundings, client_id);
        household
    }

    /// Starts what `config` names and does not run.
    fn start_missing(&mut self, config: &Config, surroundings: &mut Surroundings, client_id: &str) {
        let mut start = Instant::now();
        for gateway in &config.gateways {
            if !self.gateways.iter().any(|reader| reader.part.settings == *gateway) {
                self.start_reader(gateway.clone(), start);
                start += APART;
            }
        }
        if self.publisher.is_none()
            && let Some(published) = Published::of(config)
        {
            self.start_publisher(published, config, surroundings.rng.fork(), client_id);
        }
    }

    fn start_reader(&mut self, settings: config::Gateway, start: Instant) {
        let place = self.shared.standings.open();
        let pulse = Pulse::new();
        let poller = Poller::new(place, settings.clone(), self.shared.clone(), pulse.clone());
        // In a box, because the task would hold what it moves in twice.
        let poller = Box::new(poller);
        let part = self.start_part(settings, pulse, |stop| poller.run(start, stop));
        self.gateways.push(Reader { place, part });
    }

    fn start_publisher(&mut self, published: Published, config: &Config, rng: Rng, client_id: &str) {
        let settings = &published.settings;
        let options = outputs::broker(settings, client_id);
        let content = outputs::content(settings, config, &self.shared, client_id);
        let (board, pulse) = (self.shared.board.clone(), Pulse::new());
        let beats = pulse.clone();
        let publish = move |stop| async move {
            let caught_up = watch::Sender::new(0);
            broker::run(options, content, &board, &beats, rng, &caught_up, stop).await;
            None
        };
        self.publisher = Some(self.start_part(published, pulse, publish));
    }

    fn start_part<S, F>(&mut self, settings: S, pulse: Pulse, work: impl FnOnce(Stopped) -> F) -> Part<S>
    where
        F: Future<Output = Option<Serial>> + Send + 'static,
    {
        let stop = watch::Sender::new(false);
        let (tell, ended) = oneshot::channel();
        let work = work(stopped(&stop));
        self.tasks.spawn(async move {
            // Nobody listens when everything ends.
            tell.send(work.await).unwrap_or_default();
        });
        Part { settings, pulse, stop, ended }
    }

    /// Goes on by `new`, which names the same account: what it does not change is not disturbed.
    pub(super) async fn reconfigure(
        &mut self,
        new: &Config,
        surroundings: &mut Surroundings,
        client_id: &str,
    ) {
        let (stay, gone) = std::mem::take(&mut self.gateways)
            .into_iter()
            .partition(|reader| new.gateways.contains(&reader.part.settings));
        self.gateways = stay;
        for reader in gone {
            self.leave(reader, new).await;
        }
        if self.publisher.as_ref().is_some_and(|part| Published::of(new).as_ref() != Some(&part.settings))
            && let Some(publisher) = self.publisher.take()
        {
            publisher.end().await;
        }
        self.start_missing(new, surroundings, client_id);
        while self.tasks.try_join_next().is_some() {}
        let (supply, places) = (Arc::clone(&self.shared.supply), places(new));
        // A login that is under way has it for a while.
        self.tasks.spawn(async move { supply.lock().await.serve(places) });
    }

    /// Ends the poller of a gateway. Unless `new` names the gateway with other settings, it is shown as offline.
    async fn leave(&mut self, reader: Reader, new: &Config) {
        let old = reader.part.settings.clone();
        let serial = reader.part.end().await;
        self.shared.standings.put(reader.place, Standing::Gone);
        let stays = new.gateways.iter().any(|gateway| {
            gateway.address == old.address || (gateway.serial.is_some() && gateway.serial == old.serial)
        });
        if let Some(serial) = serial.filter(|_| !stays) {
            let why = "it is not in the configuration any more".to_owned();
            self.shared.board.put_availability(&serial, Availability::Offline(why));
        }
    }

    /// Works until something disturbs it.
    pub(super) async fn live(
        &mut self,
        config: &Config,
        surroundings: &mut Surroundings,
        lasting: &mut Lasting,
        reload: &impl Fn() -> Result<Config, config::Error>,
        stop: Stop<'_>,
    ) -> Next {
        let Surroundings { notify, hangups, .. } = surroundings;
        let Lasting { stdout, pace } = lasting;
        let pulses: Vec<Pulse> = self.gateways.iter().map(|reader| reader.part.pulse.clone()).collect();
        let pulses = [pulses, self.publisher.iter().map(|part| part.pulse.clone()).collect()].concat();
        let watch =
            watching::watch(notify, &pulses, self.shared.standings.reader(), self.shared.board.reader());
        tokio::select! {
            () = stop => Next::Stop,
            () = stdout.write(config, &self.shared.board, &mut self.shown) => Next::Stop,
            (new, change) = reloaded(config, hangups, pace, reload) => Next::Reload(new, change),
            () = watch => Next::Stop,
        }
    }

    /// Ends everything, within two seconds, but for a request to the cloud that is under way. What else does not end by
    /// then is dropped; the broker publishes its last will then. Returns what that request is waited for with.
    pub(super) async fn end(mut self) -> Ending {
        let stops = self.gateways.iter().map(|reader| &reader.part.stop);
        for stop in stops.chain(self.publisher.iter().map(|part| &part.stop)) {
            stop.send_replace(true);
        }
        self.shared.ending.begin();
        let ended = async {
            while self.tasks.join_next().await.is_some() {}
            // A login that is under way writes down its outcome before it lets go.
            drop(self.shared.supply.lock().await);
        };
        if timeout(FAREWELL, ended).await.is_err() {
            tracing::debug!("not everything ended in time");
        }
        self.shared.ending
    }
}

/// Comes when a part is to end.
type Stopped = Pin<Box<dyn Future<Output = ()> + Send>>;

fn stopped(stop: &watch::Sender<bool>) -> Stopped {
    let mut stop = stop.subscribe();
    // A sender that is gone is a stop too.
    Box::pin(async move { drop(stop.wait_for(|stop| *stop).await) })
}

/// The gateways as they are configured.
fn places(config: &Config) -> Vec<Place> {
    let place = |gateway: &config::Gateway| Place {
        serial: gateway.serial.clone(),
        address: gateway.address.as_ref().map(ToString::to_string),
    };
    config.gateways.iter().map(place).collect()
}

/// What the pollers of `config` share.
pub fn shared(config: &Config, state: &StateDir, clock: &Clock, rng: Rng, ending: &Ending) -> Shared {
    let settings = token_provider::Settings {
        cloud: config.cloud.clone(),
        account: config.account.clone(),
        renew_short_tokens: config.renew_short_tokens,
        several_gateways: config.gateways.len() > 1,
    };
    let mut supply = Supply::new(state.clone(), clock.clone(), settings, rng);
    supply.serve(places(config));
    supply.heed(ending.clone());
    Shared {
        state: state.clone(),
        clock: clock.clone(),
        zone: config.zone.clone(),
        supply: Arc::new(Mutex::new(supply)),
        ending: ending.clone(),
        board: Board::new(),
        standings: Standings::new(),
        wishes: Wishes::new(),
        claims: Claims::default(),
    }
}
