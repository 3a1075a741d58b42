//! Tests of the limits on what waits, is stored and is sent.

use super::*;

#[test]
fn an_hour_without_a_connection_or_with_one_that_takes_nothing_leaves_nothing_waiting() {
    let (latest, snapshot, mut outbox) = bench(Options { topics: true, ..discovery() });
    let start = Instant::now();
    let mut reading = test_readings::full();
    reading.inverters = roof(50);
    outbox.connected();
    latest.put_reading(reading.clone());
    sent(&mut outbox, &snapshot, start);
    outbox.lost();
    for connected in [false, true] {
        let mut most = 0;
        for poll in 1..=120_u32 {
            reading.time += jiff::SignedDuration::from_secs(30);
            latest.put_reading(reading.clone());
            let taken = outbox.next(&snapshot.borrow(), start + poll * Duration::from_secs(30));
            assert_eq!(taken.is_some(), connected);
            most = most.max(outbox.begun.len());
        }
        // With a connection, the announcements of one gateway or the values of one reading wait, after any number of polls.
        assert!(most <= if connected { 1000 } else { 0 }, "{most} wait");
        outbox.connected();
    }
}

#[test]
fn a_message_that_is_too_long_is_left_out_and_reported() {
    let (latest, snapshot, mut outbox) = bench(Options { topics: true, ..options() });
    let now = Instant::now();
    let mut long = test_readings::full();
    long.tariff.as_mut().unwrap().mode = Some("x".repeat(MAX_MESSAGE));
    latest.put_reading(long);
    outbox.connected();
    let topics = sent(&mut outbox, &snapshot, now);
    assert!(!topics.iter().any(|topic| topic.ends_with("/reading") || topic.ends_with("/tariff/mode")));
    assert!(topics.iter().any(|topic| topic.contains("/production/power_w")), "the rest is sent");
    let long = |complaint: &Unpublished| match complaint {
        Unpublished::TooLong { topic, bytes } if *bytes > MAX_MESSAGE => topic.clone(),
        other => panic!("{other:?}"),
    };
    let complaints: Vec<String> = outbox.unpublished().iter().map(long).collect();
    assert_eq!(complaints, ["e/122300000000/reading", "e/122300000000/tariff/mode"]);
    assert_eq!(outbox.unpublished(), []);
    assert!(sent(&mut outbox, &snapshot, now).is_empty(), "it is not sent again");
}

#[test]
fn new_devices_at_each_poll_fill_neither_the_memory_nor_the_broker() {
    let (latest, snapshot, mut outbox) = bench(Options { topics: true, ..discovery() });
    let start = Instant::now();
    let mut reading = test_readings::full();
    outbox.connected();
    let mut kept: BTreeMap<String, String> = BTreeMap::new();
    let one = reading.inverters[0].clone();
    for visit in 0..20_u32 {
        let inverter = |n: u32| {
            let serial = Serial::parse(&(100_000 + visit * 2000 + n).to_string()).unwrap();
            crate::base::reading::Inverter { serial, ..one.clone() }
        };
        reading.inverters = (0..2000).map(inverter).collect();
        reading.time += jiff::SignedDuration::from_secs(300);
        latest.put_reading(reading.clone());
        let now = start + visit * Duration::from_secs(3600);
        for (_, message) in drained(&mut outbox, &snapshot, now) {
            assert!(message.topic.len() + message.payload.len() < MAX_MESSAGE);
            if message.payload.is_empty() {
                kept.remove(&message.topic);
            } else {
                kept.insert(message.topic, message.payload);
            }
        }
        // A thousand inverters with ten entities and ten values each, and the rest of the house.
        assert!(kept.len() < 21_000, "{} messages are kept by the broker", kept.len());
        let mut written = 0;
        outbox.save(None, |_, announced| written += serde_json::to_string(announced).unwrap().len());
        assert!(written < 1 << 20, "{written} bytes are written down");
        let complaints = outbox.unpublished();
        let left_out =
            |it: &Unpublished| matches!(it, Unpublished::TooMany { left_out, .. } if *left_out >= 999);
        assert!(complaints.iter().any(left_out), "{complaints:?}");
    }
}
