//! Tests pages that fail for an hour and a half, and a gateway that starts together with this machine, in virtual time.

use std::time::Duration;

use enphased::app::latest::Availability;
use enphased::app::poller::Shared;
use enphased::base::reading::{Reading, Serial, Source};
use enphased::base::units::Watts;
use enphased::io::gateway::Endpoint;
use enphased::simulator::{Answer, Fault, SimulationOptions};
use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::support::house::{HOUR, House, MINUTE, one_login};

const TICK: Duration = Duration::from_secs(30);

/// A house with only a poller, whose results can be inspected.
struct Watched {
    house: House,
    shared: Shared,
    serial: Serial,
    poller: JoinHandle<Option<Serial>>,
}

impl Watched {
    /// Creates a house with a token and a new poller.
    async fn new() -> Self {
        let house = House::new(SimulationOptions::default());
        house.live(Duration::from_secs(10)).await;
        Self::start(house)
    }

    fn start(house: House) -> Self {
        let (shared, poller) = house.start_poller();
        let serial = house.serial();
        Self { house, shared, serial, poller }
    }

    /// Restarts the machine.
    fn restart(self) -> Self {
        self.poller.abort();
        Self::start(self.house)
    }

    fn fail(&self, fault: &Fault, endpoint: Endpoint) {
        self.house.simulation.gateways[0].fail(fault.clone().at(endpoint.path()));
    }

    fn heal(&self) {
        self.house.simulation.gateways[0].heal();
    }

    /// Returns the newest reading, unless the gateway is offline.
    fn reading(&self) -> Option<Reading> {
        let reader = self.shared.latest.reader();
        let snapshot = reader.borrow();
        snapshot.gateway(&self.serial)?.fresh_reading().map(|reading| (*reading.value).clone())
    }

    fn availability(&self) -> Option<Availability> {
        let reader = self.shared.latest.reader();
        let snapshot = reader.borrow();
        Some((*snapshot.gateway(&self.serial)?.availability.as_ref()?.value).clone())
    }

    /// Returns the kinds of the events so far.
    fn events(&self) -> Vec<String> {
        let reader = self.shared.latest.reader();
        let snapshot = reader.borrow();
        snapshot.events_after(0).map(|told| told.event.kind.to_owned()).collect()
    }

    fn asked(&self, endpoint: Endpoint) -> u64 {
        let counts = self.house.simulation.gateways[0].counts();
        counts.paths.get(endpoint.path()).copied().unwrap_or_default()
    }
}

/// Returns every kind of failure of a page.
fn faults() -> Vec<Fault> {
    let mut faults =
        vec![Fault::Html, Fault::Truncated, Fault::Redirect, Fault::Busy, Fault::Hang, Fault::Reset];
    for (status, body) in [
        (200, "[]"),
        (200, "{}"),
        (200, "null"),
        (200, "{\"error\":\"404 - Not Found\"}"),
        (401, "no"),
        (403, "no"),
        (404, "no"),
        (500, "no"),
        (502, "no"),
    ] {
        faults.push(Fault::Respond(Answer::text(status, body)));
    }
    faults.extend([200, 204].map(|status| Fault::Respond(Answer::empty(status))));
    faults
}

fn whole(energy: Option<enphased::base::units::WattHours>) -> i64 {
    energy.unwrap().whole()
}

/// Checks that production, grid and house are present, with totals that neither go backward nor jump.
#[derive(Debug, Default)]
struct Totals {
    production: Option<i64>,
    house: Option<i64>,
    seen: Option<Timestamp>,
}

impl Totals {
    fn see(&mut self, reading: &Reading, context: &str) {
        let (production, grid) = (reading.production.as_ref().unwrap(), reading.grid.as_ref().unwrap());
        let house = reading.consumption.as_ref().unwrap();
        assert!(
            production.power_w.is_some() && grid.power_w.is_some() && house.power_w.is_some(),
            "{context}"
        );
        let passed = reading.time.duration_since(self.seen.replace(reading.time).unwrap_or(reading.time));
        // The simulated house produces and consumes at most 10 kW, and pages are up to a minute apart.
        let most = (passed.as_secs() + 60) * 10_000 / 3600;
        for (known, now) in
            [(&mut self.production, whole(production.energy_wh)), (&mut self.house, whole(house.energy_wh))]
        {
            let before = known.replace(now).unwrap_or(now);
            assert!((before..=before + most).contains(&now), "{context}: {now} after {before}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn ninety_minutes_without_readings_of_the_meters_cost_nothing_but_import_and_export() {
    for fault in faults() {
        let watched = Watched::new().await;
        sleep(5 * MINUTE).await;
        let mut totals = Totals::default();
        totals.see(&watched.reading().unwrap(), "before");
        assert_eq!(watched.asked(Endpoint::ProductionJson), 0);
        watched.fail(&fault, Endpoint::MeterReadings);
        for tick in 0..180 {
            sleep(TICK).await;
            let context = format!("{fault:?}, {tick}");
            let reading = watched.reading().unwrap_or_else(|| panic!("{context}: offline"));
            totals.see(&reading, &context);
            let age = watched.house.clock.now().duration_since(reading.time).as_secs();
            assert!(age <= 150, "{context}: the newest reading is {age} s old");
        }
        assert!(watched.asked(Endpoint::ProductionJson) <= 92, "{fault:?}");
        watched.heal();
        sleep(20 * MINUTE).await;
        let (slow, reading) = (watched.asked(Endpoint::ProductionJson), watched.reading().unwrap());
        totals.see(&reading, "after");
        assert!(reading.grid.unwrap().import_wh.is_some(), "{fault:?}");
        sleep(20 * MINUTE).await;
        assert_eq!(watched.asked(Endpoint::ProductionJson), slow, "{fault:?}: back to the first page");
        assert_eq!(watched.events(), ["page_failing", "page_recovered"], "{fault:?}");
        assert_eq!(watched.house.cloud(), one_login());
    }
}

#[tokio::test(start_paused = true)]
async fn ninety_minutes_without_the_list_of_meters_cost_nothing_but_import_and_export() {
    // The other kinds lead to the same requests (see the tests of `sources`).
    for fault in faults().into_iter().step_by(3) {
        let house = House::new(SimulationOptions::default());
        house.live(Duration::from_secs(10)).await;
        house.simulation.gateways[0].fail(fault.clone().at(Endpoint::Meters.path()));
        let watched = Watched::start(house);
        let mut totals = Totals::default();
        sleep(3 * MINUTE).await;
        for tick in 0..180 {
            sleep(TICK).await;
            let context = format!("{fault:?}, {tick}");
            totals.see(&watched.reading().unwrap_or_else(|| panic!("{context}: offline")), &context);
        }
        watched.heal();
        sleep(20 * MINUTE).await;
        let reading = watched.reading().unwrap();
        assert!(reading.grid.as_ref().unwrap().import_wh.is_some(), "{fault:?}: back to the first page");
        let events = watched.events();
        assert_eq!(events, ["page_failing", "page_recovered"], "{fault:?}");
    }
}

/// The machine and the gateway start together: for a while its pages, and `/info` or the check of the token in some
/// cases, answer with something else.
#[tokio::test(start_paused = true)]
async fn a_gateway_that_starts_with_this_machine_is_read_a_minute_after_it_is_well() {
    let pages = || Endpoint::ALL.map(Endpoint::path).to_vec();
    let with = |more: &[&'static str]| [&pages()[..], more].concat();
    for status in [401, 403, 404, 500, 503] {
        for paths in [pages(), with(&["/auth/check_jwt"]), with(&["/info", "/auth/check_jwt"])] {
            // A refusal of the token itself is tested elsewhere.
            let paths: Vec<_> =
                paths.into_iter().filter(|path| status != 401 || *path != "/auth/check_jwt").collect();
            for length in [Duration::from_secs(20), 10 * MINUTE] {
                let watched = Watched::new().await;
                let watched = watched.restart();
                for path in &paths {
                    watched.house.simulation.gateways[0]
                        .fail(Fault::Respond(Answer::html(status, "no")).at(path));
                }
                sleep(length).await;
                watched.heal();
                sleep(Duration::from_secs(65)).await;
                let reading = watched.reading();
                let reading =
                    reading.unwrap_or_else(|| panic!("{status} at {} pages for {length:?}", paths.len()));
                assert!(reading.production.is_some() && reading.grid.is_some(), "{status}, {length:?}");
                assert!(!reading.inverters.is_empty(), "{status}, {length:?}");
                assert_eq!(watched.house.cloud(), one_login());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn lists_that_are_empty_while_the_gateway_starts_cost_a_minute() {
    let watched = Watched::new().await.restart();
    for endpoint in
        [Endpoint::Meters, Endpoint::MeterReadings, Endpoint::Inverters, Endpoint::EnsembleInventory]
    {
        watched.fail(&Fault::Respond(Answer::json(200, "[]")), endpoint);
    }
    sleep(Duration::from_secs(40)).await;
    assert!(watched.reading().unwrap().production.is_some(), "the next page has it");
    watched.heal();
    sleep(Duration::from_secs(70)).await;
    assert!(watched.reading().unwrap().grid.unwrap().import_wh.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_asks_to_be_left_alone_for_years_is_asked_again_after_minutes() {
    let watched = Watched::new().await;
    sleep(MINUTE).await;
    let answer = Answer::html(503, "no").header("retry-after", "315360000");
    watched.house.simulation.gateways[0].fail(Fault::Respond(answer));
    sleep(2 * MINUTE).await;
    watched.heal();
    sleep(10 * MINUTE).await;
    assert!(watched.reading().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_gateway_without_production_is_offline_until_it_has_some() {
    let watched = Watched::new().await;
    sleep(MINUTE).await;
    for endpoint in Endpoint::ALL {
        watched.fail(&Fault::Respond(Answer::empty(200)), endpoint);
    }
    sleep(5 * MINUTE).await;
    let Some(Availability::Offline(why)) = watched.availability() else {
        panic!("{:?}", watched.availability())
    };
    assert!(why.contains("no page yields production") && why.contains("/production.json"), "{why}");
    watched.heal();
    sleep(Duration::from_secs(65)).await;
    assert_eq!(watched.availability(), Some(Availability::Online));
    assert_eq!(watched.events(), Vec::<String>::new(), "the outage says it");
}

#[tokio::test(start_paused = true)]
async fn production_alone_that_is_gone_is_an_outage_too() {
    let watched = Watched::new().await;
    sleep(3 * HOUR).await;
    for endpoint in
        [Endpoint::ProductionJson, Endpoint::Production, Endpoint::DeviceData, Endpoint::Inverters]
    {
        watched.fail(&Fault::Html, endpoint);
    }
    let net = r#"[{"eid":704643584,"activePower":250.0,"actEnergyDlvd":9000000.0,"actEnergyRcvd":1.0}]"#;
    watched.fail(&Fault::Respond(Answer::json(200, net)), Endpoint::MeterReadings);
    sleep(2 * MINUTE).await;
    let reading = watched.reading().unwrap();
    let production = reading.production.unwrap();
    assert_eq!(
        (production.source, production.energy_wh),
        (Source::Inverters, None),
        "the sum of their last reports"
    );
    assert_eq!(reading.grid.unwrap().power_w, Watts::new(250.0));
    // They are remembered for ten minutes.
    sleep(13 * MINUTE).await;
    assert!(matches!(watched.availability(), Some(Availability::Offline(_))));
    watched.heal();
    sleep(Duration::from_secs(65)).await;
    assert!(watched.reading().unwrap().production.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_night_is_no_outage() {
    let watched = Watched::new().await;
    sleep(18 * HOUR).await;
    let reading = watched.reading().unwrap();
    assert!(reading.production.unwrap().power_w.unwrap().value().abs() < 10.0);
    assert_eq!(watched.availability(), Some(Availability::Online));
    assert_eq!(watched.asked(Endpoint::ProductionJson), 0);
    assert_eq!(watched.events(), Vec::<String>::new());
}
