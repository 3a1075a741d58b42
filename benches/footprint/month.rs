//! A month of polls in virtual time: does memory stay flat, and how often is the disk written to?
//!
//! Daemon and simulator live in this process, so the figures hold both; what grows would show. The simulator remembers
//! its last 20,000 requests, which takes a week to fill; from then on nothing may grow. First of the parts, for the
//! simulated fleets stay in memory.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use enphased::app::config::environment::Environment;
use enphased::app::config::{self, Config};
use enphased::app::daemon::notify::Notify;
use enphased::app::daemon::{self, Inputs};
use enphased::app::history::disks::Disks;
use enphased::base::clock::Clock;
use enphased::base::secrets::Secret;
use enphased::io::state_dir::StateDir;
use enphased::simulator::{GatewayOptions, Pages, Simulation, SimulationOptions};
use fastrand::Rng;
use tokio::runtime;
use tokio::sync::mpsc;

use super::number;
use super::process::memory;

const DAY: Duration = Duration::from_secs(86_400);
/// Far below the shortest time between two writes of one file.
const LOOK: Duration = Duration::from_secs(20);

pub(crate) fn measure() {
    let days: u32 = number("ENPHASED_DAYS", 30);
    let runtime = runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(live(days));
}

async fn live(days: u32) {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::simulated("2026-06-01T00:00:00Z".parse().unwrap());
    let gateway = GatewayOptions { nightly_restart: true, ..GatewayOptions::new(Pages::metered()) };
    let options = SimulationOptions { gateways: vec![gateway], ..SimulationOptions::default() };
    let simulation = Simulation::start(&clock, options).unwrap();
    let config = configuration(dir.path(), &simulation);
    let (_nobody, hangups) = mpsc::channel(1);
    let state = StateDir::open(dir.path()).unwrap();
    let more_stops = mpsc::channel(1).1;
    let (rng, notify) = (Rng::with_seed(1), Notify::Disabled);
    let inputs = Inputs {
        state,
        clock,
        rng,
        notify,
        hangups,
        more_stops,
        listeners: None,
        history_disks: Disks::inline(),
    };
    let reload = || Ok(configuration(dir.path(), &simulation));
    println!(
        "\n{:<46}{:>12}{:>12}{:>12}{:>12}",
        "a simulated month", "resident MB", "own MB", "writes", "requests"
    );
    daemon::run(config, inputs, reload, watch(days, dir.path(), &simulation)).await.unwrap();
}

/// Prints a line for the first day, for the last of each week, and for the last of all.
async fn watch(days: u32, state: &Path, simulation: &Simulation) {
    let gateway = simulation.gateways.first().unwrap();
    let mut requests = gateway.counts().requests;
    for day in 1..=days {
        let writes = writes_of_a_day(state).await;
        let asked = gateway.counts().requests;
        if day == 1 || day % 7 == 0 || day == days {
            let own = std::process::id();
            println!(
                "{:<46}{:>12.2}{:>12.2}{writes:>12}{:>12}",
                format!("  day {day}"),
                memory(own, "VmRSS:"),
                memory(own, "RssAnon:"),
                asked - requests,
            );
        }
        requests = asked;
    }
    let counts = gateway.counts();
    println!("{:<46}{:>12}", "  TLS handshakes (one restart a night)", counts.handshakes);
    println!("{:<46}{:>12}", "  logins", simulation.cloud.counts().login_attempts);
}

/// Each write is a new file in the place of the old one.
async fn writes_of_a_day(state: &Path) -> usize {
    let mut seen = BTreeSet::new();
    let mut first = BTreeSet::new();
    for look in 0..DAY.as_secs() / LOOK.as_secs() {
        for file in fs::read_dir(state).unwrap().flatten() {
            let Ok(about) = file.metadata() else { continue };
            let version = (file.file_name(), about.ino(), about.mtime(), about.mtime_nsec());
            if look == 0 {
                first.insert(version.clone());
            }
            seen.insert(version);
        }
        tokio::time::sleep(LOOK).await;
    }
    seen.difference(&first).count()
}

fn configuration(dir: &Path, simulation: &Simulation) -> Config {
    let text = simulation.config_toml(dir, "");
    let password = Some(Secret::new(Simulation::PASSWORD.to_owned()));
    let environment = Environment { password, ..Environment::default() };
    Config { stdout: None, ..config::complete(&text, None, &environment).unwrap() }
}
