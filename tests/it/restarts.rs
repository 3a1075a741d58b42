//! Tests restarts of the daemon, the broker and consumers with a real mosquitto: no old value looks current, nothing that
//! was announced is missing, and no warning is false.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use enphased::app::latest::Latest;
use enphased::app::publisher;
use enphased::base::clock::Clock;
use enphased::io::mqtt::Options as Connection;
use enphased::io::state_dir::StateDir;
use enphased::output::homeassistant;
use enphased::simulator::{Condition, Simulation, SimulationOptions};
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, PublishOptions, QoS};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::mosquitto::{
    Daemon, LOOK, Mosquitto, PATIENCE, READING, STATUS, Watcher, content, discovery, kept, options, program,
    reading,
};

/// Starts the built daemon, with its log in the directory.
fn start(broker: &Mosquitto, simulation: &Simulation, dir: &TempDir) -> Child {
    let log = fs::File::options().create(true).append(true).open(dir.path().join("log")).unwrap();
    program(broker, simulation, dir, &["run"]).stderr(Stdio::from(log)).spawn().unwrap()
}

fn log(dir: &TempDir) -> String {
    fs::read_to_string(dir.path().join("log")).unwrap()
}

/// Waits until `is_so` returns `true`.
async fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            sleep(LOOK).await;
        }
    };
    assert!(timeout(PATIENCE, waiting).await.is_ok(), "{what}");
}

#[tokio::test]
async fn after_a_power_cut_no_old_value_looks_current_while_the_gateway_is_off() {
    let broker = Mosquitto::anybody().await;
    let simulation = Simulation::start(&Clock::system(), SimulationOptions::default()).unwrap();
    let (dir, serial) = (tempfile::tempdir().unwrap(), simulation.gateways[0].serial());
    let availability = format!("enphased/{serial}/availability");
    let mut daemon = start(&broker, &simulation, &dir);
    kept(&broker, &format!("enphased/{serial}/reading"), "power_w").await;
    let record = dir.path().join(format!("state/announced-{serial}.json"));
    wait_until("the record is written", || record.exists()).await;
    daemon.kill().await.unwrap();
    simulation.gateways[0].set_condition(Condition::Refusing);

    let mut watcher = Watcher::new(&broker);
    watcher.until(&availability, "online").await;
    watcher.until(STATUS, "offline").await;
    let _daemon = start(&broker, &simulation, &dir);
    watcher.until(STATUS, "online").await;
    assert_eq!(watcher.topics.borrow()[&availability].last().unwrap(), "offline");
    simulation.gateways[0].heal();
    watcher.until(&availability, "online").await;
}

/// Starts a publisher that writes its records to `state`.
fn publisher_with(broker: Connection, state: &Path) -> Daemon {
    let state = Some(StateDir::open(state).unwrap());
    let content = publisher::Options { homeassistant: Some(discovery()), state, ..content(&broker) };
    Daemon::of(broker, content, Latest::new())
}

/// Returns the name in the document of the entity with this configuration; `None` if its state is on another topic.
fn name_in_document(configuration: &Value) -> Option<String> {
    if configuration["state_topic"] != READING {
        return None;
    }
    let template = configuration["value_template"].as_str().unwrap();
    let words = template.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    Some(words.filter(|word| !word.is_empty()).nth(2).unwrap().to_owned())
}

/// Returns the retained configurations whose templates lead nowhere in the retained document.
fn undefined(topics: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let last = |topic: &str| -> Value { serde_json::from_str(topics[topic].last().unwrap()).unwrap() };
    let document = last(READING);
    let configurations = topics.keys().filter(|topic| topic.ends_with("/config"));
    let names: Vec<String> = configurations.filter_map(|topic| name_in_document(&last(topic))).collect();
    assert!(names.len() >= 4, "{names:?}");
    names.into_iter().filter(|name| document["entities"].get(name).is_none()).collect()
}

#[tokio::test]
async fn after_a_restart_an_inverter_that_is_missing_is_unknown() {
    const MISSING: &str = "homeassistant/sensor/482200000002/power/config";
    let broker = Mosquitto::anybody().await;
    let state = tempfile::tempdir().unwrap();
    let daemon = publisher_with(options(broker.address("mqtt")), state.path());
    daemon.latest.put_reading(reading(1.0, 3));
    kept(&broker, READING, "sn482200000002_power\":1").await;
    let record = state.path().join("announced-122300000001.json");
    let has_inverter = || fs::read_to_string(&record).is_ok_and(|text| text.contains(MISSING));
    wait_until("the record has the inverter", has_inverter).await;
    drop(daemon);

    let daemon = publisher_with(options(broker.address("mqtt")), state.path());
    for (power, inverters) in [(2.0, 2), (3.0, 0)] {
        daemon.latest.put_reading(reading(power, inverters));
        kept(&broker, READING, &format!("\"production_power\":{power}")).await;
        let mut watcher = Watcher::new(&broker);
        watcher.until(READING, "\"sn482200000002_power\":null").await;
        watcher.until(MISSING, "power").await;
        watcher.until("homeassistant/sensor/122300000001/production_power/config", "power").await;
        assert_eq!(undefined(&watcher.topics.borrow()), [""; 0]);
    }
}

#[tokio::test]
async fn an_orderly_restart_of_the_broker_is_not_taken_for_another_daemon() {
    const WARNING: &str = "another client declared this daemon offline";
    let mut broker = Mosquitto::anybody().await;
    let simulation = Simulation::start(&Clock::system(), SimulationOptions::default()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut daemon = start(&broker, &simulation, &dir);
    let document = format!("enphased/{}/reading", simulation.gateways[0].serial());
    kept(&broker, &document, "power_w").await;
    for _ in 0..3 {
        broker.signal("-TERM").await;
        timeout(PATIENCE, broker.process.wait()).await.expect("the broker stops").unwrap();
        broker.restart().await;
        // It comes back without any message.
        kept(&broker, STATUS, "online").await;
        kept(&broker, &document, "power_w").await;
    }
    assert_eq!(log(&dir).matches(WARNING).count(), 0, "{}", log(&dir));
    // A client that really declares this daemon offline is reported, after everything before it.
    let other = Watcher::new(&broker);
    other.say(STATUS, "offline").await;
    wait_until("the real one is reported", || log(&dir).contains(WARNING)).await;
    assert!(daemon.try_wait().unwrap().is_none());
    let pid = daemon.id().unwrap().to_string();
    assert!(Command::new("kill").arg(&pid).status().await.unwrap().success());
    timeout(PATIENCE, daemon.wait()).await.expect("it ends").unwrap();
    assert_eq!(log(&dir).matches(WARNING).count(), 1, "{}", log(&dir));
}

/// Subscribes to everything and takes, as Domoticz does, only the values of entities that it has processed, each announcement
/// in `pace`. Returns when it has a value of each of the entities in `wanted`.
async fn take_what_is_announced(broker: &Mosquitto, mut wanted: BTreeSet<String>, pace: Duration) {
    let mut options = MqttOptions::new("consumer", ("localhost", broker.open));
    options.set_max_packet_size(1 << 20, 1 << 20);
    let (client, mut events) = AsyncClient::builder(options).capacity(10).build();
    let mut known = BTreeSet::new();
    while !wanted.is_empty() {
        match events.poll().await.unwrap() {
            Event::Incoming(Packet::ConnAck(_)) => {
                client.subscribe("homeassistant/#", QoS::AtLeastOnce).await.unwrap();
                client.subscribe("enphased/#", QoS::AtLeastOnce).await.unwrap();
            }
            Event::Incoming(Packet::SubAck(_)) => {
                let ready = PublishOptions::at_least_once().retain(true);
                client.publish("consumer/ready", "1", ready).await.unwrap();
            }
            Event::Incoming(Packet::Publish(message)) => {
                let Ok(payload) = serde_json::from_slice::<Value>(&message.payload) else { continue };
                if message.topic.ends_with(b"/config") {
                    sleep(pace).await;
                    known.extend(name_in_document(&payload));
                } else if message.topic == READING {
                    wanted.retain(|name| !known.contains(name) || payload["entities"].get(name).is_none());
                }
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_slow_consumer_has_the_values_of_sixty_new_devices_without_another_poll() {
    let broker = Mosquitto::anybody().await;
    let roof = reading(1.0, 60);
    let configurations = homeassistant::discovery(&roof, &discovery());
    let configurations = configurations.iter().map(|it| serde_json::from_str(&it.payload).unwrap());
    let wanted: BTreeSet<String> = configurations.filter_map(|it| name_in_document(&it)).collect();
    assert!(wanted.len() > 60, "{wanted:?}");
    let consumer = take_what_is_announced(&broker, wanted, Duration::from_millis(30));
    let daemon = async {
        kept(&broker, "consumer/ready", "1").await;
        let daemon = Daemon::with_discovery(options(broker.address("mqtt")), Some(discovery()));
        daemon.latest.put_reading(roof.clone());
        daemon
    };
    let both = async { tokio::join!(consumer, daemon) };
    let ((), daemon) = timeout(PATIENCE, both).await.expect("it has all values");
    daemon.stop().await;
}
