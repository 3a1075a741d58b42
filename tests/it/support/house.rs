//! A simulated house with the real daemon in it, in virtual time.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use enphased::app::commands::Context;
use enphased::app::config::environment::Environment;
use enphased::app::config::{self, Config};
use enphased::app::daemon::notify::Notify;
use enphased::app::daemon::{self, Inputs};
use enphased::app::history::disks::Disks;
use enphased::app::listeners::Listeners;
use enphased::app::poller::{Poller, Shared};
use enphased::base::clock::Clock;
use enphased::base::reading::Serial;
use enphased::base::secrets::Secret;
use enphased::io::http::Listen;
use enphased::io::state_dir::{Disk, StateDir};
use enphased::simulator::{CloudCounts, Fault, Simulation, SimulationOptions, responses};
use fastrand::Rng;
use jiff::tz::TimeZone;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// A simulated house with a state directory that outlives the daemons in it.
pub(crate) struct House {
    pub(crate) clock: Clock,
    pub(crate) simulation: Simulation,
    state: tempfile::TempDir,
    password: String,
    /// Lines of each `[[gateway]]` table.
    gateway: String,
    extra: String,
    has_history: bool,
}

impl House {
    /// Creates a house on a summer morning.
    pub(crate) fn new(options: SimulationOptions) -> Self {
        let clock = Clock::simulated("2026-06-21T06:00:00Z".parse().unwrap());
        let simulation = Simulation::start(&clock, options).unwrap();
        let password = Simulation::PASSWORD.to_owned();
        let state = tempfile::tempdir().unwrap();
        let (gateway, extra) = (String::new(), String::new());
        Self { clock, simulation, state, password, gateway, extra, has_history: false }
    }

    /// Adds lines to each `[[gateway]]` table of the configuration.
    pub(crate) fn with_gateway(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.gateway);
        self
    }

    /// Adds lines at the end of the configuration.
    pub(crate) fn with(mut self, extra: &str) -> Self {
        extra.clone_into(&mut self.extra);
        self
    }

    /// Keeps a history. Without it, a year of virtual time does not wait for 35,000 transactions on the disk.
    pub(crate) fn with_history(mut self) -> Self {
        self.has_history = true;
        self
    }

    pub(crate) fn with_password(mut self, password: &str) -> Self {
        password.clone_into(&mut self.password);
        self
    }

    pub(crate) fn state(&self) -> &Path {
        self.state.path()
    }

    pub(crate) fn environment(&self) -> Environment {
        Environment { password: Some(Secret::new(self.password.clone())), ..Environment::default() }
    }

    pub(crate) fn toml(&self) -> String {
        self.simulation.config_toml(self.state.path(), &self.gateway) + &self.extra
    }

    pub(crate) fn config(&self) -> Config {
        let config = config::complete(&self.toml(), None, &self.environment()).unwrap();
        let history = config.history.clone().filter(|_| self.has_history);
        Config { stdout: None, zone: TimeZone::UTC, history, ..config }
    }

    /// Runs a daemon for `length`; returns its notifications to systemd.
    pub(crate) async fn live(&self, length: Duration) -> Vec<String> {
        self.live_until(tokio::time::sleep(length)).await
    }

    pub(crate) async fn live_until(&self, stop: impl Future<Output = ()> + Send) -> Vec<String> {
        self.live_on(Disk::inline(), stop).await
    }

    /// Lets a daemon live whose state directory is on `disk`.
    pub(crate) async fn live_on(&self, disk: Disk, stop: impl Future<Output = ()> + Send) -> Vec<String> {
        self.live_with(disk, Disk::inline(), None, stop).await
    }

    /// Lets a daemon live whose history is on `disk`.
    pub(crate) async fn live_recording(
        &self,
        disk: Disk,
        stop: impl Future<Output = ()> + Send,
    ) -> Vec<String> {
        self.live_with(Disk::inline(), disk, None, stop).await
    }

    /// Lets a daemon with a server live until `visit` is done, which gets the addresses of the server.
    pub(crate) async fn visited<T>(&self, visit: impl AsyncFnOnce(Vec<Listen>) -> T) -> T {
        self.visited_recording(Disk::inline(), visit).await
    }

    /// The same with the history on `disk`.
    pub(crate) async fn visited_recording<T>(
        &self,
        disk: Disk,
        visit: impl AsyncFnOnce(Vec<Listen>) -> T,
    ) -> T {
        let state = StateDir::open(self.state()).unwrap();
        let config = self.config();
        let listeners = Listeners::open(&config, &state).await.unwrap();
        let addresses = listeners.addresses().map(|(_, listen)| listen).collect();
        let (leave, left) = oneshot::channel::<()>();
        let stop = async { drop(left.await) };
        let living = self.live_with(Disk::inline(), disk, Some(listeners), stop);
        let visiting = async {
            let result = visit(addresses).await;
            leave.send(()).unwrap();
            result
        };
        tokio::join!(living, visiting).1
    }

    async fn live_with(
        &self,
        disk: Disk,
        history_disk: Disk,
        listeners: Option<Listeners>,
        stop: impl Future<Output = ()> + Send,
    ) -> Vec<String> {
        let (tell, mut told) = mpsc::unbounded_channel();
        let (_nobody, hangups) = mpsc::channel(1);
        let notify = Notify::Channel(tell, Some(3 * MINUTE));
        let clock = self.clock.clone();
        let state = StateDir::open(self.state()).unwrap().on(disk);
        let more_stops = mpsc::channel(1).1;
        let history_disks = Disks { writes: history_disk, reads: Disk::inline() };
        let inputs = Inputs {
            state,
            clock,
            rng: Rng::with_seed(5),
            notify,
            hangups,
            more_stops,
            listeners,
            history_disks,
        };
        daemon::run(self.config(), inputs, || Ok(self.config()), stop).await.unwrap();
        std::iter::from_fn(|| told.try_recv().ok()).collect()
    }

    /// Starts only a poller, so that no socket to a broker disturbs the virtual time.
    pub(crate) fn start_poller(&self) -> (Shared, JoinHandle<Option<Serial>>) {
        let mut context =
            Context::new(self.config(), self.environment(), self.clock.clone(), Rng::with_seed(3));
        let shared = context.shared(&StateDir::open(self.state()).unwrap());
        let reader = context.readers(&shared).remove(0);
        let poller = Poller::new(shared.statuses.open(), reader, Instant::now());
        (shared, tokio::spawn(Box::new(poller).run(std::future::pending())))
    }

    /// Returns the serial number of the first gateway.
    pub(crate) fn serial(&self) -> Serial {
        self.simulation.gateways[0].serial().parse().unwrap()
    }

    pub(crate) fn cloud(&self) -> CloudCounts {
        CloudCounts { login_times: Vec::new(), ..self.simulation.cloud.counts() }
    }

    /// Returns the number of polls.
    pub(crate) fn polls(&self) -> u64 {
        let counts = self.simulation.gateways[0].counts();
        counts.paths.get("/ivp/meters/readings").copied().unwrap_or_default()
    }
}

/// Returns the counts of the cloud after one token.
pub(crate) fn one_login() -> CloudCounts {
    CloudCounts { login_attempts: 1, logins: 1, token_fetches: 1, tokens: 1, ..CloudCounts::default() }
}

/// Returns the rows of L6 that are not a success, as the cloud responds, with the number of login attempts that the rules
/// allow in the first 23 hours and in the first 49.
pub(crate) fn refusals() -> Vec<(&'static str, Fault, RangeInclusive<u64>, RangeInclusive<u64>)> {
    vec![
        ("too many sessions", responses::too_many_sessions(200), 1..=1, 2..=2),
        ("too many sessions, as a page", responses::too_many_sessions_page(401), 1..=1, 2..=2),
        ("blocked", responses::blocked(), 1..=1, 3..=3),
        ("login wall", responses::login_wall(), 1..=1, 3..=3),
        ("slow down", responses::too_many_requests(None), 1..=1, 3..=3),
        ("slow down for 40 hours", responses::too_many_requests(Some(144_000)), 1..=1, 2..=2),
        ("wrong credentials", responses::wrong_credentials(), 1..=1, 1..=1),
        ("second factor", responses::second_factor(), 1..=1, 1..=1),
        ("second factor, otherwise", responses::requires_mfa(), 1..=1, 1..=1),
        // 5 min doubling to 6 h, each up to a tenth longer: 0, 5, 15, 35, 75, 155, 315, 635, 995, 1355 minutes.
        ("outage", responses::outage(503), 9..=9, 13..=14),
        ("empty", responses::empty(), 9..=9, 13..=14),
    ]
}
