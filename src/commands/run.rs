//! `enphased run`: the daemon.

use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::Context;
use super::failure::{Code, Failure};
use crate::config;
use crate::daemon::notify::Notify;
use crate::daemon::{self, Surroundings};

/// Runs until SIGTERM or SIGINT; at SIGHUP the configuration is read again from `path`.
pub async fn run(mut context: Context, path: Option<PathBuf>) -> Result<(), Failure> {
    let (tell, hangups) = mpsc::channel(1);
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            // One wish that waits is enough.
            tell.try_send(()).ok();
        }
    });
    let state = context.state()?;
    let Context { config, environment, clock, rng, .. } = context;
    let surroundings = Surroundings { state, clock, rng, notify: Notify::new(&environment), hangups };
    let reload = || config::load(path.as_deref(), &environment);
    daemon::run(config, surroundings, reload, stopped()?).await?;
    Ok(())
}

/// Polls every gateway once and ends.
pub async fn once(mut context: Context) -> Result<(), Failure> {
    let (state, rng) = (context.state()?, context.rng.fork());
    if daemon::run_once(&context.config, &state, &context.clock, rng).await? {
        Ok(())
    } else {
        Err(Failure::new(Code::TryLater, ""))
    }
}

/// SIGTERM or SIGINT.
pub(super) fn stopped() -> Result<impl Future<Output = ()> + Send, Failure> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
