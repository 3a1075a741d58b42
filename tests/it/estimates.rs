//! Tests the estimated energies of inverters and batteries against the true energies of the simulated house, over two days
//! in virtual time, with restarts, crashes and a meter that appears later.

use std::collections::BTreeMap;
use std::time::Duration;

use enphased::app::commands::Context;
use enphased::app::poller::{Poller, Shared};
use enphased::base::reading::{Reading, Serial};
use enphased::base::units::WattHours;
use enphased::io::gateway::Endpoint;
use enphased::io::state_dir::StateDir;
use enphased::output::homeassistant;
use enphased::simulator::{Answer, Fault, GatewayOptions, Pages, SimulationOptions};
use fastrand::Rng;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::discovery::settings;
use crate::support::house::{HOUR, House, MINUTE};

/// A house with a poller, whose readings are inspected.
struct Watched {
    house: House,
    shared: Shared,
    serial: Serial,
    poller: JoinHandle<Option<Serial>>,
    stop: oneshot::Sender<()>,
    /// The last published energies.
    last: BTreeMap<String, i64>,
    /// The number of writes of the counters file.
    writes: u32,
    written: Option<Vec<u8>>,
}

impl Watched {
    async fn new(pages: Pages, prepare: impl FnOnce(&House)) -> Self {
        let options =
            SimulationOptions { gateways: vec![GatewayOptions::new(pages)], ..SimulationOptions::default() };
        let house = House::new(options);
        prepare(&house);
        house.live(Duration::from_secs(10)).await;
        let serial = Serial::parse(&house.simulation.gateways[0].serial()).unwrap();
        let (shared, poller, stop) = Self::start(&house);
        Self { house, shared, serial, poller, stop, last: BTreeMap::new(), writes: 0, written: None }
    }

    fn start(house: &House) -> (Shared, JoinHandle<Option<Serial>>, oneshot::Sender<()>) {
        let mut context =
            Context::new(house.config(), house.environment(), house.clock.clone(), Rng::with_seed(3));
        let shared = context.shared(&StateDir::open(house.state()).unwrap());
        let reader = context.readers(&shared).remove(0);
        let poller = Poller::new(shared.statuses.open(), reader, Instant::now());
        let (stop, stopped) = oneshot::channel();
        let run = Box::new(poller).run(async { stopped.await.unwrap_or_default() });
        (shared, tokio::spawn(run), stop)
    }

    /// Ends the poller, with a last write or as a crash does, and starts another one.
    async fn restart(&mut self, is_orderly: bool) {
        if is_orderly {
            let stop = std::mem::replace(&mut self.stop, oneshot::channel().0);
            stop.send(()).unwrap();
        } else {
            self.poller.abort();
        }
        drop((&mut self.poller).await);
        (self.shared, self.poller, self.stop) = Self::start(&self.house);
    }

    fn reading(&self) -> Option<Reading> {
        let reader = self.shared.latest.reader();
        let snapshot = reader.borrow();
        snapshot.gateway(&self.serial)?.fresh_reading().map(|reading| (*reading.value).clone())
    }

    /// Lets time pass; checks at each minute that no energy decreases.
    async fn pass(&mut self, length: Duration) {
        for _ in 0..length.as_secs() / 60 {
            sleep(MINUTE).await;
            self.count_writes();
            let Some(reading) = self.reading() else { continue };
            for (name, energy) in energies(&reading) {
                let last = self.last.insert(name.clone(), energy).unwrap_or(energy);
                assert!(energy >= last, "{name}: {energy} Wh after {last} Wh at {}", reading.time);
            }
        }
    }

    fn count_writes(&mut self) {
        let path = self.house.state().join(format!("counters-{}.json", self.serial));
        let now = std::fs::read(path).ok();
        if now != self.written {
            self.writes += 1;
            self.written = now;
        }
    }
}

/// Returns the energies of a reading.
fn energies(reading: &Reading) -> Vec<(String, i64)> {
    let inverters =
        reading.inverters.iter().map(|inverter| (inverter.serial.to_string(), inverter.energy_wh));
    let storage = reading.storage.iter().flat_map(|storage| {
        [("charged".to_owned(), storage.charged_wh), ("discharged".to_owned(), storage.discharged_wh)]
    });
    inverters.chain(storage).filter_map(|(name, total)| Some((name, total?.whole()))).collect()
}

/// Returns `fault` for a page that does not exist.
fn missing(endpoint: Endpoint) -> enphased::simulator::Failure {
    Fault::Respond(Answer::text(404, "not found")).at(endpoint.path())
}

/// Returns the serial numbers of the inverters in the order of the page, which is that of the simulated house.
fn serials(fixture: &str) -> Vec<String> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(fixture);
    let page: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    page.as_array().unwrap().iter().map(|row| row["serialNumber"].as_str().unwrap().to_owned()).collect()
}

/// Returns the true lifetime energy of each inverter.
fn true_energies(house: &House) -> Vec<f64> {
    let world = house.simulation.worlds[0].now();
    world.inverters.iter().map(|report| report.energy.value()).collect()
}

/// Returns the number of energies in kWh that are announced under a matching topic.
fn announced(reading: &Reading, matches: impl Fn(&str) -> bool) -> usize {
    let messages = homeassistant::discovery(reading, &settings(false));
    let energies = messages.iter().filter(|message| message.payload.contains(r#""kWh""#));
    energies.filter(|message| matches(&message.topic)).count()
}

fn announced_energies(reading: &Reading) -> usize {
    let serials: Vec<&str> = reading.inverters.iter().map(|inverter| inverter.serial.as_str()).collect();
    announced(reading, |topic| {
        topic.contains("energy") && serials.iter().any(|serial| topic.contains(serial))
    })
}

fn percent_off(estimate: f64, truth: f64) -> f64 {
    100.0 * (estimate - truth).abs() / truth
}

#[tokio::test(start_paused = true)]
async fn inverters_without_a_counter_have_the_energy_of_their_reports() {
    let no_details = |house: &House| house.simulation.gateways[0].fail(missing(Endpoint::DeviceData));
    let mut watched = Watched::new(Pages::non_metered(), no_details).await;
    let serials = serials("8.3.5289_non_metered/api_v1_production_inverters");
    let before = true_energies(&watched.house);
    watched.pass(20 * MINUTE).await;
    assert!(watched.reading().unwrap().inverters.iter().all(|inverter| inverter.energy_wh.is_none()));
    // Until the evening, with an orderly restart.
    watched.pass(5 * HOUR).await;
    watched.restart(true).await;
    watched.pass(10 * HOUR).await;
    let reading = watched.reading().unwrap();
    let after = true_energies(&watched.house);
    let mut worst = 0.0_f64;
    for ((serial, before), after) in serials.iter().zip(&before).zip(&after) {
        let inverter = reading.inverters.iter().find(|one| one.serial.as_str() == serial).unwrap();
        assert!(inverter.energy_estimated);
        worst = worst.max(percent_off(inverter.energy_wh.unwrap().value(), after - before));
    }
    assert_eq!(announced_energies(&reading), serials.len(), "each is announced");
    println!("inverters: at most {worst:.2} % off, {} writes in 15 h", watched.writes);
    assert!(worst < 2.0, "{worst} % off");

    // After a crash nothing goes backward, and soon nothing is counted twice.
    watched.pass(12 * HOUR).await;
    for _ in 0..3 {
        watched.restart(false).await;
        watched.pass(HOUR).await;
    }
    watched.pass(HOUR).await;
    let (reading, now) = (watched.reading().unwrap(), true_energies(&watched.house));
    for ((serial, before), now) in serials.iter().zip(&before).zip(&now) {
        let inverter = reading.inverters.iter().find(|one| one.serial.as_str() == serial).unwrap();
        // The true energy is not that of the last report, but that of now.
        let (estimate, truth) = (inverter.energy_wh.unwrap().value(), now - before);
        assert!((estimate - truth).abs() < 0.03 * truth, "{estimate} of {truth} Wh");
    }

    // The detailed page appears: its totals continue at the estimates.
    let estimates: BTreeMap<String, i64> = energies(&reading).into_iter().collect();
    let shift = true_energies(&watched.house);
    watched.house.simulation.gateways[0].heal();
    watched.pass(6 * HOUR).await;
    let (reading, now) = (watched.reading().unwrap(), true_energies(&watched.house));
    assert!(reading.inverters.iter().all(|inverter| inverter.voltage_v.is_some()), "from the detailed page");
    for ((serial, shift), now) in serials.iter().zip(&shift).zip(&now) {
        let inverter = reading.inverters.iter().find(|one| one.serial.as_str() == serial).unwrap();
        #[expect(clippy::cast_precision_loss, reason = "a few kWh")]
        let grown = inverter.energy_wh.unwrap().value() - estimates[serial] as f64;
        assert!((grown - (now - shift)).abs() < 200.0, "{grown} Wh, in truth {}", now - shift);
        assert!(inverter.energy_estimated, "it still contains an estimate");
    }
}

/// Returns the list of meters without the one of the batteries.
fn without_storage_meter(house: &House) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/8.3.5289_battery/ivp_meters");
    let mut page: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    for meter in page.as_array_mut().unwrap() {
        if meter["measurementType"] == "storage" {
            meter["state"] = "disabled".into();
        }
    }
    let answer = Answer::text(200, page.to_string());
    house.simulation.gateways[0].fail(Fault::Respond(answer).at(Endpoint::Meters.path()));
}

#[tokio::test(start_paused = true)]
async fn batteries_without_a_meter_have_the_energy_of_their_power() {
    let mut watched = Watched::new(Pages::battery(), without_storage_meter).await;
    let energies = |house: &House| house.simulation.worlds[0].now().energies;
    let before = energies(&watched.house);
    let grown = |now: WattHours, before: WattHours| now.value() - before.value();
    watched.pass(10 * HOUR).await;
    watched.restart(true).await;
    watched.pass(5 * HOUR).await;
    let (storage, now) = (watched.reading().unwrap().storage.unwrap(), energies(&watched.house));
    assert!(storage.energy_estimated);
    let charged = percent_off(storage.charged_wh.unwrap().value(), grown(now.charged, before.charged));
    let discharged =
        percent_off(storage.discharged_wh.unwrap().value(), grown(now.discharged, before.discharged));
    let reading = watched.reading().unwrap();
    let counters = announced(&reading, |topic| topic.contains("storage_") && topic.contains("charge_energy"));
    assert_eq!(counters, 2, "both are announced");
    println!(
        "batteries: {charged:.2} % and {discharged:.2} % off, {} writes in 15 h of {} and {} Wh",
        watched.writes,
        grown(now.charged, before.charged),
        grown(now.discharged, before.discharged)
    );
    assert!(charged < 1.0 && discharged < 1.0, "{charged} % and {discharged} % off");
    assert!(watched.writes < 15 * 4 + 10, "{} writes", watched.writes);

    // The energy of the day begins at midnight.
    watched.pass(4 * HOUR).await;
    let storage = watched.reading().unwrap().storage.unwrap();
    assert!(storage.discharged_today_wh.unwrap() < storage.discharged_wh.unwrap());
    assert!(storage.charged_today_wh.is_some());

    for _ in 0..3 {
        watched.restart(false).await;
        watched.pass(HOUR).await;
    }
    watched.pass(6 * HOUR).await;
    let (storage, now) = (watched.reading().unwrap().storage.unwrap(), energies(&watched.house));
    let charged = percent_off(storage.charged_wh.unwrap().value(), grown(now.charged, before.charged));
    assert!(charged < 2.0, "{charged} % off after crashes");

    // A meter appears: its totals continue at the estimates.
    let at = (storage.charged_wh.unwrap(), now);
    watched.house.simulation.gateways[0].heal();
    watched.pass(5 * HOUR).await;
    let (storage, now) = (watched.reading().unwrap().storage.unwrap(), energies(&watched.house));
    let (counted, truth) = (grown(storage.charged_wh.unwrap(), at.0), grown(now.charged, at.1.charged));
    assert!((counted - truth).abs() < 0.02 * truth + 300.0, "{counted} Wh, in truth {truth}");
}
