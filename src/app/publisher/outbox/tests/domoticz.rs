//! Tests of the devices in Domoticz that are updated by their idx.

use super::*;

#[test]
fn a_domoticz_device_receives_its_value_at_least_every_five_minutes() {
    let idx = crate::output::domoticz::idx::Idx::new([("production", 12)]).unwrap();
    let domoticz = crate::app::publisher::Domoticz { topic: "domoticz/in".to_owned(), idx };
    let (latest, snapshot, mut outbox) = bench(Options { domoticz: Some(domoticz), ..options() });
    let now = Instant::now();
    outbox.connected();
    let heard = |poll: &u32| {
        if *poll == 20 {
            assert_eq!(outbox.incoming("homeassistant/status", b"online", false), Meaning::Birth);
        }
        latest.put_reading(reading("1", *poll));
        let sent = sent(&mut outbox, &snapshot, now + *poll * Duration::from_secs(30));
        sent.contains(&"domoticz/in".to_owned())
    };
    // With each poll for 90 seconds after the connection and after a birth message.
    assert_eq!((0..40).filter(heard).collect::<Vec<_>>(), [0, 1, 2, 3, 9, 18, 20, 21, 22, 23, 29, 38]);
}

#[test]
fn a_consumer_of_ten_messages_a_second_is_up_to_date_within_a_poll() {
    use crate::app::publisher::Domoticz;
    use crate::base::units::Watts;
    use crate::output::domoticz::devices::DEVICES;
    use crate::output::domoticz::idx::Idx;

    let idx = Idx::new(DEVICES.iter().zip(1..).map(|(device, idx)| (device.key, idx))).unwrap();
    let domoticz = Some(Domoticz { topic: "domoticz/in".to_owned(), idx });
    let (latest, snapshot, mut outbox) = bench(Options { topics: true, domoticz, ..discovery() });
    let start = Instant::now();
    let mut reading = test_readings::full();
    reading.inverters = roof(50);
    outbox.connected();
    latest.put_reading(reading.clone());
    sent(&mut outbox, &snapshot, start);
    while let Some(wake) = outbox.wakes() {
        sent(&mut outbox, &snapshot, wake);
    }
    let start = start + Duration::from_secs(600);
    sent(&mut outbox, &snapshot, start);
    let mut everything = 0;
    // By discovery and by idx together, for an hour in which everything changes as often as it can.
    for poll in 1..=120_u32 {
        let now = start + poll * Duration::from_secs(30);
        reading.time += jiff::SignedDuration::from_secs(30);
        reading.production.as_mut().unwrap().power_w = Watts::new(f64::from(poll));
        reading.grid.as_mut().unwrap().power_w = Watts::new(-f64::from(poll));
        if poll % 10 == 0 {
            let powers = reading.inverters.iter_mut().map(|it| &mut it.power_w);
            powers.for_each(|power| *power = Watts::new(f64::from(poll)));
        }
        latest.put_reading(reading.clone());
        let all = sent(&mut outbox, &snapshot, now);
        let domoticz = all.iter().filter(|topic| {
            topic.starts_with("domoticz/")
                || topic.starts_with("homeassistant/")
                || topic.contains("/reading")
        });
        assert!(domoticz.count() <= 1 + DEVICES.len(), "poll {poll}: {all:?}");
        everything += all.len();
    }
    // A consumer of every plain topic keeps up as well: ten a second are 36,000 in an hour.
    assert!(everything < 36_000 / 2, "{everything}");
}

#[test]
fn the_alert_follows_the_gateway_even_while_it_is_away() {
    let idx = crate::output::domoticz::idx::Idx::new([("production", 12), ("alert", 13)]).unwrap();
    let domoticz = crate::app::publisher::Domoticz { topic: "domoticz/in".to_owned(), idx };
    // With the longest interval every value is late at each poll.
    let interval = Duration::from_secs(3600);
    let (latest, snapshot, mut outbox) = bench(Options { domoticz: Some(domoticz), interval, ..options() });
    let start = Instant::now();
    outbox.connected();
    let mut alerts = |second: u64| -> Vec<String> {
        let now = start + Duration::from_secs(second);
        let all = drained(&mut outbox, &snapshot, now);
        let payloads = all.into_iter().map(|(_, message)| message.payload);
        payloads.filter(|payload| payload.contains("\"idx\":13")).collect()
    };
    assert_eq!(alerts(0), [""; 0], "nothing is known");
    latest.put_reading(reading("1", 0));
    assert_eq!(alerts(1), [r#"{"idx":13,"nvalue":1,"svalue":"no problems"}"#]);
    let serial = reading("1", 0).gateway.serial;
    latest.put_availability(&serial, Availability::Offline("it did not respond".to_owned()));
    let away = r#"{"idx":13,"nvalue":4,"svalue":"it did not respond"}"#;
    assert_eq!(alerts(600), [away]);
    assert_eq!(alerts(1200), [""; 0]);
    latest.put_reading(reading("1", 1));
    assert_eq!(alerts(1201), [r#"{"idx":13,"nvalue":1,"svalue":"no problems"}"#]);
}
