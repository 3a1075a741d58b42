//! A house in one of the states, and the daemon in it.

use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use enphased::app::commands::demo_year::{self, Year};
use enphased::app::commands::{Context, consumer};
use enphased::app::config::environment::Environment;
use enphased::app::config::{self, Config};
use enphased::app::daemon::notify::Notify;
use enphased::app::daemon::{self, Inputs};
use enphased::app::history::disks::Disks;
use enphased::app::listeners::Listeners;
use enphased::base::clock::Clock;
use enphased::base::secrets::Secret;
use enphased::io::history::History;
use enphased::io::state_dir::{Disk, StateDir};
use enphased::simulator::{Condition, GatewayOptions, Pages, Simulation, SimulationOptions};
use fastrand::Rng;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, pause, resume, sleep, sleep_until};

use crate::gateways::pages;
use crate::states::State;

/// How long the first readings take at most, in virtual time: not a multiple of the interval, so that nothing is read at its end.
const FIRST_READING: Duration = Duration::from_secs(100);
/// The file with the time of the house, for the process after a restart.
const TIME: &str = "time";

/// Asks the server for a document.
async fn get(server: SocketAddr, path: &str, token: &str) -> Result<Value, Box<dyn Error>> {
    let mut stream = TcpStream::connect(server).await?;
    let head = format!(
        "GET {path} HTTP/1.0\r\nHost: {server}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    let (_head, body) = response.split_once("\r\n\r\n").ok_or("a response without a body")?;
    Ok(serde_json::from_str(body)?)
}

/// A house in one of the states.
pub(crate) struct House {
    state: State,
    directory: PathBuf,
    clock: Clock,
    simulation: Simulation,
    pages: Vec<Pages>,
    /// `true` if an earlier process has left its state here.
    is_restarted: bool,
}

impl House {
    /// Builds the house in `directory`, at the time at which the state begins, or at which an earlier process ended.
    pub(crate) fn build(state: State, directory: &Path) -> Result<Self, Box<dyn Error>> {
        pause();
        let clock = Clock::accelerated(state.start.parse()?, state.speed);
        let (mut gateways, mut all) = (Vec::new(), Vec::new());
        for (place, (fixture, inverters, silent_inverters, meters)) in state.gateways.iter().enumerate() {
            let folder = directory.join(format!("gateway-{place}"));
            let pages = pages(fixture, *inverters, *meters, &folder)?;
            all.push(pages.clone());
            gateways
                .push(GatewayOptions { silent_inverters: *silent_inverters, ..GatewayOptions::new(pages) });
        }
        let options = SimulationOptions { gateways, ..SimulationOptions::default() };
        let simulation = Simulation::start(&clock, options)?;
        let earlier = std::fs::read_to_string(directory.join(TIME)).ok();
        if let (Some(time), Clock::Simulated(dial)) = (&earlier, &clock) {
            dial.set(time.parse()?);
        }
        let directory = directory.to_owned();
        Ok(Self { state, directory, clock, simulation, pages: all, is_restarted: earlier.is_some() })
    }

    fn environment() -> Environment {
        Environment { password: Some(Secret::new(Simulation::PASSWORD.to_owned())), ..Environment::default() }
    }

    /// Returns the configuration of a daemon that reads every `interval`.
    fn config(&self, interval: &str, port: u16) -> Result<Config, config::Error> {
        let gateway = format!("interval = {interval:?}\n");
        let server = format!("[server]\nlisten = [\"127.0.0.1:{port}\"]\nrequests_per_minute = 60000\n");
        let text =
            self.simulation.config_toml(&self.directory.join("state"), &gateway) + &server + self.state.lines;
        let config = config::complete(&text, None, &Self::environment())?;
        // The warning about a short interval does not apply to a simulated gateway.
        Ok(Config { stdout: None, warnings: Vec::new(), zone: TimeZone::UTC, ..config })
    }

    /// Runs the daemon until `stop`, in real time as soon as a browser can come; writes its address to `out`.
    pub(crate) async fn run(
        &self,
        port: u16,
        out: &mut dyn Write,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<(), Box<dyn Error>> {
        std::fs::create_dir_all(self.directory.join("state"))?;
        let state = StateDir::open(&self.directory.join("state"))?;
        if !self.is_restarted {
            self.past(&state).await?;
        }
        let config = self.config("3s", port)?;
        let listeners = Listeners::open(&config, &state).await?;
        let server =
            listeners.addresses().next().map(|(_, listen)| listen.address).ok_or("there is no listener")?;
        let mut token = Vec::new();
        let mut context =
            Context::new(self.config("3s", port)?, Self::environment(), self.clock.clone(), Rng::new());
        let is_token = consumer::add(&mut context, "the browser", &mut token).await.is_ok();
        let token = String::from_utf8(token)?.trim().to_owned();
        let living = self.live(config, Some(listeners), stop);
        let showing = async {
            let last = if self.is_restarted { Value::Null } else { self.conditions(server, &token).await? };
            resume();
            let token = is_token.then_some(token);
            writeln!(out, "{}", json!({ "url": format!("http://{server}"), "token": token, "last": last }))?;
            out.flush()?;
            self.save_time().await
        };
        tokio::select! {
            ended = living => ended,
            failed = showing => failed,
        }
    }

    /// Makes up the year before, and lets a daemon run in virtual time until the browser comes.
    async fn past(&self, state: &StateDir) -> Result<(), Box<dyn Error>> {
        if self.state.has_year {
            let history = History::new(state.path(), Disk::inline());
            for (place, pages) in self.pages.iter().enumerate() {
                let Some(house) = demo_year::House::simulated(&self.simulation, place, pages) else {
                    continue;
                };
                for batch in Year::until(self.clock.now(), house) {
                    history.write(Arc::new(vec![batch])).await?;
                }
            }
            history.close().await;
        }
        if !self.state.before.is_zero() {
            let config = Config { server: None, ..self.config("5m", 0)? };
            self.live(config, None, self.before()).await?;
        }
        Ok(())
    }

    /// Lets the time before the browser comes pass, in which the second gateway may be away.
    async fn before(&self) {
        let begin = Instant::now();
        // The clock may be faster than the timers.
        let at = |passed: Duration| sleep_until(begin + passed / self.state.speed);
        for (from, length) in self.state.absences {
            let Some(gateway) = self.simulation.gateways.get(1) else { break };
            at(*from).await;
            gateway.set_condition(Condition::Refusing);
            at(*from + *length).await;
            gateway.heal();
        }
        at(self.state.before).await;
    }

    /// Lets the conditions of the state begin and last. Returns the last readings before the later ones, by serial number:
    /// afterwards the API does not return them.
    async fn conditions(&self, server: SocketAddr, token: &str) -> Result<Value, Box<dyn Error>> {
        let mut last = serde_json::Map::new();
        if let Some(condition) = self.state.from_start {
            condition(&self.simulation);
        } else {
            sleep(FIRST_READING / self.state.speed).await;
        }
        if let Some(condition) = self.state.later {
            for gateway in &self.simulation.gateways {
                let serial = gateway.serial();
                let path = format!("/api/v1/gateways/{serial}/reading");
                last.insert(serial, get(server, &path, token).await?);
            }
            condition(&self.simulation);
        }
        sleep(self.state.lasting / self.state.speed).await;
        Ok(last.into())
    }

    async fn live(
        &self,
        config: Config,
        listeners: Option<Listeners>,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<(), Box<dyn Error>> {
        let (_hangup, hangups) = mpsc::channel(1);
        let (_more, more_stops) = mpsc::channel(1);
        let inputs = Inputs {
            state: StateDir::open(&self.directory.join("state"))?.on(Disk::inline()),
            clock: self.clock.clone(),
            rng: Rng::with_seed(5),
            notify: Notify::new(&Environment::default()),
            hangups,
            more_stops,
            listeners,
            history_disks: Disks::inline(),
        };
        let again = || self.config("3s", 0);
        Ok(daemon::run(config, inputs, again, stop).await?)
    }

    /// Writes the time of the house to a file, again and again.
    async fn save_time(&self) -> Result<(), Box<dyn Error>> {
        loop {
            let time: Timestamp = self.clock.now();
            let new = self.directory.join("new");
            std::fs::write(&new, time.to_string())?;
            std::fs::rename(new, self.directory.join(TIME))?;
            sleep(Duration::from_millis(200)).await;
        }
    }
}
