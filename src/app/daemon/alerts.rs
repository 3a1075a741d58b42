//! Connects the watcher for problems to the tasks of the daemon.

use fastrand::Rng;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::running_task::RunningTask;
use crate::app::alerts::{Inputs, Settings, Watcher};
use crate::app::config::Config;
use crate::app::poller::Shared;
use crate::base::heartbeat::Heartbeat;

/// The running watcher, if anybody wants to know of problems.
#[derive(Default)]
pub(super) struct Alerts(Option<RunningTask<Settings>>);

impl Alerts {
    /// Starts the watcher of `config`, unless it is running.
    pub(super) fn start(&mut self, set: &mut JoinSet<()>, config: &Config, shared: &Shared, rng: &mut Rng) {
        let Some(settings) = settings(config).filter(|_| self.0.is_none()) else { return };
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
        self.0 = Some(RunningTask::start(set, settings, Heartbeat::new(), watch));
    }

    /// Stops the watcher if `config` has other settings.
    pub(super) async fn stop_unless(&mut self, config: &Config) {
        if let Some(running) = self.0.take_if(|running| settings(config).as_ref() != Some(&running.settings))
        {
            running.stop().await;
        }
    }

    /// Returns what stops the watcher.
    pub(super) fn stop_signal(&self) -> Option<&watch::Sender<bool>> {
        self.0.as_ref().map(|running| &running.stop)
    }
}

/// Returns the settings, unless nobody wants to know of problems.
fn settings(config: &Config) -> Option<Settings> {
    let is_wanted = config.alerts.is_some() || config.mqtt.is_some() || config.server.is_some();
    let delivery = config.alerts.clone();
    is_wanted.then_some(Settings { delivery, renew_short_tokens: config.renew_short_tokens })
}
