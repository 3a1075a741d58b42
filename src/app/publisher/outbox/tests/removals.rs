//! Tests of the topics that are removed.

use super::*;

/// Returns the stored announced of an entity that is not needed any more.
fn old_memory() -> AnnouncedTopics {
    let text = r#"{"prefix":"e","entities":{"homeassistant/sensor/1/a/config":{},
        "homeassistant/sensor/1/b/config":{}}}"#;
    serde_json::from_str(text).unwrap()
}

#[test]
fn unneeded_topics_are_removed_once_and_again_if_the_connection_broke() {
    let (latest, snapshot, mut outbox) = bench(options());
    let now = Instant::now();
    outbox.remember(Serial::parse("1").unwrap(), old_memory());
    assert_eq!(outbox.next(&snapshot.borrow(), now).map(drop), None, "nothing without a connection");
    latest.put_reading(reading("2", 0));
    outbox.connected();
    let emptied = ["homeassistant/sensor/1/a/config ", "homeassistant/sensor/1/b/config "];
    let mut first = Vec::new();
    // The availability, the status, two subscriptions and one removal.
    for _ in 0..5 {
        if let Some(Command::Publish(message)) = outbox.next(&snapshot.borrow(), now) {
            first.push((message.topic, message.payload, message.retain));
        }
    }
    assert_eq!(first.last().unwrap(), &("homeassistant/sensor/1/a/config".to_owned(), String::new(), true));
    outbox.lost();
    outbox.connected();
    let again = sent(&mut outbox, &snapshot, now);
    assert!(emptied.iter().all(|topic| again.iter().any(|it| it == topic)), "{again:?}");
    let mut written = Vec::new();
    outbox.save(None, |serial, _| written.push(serial.to_string()));
    assert!(written.contains(&"1".to_owned()), "{written:?}");
    outbox.lost();
    outbox.connected();
    let later = sent(&mut outbox, &snapshot, now);
    assert!(!later.iter().any(|it| it.starts_with("homeassistant")), "{later:?}");
}

#[test]
fn an_inverter_that_moved_to_another_gateway_stays_announced() {
    let (_board, snapshot, mut outbox) = bench(discovery());
    let text =
        r#"{"prefix":"e","entities":{"homeassistant/sensor/5/power/config":{"device":"inverters/5"}}}"#;
    let announced = || -> AnnouncedTopics { serde_json::from_str(text).unwrap() };
    let mut gone = announced();
    for day in 1..=7 {
        let mut reading = test_readings::full();
        reading.time += jiff::SignedDuration::from_hours(24 * day);
        // It was announced there before.
        if day == 1 {
            let mut first = reading.clone();
            first.inverters[0].serial = Serial::parse("5").unwrap();
            first.time -= jiff::SignedDuration::from_hours(24);
            gone.update(&first, Instant::now());
        }
        gone.update(&reading, Instant::now());
    }
    assert!(gone.has_removals());
    outbox.remember(Serial::parse("1").unwrap(), gone);
    outbox.remember(Serial::parse("2").unwrap(), announced());
    outbox.connected();
    let said = sent(&mut outbox, &snapshot, Instant::now());
    assert!(!said.iter().any(|topic| topic.starts_with("homeassistant/sensor/")), "{said:?}");
    assert!(outbox.gateways.iter_mut().all(|(_, gateway)| !gateway.announced.has_removals()));
}

#[test]
fn an_inverter_that_is_gone_for_good_is_not_announced_again() {
    let (latest, snapshot, mut outbox) = bench(Options { topics: true, ..discovery() });
    let now = Instant::now();
    outbox.connected();
    let mut all = test_readings::full();
    latest.put_reading(all.clone());
    sent(&mut outbox, &snapshot, now);
    let gone = all.inverters.pop().unwrap().serial;
    for day in 1..=7 {
        all.time += jiff::SignedDuration::from_hours(24);
        latest.put_reading(all.clone());
        let said = sent(&mut outbox, &snapshot, now + Duration::from_secs(60 * day));
        let emptied = said.contains(&format!("homeassistant/sensor/{gone}/power/config "));
        assert_eq!(emptied, day == 7, "day {day}: {said:?}");
    }
    let document = |order| match order {
        Some(Command::Publish(message)) if message.topic.ends_with("/reading") => Some(message.payload),
        _ => None,
    };
    assert_eq!(outbox.incoming("homeassistant/status", b"online", false), Meaning::Birth);
    let later = now + Duration::from_secs(3600);
    let mut seen = String::new();
    while let Some(order) = outbox.next(&snapshot.borrow(), later) {
        if let Command::Publish(message) = &order {
            assert!(!message.topic.contains(gone.as_str()), "{message:?}");
        }
        seen = document(Some(order)).unwrap_or(seen);
    }
    assert!(seen.contains("entities") && !seen.contains(&format!("sn{gone}")), "{seen}");
}
