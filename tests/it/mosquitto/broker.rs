//! A mosquitto of the test.

use std::fmt::Write;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use enphased::io::mqtt;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use super::LOOK;

/// A running mosquitto.
pub(crate) struct Mosquitto {
    pub(crate) dir: TempDir,
    pub(crate) process: Child,
    /// The port for watchers, without TLS and password.
    pub(crate) open: u16,
    /// The port for the daemon, with the settings of the test.
    pub(crate) port: u16,
    full_disk: bool,
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// The maximum size of a file, in blocks of 512 bytes, for a broker whose disk is full.
const FULL: u32 = 8;

fn spawn(dir: &Path, full_disk: bool) -> Child {
    let mut command = Command::new(if full_disk { "sh" } else { "mosquitto" });
    if full_disk {
        // With the signal ignored a write that is too long fails, as it does on a full disk.
        command.args(["-c", &format!("trap '' XFSZ; ulimit -f {FULL}; exec mosquitto \"$@\""), "sh"]);
    }
    command
        .env("PATH", format!("{}:/usr/sbin:/usr/local/sbin", std::env::var("PATH").unwrap_or_default()))
        .arg("-c")
        .arg(dir.join("mosquitto.conf"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| {
            panic!("mosquitto does not start ({error}); install it: apt-get install mosquitto")
        })
}

impl Mosquitto {
    /// Starts a broker with these settings for the daemon's listener and for the whole broker.
    pub(crate) async fn start(dir: TempDir, listener: &str, whole: &str) -> Self {
        Self::on_disk(dir, listener, whole, false).await
    }

    /// Starts a broker that cannot store more than a few kilobytes.
    pub(crate) async fn on_full_disk(memory: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let memory = memory.replace("PATH", &dir.path().display().to_string());
        Self::on_disk(dir, "allow_anonymous true", &memory, true).await
    }

    async fn on_disk(dir: TempDir, listener: &str, whole: &str, full_disk: bool) -> Self {
        // A port that was free a moment ago may be taken by now.
        for _ in 0..5 {
            let (open, port) = (free_port(), free_port());
            let mut config = String::from("per_listener_settings true\nuser root\nlog_dest none\n");
            writeln!(config, "{whole}\nlistener {open} 127.0.0.1\nallow_anonymous true").unwrap();
            writeln!(config, "listener {port} 127.0.0.1\n{listener}").unwrap();
            fs::write(dir.path().join("mosquitto.conf"), config).unwrap();
            let mut process = spawn(dir.path(), full_disk);
            if answers(&mut process, port).await {
                return Self { dir, process, open, port, full_disk };
            }
        }
        panic!("mosquitto does not come up on any port");
    }

    pub(crate) async fn anybody() -> Self {
        Self::start(tempfile::tempdir().unwrap(), "allow_anonymous true", "").await
    }

    pub(crate) async fn kill(&mut self) {
        self.process.kill().await.unwrap();
    }

    pub(crate) async fn restart(&mut self) {
        self.process = spawn(self.dir.path(), self.full_disk);
        assert!(answers(&mut self.process, self.port).await, "mosquitto comes back on its port");
    }

    pub(crate) async fn signal(&self, signal: &str) {
        let process = self.process.id().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &process]).status().await.unwrap().success());
    }

    pub(crate) fn address(&self, scheme: &str) -> mqtt::Address {
        format!("{scheme}://localhost:{}", self.port).parse().unwrap()
    }
}

/// Waits until the broker accepts connections; returns `false` if it has ended.
async fn answers(process: &mut Child, port: u16) -> bool {
    loop {
        if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return true;
        }
        if process.try_wait().unwrap().is_some() {
            return false;
        }
        sleep(LOOK).await;
    }
}
