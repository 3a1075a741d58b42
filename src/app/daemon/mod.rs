//! The daemon: a poller for each gateway, a publisher, standard output, and notifications to systemd.
//!
//! The daemon ends at a stop signal, or when the reader of its only output has gone. It keeps running while a gateway, the cloud
//! or a broker is unreachable.

mod alerts;
mod daemon_lock;
mod history;
mod inputs;
mod last_requests;
pub mod notify;
mod once;
mod optional_task;
pub mod outputs;
mod pollers;
mod publisher;
mod reload;
mod running;
mod running_task;
mod server;
mod shared;
mod stdout;
mod systemd;
mod tasks;

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::pin;

use crate::app::config::{self, Config};
use crate::io::state_dir;
use daemon_lock::DaemonLock;
use tasks::{AcrossReloads, Next, Stop, Tasks};

pub use inputs::Inputs;
pub use last_requests::last_requests;
pub use once::run_once;
pub use running::refusal;
pub use shared::shared;

/// The reason that a daemon could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] state_dir::Error),
    /// Another daemon uses the state directory.
    #[error("another enphased is using {}; stop it, or set a different state_dir", .0.display())]
    Running(PathBuf),
    /// The server or a proxy cannot listen.
    #[error(transparent)]
    Server(#[from] crate::app::listeners::Error),
    /// `run --once` could not write its readings.
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
}

/// Runs the daemon until `stop`. `reload` loads the configuration again.
pub async fn run(
    mut config: Config,
    mut inputs: Inputs,
    reload: impl Fn() -> Result<Config, config::Error>,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), Error> {
    let state = inputs.state.clone().reporting();
    let mut lock =
        DaemonLock::acquire(&state).await.ok_or_else(|| Error::Running(state.path().to_owned()))?;
    state.sweep().await;
    let client_id = format!("enphased-{:08x}", inputs.rng.u32(..));
    let mut kept = AcrossReloads::default();
    let mut stop: Stop<'_> = pin!(stop);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let listeners = match inputs.listeners.take() {
        Some(open) => Some(open),
        None => server::open(&config, &state).await?,
    };
    let mut endings = Vec::new();
    let mut tasks = Tasks::start(&config, &state, &mut inputs, client_id);
    tasks.serve(listeners, &config, &mut inputs).await;
    inputs.notify.ready();
    loop {
        running::record(&state, &config).await;
        let run = tasks.run(&config, &mut inputs, &mut kept, &reload, stop.as_mut());
        let next = lock.during(run).await;
        let Next::Reload(new, change) = next else { break };
        if tasks.switch((&config, &new), change, &state, &mut inputs, &mut endings).await {
            config = *new;
        }
    }
    inputs.notify.stopping();
    endings.push(tasks.stop().await);
    last_requests(endings, &mut inputs.more_stops).await;
    inputs.notify.retry_now(false);
    Ok(())
}
