//! Notifications to the service manager: READY, STATUS, WATCHDOG, STOPPING. Does nothing when not running under systemd.
//!
//! A manager that does not read its socket must not delay the daemon, so sending never waits. Messages that do not fit in
//! the socket are kept, the newest of each kind, and sent later.

use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::app::config::environment::Environment;
use crate::base::printable::one_line;

/// The delay before a message that did not fit in the socket is sent again.
const RETRY: Duration = Duration::from_secs(1);
/// The maximum number of characters in a status. systemd reads 4096 bytes of a message.
const LONGEST: usize = 500;

/// The receiver of notifications.
#[derive(Debug)]
pub enum Notify {
    /// No receiver.
    Disabled,
    /// systemd, which started the daemon with `Type=notify`.
    Systemd(Systemd),
    /// A channel, for tests.
    Channel(mpsc::UnboundedSender<String>, Option<Duration>),
}

/// The socket of the service manager, and the notifications that are not sent yet.
#[derive(Debug)]
pub struct Systemd {
    /// A path, or `@` followed by an abstract name.
    socket: String,
    watchdog: Option<Duration>,
    waiting: Waiting,
    /// The time of the next attempt to send; `None` if nothing waits.
    retry: Option<Instant>,
}

/// The notifications that are not sent yet, at most one of each kind.
#[derive(Debug, Default)]
struct Waiting {
    ready: bool,
    stopping: bool,
    alive: bool,
    status: Option<String>,
}

impl Waiting {
    /// Combines the notifications into one message; returns `None` if there are none.
    fn message(&self) -> Option<String> {
        let status = self.status.as_ref().map(|line| format!("STATUS={line}"));
        let word = |wanted: bool, word: &str| wanted.then(|| word.to_owned());
        let words = [word(self.ready, "READY=1"), word(self.stopping, "STOPPING=1"), status];
        let all = words.into_iter().chain([word(self.alive, "WATCHDOG=1")]).flatten();
        let message = all.collect::<Vec<_>>().join("\n");
        if message.is_empty() { None } else { Some(message) }
    }
}

impl Notify {
    /// Returns the receiver that `environment` names.
    pub fn new(environment: &Environment) -> Self {
        environment.notify_socket.clone().map_or(Self::Disabled, |socket| {
            Self::Systemd(Systemd {
                socket,
                watchdog: environment.watchdog,
                waiting: Waiting::default(),
                retry: None,
            })
        })
    }

    /// Returns the watchdog timeout of systemd, if its watchdog is enabled.
    pub const fn watchdog(&self) -> Option<Duration> {
        match self {
            Self::Disabled => None,
            Self::Systemd(systemd) => systemd.watchdog,
            Self::Channel(_, watchdog) => *watchdog,
        }
    }

    /// Reports that the daemon has started. The gateway may still be unreachable.
    pub fn ready(&mut self) {
        self.send(Waiting { ready: true, ..Waiting::default() });
    }

    /// Reports that the daemon is stopping.
    pub(super) fn stopping(&mut self) {
        self.send(Waiting { stopping: true, ..Waiting::default() });
    }

    /// Sends the watchdog ping.
    pub fn alive(&mut self) {
        self.send(Waiting { alive: true, ..Waiting::default() });
    }

    /// Sets the line for `systemctl status`. Made printable, because a line break would start another notification.
    pub fn status(&mut self, line: &str) {
        let line = one_line(line, LONGEST).into_owned();
        self.send(Waiting { status: Some(line), ..Waiting::default() });
    }

    /// Returns the time at which to call `retry_now`; `None` if nothing waits.
    pub const fn retry(&self) -> Option<Instant> {
        match self {
            Self::Systemd(systemd) => systemd.retry,
            Self::Disabled | Self::Channel(..) => None,
        }
    }

    /// Sends the waiting notifications, including a watchdog ping only if the daemon is still `alive`.
    pub(super) fn retry_now(&mut self, alive: bool) {
        if let Self::Systemd(systemd) = self {
            systemd.waiting.alive &= alive;
            systemd.send();
        }
    }

    fn send(&mut self, news: Waiting) {
        match self {
            Self::Disabled => {}
            Self::Systemd(systemd) => systemd.add(news),
            Self::Channel(channel, _) => {
                let message = news.message().unwrap_or_default();
                // The test may have dropped the receiver.
                channel.send(message).unwrap_or_default();
            }
        }
    }
}

impl Systemd {
    fn add(&mut self, news: Waiting) {
        let waiting = &mut self.waiting;
        waiting.ready |= news.ready;
        waiting.stopping |= news.stopping;
        waiting.alive |= news.alive;
        waiting.status = news.status.or(waiting.status.take());
        self.send();
    }

    fn send(&mut self) {
        self.retry = None;
        let Some(message) = self.waiting.message() else { return };
        match send(&self.socket, &message) {
            Ok(()) => self.waiting = Waiting::default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.retry = Some(Instant::now() + RETRY);
            }
            // The next notification sends it again.
            Err(error) => tracing::debug!(%error, "cannot notify systemd"),
        }
    }
}

/// Sends without waiting. Opens a new socket each time, as systemd's own library does, because the manager may have
/// created its socket again.
fn send(socket: &str, message: &str) -> io::Result<()> {
    let ours = UnixDatagram::unbound()?;
    ours.set_nonblocking(true)?;
    ours.connect_addr(&address(socket)?)?;
    ours.send(message.as_bytes())?;
    Ok(())
}

#[cfg(target_os = "linux")]
fn address(socket: &str) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt;
    socket.strip_prefix('@').map_or_else(|| SocketAddr::from_pathname(socket), SocketAddr::from_abstract_name)
}

#[cfg(not(target_os = "linux"))]
fn address(socket: &str) -> io::Result<SocketAddr> {
    SocketAddr::from_pathname(socket)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn notify(socket: &Path) -> Notify {
        let notify_socket = socket.to_str().map(str::to_owned);
        Notify::new(&Environment { notify_socket, ..Environment::default() })
    }

    fn next(socket: &UnixDatagram) -> Option<String> {
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8(buffer[..length].to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_full_socket_delays_nothing_and_gets_the_newest_messages_later() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut notify = notify(&path);
        let mut sent = 0_u32;
        while notify.retry().is_none() {
            notify.status(&sent.to_string());
            sent += 1;
        }
        notify.ready();
        notify.alive();
        notify.status("newest");
        assert!(notify.retry().is_some());
        let taken = std::iter::from_fn(|| next(&socket)).count();
        assert_eq!(taken, usize::try_from(sent).unwrap() - 1, "the last one did not fit");
        notify.retry_now(true);
        assert_eq!(next(&socket).unwrap(), "READY=1\nSTATUS=newest\nWATCHDOG=1");
        assert_eq!(notify.retry(), None);
        notify.stopping();
        assert_eq!(next(&socket).unwrap(), "STOPPING=1");
    }

    #[tokio::test]
    async fn a_task_that_hangs_meanwhile_is_not_reported_alive() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let mut notify = notify(&path);
        notify.alive();
        notify.status("reading");
        let socket = UnixDatagram::bind(&path).unwrap();
        notify.retry_now(false);
        assert_eq!(next(&socket).unwrap(), "STATUS=reading");
    }

    #[test]
    fn a_status_is_one_line_and_cannot_contain_another_message() {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        Notify::Channel(sender, None).status("firmware 8\nMAINPID=1\u{202e}");
        assert_eq!(receiver.try_recv().unwrap(), "STATUS=firmware 8\\nMAINPID=1\\u{202e}");
    }

    #[test]
    fn an_abstract_socket_has_no_path() {
        assert_eq!(address("@/org/x").unwrap().as_pathname(), None);
        assert_eq!(address("/run/x").unwrap().as_pathname(), Some(Path::new("/run/x")));
    }
}
