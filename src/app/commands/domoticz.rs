//! `enphased domoticz check` and `enphased domoticz example`, for devices by idx. Domoticz reports mistakes in these only
//! in its own log.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::Context;
use super::broker::with_connection;
use super::check::report::Report;
use super::failure::{Code, Failure};
use crate::app::config::Config;
use crate::io::mqtt::{BrokerEvent, Command, Session};
use crate::output::domoticz::devices::{DEVICES, Kind};
use crate::output::domoticz::idx::Idx;
use crate::output::domoticz::inspection::{ANSWERS, DeviceInfo, answer, check_device, is_answer, question};
use crate::output::domoticz::measured::{filters, is_measured};

/// The time limit for each response. Domoticz processes ten messages a second, and other messages may come first.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);
/// The number of messages that may arrive at once: Domoticz publishes every device, configured here or not.
const BURST: u32 = 10_000;
/// The number of requests for a device within the time limit.
const ATTEMPTS: u32 = 4;
/// The length of the longest key.
const WIDTH: usize = 19;

/// The responses of Domoticz.
#[derive(Debug, Default)]
struct Responses {
    devices: BTreeMap<u32, DeviceInfo>,
    /// `true` if Domoticz has published anything at all.
    alive: bool,
    /// The plain topics of the devices that the daemon has published.
    topics: BTreeSet<String>,
}

/// Asks Domoticz about each configured device, and writes one line for each: good, or what to change.
pub async fn check(context: &mut Context, limit: Duration, out: &mut dyn Write) -> Result<(), Failure> {
    let idx = configured(&context.config)?.clone();
    let prefix = context.config.mqtt.as_ref().map_or_else(String::new, |mqtt| mqtt.prefix.clone());
    let responses = ask(context, &idx, limit).await?;
    if !responses.alive {
        return Err(Failure::new(Code::Unavailable, no_response(limit)));
    }
    let mut report = Report::new(out, WIDTH);
    for (device, idx) in idx.devices() {
        match check_device(device, idx, responses.devices.get(&idx)) {
            Ok(words) if is_measured(device.key, &prefix, &responses.topics) == Some(false) => {
                report.good(device.key, &format!("{words}; but your gateway does not measure this"))?;
            }
            Ok(words) => report.good(device.key, &words)?,
            Err(words) => report.wrong(device.key, &Failure::new(Code::Configuration, words))?,
        }
    }
    report.wrong.map_or(Ok(()), |code| Err(Failure::new(code, "")))
}

/// Returns the devices that are configured below `[mqtt]`, or else below `[stdout]`.
fn configured(config: &Config) -> Result<&Idx, Failure> {
    let invalid = |message: &str| Err(Failure::new(Code::Configuration, message));
    let Some(settings) = &config.mqtt else {
        return invalid(
            "Domoticz is checked through the MQTT broker, and the configuration has no [mqtt]: write it, with the url \
             of the broker that Domoticz uses",
        );
    };
    let written = config.stdout.as_ref().map(|stdout| &stdout.idx);
    let found = [Some(&settings.idx), written].into_iter().flatten().find(|idx| !idx.is_empty());
    found.map_or_else(
        || {
            invalid(
                "no device is configured: write the idx of each below [mqtt], for example: domoticz = { production = 12 }. \
                 `enphased domoticz example` lists the possible devices",
            )
        },
        Ok,
    )
}

fn no_response(limit: Duration) -> String {
    format!(
        "Domoticz did not respond within {} s on domoticz/out or the topics below it. Check that Domoticz is running; that \
         Setup > Hardware has \"MQTT Client Gateway with LAN interface\", enabled, with the address of this broker; that \
         its topics are domoticz/in and domoticz/out; and that its Publish Topic is \"Flat\", because with \"None\" and with \
         \"Floor/Room\" it sends nothing. Domoticz also sends \
         nothing if none of the configured idx exists: Setup > Devices shows the right ones",
        limit.as_secs()
    )
}

async fn ask(context: &mut Context, idx: &Idx, limit: Duration) -> Result<Responses, Failure> {
    let Some(settings) = context.config.mqtt.clone() else { return Ok(Responses::default()) };
    let wanted: Vec<u32> = idx.devices().map(|(_, idx)| idx).collect();
    let filters: BTreeSet<String> =
        idx.devices().flat_map(|(device, _)| filters(device.key, &settings.prefix)).collect();
    with_connection(context, &settings, Some(BURST), async |mut connection| {
        subscribe(&connection.session, &filters).await;
        ask_for(&connection.session, &wanted).await;
        receive(&connection.session, &mut connection.events, &wanted, limit).await
    })
    .await
}

async fn subscribe(session: &Session, filters: &BTreeSet<String>) {
    // The values are retained, so they come before the first answer of Domoticz.
    send(session, filters.iter().cloned().chain([ANSWERS.to_owned()]).map(Command::Subscribe)).await;
}

async fn ask_for(session: &Session, wanted: &[u32]) {
    send(session, wanted.iter().map(|idx| Command::Publish(question(*idx)))).await;
}

async fn send(session: &Session, commands: impl Iterator<Item = Command>) {
    for command in commands {
        if session.ready().await {
            session.send(command);
        }
    }
}

/// Receives responses until every device was described, or none was for as long as `limit`. Asks again meanwhile, because
/// Domoticz answers without an acknowledgement, so that an answer can be lost.
async fn receive(
    session: &Session,
    events: &mut mpsc::Receiver<BrokerEvent>,
    wanted: &[u32],
    limit: Duration,
) -> Result<Responses, Failure> {
    let mut responses = Responses::default();
    let mut until = Instant::now() + limit;
    let mut again = Instant::now() + limit / ATTEMPTS;
    loop {
        let missing: Vec<u32> =
            wanted.iter().copied().filter(|idx| !responses.devices.contains_key(idx)).collect();
        if missing.is_empty() || Instant::now() >= until {
            break;
        }
        let Ok(event) = timeout_at(until.min(again), events.recv()).await else {
            again = Instant::now() + limit / ATTEMPTS;
            ask_for(session, &missing).await;
            continue;
        };
        match event {
            Some(BrokerEvent::Incoming { topic, .. }) if !is_answer(&topic) => {
                responses.topics.insert(topic);
            }
            // A retained message may describe a device that has been deleted.
            Some(BrokerEvent::Incoming { payload, retained: false, .. }) => {
                responses.alive = true;
                if let Some(device) = answer(&payload).filter(|device| wanted.contains(&device.idx)) {
                    let new = responses.devices.insert(device.idx, device).is_none();
                    until = if new { Instant::now() + limit } else { until };
                }
            }
            Some(BrokerEvent::Lost(error)) => return Err(Failure::new(Code::TryLater, error.to_string())),
            Some(_) => {}
            None => break,
        }
    }
    Ok(responses)
}

/// Lists the devices that can be created, with instructions.
pub fn example(out: &mut dyn Write) -> Result<(), Failure> {
    writeln!(out, "{BEFORE}")?;
    let name = |kind: Kind| match kind {
        Kind::Frequency => "Custom Sensor, axis label Hz".to_owned(),
        other => other.to_string(),
    };
    writeln!(out, "   {:<25}  {:<28}  what it shows", "line", "type of virtual sensor")?;
    for device in &DEVICES {
        let line = format!("{} = IDX", device.key);
        writeln!(out, "   {line:<25}  {:<28}  {}", name(device.kind), device.shows)?;
    }
    writeln!(out, "{AFTER}")?;
    Ok(())
}

const BEFORE: &str = "\
Devices for Domoticz, by idx. Create those that you want. Values that your gateway does not measure stay empty.

1. Domoticz, Setup > Hardware: add \"Dummy (Does nothing, use for virtual switches only)\", and \"MQTT Client Gateway
   with LAN interface\" with the address of your MQTT broker.
2. At the dummy hardware press \"Create Virtual Sensors\" once for each value. Choose a name and this type:
";

const AFTER: &str = "
3. Domoticz, Setup > Devices shows the Idx of each. Write the lines of your devices, with these numbers, at the end
   of the configuration file:

   [mqtt]
   url = \"mqtt://localhost:1883\"

   [mqtt.domoticz]
   production = 12
   grid = 13

4. Start enphased, or reload its configuration: sudo systemctl reload enphased
5. Check the devices: sudo enphased domoticz check";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::config::complete;
    use crate::app::config::environment::Environment;

    #[test]
    fn the_example_has_a_row_for_every_device() {
        let mut out = Vec::new();
        example(&mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        insta::assert_snapshot!(out);
        assert!(out.lines().all(|line| line.len() <= 120));
    }

    #[test]
    fn the_lines_of_the_example_are_valid_with_numbers_in_them() {
        let numbered: Vec<String> =
            DEVICES.iter().zip(1..).map(|(device, idx)| format!("{} = {idx}", device.key)).collect();
        let text =
            format!("[mqtt]\nurl = \"mqtt://localhost:1883\"\n[mqtt.domoticz]\n{}", numbered.join("\n"));
        let config = complete(&text, None, &Environment::default()).unwrap();
        assert_eq!(configured(&config).unwrap().devices().count(), DEVICES.len());
    }

    #[test]
    fn without_a_broker_or_a_device_the_message_says_what_to_write() {
        let refused = |text: &str| {
            let config = complete(text, None, &Environment::default()).unwrap();
            let failure = configured(&config).unwrap_err();
            assert_eq!(failure.code, Code::Configuration);
            failure.message
        };
        assert!(refused("").contains("has no [mqtt]"));
        assert!(refused("[mqtt]").contains("domoticz example"));
        let piped = "[stdout]\nformat = \"domoticz\"\ndomoticz = { soc = 3 }\n[mqtt]";
        let config = complete(piped, None, &Environment::default()).unwrap();
        assert_eq!(configured(&config).unwrap().of("soc"), Some(3));
    }
}
