//! `enphased run`: the daemon.

use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use super::Context;
use super::failure::{Code, Failure};
use crate::app::config;
use crate::app::daemon::notify::Notify;
use crate::app::daemon::{self, Surroundings};
use crate::app::token_provider::ending::Ending;
use crate::io::state_dir::Disk;

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
    let state = context.state()?.on(Disk::thread());
    let Context { config, environment, clock, rng, .. } = context;
    let (stop, again) = stops()?;
    let surroundings = Surroundings { state, clock, rng, notify: Notify::new(&environment), hangups, again };
    let reload = || config::load(path.as_deref(), &environment);
    daemon::run(config, surroundings, reload, stop).await?;
    Ok(())
}

/// Polls every gateway once and ends.
pub async fn once(mut context: Context) -> Result<(), Failure> {
    let (state, rng, ending) = (context.state()?, context.rng.fork(), Ending::default());
    let polled = daemon::run_once(&context.config, &state, &context.clock, rng, &ending);
    if unless_stopped(Box::pin(polled), &ending).await?? {
        Ok(())
    } else {
        Err(Failure::new(Code::TryLater, ""))
    }
}

/// Does `work`, which may log in, until a signal to stop; then waits for the request that is under way.
pub(super) async fn unless_stopped<T>(work: impl Future<Output = T>, ending: &Ending) -> Result<T, Failure> {
    let (stop, mut again) = stops()?;
    tokio::select! {
        done = work => Ok(done),
        () = stop => {
            ending.begin();
            daemon::last_requests(vec![ending.clone()], &mut again).await;
            Err(Failure::new(Code::TryLater, "stopped by a signal"))
        }
    }
}

/// The first SIGTERM or SIGINT, and a message for each further one.
pub(super) fn stops() -> Result<(impl Future<Output = ()> + Send, mpsc::Receiver<()>), Failure> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let ((tell_first, first), (tell_again, again)) = (oneshot::channel(), mpsc::channel(1));
    tokio::spawn(async move {
        let mut tell_first = Some(tell_first);
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            match tell_first.take() {
                // Whoever does not listen has ended.
                Some(tell) => tell.send(()).unwrap_or_default(),
                None => tell_again.try_send(()).unwrap_or_default(),
            }
        }
    });
    let first = async move { first.await.unwrap_or_default() };
    Ok((first, again))
}
