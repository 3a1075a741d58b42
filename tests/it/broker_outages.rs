//! Tests a broker that is unreachable for an hour, loses its messages or has a full disk; two daemons with one prefix; and
//! the removal of topics that are no longer needed. Uses a real mosquitto.

use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

use enphased::app::commands::Context;
use enphased::app::latest::Latest;
use enphased::app::poller::Poller;
use enphased::app::publisher;
use enphased::base::clock::Clock;
use enphased::base::reading::Serial;
use enphased::io::state_dir::StateDir;
use enphased::output::homeassistant::Discovery;
use enphased::simulator::{Simulation, SimulationOptions};
use fastrand::Rng;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};

use crate::mosquitto::{
    AVAILABILITY, Daemon, LOOK, MEMORY, Mosquitto, PATIENCE, POWER, READING, STATUS, Watcher, content,
    discovery, kept, options, program, reading,
};
use crate::support::house::House;

/// The result of an hour of polls.
struct Hour {
    polls: u64,
    serial: Serial,
    /// The time of the last reading.
    newest: String,
}

/// Polls a simulated gateway for an hour in virtual time, on a thread of its own, and writes the readings to `latest`. If
/// the publisher's runtime delayed a poll, there would be one too few.
async fn an_hour_of_polls(latest: &Latest) -> Hour {
    let latest = latest.clone();
    let hour = move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let house = House::new(SimulationOptions::default());
            let (config, environment) = (house.config(), house.environment());
            let mut context = Context::new(config, environment, house.clock.clone(), Rng::with_seed(3));
            let mut shared = context.shared(&StateDir::open(house.state()).unwrap());
            shared.latest = latest.clone();
            let reader = context.readers(&shared).remove(0);
            let poller = Poller::new(shared.statuses.open(), reader, Instant::now());
            Box::new(poller).run(sleep(Duration::from_secs(3599))).await;
            let serial = Serial::parse(&house.simulation.gateways[0].serial()).unwrap();
            let reader = latest.reader();
            let snapshot = reader.borrow();
            let newest = &snapshot.gateway(&serial).unwrap().reading.as_ref().unwrap().value;
            Hour { polls: house.polls(), newest: newest.time.to_string(), serial: serial.clone() }
        })
    };
    spawn_blocking(hour).await.unwrap()
}

/// Returns the resident memory in kB. It is only printed, because the tests of a process share it.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}

/// Checks that both a new and an old subscriber have the newest of every value.
async fn all_is_right(broker: &Mosquitto, hour: &Hour) {
    let topic = |name: &str| format!("enphased/{}/{name}", hour.serial);
    kept(broker, STATUS, "online").await;
    kept(broker, &topic("availability"), "online").await;
    kept(broker, &topic("reading"), &format!("\"time\":\"{}\"", hour.newest)).await;
    kept(broker, &topic("time"), &hour.newest).await;
}

async fn away_for_an_hour(memory: &str, stopped: bool) {
    let dir = tempfile::tempdir().unwrap();
    let memory = memory.replace("PATH", &dir.path().display().to_string());
    let mut broker = Mosquitto::start(dir, "allow_anonymous true", &memory).await;
    let ours = options(broker.address("mqtt"));
    let with_discovery = publisher::Options { homeassistant: Some(discovery()), ..content(&ours) };
    let daemon = Daemon::of(ours, with_discovery, Latest::new());
    daemon.latest.put_reading(reading(1.5, 3));
    kept(&broker, READING, "1.5").await;
    if stopped {
        broker.signal("-STOP").await;
    } else {
        broker.kill().await;
    }
    let before = resident();
    let hour = an_hour_of_polls(&daemon.latest).await;
    println!("an hour without a broker: {} kB resident before, {} kB after", before, resident());
    assert_eq!(hour.polls, 120, "no poll was late");
    if stopped {
        broker.signal("-CONT").await;
    } else {
        broker.restart().await;
    }
    let live = Watcher::new(&broker);
    all_is_right(&broker, &hour).await;
    kept(&broker, AVAILABILITY, "online").await;
    let documents = live.count(&format!("enphased/{}/reading", hour.serial));
    // The sockets of one that stands still hold what they can, which is the system's affair.
    assert!(stopped || documents <= 3, "{documents} of 120 readings were kept for the broker");
    configurations_come_first(&live);
}

/// Checks that no document comes before the configurations, because consumers could not interpret it.
fn configurations_come_first(watcher: &Watcher) {
    let order = watcher.order.lock().unwrap();
    for (at, (topic, kept)) in order.iter().enumerate() {
        let Some(gateway) = topic.strip_suffix("/reading").and_then(|it| it.strip_prefix("enphased/")) else {
            continue;
        };
        let configuration = format!("homeassistant/sensor/{gateway}/production_power/config");
        let before = order[..at].iter().any(|(topic, _)| *topic == configuration);
        assert!(*kept || before, "{topic} came before its configuration: {order:?}");
    }
}

#[tokio::test]
async fn a_broker_without_memory_that_is_killed_for_an_hour() {
    away_for_an_hour("", false).await;
}

#[tokio::test]
async fn a_broker_with_memory_that_is_killed_for_an_hour() {
    away_for_an_hour(MEMORY, false).await;
}

#[tokio::test]
async fn a_broker_that_stands_still_for_an_hour() {
    away_for_an_hour("", true).await;
}

#[tokio::test]
async fn a_broker_whose_disk_is_full_passes_everything_on_and_is_filled_again() {
    let mut broker = Mosquitto::on_full_disk(MEMORY).await;
    let daemon = Daemon::start(options(broker.address("mqtt")));
    let mut live = Watcher::new(&broker);
    // Longer than the broker can store.
    daemon.latest.put_reading(reading(1.5, 99));
    live.until(POWER, "1.5").await;
    let hour = an_hour_of_polls(&daemon.latest).await;
    assert_eq!(hour.polls, 120);
    all_is_right(&broker, &hour).await;
    daemon.latest.put_reading(reading(2.5, 99));
    live.until(POWER, "2.5").await;
    broker.kill().await;
    let written =
        fs::read_dir(broker.dir.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
    assert!(written.max().unwrap() <= 4096, "the disk was full");
    // Mosquitto 2.0 may put a cut file in the place of the whole one, and not start from it: whoever makes room
    // removes it.
    fs::remove_file(broker.dir.path().join("mosquitto.db")).ok();
    broker.restart().await;
    kept(&broker, STATUS, "online").await;
    kept(&broker, READING, "2.5").await;
    kept(&broker, POWER, "2.5").await;
    kept(&broker, AVAILABILITY, "online").await;
}

#[tokio::test]
async fn two_daemons_under_one_prefix_say_so_once_and_go_on() {
    const WARNING: &str = "another enphased publishes under the same MQTT prefix";
    let broker = Mosquitto::anybody().await;
    let simulation = Simulation::start(&Clock::system(), SimulationOptions::default()).unwrap();
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut watcher = Watcher::new(&broker);
    let mut daemons = Vec::new();
    for dir in &dirs {
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let mut command = program(&broker, &simulation, dir, &["run"]);
        daemons.push(command.stderr(Stdio::from(log)).spawn().unwrap());
    }
    let log = |number: usize| fs::read_to_string(dirs[number].path().join("log")).unwrap();
    let told = async {
        while !(log(0).contains(WARNING) && log(1).contains(WARNING)) {
            sleep(LOOK).await;
        }
    };
    assert!(timeout(PATIENCE, told).await.is_ok(), "{}\n---\n{}", log(0), log(1));
    assert!(log(0).contains("stop one of them, or give each its own prefix"), "{}", log(0));
    let serial = simulation.gateways[0].serial();
    let document = format!("enphased/{serial}/reading");
    let so_far = watcher.count(&document);
    let more = |topics: &BTreeMap<String, Vec<String>>| {
        topics.get(&document).is_some_and(|seen| seen.len() >= so_far + 6)
    };
    assert!(timeout(PATIENCE, watcher.topics.wait_for(more)).await.is_ok(), "both go on");
    for (number, daemon) in daemons.iter_mut().enumerate() {
        assert!(daemon.try_wait().unwrap().is_none(), "{}", log(number));
        assert_eq!(log(number).matches(WARNING).count(), 1, "{}", log(number));
    }
    kept(&broker, STATUS, "online").await;
}

#[tokio::test]
async fn what_the_next_configuration_leaves_out_is_removed_from_the_broker() {
    let broker = Mosquitto::anybody().await;
    let state = tempfile::tempdir().unwrap();
    let start = |homeassistant: Option<Discovery>, topics: bool| {
        let ours = options(broker.address("mqtt"));
        let state = Some(StateDir::open(state.path()).unwrap());
        let content = publisher::Options { homeassistant, topics, state, ..content(&ours) };
        let daemon = Daemon::of(ours, content, Latest::new());
        daemon.latest.put_reading(reading(1.5, 2));
        daemon
    };
    let own = "homeassistant/sensor/122300000001/production_power/config";
    let inverter = "homeassistant/sensor/482200000001/power/config";
    let plain = "enphased/122300000001/inverters/482200000001/power_w";

    let daemon = start(Some(discovery()), true);
    for topic in [own, inverter, plain] {
        kept(&broker, topic, "1").await;
    }
    daemon.stop().await;
    // A restart removes nothing.
    let daemon = start(Some(discovery()), true);
    kept(&broker, STATUS, "online").await;
    daemon.stop().await;
    for topic in [own, inverter, plain] {
        kept(&broker, topic, "1").await;
    }

    let mut live = Watcher::new(&broker);
    live.until(inverter, "power").await;
    let daemon = start(Some(Discovery { inverters: false, ..discovery() }), true);
    emptied(&mut live, inverter).await;
    daemon.stop().await;
    kept(&broker, own, "1").await;
    kept(&broker, plain, "1").await;

    let daemon = start(None, false);
    emptied(&mut live, own).await;
    emptied(&mut live, plain).await;
    daemon.stop().await;
    kept(&broker, READING, "1.5").await;
    let later = Watcher::new(&broker);
    kept(&broker, STATUS, "offline").await;
    for topic in [own, inverter, plain] {
        assert_eq!(later.count(topic), 0, "{topic} is kept no more");
    }
}

async fn emptied(watcher: &mut Watcher, topic: &str) {
    let newest = |topics: &BTreeMap<String, Vec<String>>| topics[topic].last().is_some_and(String::is_empty);
    let found = timeout(PATIENCE, watcher.topics.wait_for(newest)).await.is_ok();
    assert!(found, "{topic} is not emptied");
}
