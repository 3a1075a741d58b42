//! Tests of the announcements, and of the document that they refer to.

use super::*;

#[test]
fn configurations_come_before_the_state_and_again_at_a_birth() {
    let (latest, snapshot, mut outbox) = bench(discovery());
    let now = Instant::now();
    latest.put_reading(reading("1", 0));
    outbox.connected();
    let end = ["e/1/reading", "e/1/availability online"].map(str::to_owned);
    let first = sent(&mut outbox, &snapshot, now);
    let all = configurations(&first);
    assert!(all > 0);
    assert!(first.contains(&"? homeassistant/status".to_owned()));
    assert!(first.ends_with(&end), "{first:?}");

    latest.put_reading(reading("1", 30));
    assert_eq!(sent(&mut outbox, &snapshot, now), ["e/1/reading"]);

    assert_eq!(outbox.incoming("homeassistant/status", b"online", true), Meaning::Nothing);
    assert_eq!(outbox.incoming("homeassistant/status", b"online", false), Meaning::Birth);
    let again = sent(&mut outbox, &snapshot, now + Duration::from_secs(60));
    assert_eq!(configurations(&again), all);
    assert!(again.ends_with(&end), "{again:?}");
}

#[test]
fn many_configurations_are_spread_out_and_do_not_delay_the_state() {
    let (latest, snapshot, mut outbox) = bench(discovery());
    let now = Instant::now();
    let mut many = test_readings::full();
    let one = many.inverters[0].clone();
    many.inverters = (0..50)
        .map(|n| {
            let serial = Serial::parse(&format!("4822000000{n:02}")).unwrap();
            crate::base::reading::Inverter { serial, ..one.clone() }
        })
        .collect();
    latest.put_reading(many);
    outbox.connected();
    let burst = sent(&mut outbox, &snapshot, now);
    assert_eq!(configurations(&burst), 100);
    assert!(burst[burst.len() - 2].ends_with("/reading"), "the state is not delayed");

    let (mut later, mut rest) = (now, Vec::new());
    while let Some(wake) = outbox.wakes() {
        assert!(wake > later, "no wake-up without work");
        later = wake;
        rest.push(sent(&mut outbox, &snapshot, later));
    }
    let last = rest.pop().unwrap();
    assert!(last.len() == 1 && last[0].ends_with("/reading"), "and again when all are processed");
    assert!(rest.iter().all(|sent| configurations(sent) == 1), "one at a time");
    assert!(rest.last().unwrap().last().unwrap().ends_with("/reading"), "and again after the last");
}

#[test]
fn consumers_that_start_every_second_delay_nothing() {
    let (latest, snapshot, mut outbox) = bench(Options { topics: true, ..discovery() });
    let start = Instant::now();
    let mut many = test_readings::full();
    many.inverters = roof(60);
    latest.put_reading(many);
    outbox.connected();
    let (mut configurations, mut others) = (BTreeMap::<String, usize>::new(), 0);
    for second in 0..300 {
        for _ in 0..100 {
            outbox.incoming("homeassistant/status", b"online", false);
        }
        for topic in sent(&mut outbox, &snapshot, start + Duration::from_secs(second)) {
            if topic.starts_with("homeassistant/") {
                *configurations.entry(topic).or_default() += 1;
            } else {
                others += 1;
            }
        }
        assert_eq!(outbox.begun.len(), 0);
    }
    let all = 60 * 5;
    assert!(configurations.len() > all, "{} are announced", configurations.len());
    assert!(configurations.values().all(|times| *times > 1), "and again");
    let announced: usize = configurations.values().sum();
    assert!(announced <= 100 + 300 * 10, "{announced} announcements in 300 s");
    // The values again at five births, and the document after each round of announcements.
    assert!(others < 7 * 1000, "{others} others");
}

#[test]
fn everything_is_announced_over_a_connection_that_breaks_every_second() {
    let (latest, snapshot, mut outbox) = bench(discovery());
    let start = Instant::now();
    let mut many = test_readings::full();
    many.inverters = roof(60);
    latest.put_reading(many.clone());
    let mut announced = BTreeSet::new();
    for second in 0..60 {
        outbox.connected();
        let sent = sent(&mut outbox, &snapshot, start + Duration::from_secs(second));
        announced.extend(sent.into_iter().filter(|topic| topic.starts_with("homeassistant/")));
        outbox.lost();
    }
    let wanted = crate::output::homeassistant::discovery(&many, discovery().homeassistant.as_ref().unwrap());
    assert_eq!(announced.len(), wanted.len());
}

#[test]
fn while_a_gateway_is_away_a_birth_leads_to_announcements_and_availability_only() {
    let (latest, snapshot, mut outbox) = bench(Options { topics: true, ..discovery() });
    let mut now = Instant::now();
    let reading = test_readings::full();
    let serial = reading.gateway.serial.clone();
    latest.put_reading(reading);
    outbox.connected();
    let all = drained(&mut outbox, &snapshot, now);
    let announced = |sent: &[(Instant, Message)]| {
        sent.iter().filter(|(_, message)| message.topic.starts_with("homeassistant/")).count()
    };
    latest.put_availability(&serial, Availability::Offline("no answer".to_owned()));
    for is_birth in [true, false] {
        now += Duration::from_secs(600);
        if is_birth {
            assert_eq!(outbox.incoming("homeassistant/status", b"online", false), Meaning::Birth);
        } else {
            outbox.lost();
            outbox.connected();
        }
        let again = drained(&mut outbox, &snapshot, now);
        assert_eq!(announced(&again), announced(&all));
        let others = again.iter().filter(|(_, message)| !message.topic.starts_with("homeassistant/"));
        for (_, Message { topic, payload, .. }) in others {
            assert!(
                topic == "e/status" || topic.ends_with("/availability") && payload == "offline",
                "{topic}"
            );
        }
    }
}

/// Returns the entities in the last document among `sent`.
fn entities(sent: &[(Instant, Message)]) -> serde_json::Value {
    let document = sent.iter().rfind(|(_, message)| message.topic.ends_with("/reading")).unwrap();
    let document: serde_json::Value = serde_json::from_str(&document.1.payload).unwrap();
    document["entities"].clone()
}

/// A record as version 0.1.0 wrote it.
const OLD_RECORD: &str = r#"{"prefix":"e","entities":{
    "homeassistant/sensor/122300000000/l9_voltage/config":{"detail":true},
    "homeassistant/sensor/122300000000/production_power/config":{},
    "homeassistant/sensor/482200000001/power/config":{"device":"inverters/482200000001"},
    "homeassistant/sensor/482200000099/power/config":{"device":"inverters/482200000099"},
    "homeassistant/sensor/492200000099/soc/config":{"device":"batteries/492200000099"}},
    "values":["production/power_w"],
    "entries":{"batteries/492200000099":{"kind":"encharge","days":0},"inverters/482200000001":{"days":0},
    "inverters/482200000099":{"days":2,"last":"2026-11-19"}}}"#;

#[test]
fn what_an_earlier_run_announced_is_null_until_it_is_there_again_or_forgotten() {
    let (latest, snapshot, mut outbox) = bench(discovery());
    let mut reading = test_readings::full();
    let absent = ["l9_voltage", "sn482200000099_power", "sn492200000099_soc"];
    outbox.remember(reading.gateway.serial.clone(), serde_json::from_str(OLD_RECORD).unwrap());
    outbox.connected();
    latest.put_reading(reading.clone());
    let now = Instant::now();
    let first = entities(&drained(&mut outbox, &snapshot, now));
    assert!(absent.iter().all(|name| first.get(name).is_some_and(serde_json::Value::is_null)), "{first}");
    assert!(first["production_power"].is_number() && first["sn482200000001_power"].is_number());

    // No inverters at all, as when their page fails.
    let inverters = std::mem::take(&mut reading.inverters);
    latest.put_reading(reading.clone());
    let without = entities(&drained(&mut outbox, &snapshot, now));
    let names = |entities: &serde_json::Value| -> Vec<String> {
        entities.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(names(&without), names(&first));
    assert!(without["sn482200000001_power"].is_null());

    let mut returned = inverters[0].clone();
    returned.serial = Serial::parse("482200000099").unwrap();
    reading.inverters = [&inverters[..], &[returned]].concat();
    latest.put_reading(reading.clone());
    assert!(entities(&drained(&mut outbox, &snapshot, now))["sn482200000099_power"].is_number());

    reading.inverters = inverters;
    for _ in 1..=7 {
        reading.time += jiff::SignedDuration::from_hours(24);
        latest.put_reading(reading.clone());
        assert!(entities(&drained(&mut outbox, &snapshot, now))["sn482200000001_power"].is_number());
    }
    latest.put_reading(reading.clone());
    let last = entities(&drained(&mut outbox, &snapshot, now));
    assert_eq!(last.get("sn482200000099_power"), None, "it was forgotten after seven days");
    assert_eq!(last.get("sn492200000099_soc"), None, "and so was the battery");
    assert_eq!(last.get("l9_voltage"), Some(&serde_json::Value::Null), "a phase is never forgotten");
}

#[test]
fn what_version_0_1_0_announced_is_defined_until_it_is_announced_again() {
    const OLD: [&str; 2] = ["production_energy", "sn482200000059_energy"];
    let record = r#"{"prefix":"e","entities":{
        "homeassistant/sensor/122300000000/production_energy/config":{},
        "homeassistant/sensor/482200000059/energy/config":{"device":"inverters/482200000059"}}}"#;
    let (latest, snapshot, mut outbox) = bench(discovery());
    let mut many = test_readings::full();
    many.inverters = roof(60);
    outbox.remember(many.gateway.serial.clone(), serde_json::from_str(record).unwrap());
    let production = many.production.take();
    latest.put_reading(many.clone());
    outbox.connected();
    let sent = drained(&mut outbox, &snapshot, Instant::now());
    let first = sent.iter().position(|(_, message)| message.topic.ends_with("/reading")).unwrap();
    let (first, last) = (entities(&sent[..=first]), entities(&sent));
    assert!(OLD.iter().all(|name| first.get(name).is_some_and(serde_json::Value::is_null)), "{first}");
    assert!(first["sn482200000059_energy_kwh"].is_number());
    assert_eq!(OLD.map(|name| last.get(name).is_some()), [true, false], "one is still announced as before");
    many.production = production;
    latest.put_reading(many);
    let last = entities(&drained(&mut outbox, &snapshot, Instant::now()));
    assert_eq!(OLD.map(|name| last.get(name).is_some()), [false; 2]);
    assert!(last["production_energy_kwh"].is_number());
}

/// Returns the announced topics whose values a consumer does not have in time, if it processes `sent` as Domoticz does: one
/// announcement in a tenth of a second, and the state, which is not held back by the limit of the broker, immediately.
fn late(sent: &[(Instant, Message)]) -> Vec<String> {
    const EACH: Duration = Duration::from_millis(100);
    let mut idle = sent[0].0;
    let mut known = Vec::new();
    for (at, message) in sent.iter().filter(|(_, message)| message.topic.starts_with("homeassistant/")) {
        idle = idle.max(*at) + EACH;
        known.push((idle, message.topic.clone()));
    }
    let end = sent[0].0 + EACH * u32::try_from(known.len()).unwrap() + Duration::from_secs(2);
    let states = sent.iter().filter(|(at, message)| *at <= end && message.topic.ends_with("/reading"));
    let states: Vec<Instant> = states.map(|(at, _)| *at).collect();
    known.retain(|(processed, _)| states.iter().all(|state| state < processed));
    known.into_iter().map(|(_, topic)| topic).collect()
}

#[test]
fn a_consumer_of_ten_announcements_a_second_has_all_values_two_seconds_after_the_last() {
    for inverters in [1, 20, 45, 60, 200] {
        let (latest, snapshot, mut outbox) = bench(discovery());
        let mut many = test_readings::full();
        many.inverters = roof(inverters);
        latest.put_reading(many);
        outbox.connected();
        let sent = drained(&mut outbox, &snapshot, Instant::now());
        let announced = sent.iter().filter(|(_, message)| message.topic.starts_with("homeassistant/"));
        assert!(announced.count() > inverters as usize);
        assert_eq!(late(&sent), [""; 0], "{inverters} inverters");
    }
}

/// Returns the names of the devices of gateways in the announcements that are sent at `second`.
fn gateway_names(
    outbox: &mut Outbox,
    snapshot: &watch::Receiver<Snapshot>,
    start: Instant,
    second: u64,
) -> BTreeSet<String> {
    let all = drained(outbox, snapshot, start + Duration::from_secs(second));
    let configs = all.into_iter().filter(|(_, message)| message.topic.starts_with("homeassistant/"));
    let devices = configs.map(|(_, message)| {
        serde_json::from_str::<serde_json::Value>(&message.payload).unwrap()["device"].take()
    });
    let gateways = devices.filter(|device| device["model"] == "Gateway");
    gateways.map(|device| device["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_names_of_several_gateways_differ_and_a_configured_one_is_announced_again() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let mut options = discovery();
    options.homeassistant.as_mut().unwrap().several = true;
    let (latest, snapshot, mut outbox) = bench(options);
    let start = Instant::now();
    outbox.connected();
    latest.put_reading(reading("122300000003", 0));
    latest.put_reading(reading("122300000005", 0));
    assert_eq!(gateway_names(&mut outbox, &snapshot, start, 0), names(&["Envoy 0003", "Envoy 0005"]));
    // Two that end with the same digits.
    latest.put_reading(reading("121400000003", 0));
    latest.put_reading(reading("122300000003", 1));
    assert_eq!(gateway_names(&mut outbox, &snapshot, start, 100), names(&["E300000003", "E400000003"]));
    let mut third = reading("122300000005", 1);
    third.gateway.name = Some("East".to_owned());
    latest.put_reading(third);
    assert_eq!(gateway_names(&mut outbox, &snapshot, start, 200), names(&["East"]));
    latest.put_reading(reading("121400000003", 1));
    assert_eq!(gateway_names(&mut outbox, &snapshot, start, 300), names(&[]), "nothing has changed");
}
