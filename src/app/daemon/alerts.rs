//! Connects the watcher for problems to the tasks of the daemon.

use fastrand::Rng;
use tokio::task::JoinSet;

use super::optional_task::OptionalTask;
use super::running_task::RunningTask;
use crate::app::alerts::{Inputs, Settings, Watcher};
use crate::app::config::Config;
use crate::app::poller::Shared;
use crate::base::heartbeat::Heartbeat;

/// Starts the watcher of `config`, unless it is running.
pub(super) fn start(
    task: &mut OptionalTask<Settings>,
    set: &mut JoinSet<()>,
    config: &Config,
    shared: &Shared,
    rng: &mut Rng,
) {
    if task.is_running() {
        return;
    }
    let Some(settings) = settings(config) else { return };
    let inputs = Inputs {
        state: shared.state.clone(),
        clock: shared.clock.clone(),
        zone: shared.zone.clone(),
        latest: shared.latest.clone(),
        statuses: shared.statuses.clone(),
        rng: rng.fork(),
    };
    // Boxed: otherwise the task stores it twice.
    let watcher = Box::new(Watcher::new(settings.clone(), inputs));
    let watch = |stop| async move {
        watcher.run(stop).await;
        None
    };
    task.set(RunningTask::start(set, settings, Heartbeat::new(), watch));
}

/// Returns the settings of the watcher, unless nobody wants to know of problems.
pub(super) fn settings(config: &Config) -> Option<Settings> {
    let is_wanted = config.alerts.is_some() || config.mqtt.is_some() || config.server.is_some();
    let delivery = config.alerts.clone();
    is_wanted.then_some(Settings { delivery, renew_short_tokens: config.renew_short_tokens })
}
