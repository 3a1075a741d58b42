//! Connects the publisher to the tasks of the daemon.

use std::time::Duration;

use fastrand::Rng;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::optional_task::OptionalTask;
use super::outputs;
use super::running_task::RunningTask;
use crate::app::config::{Config, Mqtt};
use crate::app::poller::Shared;
use crate::app::publisher::broker;
use crate::base::heartbeat::Heartbeat;

/// The settings that the publisher depends on.
#[derive(PartialEq)]
pub(super) struct Settings {
    mqtt: Mqtt,
    /// Determines how long Home Assistant considers a value valid.
    longest_interval: Duration,
    /// Determines the names of gateways without a configured one.
    several: bool,
    /// The page that devices in Home Assistant link to.
    page: Option<String>,
}

/// Returns the settings of the publisher, if a broker is configured.
pub(super) fn settings(config: &Config) -> Option<Settings> {
    let mqtt = config.mqtt.clone()?;
    Some(Settings {
        mqtt,
        longest_interval: config.longest_interval(),
        several: config.gateways.len() > 1,
        page: config.server.as_ref().and_then(outputs::page),
    })
}

/// Starts the publisher of `config`, unless it is running. `client_id` is unique at the broker.
pub(super) fn start(
    task: &mut OptionalTask<Settings>,
    set: &mut JoinSet<()>,
    config: &Config,
    shared: &Shared,
    client_id: &str,
    rng: &mut Rng,
) {
    if task.is_running() {
        return;
    }
    let Some(settings) = settings(config) else { return };
    let options = outputs::broker(&settings.mqtt, client_id);
    let content = outputs::content(&settings.mqtt, config, shared, client_id);
    let (latest, heartbeat, rng) = (shared.latest.clone(), Heartbeat::new(), rng.fork());
    let beats = heartbeat.clone();
    let publish = move |stop| async move {
        let caught_up = watch::Sender::new(0);
        broker::run(options, content, &latest, &beats, rng, &caught_up, stop).await;
        None
    };
    task.set(RunningTask::start(set, settings, heartbeat, publish));
}
