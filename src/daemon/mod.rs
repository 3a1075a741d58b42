//! The daemon: a poller for each gateway, a publisher, and systemd kept informed.
//!
//! It ends when it is told to, or when whoever read its standard output is gone. A gateway, a cloud or a broker
//! that is not there is a state, not an end.

pub mod notify;
pub mod outputs;
mod watch;

use std::future::Future;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::board::Board;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::poller::{Poller, Shared};
use crate::publisher::{broker, pipe};
use crate::pulse::Pulse;
use crate::standing::Standings;
use crate::state::{self, Lock, StateDir};
use crate::supply::{self, Supply};
use notify::Notify;

/// Held as long as a daemon lives, so that a second one by mistake is seen.
const LOCK: &str = "daemon.lock";
/// How long everything together may take to end.
const FAREWELL: Duration = Duration::from_millis(1800);
/// How long `run --once` waits for the broker to take what was read.
const ONCE: Duration = Duration::from_secs(15);

/// What a daemon is given beside its configuration.
#[derive(Debug)]
pub struct Surroundings {
    /// The time.
    pub clock: Clock,
    /// Chance.
    pub rng: Rng,
    /// Who is told about its state.
    pub notify: Notify,
    /// A message for each wish to read the configuration again.
    pub hangups: mpsc::Receiver<()>,
}

/// Why a daemon could not begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The state directory does not serve.
    #[error(transparent)]
    State(#[from] state::Error),
    /// There is one already.
    #[error("another enphased is running on {}; stop it first, or give this one a state_dir of its own", .0.display())]
    Running(PathBuf),
}

/// How a daemon goes on after it was disturbed.
enum Next {
    Stop,
    Reload(Box<Config>),
}

type Stop<'a> = Pin<&'a mut (dyn Future<Output = ()> + Send)>;

/// Runs until `stop`. `reload` reads the configuration again.
pub async fn run(
    mut config: Config,
    mut surroundings: Surroundings,
    reload: impl Fn() -> Result<Config, config::Error>,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), Error> {
    let state = StateDir::open(&config.state_dir)?;
    let _lock = lock(&state)?;
    let client_id = format!("enphased-{:08x}", surroundings.rng.u32(..));
    let mut stop: Stop<'_> = pin!(stop);
    loop {
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        let mut household = Household::start(&config, &state, &mut surroundings, &client_id);
        surroundings.notify.ready();
        let next = household.live(&config, &mut surroundings, &reload, stop.as_mut()).await;
        if matches!(next, Next::Stop) {
            surroundings.notify.stopping();
        }
        household.end().await;
        match next {
            Next::Stop => return Ok(()),
            Next::Reload(new) => config = *new,
        }
    }
}

/// Where nothing can be written there is no lock either: polling goes on without, as it can do no harm there.
fn lock(state: &StateDir) -> Result<Option<Lock>, Error> {
    match state.try_lock(LOCK) {
        Ok(Some(lock)) => Ok(Some(lock)),
        Ok(None) => Err(Error::Running(state.path().to_owned())),
        Err(error) => {
            tracing::error!("{error}; readings go on, and there is no login");
            Ok(None)
        }
    }
}

/// Everything that works by one configuration.
struct Household {
    shared: Shared,
    pulses: Vec<Pulse>,
    tasks: JoinSet<()>,
    stop: tokio::sync::watch::Sender<bool>,
}

impl Household {
    fn start(config: &Config, state: &StateDir, surroundings: &mut Surroundings, client_id: &str) -> Self {
        let shared = shared(config, state, &surroundings.clock, surroundings.rng.fork());
        let mut household = Self {
            shared,
            pulses: Vec::new(),
            tasks: JoinSet::new(),
            stop: tokio::sync::watch::Sender::new(false),
        };
        for (place, gateway) in config.gateways.iter().enumerate() {
            let pulse = household.pulse();
            let poller = Poller::new(place, gateway.clone(), household.shared.clone(), pulse);
            let stop = household.stopped();
            household.tasks.spawn(poller.run(stop));
        }
        if let Some(settings) = &config.mqtt {
            let (options, content) =
                (outputs::broker(settings, client_id), outputs::content(settings, config));
            let (board, pulse) = (household.shared.board.clone(), household.pulse());
            let (rng, stop) = (surroundings.rng.fork(), household.stopped());
            household.tasks.spawn(async move {
                let caught_up = tokio::sync::watch::Sender::new(0);
                broker::run(options, content, &board, &pulse, rng, &caught_up, stop).await;
            });
        }
        household
    }

    fn pulse(&mut self) -> Pulse {
        let pulse = Pulse::new();
        self.pulses.push(pulse.clone());
        pulse
    }

    fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stop = self.stop.subscribe();
        // A sender that is gone is a stop too.
        async move { drop(stop.wait_for(|stop| *stop).await) }
    }

    /// Works until something disturbs it.
    async fn live(
        &mut self,
        config: &Config,
        surroundings: &mut Surroundings,
        reload: &impl Fn() -> Result<Config, config::Error>,
        stop: Stop<'_>,
    ) -> Next {
        let Surroundings { notify, hangups, .. } = surroundings;
        let watch =
            watch::watch(notify, &self.pulses, self.shared.standings.reader(), self.shared.board.reader());
        tokio::select! {
            () = stop => Next::Stop,
            ended = write_stdout(config, &self.shared.board) => {
                if let pipe::Ended::Failed(error) = ended {
                    tracing::error!(%error, "standard output cannot be written to; the daemon ends");
                }
                Next::Stop
            }
            new = reloaded(config, hangups, reload) => Next::Reload(new),
            () = watch => Next::Stop,
        }
    }

    /// Ends everything, within two seconds. What does not end by then is dropped; the broker publishes its last
    /// will then, and a login that is under way counts as interrupted.
    async fn end(mut self) {
        self.stop.send_replace(true);
        let ended = async {
            while self.tasks.join_next().await.is_some() {}
            // A login that is under way writes down its outcome before it lets go.
            drop(self.shared.supply.lock().await);
        };
        if timeout(FAREWELL, ended).await.is_err() {
            tracing::debug!("not everything ended in time");
        }
    }
}

/// What the pollers of `config` share.
pub fn shared(config: &Config, state: &StateDir, clock: &Clock, rng: Rng) -> Shared {
    let settings = supply::Settings {
        cloud: config.cloud.clone(),
        account: config.account.clone(),
        renew_short_tokens: config.renew_short_tokens,
        several_gateways: config.gateways.len() > 1,
    };
    Shared {
        state: state.clone(),
        clock: clock.clone(),
        zone: config.zone.clone(),
        supply: Arc::new(Mutex::new(Supply::new(state.clone(), clock.clone(), settings, rng))),
        board: Board::new(),
        standings: Standings::new(config.gateways.len()),
    }
}

async fn write_stdout(config: &Config, board: &Board) -> pipe::Ended {
    match &config.stdout {
        Some(stdout) => {
            pipe::run(&outputs::format(stdout, config), board.reader(), tokio::io::stdout()).await
        }
        None => std::future::pending().await,
    }
}

/// The next configuration that holds. One that does not is told, and the old one stays.
async fn reloaded(
    old: &Config,
    hangups: &mut mpsc::Receiver<()>,
    reload: &impl Fn() -> Result<Config, config::Error>,
) -> Box<Config> {
    loop {
        if hangups.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        match reload() {
            Ok(mut new) => {
                if new.state_dir != old.state_dir {
                    tracing::warn!("state_dir changes at a restart only; the old one stays");
                    new.state_dir.clone_from(&old.state_dir);
                }
                tracing::info!("the configuration was read again");
                return Box::new(new);
            }
            Err(error) => tracing::error!("{error}\nThe old configuration stays in use."),
        }
    }
}

/// Polls every gateway once, hands the readings to the outputs, and ends. `Ok(false)` when a gateway could not
/// be read.
pub async fn run_once(config: &Config, clock: &Clock, mut rng: Rng) -> Result<bool, Error> {
    let state = StateDir::open(&config.state_dir)?;
    let _lock = lock(&state)?;
    let shared = shared(config, &state, clock, rng.fork());
    let mut pollers = JoinSet::new();
    for (place, gateway) in config.gateways.iter().enumerate() {
        pollers.spawn(Poller::new(place, gateway.clone(), shared.clone(), Pulse::new()).run_once());
    }
    pollers.join_all().await;
    if let Some(stdout) = &config.stdout {
        let format = outputs::format(stdout, config);
        if let Err(error) = pipe::write_once(&format, shared.board.reader(), tokio::io::stdout()).await {
            tracing::error!(%error, "standard output cannot be written to");
        }
    }
    if let Some(settings) = &config.mqtt {
        let (options, content) =
            (outputs::broker(settings, "enphased-once"), outputs::content(settings, config));
        let caught_up = tokio::sync::watch::Sender::new(0);
        let (mut seen, newest) = (caught_up.subscribe(), shared.board.reader().borrow().written());
        let done = async move { drop(timeout(ONCE, seen.wait_for(|number| *number >= newest)).await) };
        broker::run(options, content, &shared.board, &Pulse::new(), rng, &caught_up, done).await;
    }
    let standings = shared.standings.reader();
    let standings = standings.borrow();
    Ok(standings.iter().all(|standing| matches!(standing, crate::standing::Standing::Read(_))))
}
