//! The service manager's view of the daemon: READY, STATUS, WATCHDOG, STOPPING. Does nothing when not running under
//! systemd.
//!
//! A manager that does not read its socket must not stop the daemon, so nothing here waits. What the socket has no room
//! for is kept, the newest of each kind, and sent later.

use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::app::config::environment::Environment;
use crate::base::printable::one_line;

/// When a message is tried again for which there was no room.
const RETRY: Duration = Duration::from_secs(1);
/// The most characters of a status; systemd reads 4096 bytes of a message.
const LONGEST: usize = 500;

/// Who is told about the daemon's state.
#[derive(Debug)]
pub enum Notify {
    /// Nobody.
    Nobody,
    /// systemd, which started us with `Type=notify`.
    Systemd(Systemd),
    /// A test, which reads what systemd would.
    Channel(mpsc::UnboundedSender<String>, Option<Duration>),
}

/// The socket of the service manager, and what it has not taken yet.
#[derive(Debug)]
pub struct Systemd {
    /// A path, or `@` and an abstract name.
    socket: String,
    watchdog: Option<Duration>,
    waiting: Waiting,
    /// When to try again; `None` while nothing is held up.
    retry: Option<Instant>,
}

/// What is to be told, each kind once.
#[derive(Debug, Default)]
struct Waiting {
    ready: bool,
    stopping: bool,
    alive: bool,
    status: Option<String>,
}

impl Waiting {
    /// Everything in one message; `None` when there is nothing to tell.
    fn message(&self) -> Option<String> {
        let status = self.status.as_ref().map(|line| format!("STATUS={line}"));
        let word = |wanted: bool, word: &str| wanted.then(|| word.to_owned());
        let words = [word(self.ready, "READY=1"), word(self.stopping, "STOPPING=1"), status];
        let all = words.into_iter().chain([word(self.alive, "WATCHDOG=1")]).flatten();
        Some(all.collect::<Vec<_>>().join("\n")).filter(|message| !message.is_empty())
    }
}

impl Notify {
    /// The manager that `environment` names, if any.
    pub fn new(environment: &Environment) -> Self {
        environment.notify_socket.clone().map_or(Self::Nobody, |socket| {
            Self::Systemd(Systemd {
                socket,
                watchdog: environment.watchdog,
                waiting: Waiting::default(),
                retry: None,
            })
        })
    }

    /// How often systemd wants to hear that all is well, if it watches.
    pub const fn watchdog(&self) -> Option<Duration> {
        match self {
            Self::Nobody => None,
            Self::Systemd(systemd) => systemd.watchdog,
            Self::Channel(_, watchdog) => *watchdog,
        }
    }

    /// The daemon is set up, whether or not the gateway answers yet.
    pub fn ready(&mut self) {
        self.tell(Waiting { ready: true, ..Waiting::default() });
    }

    /// It is about to end.
    pub fn stopping(&mut self) {
        self.tell(Waiting { stopping: true, ..Waiting::default() });
    }

    /// Its loops turn.
    pub fn alive(&mut self) {
        self.tell(Waiting { alive: true, ..Waiting::default() });
    }

    /// One line for `systemctl status`. Made printable: a line break in it would begin another message.
    pub fn status(&mut self, line: &str) {
        let line = one_line(line, LONGEST).into_owned();
        self.tell(Waiting { status: Some(line), ..Waiting::default() });
    }

    /// When [`Self::try_again`] is due; `None` while nothing is held up.
    pub const fn retry(&self) -> Option<Instant> {
        match self {
            Self::Systemd(systemd) => systemd.retry,
            Self::Nobody | Self::Channel(..) => None,
        }
    }

    /// Tries to send what is held up. That the loops turn is sent only if it is still so.
    pub fn try_again(&mut self, alive: bool) {
        if let Self::Systemd(systemd) = self {
            systemd.waiting.alive &= alive;
            systemd.send();
        }
    }

    fn tell(&mut self, news: Waiting) {
        match self {
            Self::Nobody => {}
            Self::Systemd(systemd) => systemd.add(news),
            Self::Channel(channel, _) => {
                let message = news.message().unwrap_or_default();
                // A test that has stopped listening is not an error.
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
            // With the next message it is tried again.
            Err(error) => tracing::debug!(%error, "systemd could not be told"),
        }
    }
}

/// Sends without waiting. Each time by a new socket, as systemd's own library does: the manager may have made its
/// socket anew.
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
    async fn a_socket_that_nobody_reads_holds_nothing_up_and_gets_the_newest_when_it_is_read() {
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
        assert_eq!(taken, usize::try_from(sent).unwrap() - 1, "the last one found no room");
        notify.try_again(true);
        assert_eq!(next(&socket).unwrap(), "READY=1\nSTATUS=newest\nWATCHDOG=1");
        assert_eq!(notify.retry(), None);
        notify.stopping();
        assert_eq!(next(&socket).unwrap(), "STOPPING=1");
    }

    #[tokio::test]
    async fn a_loop_that_hangs_meanwhile_is_not_reported_alive() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let mut notify = notify(&path);
        notify.alive();
        notify.status("reading");
        let socket = UnixDatagram::bind(&path).unwrap();
        notify.try_again(false);
        assert_eq!(next(&socket).unwrap(), "STATUS=reading");
    }

    #[test]
    fn a_status_is_one_line_and_no_other_message() {
        let (tell, mut told) = mpsc::unbounded_channel();
        Notify::Channel(tell, None).status("firmware 8\nMAINPID=1\u{202e}");
        assert_eq!(told.try_recv().unwrap(), "STATUS=firmware 8\\nMAINPID=1\\u{202e}");
    }

    #[test]
    fn an_abstract_socket_is_one() {
        assert_eq!(address("@/org/x").unwrap().as_pathname(), None);
        assert_eq!(address("/run/x").unwrap().as_pathname(), Some(Path::new("/run/x")));
    }
}
