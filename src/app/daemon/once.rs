//! `run --once`: polls each gateway once and writes the readings to the outputs.

use std::io;
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::daemon_lock::DaemonLock;
use super::shared::shared;
use super::{Error, outputs};
use crate::app::config::Config;
use crate::app::poller::{Poller, Reader, Shared};
use crate::app::publisher::output::Output;
use crate::app::publisher::{self, broker, stdout};
use crate::app::status::Status;
use crate::app::token_provider::ending::Ending;
use crate::base::clock::Clock;
use crate::base::heartbeat::Heartbeat;
use crate::io::state_dir::StateDir;

/// The time limit for the broker, and for standard output.
const OUTPUT_TIMEOUT: Duration = Duration::from_secs(15);
const CLIENT_ID: &str = "enphased-once";

/// Polls every gateway once and writes the readings to the outputs. Returns `Ok(false)` if a gateway could not be read,
/// and an error if the readings could not be written.
///
/// `ending` lets the caller wait for a login that is in progress.
pub async fn run_once(
    config: &Config,
    state: &StateDir,
    clock: &Clock,
    mut rng: Rng,
    ending: &Ending,
) -> Result<bool, Error> {
    let state = &state.clone().reporting();
    let _lock = DaemonLock::acquire(state).await.ok_or_else(|| Error::Running(state.path().to_owned()))?;
    state.sweep().await;
    let shared = shared(config, state, clock, rng.fork(), ending);
    let mut pollers = JoinSet::new();
    for gateway in &config.gateways {
        let reader = Reader::new(gateway.clone(), shared.clone(), Heartbeat::new());
        pollers.spawn(Poller::new(shared.statuses.open(), reader, Instant::now()).run_once());
    }
    pollers.join_all().await;
    // Concurrently, because a reader of standard output that hangs must not delay the broker.
    let (written, ()) =
        tokio::join!(timeout(OUTPUT_TIMEOUT, write(config, &shared)), publish(config, &shared, rng));
    written.unwrap_or_else(|_late| Err(io::ErrorKind::TimedOut.into())).map_err(Error::Output)?;
    let statuses = shared.statuses.reader();
    let statuses = statuses.borrow();
    Ok(statuses.iter().all(|place| matches!(place.status, Status::Read(_))))
}

/// Writes the readings to standard output.
async fn write(config: &Config, shared: &Shared) -> io::Result<()> {
    let Some(stdout) = &config.stdout else { return Ok(()) };
    let format = outputs::format(stdout, config);
    stdout::write_once(&format, shared.latest.reader(), &mut Output::standard()?).await
}

/// Publishes the readings to the broker.
async fn publish(config: &Config, shared: &Shared, rng: Rng) {
    let Some(settings) = &config.mqtt else { return };
    let options = outputs::broker(settings, CLIENT_ID);
    // The program ends before a request could arrive.
    let content =
        publisher::Options { requests: None, ..outputs::content(settings, config, shared, CLIENT_ID) };
    let caught_up = watch::Sender::new(0);
    let (mut seen, newest) = (caught_up.subscribe(), shared.latest.reader().borrow().written());
    let done = async move { drop(timeout(OUTPUT_TIMEOUT, seen.wait_for(|number| *number >= newest)).await) };
    broker::run(options, content, &shared.latest, &Heartbeat::new(), rng, &caught_up, done).await;
}
