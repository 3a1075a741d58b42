//! A simulated cloud and gateway for programs that run elsewhere on this machine:
//!   cargo run --example house -- DIRECTORY [full]
//!
//! Writes these files to the directory: `house.toml`, the part of a configuration for the simulation; `password`; and
//! `counts`, the counts of the cloud so far. With `full` the cloud responds that there are too many active sessions.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use enphased::base::clock::Clock;
use enphased::simulator::{Simulation, SimulationOptions, responses};

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let Some(directory) = arguments.next().map(PathBuf::from) else {
        return Err(io::Error::other("where to? usage: house DIRECTORY [full]"));
    };
    let simulation = Simulation::start(&Clock::system(), SimulationOptions::default())?;
    if arguments.next().is_some_and(|word| word == "full") {
        simulation.cloud.fail(responses::too_many_sessions(200));
    }
    fs::create_dir_all(&directory)?;
    put(&directory, "password", Simulation::PASSWORD)?;
    put(&directory, "counts", &counts(&simulation))?;
    // Written last, so that a process which waits for this file finds the others complete.
    put(&directory, "house.toml", &configuration(&simulation))?;
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        put(&directory, "counts", &counts(&simulation))?;
    }
}

fn configuration(simulation: &Simulation) -> String {
    simulation.cloud_toml() + &simulation.gateways_toml("interval = \"1s\"\n")
}

fn counts(simulation: &Simulation) -> String {
    let counts = simulation.cloud.counts();
    format!("attempts={} logins={} tokens={}\n", counts.login_attempts, counts.logins, counts.tokens)
}

/// Replaces a file atomically.
fn put(directory: &Path, name: &str, text: &str) -> io::Result<()> {
    let new = directory.join("new");
    fs::write(&new, text)?;
    fs::rename(new, directory.join(name))
}
