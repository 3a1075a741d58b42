//! `run --once`: one poll of each gateway, handed to the outputs.

use std::time::Duration;

use fastrand::Rng;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::household::shared;
use super::{Error, lock, outputs};
use crate::clock::Clock;
use crate::config::Config;
use crate::poller::Poller;
use crate::publisher::{self, broker, pipe};
use crate::pulse::Pulse;
use crate::standing::Standing;
use crate::state::StateDir;

/// How long the broker is waited for.
const ONCE: Duration = Duration::from_secs(15);
const CLIENT_ID: &str = "enphased-once";

/// Polls every gateway once, hands the readings to the outputs, and ends. `Ok(false)` when a gateway could not
/// be read.
pub async fn run_once(config: &Config, state: &StateDir, clock: &Clock, mut rng: Rng) -> Result<bool, Error> {
    let _lock = lock(state)?;
    state.sweep();
    let shared = shared(config, state, clock, rng.fork());
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
        let options = outputs::broker(settings, CLIENT_ID);
        // It ends before anything could be asked of it.
        let content =
            publisher::Options { wishes: None, ..outputs::content(settings, config, &shared, CLIENT_ID) };
        let caught_up = watch::Sender::new(0);
        let (mut seen, newest) = (caught_up.subscribe(), shared.board.reader().borrow().written());
        let done = async move { drop(timeout(ONCE, seen.wait_for(|number| *number >= newest)).await) };
        broker::run(options, content, &shared.board, &Pulse::new(), rng, &caught_up, done).await;
    }
    let standings = shared.standings.reader();
    let standings = standings.borrow();
    Ok(standings.iter().all(|standing| matches!(standing, Standing::Read(_))))
}
