//! `enphased demo`: runs the daemon against a simulated cloud and gateway inside the process.

use std::io::Write;

use fastrand::Rng;
use jiff::tz::TimeZone;
use tokio::sync::mpsc;

use super::demo_year::{House, Year};
use super::failure::Failure;
use super::run::stop_signals;
use crate::app::config::environment::Environment;
use crate::app::config::{self, Config, Service};
use crate::app::daemon::notify::Notify;
use crate::app::daemon::{self, Inputs};
use crate::app::history::disks::Disks;
use crate::app::listeners::Listeners;
use crate::base::clock::Clock;
use crate::base::secrets::Secret;
use crate::io::history::History;
use crate::io::state_dir::StateDir;
use crate::simulator::{Simulation, SimulationOptions};

/// The poll interval.
const INTERVAL: &str = "3s";

/// The factor by which time passes faster than real time, so that the sun rises within minutes.
const SPEED: u32 = 60;

/// Runs the daemon for one house with solar panels and batteries, until Ctrl-C. The state is deleted afterwards.
pub async fn demo(rng: Rng, notify: Notify, out: &mut dyn Write) -> Result<(), Failure> {
    let clock = Clock::accelerated(morning(), SPEED);
    let mut options = SimulationOptions::demo();
    // The last simulated gateway has batteries, so it shows the most values.
    options.gateways = options.gateways.pop().into_iter().collect();
    let pages = options.gateways.first().map(|gateway| gateway.pages.clone());
    let simulation = Simulation::start(&clock, options)?;
    let directory = tempfile::tempdir()?;
    let gateway = format!("interval = {INTERVAL:?}\nproxy = [\"127.0.0.1:0\"]\n");
    let text = simulation.config_toml(directory.path(), &gateway)
        + "[stdout]\nformat = \"text\"\n[server]\nlisten = [\"127.0.0.1:0\"]\n";
    writeln!(
        out,
        "This is a simulation: the real daemon reads a simulated gateway and logs in to a simulated cloud."
    )?;
    writeln!(
        out,
        "It logs in once, keeps its token, and reads every {INTERVAL}. One hour passes per minute. Press Ctrl-C to stop.\n"
    )?;
    out.flush()?;
    let environment = Environment {
        password: Some(Secret::new(Simulation::PASSWORD.to_owned())),
        ..Environment::default()
    };
    let load = || -> Result<Config, config::Error> {
        let config = config::complete(&text, None, &environment)?;
        // The warning about a short interval does not apply to a simulated gateway.
        Ok(Config { warnings: Vec::new(), zone: TimeZone::UTC, ..config })
    };
    let config = load()?;
    let (_sender, hangups) = mpsc::channel(1);
    let state = StateDir::open(directory.path())?;
    let (stop, more_stops) = stop_signals()?;
    let listeners = Some(Listeners::open(&config, &state).await.map_err(daemon::Error::from)?);
    for (service, address) in listeners.iter().flat_map(Listeners::addresses) {
        match service {
            Service::Server => writeln!(out, "Look at it in a browser: {address}/\n")?,
            Service::Proxy(_) => writeln!(out, "The gateway's pages, for other programs: {address}\n")?,
        }
    }
    out.flush()?;
    let history_disks = Disks::threads();
    if let Some(house) = pages.and_then(|pages| House::simulated(&simulation, 0, &pages)) {
        let history = History::new(state.path(), history_disks.writes.clone());
        history.write_in_background(Year::until(morning(), house));
    }
    let inputs = Inputs { state, clock, rng, notify, hangups, more_stops, listeners, history_disks };
    daemon::run(config, inputs, load, stop).await?;
    let counts = simulation.cloud.counts();
    writeln!(
        out,
        "\nThe simulated cloud received {} login(s) and issued {} token(s).",
        counts.logins, counts.tokens
    )?;
    Ok(())
}

/// Returns the time at which the demo starts: shortly before production exceeds consumption.
fn morning() -> jiff::Timestamp {
    jiff::Timestamp::from_second(MORNING).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

/// 2026-06-21T08:10:00Z.
const MORNING: i64 = 1_782_029_400;
