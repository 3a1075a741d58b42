//! Connects the history to the tasks of the daemon.

use jiff::SignedDuration;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Inputs;
use super::running_task::RunningTask;
use crate::app::config::Config;
use crate::app::history::reader::HistoryReader;
use crate::app::history::recorder::{Recorder, Settings};
use crate::app::poller::Shared;
use crate::base::heartbeat::Heartbeat;
use crate::io::history::{self, HistoryFile};

/// The running recorder, if the history is on.
#[derive(Default)]
pub(super) struct History(Option<RunningTask<Settings>>);

impl History {
    /// Starts the recorder of `config`, unless it is running.
    pub(super) fn start(&mut self, set: &mut JoinSet<()>, config: &Config, shared: &Shared, inputs: &Inputs) {
        let Some(settings) = settings(config).filter(|_| self.0.is_none()) else { return };
        let file = history::History::new(inputs.state.path(), inputs.history_disks.writes.clone());
        let recorder = Recorder::new(file, settings.clone(), shared.clock.clone(), shared.zone.clone());
        let latest = shared.latest.clone();
        let record = |stop| async move {
            recorder.run(latest, stop).await;
            None
        };
        self.0 = Some(RunningTask::start(set, settings, Heartbeat::new(), record));
    }

    /// Stops the recorder if `config` has other settings.
    pub(super) async fn stop_unless(&mut self, config: &Config) {
        if let Some(running) = self.0.take_if(|running| settings(config).as_ref() != Some(&running.settings))
        {
            running.stop().await;
        }
    }

    /// Returns what stops the recorder.
    pub(super) fn stop_signal(&self) -> Option<&watch::Sender<bool>> {
        self.0.as_ref().map(|running| &running.stop)
    }
}

/// Returns what the server reads the history with, if it is on.
pub(super) fn reader(config: &Config, inputs: &Inputs) -> Option<HistoryReader> {
    let file = HistoryFile::inside(inputs.state.path());
    config.history.as_ref().map(|_| HistoryReader { file, disk: inputs.history_disks.reads.clone() })
}

fn settings(config: &Config) -> Option<Settings> {
    let interval = config.gateways.iter().map(|gateway| gateway.interval).max().unwrap_or_default();
    let interval = SignedDuration::try_from(interval).unwrap_or(SignedDuration::ZERO);
    config.history.as_ref().map(|history| Settings { keep: history.keep, interval })
}
