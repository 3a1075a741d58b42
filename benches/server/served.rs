//! The program with its server, on a core of its own.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use enphased::simulator::{Gateway, Simulation};

use super::client::get;
use super::rig::{Rig, program};

/// The interval of the polls.
const INTERVAL: Duration = Duration::from_secs(1);

/// The running program; killed when it is dropped.
pub(crate) struct Served {
    child: Child,
    pub(crate) address: SocketAddr,
    /// The path of the reading.
    pub(crate) path: String,
    /// The address of the proxy.
    pub(crate) proxy: Option<SocketAddr>,
    _rig: Rig,
}

impl Served {
    /// Starts the program, and waits until the gateway has been read.
    pub(crate) fn start() -> Self {
        Self::of(Rig::new(1), false, "")
    }

    /// Starts the program with the history off.
    pub(crate) fn without_history() -> Self {
        Self::of(Rig::new(1), false, "[history]\nenabled = false\n")
    }

    /// Starts the program for the gateway of `rig`, with a proxy if wanted, and further tables.
    pub(crate) fn of(rig: Rig, with_proxy: bool, tables: &str) -> Self {
        let gateway: &Gateway = rig.simulation.gateways.first().unwrap();
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (address, proxy) = (free(), with_proxy.then(free));
        let server = format!(
            "[server]\nlisten = [\"{address}\"]\nmax_connections = 1100\nmax_streams = 1050\nmax_consumers = 1100\n\
             requests_per_minute = 100000000\n{tables}"
        );
        rig.configure(&[gateway.address()], "1s", &server);
        if let Some(proxy) = proxy {
            // The table of the gateway is the last.
            let mut file = fs::OpenOptions::new().append(true).open(rig.path().join("config.toml")).unwrap();
            writeln!(file, "proxy = [\"{proxy}\"]").unwrap();
        }
        let path = format!("/api/v1/gateways/{}/reading", gateway.serial());
        let mut command = pinned(1);
        command.arg(program()).env_clear().env("ENPHASED_PASSWORD", Simulation::PASSWORD);
        command.arg("--config").arg(rig.path().join("config.toml")).arg("run");
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let running = Self { child, address, path, proxy, _rig: rig };
        while !get(address, "/readyz").is_some_and(|reply| reply.starts_with("HTTP/1.1 200")) {
            sleep(Duration::from_millis(50));
        }
        running
    }

    /// The id of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Does `work`; returns its result, and how many polls were due meanwhile and had not been made at the end.
    pub(crate) fn late_polls<T>(&self, work: impl FnOnce() -> T) -> (T, u64) {
        let (begun, before) = (Instant::now(), self.polls());
        let result = work();
        let due = u64::try_from(begun.elapsed().as_millis() / INTERVAL.as_millis()).unwrap();
        (result, due.saturating_sub(self.polls() - before))
    }

    /// The number of polls that yielded a reading, by the program's own metrics.
    fn polls(&self) -> u64 {
        let metrics = get(self.address, "/metrics").unwrap();
        let mut lines = metrics.lines().filter(|line| line.starts_with("enphased_polls_total"));
        let line = lines.find(|line| line.contains("outcome=\"ok\"")).unwrap_or("0 0");
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A command that stays on one core, where that is possible. Its program has to be added.
pub(crate) fn pinned(core: usize) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]);
    command
}
