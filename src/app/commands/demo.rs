//! `enphased demo`: the same daemon against a simulated cloud and gateway inside the process.

use std::fmt::Write as _;
use std::io::Write;

use fastrand::Rng;
use jiff::tz::TimeZone;
use tokio::sync::mpsc;

use super::failure::Failure;
use super::run::stops;
use crate::app::config::environment::Environment;
use crate::app::config::{self, Config};
use crate::app::daemon::notify::Notify;
use crate::app::daemon::{self, Surroundings};
use crate::base::clock::Clock;
use crate::base::secrets::Secret;
use crate::io::state_dir::StateDir;
use crate::simulator::{Simulation, SimulationOptions};

/// How far apart the demo's readings are.
const INTERVAL: &str = "3s";

/// How much faster than ours the demo's time passes, so that the sun is seen to rise.
const HURRY: u32 = 60;

/// Runs the daemon for one house with a roof and batteries, until Ctrl-C. Its state is forgotten afterwards.
pub async fn demo(rng: Rng, notify: Notify, out: &mut dyn Write) -> Result<(), Failure> {
    let clock = Clock::accelerated(morning(), HURRY);
    let mut options = SimulationOptions::demo();
    // Of the gateways that can be simulated the one with batteries shows most.
    options.gateways = options.gateways.pop().into_iter().collect();
    let simulation = Simulation::start(&clock, options)?;
    let directory = tempfile::tempdir()?;
    let text = configuration(&simulation, &directory.path().display().to_string());
    writeln!(
        out,
        "This is a simulation: a cloud, a gateway and a sun inside this process, and the real daemon."
    )?;
    writeln!(
        out,
        "It logs in once, keeps its token, and reads every {INTERVAL}; an hour passes in a minute. Ctrl-C ends it.\n"
    )?;
    out.flush()?;
    let environment = Environment {
        password: Some(Secret::new(Simulation::PASSWORD.to_owned())),
        ..Environment::default()
    };
    let load = || -> Result<Config, config::Error> {
        let config = config::complete(&text, None, &environment)?;
        // An interval of a few seconds is what a demo is for.
        Ok(Config { warnings: Vec::new(), zone: TimeZone::UTC, ..config })
    };
    let config = load()?;
    let (_nobody, hangups) = mpsc::channel(1);
    let state = StateDir::open(directory.path())?;
    let (stop, again) = stops()?;
    let surroundings = Surroundings { state, clock, rng, notify, hangups, again };
    daemon::run(config, surroundings, load, stop).await?;
    let counts = simulation.cloud.counts();
    writeln!(
        out,
        "\nThe simulated cloud counted {} login(s) and {} token(s).",
        counts.logins, counts.tokens
    )?;
    Ok(())
}

/// The demo begins when the sun begins to give more than the house uses.
fn morning() -> jiff::Timestamp {
    jiff::Timestamp::from_second(MORNING).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

/// 2026-06-21T08:10:00Z.
const MORNING: i64 = 1_782_029_400;

fn configuration(simulation: &Simulation, state: &str) -> String {
    let mut text = format!(
        "state_dir = {state:?}\n[cloud]\nusername = {:?}\nenlighten_url = {:?}\nentrez_url = {:?}\n",
        Simulation::EMAIL,
        simulation.cloud.enlighten_url(),
        simulation.cloud.entrez_url(),
    );
    for gateway in &simulation.gateways {
        // Writing to a string does not fail.
        write!(text, "[[gateway]]\naddress = {:?}\ninterval = {INTERVAL:?}\n", gateway.address()).ok();
    }
    text.push_str("[stdout]\nformat = \"text\"\n");
    text
}
