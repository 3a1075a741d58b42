//! Connects the history to the tasks of the daemon.

use jiff::SignedDuration;
use tokio::task::JoinSet;

use super::Inputs;
use super::optional_task::OptionalTask;
use super::running_task::RunningTask;
use crate::app::config::Config;
use crate::app::history::reader::HistoryReader;
use crate::app::history::recorder::{Recorder, Settings};
use crate::app::poller::Shared;
use crate::base::heartbeat::Heartbeat;
use crate::io::history::{self, HistoryFile};

/// Starts the recorder of `config`, unless it is running.
pub(super) fn start(
    task: &mut OptionalTask<Settings>,
    set: &mut JoinSet<()>,
    config: &Config,
    shared: &Shared,
    inputs: &Inputs,
) {
    if task.is_running() {
        return;
    }
    let Some(settings) = settings(config) else { return };
    let file = history::History::new(inputs.state.path(), inputs.history_disks.writes.clone());
    let recorder = Recorder::new(file, settings.clone(), shared.clock.clone(), shared.zone.clone());
    let latest = shared.latest.clone();
    let record = |stop| async move {
        recorder.run(latest, stop).await;
        None
    };
    task.set(RunningTask::start(set, settings, Heartbeat::new(), record));
}

/// Returns what the server reads the history with, if it is on.
pub(super) fn reader(config: &Config, inputs: &Inputs) -> Option<HistoryReader> {
    let file = HistoryFile::inside(inputs.state.path());
    config.history.as_ref().map(|_| HistoryReader { file, disk: inputs.history_disks.reads.clone() })
}

/// Returns the settings of the recorder, if the history is on.
pub(super) fn settings(config: &Config) -> Option<Settings> {
    let interval = SignedDuration::try_from(config.longest_interval()).unwrap_or(SignedDuration::ZERO);
    config.history.as_ref().map(|history| Settings { keep: history.keep, interval })
}
