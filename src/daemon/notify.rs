//! What systemd is told: READY, STATUS, WATCHDOG, STOPPING. Without systemd nothing is told to nobody.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::mpsc;

/// Who is told about the daemon's state.
#[derive(Clone, Debug)]
pub enum Notify {
    /// systemd, if it started us with `Type=notify`.
    Systemd,
    /// A test, which reads what systemd would.
    Channel(mpsc::UnboundedSender<String>, Option<Duration>),
}

impl Notify {
    /// How often systemd wants to hear that all is well, if it watches.
    pub fn watchdog(&self) -> Option<Duration> {
        match self {
            Self::Systemd => sd_notify::watchdog_enabled(),
            Self::Channel(_, watchdog) => *watchdog,
        }
    }

    /// The daemon is set up, whether or not the gateway answers yet.
    pub fn ready(&self) {
        self.tell(&NotifyState::Ready);
    }

    /// It is about to end.
    pub fn stopping(&self) {
        self.tell(&NotifyState::Stopping);
    }

    /// Its loops turn.
    pub fn alive(&self) {
        self.tell(&NotifyState::Watchdog);
    }

    /// One line for `systemctl status`.
    pub fn status(&self, line: &str) {
        self.tell(&NotifyState::Status(line));
    }

    fn tell(&self, state: &NotifyState<'_>) {
        match self {
            Self::Systemd => {
                if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
                    tracing::debug!(%error, "systemd could not be told");
                }
            }
            // A test that has stopped listening is not an error.
            Self::Channel(channel, _) => drop(channel.send(state.to_string())),
        }
    }
}
