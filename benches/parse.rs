//! What one poll costs besides waiting: the pages of a metered gateway with 49 inverters are parsed, joined to a
//! reading, guarded, and written as the document. Prints the time of one such cycle: `cargo bench --bench parse`.

#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a benchmark prints a time"
)]

use std::fmt::Write;
use std::hint::black_box;
use std::time::Duration;

use enphased::base::reading::{NotASerial, Serial};
use enphased::io::gateway::firmware::Firmware;
use enphased::io::gateway::info::Info;
use enphased::io::gateway::{Endpoint, Error};
use enphased::rules::counters::Guard;
use enphased::rules::sources::{Cycle, Options, Sources};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::time::Instant;

const CYCLES: u32 = 2_000;
const INVERTERS: u32 = 49;

const METERS: &str = r#"[{"eid":704643328,"state":"enabled","measurementType":"production","phaseMode":"three","phaseCount":3},
    {"eid":704643584,"state":"enabled","measurementType":"net-consumption","phaseMode":"three","phaseCount":3}]"#;
const CHANNEL: &str = r#""timestamp":1782036900,"actEnergyDlvd":4545926.2,"actEnergyRcvd":40194.1,"apparentEnergy":1,"reactEnergyLagg":2,
    "reactEnergyLead":3,"instantaneousDemand":1416.1,"activePower":1416.1,"apparentPower":1500.1,"reactivePower":45.1,
    "pwrFactor":0.87,"voltage":239.5,"current":6.7,"freq":49.9"#;

/// Every page of a cycle in which everything is due.
struct Pages {
    readings: String,
    devices: String,
}

impl Pages {
    fn new() -> Self {
        let channels = format!("[{{{CHANNEL}}},{{{CHANNEL}}},{{{CHANNEL}}}]");
        let row = |eid: u32| format!(r#"{{"eid":{eid},{CHANNEL},"channels":{channels}}}"#);
        let mut devices = String::from("{");
        for index in 0..INVERTERS {
            let device = format!(
                r#""{index}":{{"devName":"pcu","sn":"1223{index:08}","active":true,"modGone":false,"channels":[{{"chanEid":1,
                "wattHours":{{"today":984,"yesterday":1,"week":2}},"watts":{{"now":255,"nowUsed":0,"max":371}},
                "lastReading":{{"eid":1,"endDate":1782036870,"duration":900,"flags":0,"joulesProduced":229500,
                "acVoltageINmV":231480,"acFrequencyINmHz":50010,"dcVoltageINmV":35100,"dcCurrentINmA":7300,"channelTemp":41,
                "acCurrentInmA":1100,"rssi":150,"issi":0}},"lifetime":{{"duration":1,"joulesProduced":4904101572}}}}]}},"#
            );
            devices.write_str(&device).expect("a string takes it");
        }
        devices.push_str(r#""deviceCount":49,"deviceDataLimit":50}"#);
        Self { readings: format!("[{},{}]", row(704_643_328), row(704_643_584)), devices }
    }

    fn answer(&self, endpoint: Endpoint) -> Result<&[u8], Error> {
        match endpoint {
            Endpoint::Meters => Ok(METERS.as_bytes()),
            Endpoint::MeterReadings => Ok(self.readings.as_bytes()),
            Endpoint::DeviceData => Ok(self.devices.as_bytes()),
            Endpoint::EnsembleInventory => Ok(b"[]"),
            _ => Err(Error::Missing { path: endpoint.path() }),
        }
    }
}

fn info() -> Result<Info, NotASerial> {
    Ok(Info {
        serial: Serial::parse("122300000001")?,
        firmware: Firmware::new(8, 3, 5289),
        software: "D8.3.5289".to_owned(),
        part_number: None,
        web_tokens: Some(true),
        metered_model: Some(true),
        time: None,
    })
}

fn main() -> Result<(), NotASerial> {
    let (pages, start) = (Pages::new(), Instant::now());
    let mut sources = Sources::new(info()?, Options::default(), start);
    let mut guard = Guard::default();
    let began = std::time::Instant::now();
    let mut written = 0;
    for cycle in 0..CYCLES {
        // Five minutes apart, so that the inverters are due each time.
        let now = start + Duration::from_secs(300) * cycle;
        sources.begin_cycle(now);
        while let Some(endpoint) = sources.next(now) {
            let answer = pages.answer(endpoint);
            sources.take(endpoint, answer.as_ref().copied(), now);
        }
        let time = Timestamp::UNIX_EPOCH + Duration::from_secs(300) * cycle;
        let Cycle::Reading(mut reading) = sources.cycle(time) else { continue };
        guard.apply(&mut reading, &TimeZone::UTC, now);
        assert_eq!(reading.inverters.len(), INVERTERS as usize, "every inverter is read");
        written += black_box(enphased::output::json::one_line(&reading)).len();
    }
    let each = began.elapsed() / CYCLES;
    println!(
        "a cycle of {INVERTERS} inverters, parsed, joined, guarded and written ({written} bytes in all): {each:?}"
    );
    Ok(())
}
