//! `enphased domoticz check` and `enphased domoticz example`: for devices by idx, about whose mistakes Domoticz
//! speaks only in its own log.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::Context;
use super::check::report::Report;
use super::failure::{Code, Failure};
use crate::app::config::Config;
use crate::app::daemon::outputs;
use crate::io::mqtt::{self, Happened, Order, Session};
use crate::output::domoticz::devices::{DEVICES, Kind};
use crate::output::domoticz::idx::Idx;
use crate::output::domoticz::inspection::{ANSWERS, DeviceInfo, answer, check_device, question};

/// How long the broker, and then each answer, is waited for. Domoticz takes ten messages a second, and there may
/// be others before ours.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How many messages Domoticz may have for us at once: it tells of every device, ours or not.
const EVERYTHING: u32 = 10_000;
/// Room for the longest key.
const WIDTH: usize = 19;

/// What came back.
#[derive(Debug, Default)]
struct Heard {
    devices: BTreeMap<u32, DeviceInfo>,
    /// Whether Domoticz has said anything at all.
    alive: bool,
}

/// Asks Domoticz about each configured device: one line for each, good or what to change.
pub async fn check(context: &mut Context, patience: Duration, out: &mut dyn Write) -> Result<(), Failure> {
    let idx = configured(&context.config)?.clone();
    let heard = ask(context, &idx, patience).await?;
    if !heard.alive {
        return Err(Failure::new(Code::Unavailable, silence(patience)));
    }
    let mut report = Report::new(out, WIDTH);
    for (device, idx) in idx.devices() {
        match check_device(device, idx, heard.devices.get(&idx)) {
            Ok(words) => report.good(device.key, &words)?,
            Err(words) => report.wrong(device.key, &Failure::new(Code::Configuration, words))?,
        }
    }
    report.wrong.map_or(Ok(()), |code| Err(Failure::new(code, "")))
}

/// The devices of `[mqtt]`, or those that standard output is written for.
fn configured(config: &Config) -> Result<&Idx, Failure> {
    let nothing = |message: &str| Err(Failure::new(Code::Configuration, message));
    let Some(settings) = &config.mqtt else {
        return nothing(
            "Domoticz is asked through the MQTT broker, and there is no [mqtt] in the configuration: write it, with \
             the url of the broker that Domoticz uses",
        );
    };
    let written = config.stdout.as_ref().map(|stdout| &stdout.idx);
    let found = [Some(&settings.idx), written].into_iter().flatten().find(|idx| !idx.is_empty());
    found.map_or_else(
        || {
            nothing(
                "no device is configured: write the idx of each below [mqtt], as domoticz = { production = 12 }; \
                 `enphased domoticz example` shows which there can be",
            )
        },
        Ok,
    )
}

fn silence(patience: Duration) -> String {
    format!(
        "Domoticz did not answer within {} s, neither on domoticz/out nor below it. Look at these, in Domoticz: is it \
         running; does Setup > Hardware have \"MQTT Client Gateway with LAN interface\", enabled, with the address of \
         this broker; are its topics domoticz/in and domoticz/out; is its Publish Topic not \"None\". It is silent too \
         when none of the configured idx exists: Setup > Devices shows the right ones",
        patience.as_secs()
    )
}

async fn ask(context: &mut Context, idx: &Idx, patience: Duration) -> Result<Heard, Failure> {
    let Some(settings) = &context.config.mqtt else { return Ok(Heard::default()) };
    let client_id = format!("enphased-check-{:08x}", context.rng.u32(..));
    // Without a last will: it would declare the running daemon offline.
    let options = mqtt::Options { will: None, burst: EVERYTHING, ..outputs::broker(settings, &client_id) };
    let place = options.address.clone();
    let (tell, mut happened) = mpsc::channel(16);
    let connection = mqtt::keep_connected(options, context.rng.fork(), tell);
    let wanted: Vec<u32> = idx.devices().map(|(_, idx)| idx).collect();
    let talk = async {
        let late = |_| Failure::new(Code::TryLater, format!("the MQTT broker at {place} did not answer"));
        let session = timeout(PATIENCE, connected(&mut happened)).await.map_err(late)??;
        put_questions(&session, &wanted).await;
        listen(&mut happened, &wanted, patience).await
    };
    tokio::select! {
        heard = talk => heard,
        () = connection => Err(Failure::new(Code::TryLater, "the connection to the MQTT broker ended")),
    }
}

async fn connected(happened: &mut mpsc::Receiver<Happened>) -> Result<Session, Failure> {
    while let Some(news) = happened.recv().await {
        match news {
            Happened::Connected(session) => return Ok(session),
            Happened::Lost(error) => return Err(Failure::new(Code::TryLater, error.to_string())),
            Happened::Incoming { .. } | Happened::Rests(..) | Happened::Awake => {}
        }
    }
    Err(Failure::new(Code::TryLater, "the connection to the MQTT broker ended"))
}

async fn put_questions(session: &Session, wanted: &[u32]) {
    let questions = wanted.iter().map(|idx| Order::Publish(question(*idx)));
    for order in std::iter::once(Order::Subscribe(ANSWERS.to_owned())).chain(questions) {
        if session.ready().await {
            session.send(order);
        }
    }
}

/// Listens until everything is answered, or nothing was for as long as `patience`.
async fn listen(
    happened: &mut mpsc::Receiver<Happened>,
    wanted: &[u32],
    patience: Duration,
) -> Result<Heard, Failure> {
    let mut heard = Heard::default();
    let mut until = Instant::now() + patience;
    while wanted.iter().any(|idx| !heard.devices.contains_key(idx)) {
        let Ok(news) = timeout_at(until, happened.recv()).await else { break };
        match news {
            // What the broker had kept may be a device that is gone.
            Some(Happened::Incoming { payload, retained: false, .. }) => {
                heard.alive = true;
                if let Some(told) = answer(&payload).filter(|told| wanted.contains(&told.idx)) {
                    let new = heard.devices.insert(told.idx, told).is_none();
                    until = if new { Instant::now() + patience } else { until };
                }
            }
            Some(Happened::Lost(error)) => return Err(Failure::new(Code::TryLater, error.to_string())),
            Some(_) => {}
            None => break,
        }
    }
    Ok(heard)
}

/// Shows the devices that can be made, ready to follow.
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
Devices for Domoticz, by idx. Make those you want; a value that your gateway does not measure stays empty.

1. Domoticz, Setup > Hardware: add \"Dummy (Does nothing, use for virtual switches only)\", and \"MQTT Client Gateway
   with LAN interface\" with the address of your MQTT broker.
2. At the dummy hardware press \"Create Virtual Sensors\", once for each value, with a name of your own and this type:
";

const AFTER: &str = "
3. Domoticz, Setup > Devices shows the Idx of each. Write the lines of your devices, with these numbers, at the end
   of the configuration:

   [mqtt]
   url = \"mqtt://localhost:1883\"

   [mqtt.domoticz]
   production = 12
   grid = 13

4. Start enphased, or let it read the configuration again: sudo systemctl reload enphased
5. See whether everything fits: sudo enphased domoticz check";

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
    fn the_lines_of_the_example_hold_with_numbers_in_them() {
        let numbered: Vec<String> =
            DEVICES.iter().zip(1..).map(|(device, idx)| format!("{} = {idx}", device.key)).collect();
        let text =
            format!("[mqtt]\nurl = \"mqtt://localhost:1883\"\n[mqtt.domoticz]\n{}", numbered.join("\n"));
        let config = complete(&text, None, &Environment::default()).unwrap();
        assert_eq!(configured(&config).unwrap().devices().count(), DEVICES.len());
    }

    #[test]
    fn without_a_broker_or_a_device_it_is_said_what_to_write() {
        let refused = |text: &str| {
            let config = complete(text, None, &Environment::default()).unwrap();
            let failure = configured(&config).unwrap_err();
            assert_eq!(failure.code, Code::Configuration);
            failure.message
        };
        assert!(refused("").contains("no [mqtt]"));
        assert!(refused("[mqtt]").contains("domoticz example"));
        let piped = "[stdout]\nformat = \"domoticz\"\ndomoticz = { soc = 3 }\n[mqtt]";
        let config = complete(piped, None, &Environment::default()).unwrap();
        assert_eq!(configured(&config).unwrap().of("soc"), Some(3));
    }
}
