//! The daemon: a poller for each gateway, a publisher, and systemd kept informed.
//!
//! It ends when it is told to, or when whoever read its standard output is gone. A gateway, a cloud or a broker
//! that is not there is a state, not an end.

mod household;
mod last_requests;
pub mod notify;
mod once;
pub mod outputs;
mod reload;
mod running;
mod stdout;
mod surroundings;
mod watch;

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::pin;

use crate::app::config::{self, Config};
use crate::app::token_provider::ending::Ending;
use crate::io::state_dir::{self, Lock, StateDir};
use household::{Household, Lasting, Next, Stop};
use reload::Change;

pub use household::shared;
pub use last_requests::last_requests;
pub use once::run_once;
pub use running::refusal;
pub use surroundings::Surroundings;

/// Held as long as a daemon lives, so that a second one by mistake is seen.
const LOCK: &str = "daemon.lock";

/// Why a daemon could not begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The state directory does not serve.
    #[error(transparent)]
    State(#[from] state_dir::Error),
    /// There is one already.
    #[error("another enphased is running on {}; stop it first, or give this one a state_dir of its own", .0.display())]
    Running(PathBuf),
    /// `run --once` could not write its readings.
    #[error("standard output cannot be written to: {0}")]
    Output(io::Error),
}

/// Runs until `stop`. `reload` reads the configuration again.
pub async fn run(
    mut config: Config,
    mut surroundings: Surroundings,
    reload: impl Fn() -> Result<Config, config::Error>,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), Error> {
    let state = surroundings.state.clone().reporting();
    let _lock = lock(&state).await?;
    state.sweep().await;
    let client_id = format!("enphased-{:08x}", surroundings.rng.u32(..));
    let mut lasting = Lasting::default();
    let mut stop: Stop<'_> = pin!(stop);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let mut endings = Vec::new();
    let mut household = Household::start(&config, &state, &mut surroundings, &client_id);
    surroundings.notify.ready();
    loop {
        running::note(&state, &config).await;
        match household.live(&config, &mut surroundings, &mut lasting, &reload, stop.as_mut()).await {
            Next::Stop => break,
            Next::Reload(new, Change::Everything) => {
                endings.retain(Ending::has_request);
                endings.push(household.end().await);
                config = *new;
                household = Household::start(&config, &state, &mut surroundings, &client_id);
            }
            Next::Reload(new, _) => {
                household.reconfigure(&new, &mut surroundings, &client_id).await;
                config = *new;
            }
        }
    }
    surroundings.notify.stopping();
    endings.push(household.end().await);
    last_requests(endings, &mut surroundings.again).await;
    surroundings.notify.try_again(false);
    Ok(())
}

/// Where nothing can be written there is no lock either: polling goes on without, as it can do no harm there.
async fn lock(state: &StateDir) -> Result<Option<Lock>, Error> {
    match state.try_lock(LOCK).await {
        Ok(Some(lock)) => Ok(Some(lock)),
        Ok(None) => Err(Error::Running(state.path().to_owned())),
        Err(error) => {
            // The state directory reports its own troubles.
            tracing::debug!("{error}; there is no lock");
            Ok(None)
        }
    }
}
