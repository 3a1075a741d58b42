//! A house for the built program: the simulated cloud and gateway on the real clock, and a directory.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use enphased::base::clock::Clock;
use enphased::simulator::{Gateway, Role, Simulation, SimulationOptions, mint_token};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// A time limit that only a hang exceeds.
pub(crate) const HANG: Duration = Duration::from_secs(120);

/// A house on the real clock, and a directory for the program in it.
pub(crate) struct Site {
    pub(crate) simulation: Simulation,
    pub(super) dir: tempfile::TempDir,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::of(SimulationOptions::default())
    }

    pub(crate) fn of(options: SimulationOptions) -> Self {
        let simulation = Simulation::start(&Clock::system(), options).unwrap();
        let site = Self { simulation, dir: tempfile::tempdir().unwrap() };
        site.configure("[stdout]\nformat = \"json\"\n");
        std::fs::write(site.path("password"), format!("{}\n", Simulation::PASSWORD)).unwrap();
        site.set_mode("password", 0o600);
        site
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn set_mode(&self, name: &str, mode: u32) {
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    pub(crate) fn gateway(&self) -> &Gateway {
        &self.simulation.gateways[0]
    }

    pub(super) fn configure(&self, extra: &str) {
        let text = format!(
            "state_dir = {:?}\n{}password_file = {:?}\n{}{extra}",
            self.path("state"),
            self.simulation.cloud_toml(),
            self.path("password"),
            self.simulation.gateways_toml("interval = \"1s\"\n"),
        );
        std::fs::write(self.path("config.toml"), text).unwrap();
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(crate::program());
        command.env_clear().env("HOME", self.dir.path()).arg("--config").arg(self.path("config.toml"));
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        command
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Output {
        timeout(HANG, self.command(arguments).output()).await.expect("the program hangs").unwrap()
    }

    pub(super) async fn import(&self, token: &str) -> Output {
        let mut child = self.command(&["token", "import"]).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(token.as_bytes()).await.unwrap();
        timeout(HANG, child.wait_with_output()).await.expect("the program hangs").unwrap()
    }

    pub(super) fn token(&self, role: Role, lifetime: Duration) -> String {
        mint_token(&self.gateway().serial(), role, Clock::system().now(), lifetime)
    }

    /// Starts a daemon, and waits for its first reading.
    pub(super) async fn daemon(&self) -> Daemon {
        let mut child = self.command(&["run"]).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut daemon = Daemon { child, lines };
        daemon.reading().await;
        daemon
    }

    pub(super) fn logins(&self) -> (u64, u64, u64) {
        let counts = self.simulation.cloud.counts();
        (counts.login_attempts, counts.logins, counts.tokens)
    }
}

pub(super) struct Daemon {
    pub(super) child: Child,
    pub(super) lines: Lines<BufReader<ChildStdout>>,
}

impl Daemon {
    /// Waits for the next reading.
    pub(super) async fn reading(&mut self) -> serde_json::Value {
        let line = timeout(HANG, self.lines.next_line()).await.expect("no reading").unwrap();
        serde_json::from_str(&line.expect("the daemon ended")).unwrap()
    }

    pub(super) async fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().await.unwrap().success());
    }

    /// Stops the daemon as systemd does; returns its exit code.
    pub(super) async fn stop(mut self) -> Option<i32> {
        self.signal("TERM").await;
        timeout(HANG, self.child.wait()).await.expect("it does not end").unwrap().code()
    }

    pub(super) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
