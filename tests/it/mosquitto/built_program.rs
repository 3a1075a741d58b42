//! The built program against the broker.

use std::fs;
use std::process::Stdio;

use enphased::base::clock::Clock;
use enphased::simulator::{Simulation, SimulationOptions};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use super::{Mosquitto, PATIENCE, Watcher, kept};

/// Returns a command for the built program that reads a simulated gateway and publishes to `broker`.
pub(crate) fn program(
    broker: &Mosquitto,
    simulation: &Simulation,
    dir: &TempDir,
    arguments: &[&str],
) -> Command {
    let text = format!(
        "{}[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\ndomoticz = {{ grid = 13 }}\n",
        simulation.config_toml(&dir.path().join("state"), "interval = \"1s\"\n"),
        broker.address("mqtt").port,
    );
    fs::write(dir.path().join("config.toml"), text).unwrap();
    let mut command = Command::new(crate::program());
    command.env_clear().env("ENPHASED_PASSWORD", Simulation::PASSWORD);
    command.arg("--config").arg(dir.path().join("config.toml")).args(arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    command
}

#[tokio::test]
async fn the_built_daemon_publishes_and_says_goodbye() {
    let broker = Mosquitto::anybody().await;
    let simulation = Simulation::start(&Clock::system(), SimulationOptions::default()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let serial = simulation.gateways[0].serial();
    let mut watcher = Watcher::new(&broker);
    let mut daemon = program(&broker, &simulation, &dir, &["run"]).spawn().unwrap();
    watcher.until("enphased/status", "online").await;
    watcher.until(&format!("enphased/{serial}/availability"), "online").await;
    watcher.until(&format!("enphased/{serial}/reading"), "\"production\"").await;
    watcher.until(&format!("enphased/{serial}/token"), "\"state\":\"valid\"").await;
    watcher.until(&format!("enphased/{serial}/grid/import_wh"), "").await;
    watcher.until("domoticz/in", "\"idx\":13").await;
    let pid = daemon.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().await.unwrap().success());
    assert!(daemon.wait().await.unwrap().success());
    kept(&broker, "enphased/status", "offline").await;
    kept(&broker, &format!("enphased/{serial}/availability"), "offline").await;
    kept(&broker, &format!("enphased/{serial}/reading"), "\"production\"").await;
}

#[tokio::test]
async fn one_poll_is_published_before_the_program_ends() {
    let broker = Mosquitto::anybody().await;
    let simulation = Simulation::start(&Clock::system(), SimulationOptions::default()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let serial = simulation.gateways[0].serial();
    let mut once = program(&broker, &simulation, &dir, &["run", "--once"]);
    let ended = timeout(PATIENCE, once.status()).await.expect("it does not end").unwrap();
    assert!(ended.success());
    kept(&broker, &format!("enphased/{serial}/reading"), "\"production\"").await;
    kept(&broker, &format!("enphased/{serial}/grid/import_wh"), "").await;
}
