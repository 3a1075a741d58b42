//! The rules of asking, with a gateway made of a few pages.

use std::time::Duration;

use super::*;

const METERS: &str = r#"[{"eid":1,"state":"enabled","measurementType":"production","phaseCount":1},
    {"eid":2,"state":"enabled","measurementType":"net-consumption","phaseCount":1}]"#;
const READINGS: &str = r#"[{"eid":1,"timestamp":1782036900,"activePower":3000,"actEnergyDlvd":5000000},
    {"eid":2,"timestamp":1782036900,"activePower":-1000,"actEnergyDlvd":100,"actEnergyRcvd":40}]"#;
const INVERTERS: &str = r#"[{"serialNumber":"122310000101","lastReportWatts":241,"devType":1}]"#;

fn facts() -> Facts {
    Facts {
        serial: Serial::new("122300000001"),
        firmware: (8, 3, 5289),
        firmware_name: "8.3.5289".to_owned(),
        part_number: None,
        metered_model: Some(true),
        time: None,
    }
}

fn forbidden(endpoint: Endpoint) -> Error {
    Error::Forbidden { status: 401, path: endpoint.path() }
}

fn unreachable(endpoint: Endpoint) -> Error {
    Error::Unreachable { address: "192.168.1.20".into(), path: endpoint.path(), why: "timeout".into() }
}

/// A gateway whose token may not read `device_data`.
fn answer(endpoint: Endpoint) -> Result<&'static str, Error> {
    match endpoint {
        Endpoint::Meters => Ok(METERS),
        Endpoint::MeterReadings => Ok(READINGS),
        Endpoint::Inverters => Ok(INVERTERS),
        Endpoint::EnsembleInventory => Ok("[]"),
        Endpoint::DeviceData => Err(forbidden(endpoint)),
        _ => Err(Error::Missing { path: endpoint.path() }),
    }
}

fn poll(
    sources: &mut Sources,
    now: Instant,
    answer: impl Fn(Endpoint) -> Result<&'static str, Error>,
) -> (Vec<Endpoint>, Option<Reading>) {
    let mut asked = Vec::new();
    sources.begin_cycle(now);
    while let Some(endpoint) = sources.next(now) {
        asked.push(endpoint);
        let answer = answer(endpoint);
        sources.take(endpoint, answer.as_ref().map(|body| body.as_bytes()), now);
    }
    (asked, sources.reading(Timestamp::UNIX_EPOCH))
}

#[test]
fn the_house_uses_what_is_made_and_not_fed_in() {
    let now = Instant::now();
    let mut sources = Sources::new(facts(), Options::default(), now);
    let reading = poll(&mut sources, now, answer).1.unwrap();
    let house = reading.consumption.unwrap();
    assert_eq!((house.power_w.unwrap().published(), house.energy_wh.unwrap().whole()), (2000.0, 5_000_060));
    assert!(reading.gateway.metered);
}

#[test]
fn a_role_too_low_is_said_once_and_asked_again_after_a_role_change() {
    let start = Instant::now();
    let mut sources = Sources::new(facts(), Options::default(), start);
    let (asked, reading) = poll(&mut sources, start, answer);
    assert!(asked.contains(&Endpoint::DeviceData) && asked.contains(&Endpoint::Inverters));
    assert_eq!(reading.unwrap().inverters.len(), 1);
    assert!(sources.unavailable().contains(&(Endpoint::DeviceData, Refusal::Role)));
    assert_eq!(sources.notices().len(), 1);

    let hour_later = start + Duration::from_secs(3600);
    assert!(!poll(&mut sources, hour_later, answer).0.contains(&Endpoint::DeviceData));
    assert_eq!(sources.notices(), []);
    sources.role_changed();
    let next = hour_later + Duration::from_secs(30);
    assert!(poll(&mut sources, next, answer).0.contains(&Endpoint::DeviceData));
}

#[test]
fn nothing_more_is_asked_of_a_gateway_that_does_not_answer() {
    let now = Instant::now();
    let mut sources = Sources::new(facts(), Options::default(), now);
    let (asked, reading) = poll(&mut sources, now, |endpoint| Err(unreachable(endpoint)));
    assert_eq!((asked.len(), reading), (1, None));
}

#[test]
fn a_failed_page_costs_its_groups_alone_and_inverters_stay_while_fresh() {
    let start = Instant::now();
    let mut sources = Sources::new(facts(), Options::default(), start);
    poll(&mut sources, start, answer);
    let broken = |endpoint| match endpoint {
        Endpoint::MeterReadings => Ok("<html>"),
        Endpoint::Inverters => Err(Error::Failing { status: 502, path: endpoint.path() }),
        _ => answer(endpoint),
    };
    // The list of meters is read again after trouble; the inverters are still known.
    let (asked, reading) = poll(&mut sources, start + Duration::from_secs(30), broken);
    assert_eq!(asked, [Endpoint::MeterReadings, Endpoint::Meters]);
    let reading = reading.unwrap();
    assert_eq!((reading.production, reading.inverters.len()), (None, 1));
    let (_, reading) = poll(&mut sources, start + Duration::from_secs(660), broken);
    assert_eq!(reading.unwrap().inverters, []);
}

#[test]
fn a_production_meter_that_fails_is_not_replaced_by_another_total() {
    let start = Instant::now();
    let mut sources = Sources::new(facts(), Options::default(), start);
    poll(&mut sources, start, answer);
    let junk = |endpoint| if endpoint == Endpoint::MeterReadings { Ok("[]") } else { answer(endpoint) };
    let (asked, reading) = poll(&mut sources, start + Duration::from_secs(30), junk);
    assert!(!asked.contains(&Endpoint::Production) && !asked.contains(&Endpoint::ProductionJson));
    assert_eq!(reading.unwrap().production, None);
}

#[test]
fn new_firmware_is_said_once_and_found_out_anew() {
    let start = Instant::now();
    let mut sources = Sources::new(facts(), Options::default(), start);
    poll(&mut sources, start, answer);
    sources.notices();
    let updated = Facts { firmware: (8, 3, 5433), firmware_name: "8.3.5433".to_owned(), ..facts() };
    sources.identified(updated.clone(), start);
    let notices = sources.notices();
    assert_eq!(notices.len(), 1);
    assert!(notices[0].message.contains("8.3.5289") && notices[0].message.contains("8.3.5433"));
    sources.identified(updated, start);
    assert_eq!(sources.notices(), []);
    let (asked, _) = poll(&mut sources, start + Duration::from_secs(30), answer);
    assert!(asked.contains(&Endpoint::Meters) && asked.contains(&Endpoint::DeviceData));
}

#[test]
fn totals_of_zero_send_to_a_slower_page() {
    let start = Instant::now();
    let facts = Facts { metered_model: Some(false), firmware: (8, 3, 5422), ..facts() };
    let mut sources = Sources::new(facts, Options::default(), start);
    let zeros = |endpoint| match endpoint {
        Endpoint::Production => {
            Ok(r#"{"wattHoursToday":0,"wattHoursSevenDays":0,"wattHoursLifetime":0,"wattsNow":0}"#)
        }
        Endpoint::ProductionJson => {
            Ok(r#"{"production":[{"type":"inverters","activeCount":10,"wNow":2210,"whLifetime":8260450}]}"#)
        }
        _ => answer(endpoint),
    };
    let (_, reading) = poll(&mut sources, start, zeros);
    let production = reading.unwrap().production.unwrap();
    assert_eq!(production.energy_wh.unwrap().whole(), 8_260_450);
    assert_eq!(sources.notices()[0].kind, "firmware_oddity");
    let (asked, _) = poll(&mut sources, start + Duration::from_secs(30), zeros);
    assert_eq!(asked, [Endpoint::Production], "the slow page is asked for at a gentler pace");
}
