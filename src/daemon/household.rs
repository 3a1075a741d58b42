//! Everything that works by one configuration: a poller for each gateway, a publisher, standard output.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::stdout::Stdout;
use super::{Surroundings, outputs, watch as watching};
use crate::board::Board;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::poller::{Poller, Shared};
use crate::publisher::broker;
use crate::pulse::Pulse;
use crate::standing::Standings;
use crate::state::StateDir;
use crate::supply::{self, Supply};
use crate::wishes::Wishes;

/// How long everything together may take to end.
const FAREWELL: Duration = Duration::from_millis(1800);

/// Between the ticks of one gateway and the next, so that many do not all shake hands in the same moment and are
/// not read in the same moment ever after.
const APART: Duration = Duration::from_millis(20);

/// How a daemon goes on after it was disturbed.
pub(super) enum Next {
    Stop,
    Reload(Box<Config>),
}

pub(super) type Stop<'a> = Pin<&'a mut (dyn Future<Output = ()> + Send)>;

/// Everything that works by one configuration.
pub(super) struct Household {
    shared: Shared,
    pulses: Vec<Pulse>,
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
    /// The newest write of the board that is on standard output.
    shown: u64,
}

impl Household {
    pub(super) fn start(
        config: &Config,
        state: &StateDir,
        surroundings: &mut Surroundings,
        client_id: &str,
    ) -> Self {
        let shared = shared(config, state, &surroundings.clock, surroundings.rng.fork());
        let mut household = Self {
            shared,
            pulses: Vec::new(),
            tasks: JoinSet::new(),
            stop: watch::Sender::new(false),
            shown: 0,
        };
        let mut start = Instant::now();
        for (place, gateway) in config.gateways.iter().enumerate() {
            let pulse = household.pulse();
            let poller = Poller::new(place, gateway.clone(), household.shared.clone(), pulse);
            let stop = household.stopped();
            household.tasks.spawn(Box::new(poller).run(start, stop));
            start += APART;
        }
        if let Some(settings) = &config.mqtt {
            let options = outputs::broker(settings, client_id);
            let content = outputs::content(settings, config, &household.shared, client_id);
            let (board, pulse) = (household.shared.board.clone(), household.pulse());
            let (rng, stop) = (surroundings.rng.fork(), household.stopped());
            household.tasks.spawn(async move {
                let caught_up = watch::Sender::new(0);
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
    pub(super) async fn live(
        &mut self,
        config: &Config,
        surroundings: &mut Surroundings,
        stdout: &mut Stdout,
        reload: &impl Fn() -> Result<Config, config::Error>,
        stop: Stop<'_>,
    ) -> Next {
        let Surroundings { notify, hangups, .. } = surroundings;
        let watch =
            watching::watch(notify, &self.pulses, self.shared.standings.reader(), self.shared.board.reader());
        tokio::select! {
            () = stop => Next::Stop,
            () = stdout.write(config, &self.shared.board, &mut self.shown) => Next::Stop,
            new = reloaded(config, hangups, reload) => Next::Reload(new),
            () = watch => Next::Stop,
        }
    }

    /// Ends everything, within two seconds. What does not end by then is dropped; the broker publishes its last
    /// will then, and a login that is under way counts as interrupted.
    pub(super) async fn end(mut self) {
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
        wishes: Wishes::new(),
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
            Err(error) => {
                tracing::error!("{error}; the old one stays in use");
                for problem in error.problems() {
                    tracing::error!("{problem}");
                }
            }
        }
    }
}
