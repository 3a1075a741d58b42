//! `enphased run`: runs the daemon.

use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use super::Context;
use super::failure::{Code, Failure};
use crate::app::config;
use crate::app::daemon::notify::Notify;
use crate::app::daemon::{self, Inputs};
use crate::app::history::disks::Disks;
use crate::app::token_provider::ending::Ending;
use crate::io::state_dir::Disk;

/// Runs until SIGTERM or SIGINT. SIGHUP reloads the configuration from `path`.
pub async fn run(mut context: Context, path: Option<PathBuf>) -> Result<(), Failure> {
    let (sender, hangups) = mpsc::channel(1);
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            // One pending reload is enough.
            sender.try_send(()).ok();
        }
    });
    let state = context.state()?.on(Disk::thread());
    let Context { config, environment, clock, rng, .. } = context;
    let (stop, more_stops) = stop_signals()?;
    let inputs = Inputs {
        state,
        clock,
        rng,
        notify: Notify::new(&environment),
        hangups,
        more_stops,
        listeners: None,
        history_disks: Disks::threads(),
    };
    let reload = || config::load(path.as_deref(), &environment);
    daemon::run(config, inputs, reload, stop).await?;
    Ok(())
}

/// Polls every gateway once.
pub async fn once(mut context: Context) -> Result<(), Failure> {
    let (state, rng, ending) = (context.state()?, context.rng.fork(), Ending::default());
    let polled = daemon::run_once(&context.config, &state, &context.clock, rng, &ending);
    if unless_stopped(Box::pin(polled), &ending).await?? {
        Ok(())
    } else {
        Err(Failure::new(Code::TryLater, ""))
    }
}

/// Runs `work`, which may log in, until it is done or a stop signal arrives. In the latter case, waits for a login
/// request that is in progress.
pub(super) async fn unless_stopped<T>(work: impl Future<Output = T>, ending: &Ending) -> Result<T, Failure> {
    let (stop, mut more_stops) = stop_signals()?;
    tokio::select! {
        done = work => Ok(done),
        () = stop => {
            ending.begin();
            daemon::last_requests(vec![ending.clone()], &mut more_stops).await;
            Err(Failure::new(Code::TryLater, "stopped by a signal"))
        }
    }
}

/// Returns a future that completes at the first SIGTERM or SIGINT, and a receiver of a message for each further one.
pub(super) fn stop_signals() -> Result<(impl Future<Output = ()> + Send, mpsc::Receiver<()>), Failure> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let ((send_first, first), (send_more, more)) = (oneshot::channel(), mpsc::channel(1));
    tokio::spawn(async move {
        let mut send_first = Some(send_first);
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            match send_first.take() {
                // An error means that the receiver has ended.
                Some(send) => send.send(()).unwrap_or_default(),
                None => send_more.try_send(()).unwrap_or_default(),
            }
        }
    });
    let first = async move { first.await.unwrap_or_default() };
    Ok((first, more))
}
