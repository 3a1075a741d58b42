//! A simulated house, a broker, and the built program between them.

use std::env;
use std::fmt::Write;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use enphased::base::clock::Clock;
use enphased::simulator::{GatewayOptions, Pages, Role, Simulation, SimulationOptions, mint_token};
use tempfile::TempDir;
use tokio::runtime::{self, Handle};

const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// What is measured: the program that was built beside this, or the one that `ENPHASED_PROGRAM` names, such as the
/// static one of a package.
pub(crate) fn program() -> PathBuf {
    env::var_os("ENPHASED_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_enphased").into(), PathBuf::from)
}

/// Simulated gateways of one account, a cloud, a real broker, and a directory for the program's files.
pub(crate) struct Rig {
    pub(crate) simulation: Simulation,
    pub(crate) dir: TempDir,
    /// Where more servers can be put.
    pub(crate) servers: Handle,
    broker: Child,
    broker_port: u16,
    clock: Clock,
}

impl Rig {
    /// With this many gateways, which answer from a thread of their own.
    pub(crate) fn new(gateways: usize) -> Self {
        Self::with((0..gateways).map(|_| GatewayOptions::new(Pages::metered())).collect())
    }

    /// With these gateways.
    pub(crate) fn with(gateways: Vec<GatewayOptions>) -> Self {
        let clock = Clock::system();
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let options = SimulationOptions { gateways, ..SimulationOptions::default() };
        let simulation = runtime.block_on(async { Simulation::start(&clock, options) }).unwrap();
        let servers = runtime.handle().clone();
        std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
        let (broker, broker_port) = mosquitto();
        Self { simulation, dir: tempfile::tempdir().unwrap(), servers, broker, broker_port, clock }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A token for the first gateway, as its owner gets it.
    pub(crate) fn token(&self) -> String {
        let serial = self.simulation.gateways.first().unwrap().serial();
        mint_token(&serial, Role::Owner, self.clock.now(), YEAR)
    }

    /// Writes a configuration for gateways at `addresses`, polled every `interval`.
    pub(crate) fn configure(&self, addresses: &[String], interval: &str, extra: &str) {
        let (state, cloud) = (self.path().join("state"), self.simulation.cloud_toml());
        let mut text = format!("state_dir = {state:?}\n{cloud}{extra}\n");
        for address in addresses {
            writeln!(text, "[[gateway]]\naddress = {address:?}\ninterval = {interval:?}").unwrap();
        }
        fs::write(self.path().join("config.toml"), text).unwrap();
    }

    /// The lines of the configuration that write readings to standard output.
    pub(crate) fn stdout() -> String {
        "[stdout]\nformat = \"json\"\n".to_owned()
    }

    /// The lines of the configuration that connect a broker.
    pub(crate) fn mqtt(&self, extra: &str) -> String {
        format!("[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\n{extra}\n", self.broker_port)
    }

    /// The program with `arguments`, by the configuration that was written last.
    pub(crate) fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.env_clear().env("ENPHASED_PASSWORD", Simulation::PASSWORD);
        command.arg("--config").arg(self.path().join("config.toml")).args(arguments).stderr(Stdio::null());
        command
    }

    /// The daemon, and what it writes.
    pub(crate) fn daemon(&self) -> Daemon {
        let mut child = self.program(&["run"]).stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Daemon { child, out }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.broker.kill().unwrap();
        self.broker.wait().unwrap();
    }
}

/// The running program; killed when it is dropped.
pub(crate) struct Daemon {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Daemon {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next reading, as its line.
    pub(crate) fn reading(&mut self) -> String {
        let mut line = String::new();
        assert!(self.out.read_line(&mut line).unwrap() > 0, "the daemon ended");
        line
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A broker on a free port of loopback.
fn mosquitto() -> (Child, u16) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = Command::new("mosquitto");
    command.args(["-p", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
    (command.spawn().expect("mosquitto is not installed"), port)
}
