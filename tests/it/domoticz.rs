//! Tests `enphased domoticz check` against a program that responds like Domoticz V2025.1, through a real broker.

use std::process::Stdio;
use std::time::Duration;

use enphased::app::commands::failure::{Code, Failure};
use enphased::app::commands::{Context, check, domoticz};
use enphased::app::config;
use enphased::app::config::environment::Environment;
use enphased::base::clock::Clock;
use enphased::simulator::{Simulation, SimulationOptions};
use fastrand::Rng;
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, PublishOptions, QoS};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::mosquitto::{Daemon, Mosquitto, STATUS, Watcher, options};

/// A time limit for a response that does come. Tests without a response use a shorter one.
const PATIENCE: Duration = Duration::from_secs(10);
/// A time limit that only a hang exceeds.
const HANG: Duration = Duration::from_secs(120);
const SHORT: Duration = Duration::from_millis(300);

/// A device in use: idx, name, type, subtype, and a line for an option.
type Device = (u32, &'static str, &'static str, &'static str, &'static str);

/// Responds on `domoticz/in` as Domoticz does, to the topics that `scheme` selects.
struct Domoticz(JoinHandle<()>);

impl Domoticz {
    async fn start(broker: &Mosquitto, devices: &'static [Device], scheme: fn(&Device) -> String) -> Self {
        let mut settings = MqttOptions::new("domoticz", ("localhost", broker.open));
        settings.set_clean_session(true);
        let (client, mut events) = AsyncClient::builder(settings).capacity(10).build();
        let (subscribed, up) = oneshot::channel();
        let mut subscribed = Some(subscribed);
        let task = tokio::spawn(async move {
            client.subscribe("domoticz/in", QoS::AtLeastOnce).await.unwrap();
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Packet::SubAck(_))) => {
                        subscribed.take().map(|tell| tell.send(()));
                    }
                    Ok(Event::Incoming(Packet::Publish(message))) => {
                        let asked: Value = serde_json::from_slice(&message.payload).unwrap();
                        assert_eq!(asked["command"], "getdeviceinfo");
                        assert!(!message.retain);
                        let found = devices.iter().find(|device| asked["idx"] == device.0);
                        let Some(device) = found else { continue };
                        let how = PublishOptions::at_most_once();
                        client.publish(scheme(device), told(device), how).await.unwrap();
                    }
                    Ok(_) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        });
        up.await.unwrap();
        Self(task)
    }
}

impl Drop for Domoticz {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn told((idx, name, dtype, stype, option): &Device) -> String {
    format!(
        "{{\n\t\"Battery\" : 255,\n{option}\t\"LastUpdate\" : \"2025-11-20 11:19:31\",\n\t\"RSSI\" : 12,\n\t\
         \"description\" : \"\",\n\t\"dtype\" : \"{dtype}\",\n\t\"hwid\" : \"2\",\n\t\"id\" : \"00082052\",\n\t\"idx\" : \
         {idx},\n\t\"name\" : \"{name}\",\n\t\"nvalue\" : 0,\n\t\"org_hwid\" : \"2\",\n\t\"stype\" : \"{stype}\",\n\t\
         \"svalue1\" : \"0\",\n\t\"unit\" : 1\n}}\n"
    )
}

const DEVICES: &[Device] = &[
    (12, "Sun", "General", "kWh", "\t\"EnergyMeterMode\" : \"0\",\n"),
    (13, "Grid", "P1 Smart Meter", "Energy", ""),
    (14, "Storage", "Usage", "Electric", ""),
    (15, "House", "General", "kWh", "\t\"EnergyMeterMode\" : \"1\",\n"),
];

async fn checked(broker: &Mosquitto, idx: &str, patience: Duration) -> (String, Result<(), Failure>) {
    let text = format!("[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\ndomoticz = {{ {idx} }}\n", broker.port);
    let config = config::complete(&text, None, &Environment::default()).unwrap();
    let environment = Environment::default();
    let mut context = Context::new(config, environment, Clock::system(), Rng::new());
    let mut out = Vec::new();
    let outcome = domoticz::check(&mut context, patience, &mut out).await;
    (String::from_utf8(out).unwrap(), outcome)
}

#[tokio::test]
async fn each_device_is_good_or_told_with_what_to_change() {
    let broker = Mosquitto::anybody().await;
    let _domoticz = Domoticz::start(&broker, DEVICES, |_| "domoticz/out".to_owned()).await;
    let idx = "production = 12, grid = 13, soc = 14, consumption = 15, frequency = 99";
    let (said, outcome) = checked(&broker, idx, PATIENCE).await;
    assert_eq!(outcome, Err(Failure::new(Code::Configuration, "")));
    insta::assert_snapshot!(said);
}

#[tokio::test]
async fn a_value_that_the_gateway_does_not_measure_is_named() {
    let broker = Mosquitto::anybody().await;
    let _domoticz = Domoticz::start(&broker, DEVICES, |_| "domoticz/out".to_owned()).await;
    let (said, _) = checked(&broker, "production_power = 14, grid = 13", HANG).await;
    assert!(!said.contains("does not measure"), "nothing is known: {said}");
    let daemon = Daemon::start(options(broker.address("mqtt")));
    daemon.read(1234.5);
    crate::mosquitto::kept(&broker, crate::mosquitto::POWER, "1234.5").await;
    crate::mosquitto::kept(&broker, "enphased/122300000001/schema", "1").await;
    let (said, outcome) = checked(&broker, "production_power = 14, grid = 13", HANG).await;
    assert_eq!(outcome, Ok(()), "{said}");
    let lines: Vec<&str> = said.lines().map(str::trim_end).collect();
    assert_eq!(
        lines,
        [
            "good   grid                 idx 13 is \"Grid\", P1 Smart Meter/Energy; but your gateway does not measure this",
            "good   production_power     idx 14 is \"Storage\", Usage/Electric",
        ]
    );
}

#[tokio::test]
async fn every_publish_scheme_of_domoticz_is_heard() {
    let broker = Mosquitto::anybody().await;
    let schemes: [fn(&Device) -> String; 4] = [
        |_| "domoticz/out".to_owned(),
        |device| format!("domoticz/out/{}", device.0),
        |device| format!("domoticz/out/{}", device.1),
        |_| "domoticz/out/First floor/Cupboard".to_owned(),
    ];
    for scheme in schemes {
        let domoticz = Domoticz::start(&broker, DEVICES, scheme).await;
        let (said, outcome) = checked(&broker, "production = 12, grid = 13", PATIENCE).await;
        assert_eq!(outcome, Ok(()), "{said}");
        assert_eq!(said.matches("good").count(), 2, "{said}");
        drop(domoticz);
    }
}

#[tokio::test]
async fn a_domoticz_that_is_silent_is_told_from_a_device_that_is_missing() {
    let broker = Mosquitto::anybody().await;
    // A retained message of an earlier Domoticz does not count.
    let watcher = Watcher::new(&broker);
    let kept = PublishOptions::at_least_once().retain(true);
    watcher.client.publish("domoticz/out/12", told(&DEVICES[0]), kept).await.unwrap();
    crate::mosquitto::kept(&broker, "domoticz/out/12", "Sun").await;
    let (said, outcome) = checked(&broker, "production = 12", SHORT).await;
    let failure = outcome.unwrap_err();
    assert_eq!((failure.code, said.as_str()), (Code::Unavailable, ""));
    assert!(failure.message.contains("Check that Domoticz is running"), "{}", failure.message);
}

#[tokio::test]
async fn a_broker_that_is_away_is_told() {
    let mut broker = Mosquitto::anybody().await;
    broker.kill().await;
    let failure = checked(&broker, "production = 12", SHORT).await.1.unwrap_err();
    assert_eq!(failure.code, Code::TryLater);
    assert!(failure.message.contains("cannot be reached"), "{}", failure.message);
}

#[tokio::test]
async fn a_check_does_not_declare_the_daemon_offline() {
    let broker = Mosquitto::anybody().await;
    let daemon = Daemon::start(options(broker.address("mqtt")));
    let mut watcher = Watcher::new(&broker);
    watcher.until(STATUS, "online").await;
    checked(&broker, "production = 12", SHORT).await.1.unwrap_err();
    let state = tempfile::tempdir().unwrap();
    let text = format!(
        "state_dir = {:?}\n[cloud]\nenlighten_url = \"http://127.0.0.1:9\"\nentrez_url = \"http://127.0.0.1:9\"\n\
         [[gateway]]\naddress = \"127.0.0.1:9\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\n",
        state.path(),
        broker.port
    );
    let config = config::complete(&text, None, &Environment::default()).unwrap();
    let environment = Environment::default();
    let mut context = Context::new(config, environment, Clock::system(), Rng::new());
    let mut out = Vec::new();
    check::check(&mut context, &mut out).await.unwrap_err();
    assert!(String::from_utf8_lossy(&out).contains("good   broker"), "{}", String::from_utf8_lossy(&out));
    // Any message of the two checks has arrived before this one.
    daemon.read(3.5);
    watcher.until(crate::mosquitto::READING, "3.5").await;
    let words = watcher.topics.borrow()[STATUS].clone();
    assert!(words.iter().all(|word| word == "online"), "{words:?}");
}

/// Starts the built program with output for `mosquitto_pub -l`; returns it and the path of its log.
fn writing(simulation: &Simulation, dir: &tempfile::TempDir) -> (Child, std::path::PathBuf) {
    let (config, log) = (dir.path().join("config.toml"), dir.path().join("log"));
    let text = simulation.config_toml(&dir.path().join("state"), "interval = \"1s\"\n")
        + "[stdout]\nformat = \"domoticz\"\ndomoticz = { production = 12, grid = 13, frequency = 14 }\n";
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new(crate::program());
    command.env_clear().env("ENPHASED_PASSWORD", Simulation::PASSWORD).kill_on_drop(true);
    command.arg("--config").arg(&config).arg("run").stdout(Stdio::piped());
    command.stderr(Stdio::from(std::fs::File::create(&log).unwrap()));
    (command.spawn().unwrap(), log)
}

#[tokio::test]
async fn each_message_is_a_line_and_a_reading_is_not_held_back() {
    let simulation = Simulation::start(&Clock::system(), SimulationOptions::default()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (mut daemon, log) = writing(&simulation, &dir);
    let mut lines = BufReader::new(daemon.stdout.take().unwrap()).lines();
    // Three messages each, which would not arrive if the program waited for a full buffer.
    for _ in 0..2 {
        for idx in [12, 13, 14] {
            let line = timeout(HANG, lines.next_line()).await.expect("it is held back").unwrap().unwrap();
            let message: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(message["idx"], idx);
            assert!(message["svalue"].is_string() && message["nvalue"].is_u64(), "{line}");
        }
    }
    drop(lines);
    let ended = timeout(HANG, daemon.wait()).await.expect("it goes on without a reader").unwrap();
    let said = std::fs::read_to_string(log).unwrap();
    assert_eq!(ended.code(), Some(0), "{said}");
    assert!(!said.contains("ERROR") && !said.contains("panic") && !said.contains("roken pipe"), "{said}");
}
