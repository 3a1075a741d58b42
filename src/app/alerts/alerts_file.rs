//! The file `alerts.json`: which problems exist and which of them were announced, so that a restart announces nothing
//! again. It is written rarely, to spare the SD card: after announcements, within a rate limit, and otherwise twice a day.

use std::time::Duration;

use tokio::time::Instant;

use crate::base::rate_limit::RateLimit;
use crate::io::state_dir::{Saver, StateDir, Stored as OnDisk};
use crate::rules::alerts::{Alerts, Now, Stored};

const NAME: &str = "alerts.json";
/// The number of writes after announcements at once, and the time between further ones.
const BURST: u32 = 6;
const GAP: Duration = Duration::from_secs(3600);
/// The time between two writes without an announcement.
const RARELY: Duration = Duration::from_secs(12 * 3600);
/// The delay before a failed write is retried.
const AGAIN: Duration = Duration::from_secs(60);
/// The time limit for the last write when the program ends.
const LAST: Duration = Duration::from_millis(1500);
/// The time after which a file that cannot be read counts as lost: then alerts are more important.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// A change that is not on disk yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    Nothing,
    /// It may be lost in a crash.
    Small,
    /// An announcement.
    Announcement,
}

/// The file with the state of the alerts.
#[derive(Debug)]
pub(super) struct AlertsFile {
    state: StateDir,
    saver: Saver,
    limit: RateLimit,
    change: Change,
    /// The time of the last write, or of the start.
    last: Instant,
    /// The last write failed.
    failed: bool,
    /// The number of times that the directory under the path had been replaced at the last write.
    directory: u64,
}

impl AlertsFile {
    pub(super) fn new(state: StateDir, now: Instant) -> Self {
        Self {
            directory: state.replaced(),
            state,
            saver: Saver::new(NAME.to_owned()),
            limit: RateLimit::new(BURST, GAP, now),
            change: Change::Nothing,
            last: now,
            failed: false,
        }
    }

    /// Reads the file. Returns `None` if it cannot be read now.
    pub(super) async fn load(&self, now: Now) -> Option<Alerts> {
        match self.state.read::<Stored>(NAME).await {
            Ok(OnDisk::Found(stored)) => Some(Alerts::resume(stored, now)),
            Ok(OnDisk::Absent) => Some(Alerts::default()),
            Ok(OnDisk::Damaged(aside)) => {
                tracing::warn!(
                    file = %aside.display(),
                    "the record of alerts was damaged and is set aside; problems that exist now are announced only if they \
                     last for another day"
                );
                Some(Alerts::after_loss(now))
            }
            Err(error) if now.run >= PATIENCE => {
                // The state directory logs the error.
                tracing::debug!("{error}; watching for problems without the record of alerts");
                Some(Alerts::after_loss(now))
            }
            Err(_) => None,
        }
    }

    /// Records a change that is not on disk yet.
    pub(super) fn changed(&mut self, is_announcement: bool) {
        let change = if is_announcement { Change::Announcement } else { Change::Small };
        self.change = self.change.max(change);
    }

    /// Starts writing the file if that is due.
    pub(super) fn save_when_due(&mut self, now: Instant, stored: impl FnOnce() -> Stored) {
        self.check_outcome();
        let passed = now.saturating_duration_since(self.last);
        let is_due = match self.change {
            _ if self.failed => passed >= AGAIN,
            // The data are only in memory.
            _ if self.directory != self.state.replaced() => true,
            Change::Nothing => false,
            Change::Small => passed >= RARELY,
            Change::Announcement => self.limit.take(now),
        };
        if is_due {
            self.last = now;
            self.write(&stored());
        }
    }

    fn write(&mut self, stored: &Stored) {
        self.directory = self.state.replaced();
        self.change = Change::Nothing;
        self.saver.save(&self.state, stored);
        self.check_outcome();
    }

    /// Writes the last changes, within a time limit.
    pub(super) async fn finish(&mut self, stored: impl FnOnce() -> Stored) {
        if self.change != Change::Nothing || self.failed {
            self.write(&stored());
        }
        if !self.saver.finish(LAST).await {
            tracing::debug!("the disk does not respond; the record of alerts was not saved");
        }
    }

    fn check_outcome(&mut self) {
        if let Some(outcome) = self.saver.outcome() {
            self.failed = outcome.is_err();
        }
    }
}
