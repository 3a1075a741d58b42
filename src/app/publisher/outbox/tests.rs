//! Tests of the messages that the outbox sends, and of their order and frequency.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use tokio::sync::watch;

use super::*;
use crate::app::latest::{Availability, Latest, TokenReport};
use crate::base::reading::{Event, Reading};
use crate::base::test_readings;
use crate::io::mqtt::MAX_MESSAGE;
use crate::output::homeassistant::Discovery;

/// The first messages on each connection.
const GREETING: [&str; 3] = ["e/status online", "? e/instance", "? e/status"];

fn options() -> Options {
    let interval = Duration::from_secs(30);
    Options {
        prefix: "e".to_owned(),
        topics: false,
        homeassistant: None,
        domoticz: None,
        interval,
        instance: "us".to_owned(),
        requests: None,
        state: None,
    }
}

/// Creates a latest, its reader and an outbox without a connection.
fn bench(options: Options) -> (Latest, watch::Receiver<Snapshot>, Outbox) {
    let latest = Latest::new();
    let reader = latest.reader();
    (latest, reader, Outbox::new(options, Instant::now()))
}

fn reading(serial: &str, second: u32) -> Reading {
    let mut reading = test_readings::bare();
    reading.gateway.serial = Serial::parse(serial).unwrap();
    reading.time = test_readings::at(&format!("11:19:{second:02}"));
    reading
}

/// Returns everything that is sent at `now`: topics, with the payload if it is a word.
fn sent(outbox: &mut Outbox, snapshot: &watch::Receiver<Snapshot>, now: Instant) -> Vec<String> {
    let mut sent = Vec::new();
    while let Some(order) = outbox.next(&snapshot.borrow(), now) {
        sent.push(match order {
            Command::Subscribe(filter) => format!("? {filter}"),
            Command::Publish(message) if message.payload.len() < 10 => {
                format!("{} {}", message.topic, message.payload)
            }
            Command::Publish(message) => message.topic,
        });
    }
    sent
}

fn event(message: &str) -> Event {
    Event { time: test_readings::at("11:00:00"), kind: "test", message: message.to_owned() }
}

#[test]
fn nothing_is_sent_without_a_connection_and_everything_with_one() {
    let (latest, snapshot, mut outbox) = bench(options());
    let now = Instant::now();
    latest.put_reading(reading("1", 0));
    assert_eq!(outbox.next(&snapshot.borrow(), now).map(drop), None);
    outbox.connected();
    let all = sent(&mut outbox, &snapshot, now);
    assert_eq!(all, [&GREETING[..], &["e/1/availability online", "e/1/reading"]].concat());
    assert_eq!(sent(&mut outbox, &snapshot, now), Vec::<String>::new());
    outbox.lost();
    outbox.connected();
    assert_eq!(sent(&mut outbox, &snapshot, now), all);
}

#[test]
fn only_the_newest_reading_is_sent() {
    let (latest, snapshot, mut outbox) = bench(options());
    outbox.connected();
    for second in 0..50 {
        latest.put_reading(reading("1", second));
    }
    let mut documents = Vec::new();
    while let Some(order) = outbox.next(&snapshot.borrow(), Instant::now()) {
        if let Command::Publish(message) = order {
            documents.extend(message.topic.ends_with("/reading").then_some(message.payload));
        }
    }
    assert_eq!(documents.len(), 1);
    assert!(documents[0].contains("11:19:49Z"));
}

#[test]
fn an_old_reading_of_a_silent_gateway_is_not_sent_again() {
    let (latest, snapshot, mut outbox) = bench(options());
    let now = Instant::now();
    latest.put_reading(reading("1", 0));
    latest.put_availability(&Serial::parse("1").unwrap(), Availability::Offline("no answer".to_owned()));
    outbox.connected();
    assert_eq!(sent(&mut outbox, &snapshot, now)[3..], ["e/1/availability offline"]);
    latest.put_reading(reading("1", 30));
    assert_eq!(sent(&mut outbox, &snapshot, now), ["e/1/availability online", "e/1/reading"]);
}

#[test]
fn an_event_is_sent_once_even_if_the_connection_breaks() {
    let (latest, snapshot, mut outbox) = bench(options());
    let now = Instant::now();
    let serial = Serial::parse("1").unwrap();
    latest.tell(&serial, event("while the broker is away"));
    outbox.connected();
    assert!(sent(&mut outbox, &snapshot, now).contains(&"e/1/event".to_owned()));
    outbox.lost();
    outbox.connected();
    assert_eq!(sent(&mut outbox, &snapshot, now), GREETING);
}

#[test]
fn a_token_report_is_sent_when_it_changes() {
    let (latest, snapshot, mut outbox) = bench(options());
    let now = Instant::now();
    outbox.connected();
    sent(&mut outbox, &snapshot, now);
    let report = TokenReport {
        state: "valid",
        role: Some("owner".to_owned()),
        issued_at: None,
        expires_at: None,
        days_left: Some(300),
        message: "valid".to_owned(),
    };
    for _ in 0..2 {
        latest.put_token(&Serial::parse("1").unwrap(), report.clone());
    }
    assert_eq!(sent(&mut outbox, &snapshot, now), ["e/1/token"]);
}

#[test]
fn a_client_that_declares_this_daemon_offline_is_corrected() {
    let (_board, snapshot, mut outbox) = bench(options());
    let now = Instant::now();
    outbox.connected();
    sent(&mut outbox, &snapshot, now);
    assert_eq!(outbox.incoming("e/status", b"online", true), Meaning::Nothing);
    assert_eq!(
        sent(&mut outbox, &snapshot, now),
        ["e/instance us"],
        "our own, come back: it is heard here now"
    );
    assert_eq!(outbox.incoming("e/status", b"online", false), Meaning::Nothing);
    assert_eq!(outbox.incoming("e/status", b"offline", true), Meaning::Nothing);
    assert_eq!(outbox.incoming("e/status", b"offline", false), Meaning::DeclaredOffline);
    assert_eq!(sent(&mut outbox, &snapshot, now), ["e/status online"]);
}

#[test]
fn gateways_take_turns_when_the_broker_takes_one_message_a_poll() {
    let (latest, snapshot, mut outbox) = bench(options());
    let now = Instant::now();
    let poll = |second| ["1", "2", "3"].map(|serial| latest.put_reading(reading(serial, second)));
    poll(0);
    outbox.connected();
    sent(&mut outbox, &snapshot, now);
    let mut one = |second| {
        poll(second);
        let Some(Command::Publish(message)) = outbox.next(&snapshot.borrow(), now) else {
            panic!("nothing to send")
        };
        message.topic
    };
    assert_eq!([1, 2, 3].map(&mut one), ["e/1/reading", "e/2/reading", "e/3/reading"]);
    assert_eq!([4, 5, 6].map(&mut one), ["e/1/reading", "e/2/reading", "e/3/reading"]);
}

#[test]
fn the_last_message_is_the_status_of_the_daemon() {
    let (latest, snapshot, mut outbox) = bench(options());
    latest.put_reading(reading("1", 0));
    outbox.connected();
    sent(&mut outbox, &snapshot, Instant::now());
    let topics: Vec<String> = outbox.last_messages().into_iter().map(|message| message.topic).collect();
    assert_eq!(topics, ["e/1/availability", "e/status"]);
}

fn discovery() -> Options {
    let discovery = Discovery {
        discovery_prefix: "homeassistant".to_owned(),
        prefix: "e".to_owned(),
        expire_after: Duration::from_secs(300),
        inverters: true,
        details: true,
        several: false,
        configuration_url: None,
    };
    Options { homeassistant: Some(discovery), ..options() }
}

fn configurations(sent: &[String]) -> usize {
    sent.iter().filter(|topic| topic.starts_with("homeassistant/")).count()
}

#[test]
fn configurations_come_before_the_state_and_again_at_a_birth() {
    let (latest, snapshot, mut outbox) = bench(discovery());
    let now = Instant::now();
    latest.put_reading(reading("1", 0));
    outbox.connected();
    let first = sent(&mut outbox, &snapshot, now);
    let all = configurations(&first);
    assert!(all > 0);
    assert!(first.contains(&"? homeassistant/status".to_owned()));
    assert_eq!(first.last().unwrap(), "e/1/reading");

    latest.put_reading(reading("1", 30));
    assert_eq!(sent(&mut outbox, &snapshot, now), ["e/1/reading"]);

    assert_eq!(outbox.incoming("homeassistant/status", b"online", true), Meaning::Nothing);
    assert_eq!(outbox.incoming("homeassistant/status", b"online", false), Meaning::Birth);
    let again = sent(&mut outbox, &snapshot, now + Duration::from_secs(60));
    assert_eq!(configurations(&again), all);
    assert_eq!(again.last().unwrap(), "e/1/reading");
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
    assert!(burst.last().unwrap().ends_with("/reading"), "the state is not delayed");

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
    let written: Vec<String> = outbox.unwritten(None).map(|(serial, _)| serial.to_string()).collect();
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

#[test]
fn another_daemon_is_reported_once_and_receives_our_client_id() {
    let (_board, snapshot, mut outbox) = bench(options());
    let now = Instant::now();
    outbox.connected();
    sent(&mut outbox, &snapshot, now);
    assert_eq!(
        outbox.incoming("e/instance", b"them", true),
        Meaning::Nothing,
        "a retained message may be old"
    );
    assert_eq!(outbox.incoming("e/instance", b"us", false), Meaning::Nothing, "our own message");
    assert_eq!(outbox.incoming("e/instance", b"", false), Meaning::Nothing);
    assert_eq!(outbox.incoming("e/instance", b"them", false), Meaning::OtherDaemon("them".to_owned()));
    assert_eq!(sent(&mut outbox, &snapshot, now), ["e/instance us"]);
    assert_eq!(outbox.incoming("e/instance", b"them", false), Meaning::Nothing, "no ping-pong");
    let told = (0..1000)
        .filter(|n| outbox.incoming("e/instance", format!("them{n}").as_bytes(), false) != Meaning::Nothing);
    assert!(told.count() < crate::app::publisher::duplicate_daemons::MAX_OTHERS);
}

#[test]
fn requests_are_accepted_only_if_enabled_and_not_retained() {
    let (_board, snapshot, mut outbox) = bench(options());
    outbox.connected();
    assert!(!sent(&mut outbox, &snapshot, Instant::now()).contains(&"? e/+/set".to_owned()));
    assert_eq!(outbox.incoming("e/1/set", b"poll", false), Meaning::Nothing);
    let requests = Some(crate::app::requests::Requests::new());
    let (_board, snapshot, mut outbox) = bench(Options { requests, ..options() });
    outbox.connected();
    assert!(sent(&mut outbox, &snapshot, Instant::now()).contains(&"? e/+/set".to_owned()));
    assert_eq!(outbox.incoming("e/1/set", b"poll", true), Meaning::Nothing);
    assert_eq!(outbox.incoming("e/1/set", b"poll", false), Meaning::Request("1".to_owned()));
}

#[test]
fn unchanged_values_are_not_sent_again() {
    let (latest, snapshot, mut outbox) = bench(Options { topics: true, ..options() });
    let now = Instant::now();
    outbox.connected();
    latest.put_reading(reading("1", 0));
    let first = sent(&mut outbox, &snapshot, now);
    assert!(first.len() > 5, "{first:?}");
    latest.put_reading(reading("1", 30));
    let second = sent(&mut outbox, &snapshot, now + Duration::from_secs(30));
    assert_eq!(second, ["e/1/reading", "e/1/time"]);
    latest.put_reading(reading("1", 59));
    let later = sent(&mut outbox, &snapshot, now + Duration::from_secs(270));
    // Without the first messages and the availability.
    assert_eq!(later.len(), first.len() - GREETING.len() - 1, "{later:?}");
}

#[test]
fn a_domoticz_device_receives_its_value_at_least_every_five_minutes() {
    let idx = crate::output::domoticz::idx::Idx::new([("production", 12)]).unwrap();
    let domoticz = crate::app::publisher::Domoticz { topic: "domoticz/in".to_owned(), idx };
    let (latest, snapshot, mut outbox) = bench(Options { domoticz: Some(domoticz), ..options() });
    let now = Instant::now();
    outbox.connected();
    let heard = |poll: &u32| {
        latest.put_reading(reading("1", *poll));
        let sent = sent(&mut outbox, &snapshot, now + *poll * Duration::from_secs(30));
        sent.contains(&"domoticz/in".to_owned())
    };
    // With each poll for the first 90 seconds.
    assert_eq!((0..30).filter(heard).collect::<Vec<_>>(), [0, 1, 2, 3, 9, 18, 27]);
}

#[test]
fn plain_topics_are_published_unless_disabled() {
    let values = |topics| {
        let (latest, snapshot, mut outbox) = bench(Options { topics, ..options() });
        outbox.connected();
        latest.put_reading(reading("1", 0));
        let sent = sent(&mut outbox, &snapshot, Instant::now());
        sent.iter().filter(|topic| topic.starts_with("e/1/production/")).count()
    };
    assert!(values(true) > 1);
    assert_eq!(values(false), 0);
}

fn roof(inverters: u32) -> Vec<crate::base::reading::Inverter> {
    let one = test_readings::full().inverters[0].clone();
    let inverter = |n: u32| {
        let serial = Serial::parse(&format!("4822000000{n:02}")).unwrap();
        crate::base::reading::Inverter { serial, ..one.clone() }
    };
    (0..inverters).map(inverter).collect()
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
            most = most.max(outbox.waiting());
        }
        // With a connection, the announcements of one gateway or the values of one reading wait, after any number of polls.
        assert!(most <= if connected { 1000 } else { 0 }, "{most} wait");
        outbox.connected();
    }
}

/// Returns everything that is sent until nothing is left to send, with its time.
fn drained(
    outbox: &mut Outbox,
    snapshot: &watch::Receiver<Snapshot>,
    mut now: Instant,
) -> Vec<(Instant, Message)> {
    let mut all = Vec::new();
    loop {
        while let Some(order) = outbox.next(&snapshot.borrow(), now) {
            if let Command::Publish(message) = order {
                all.push((now, message));
            }
        }
        match outbox.wakes() {
            Some(wake) => now = now.max(wake),
            None => return all,
        }
    }
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
        assert_eq!(outbox.waiting(), 0);
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
fn repeated_offline_messages_are_corrected_at_intervals_and_after_the_last() {
    let (_board, snapshot, mut outbox) = bench(options());
    let start = Instant::now();
    outbox.connected();
    sent(&mut outbox, &snapshot, start);
    let mut answers = 0;
    for millisecond in 0..60_000 {
        outbox.incoming("e/status", b"offline", false);
        outbox.incoming("e/instance", format!("them{millisecond}").as_bytes(), false);
        answers += sent(&mut outbox, &snapshot, start + Duration::from_millis(millisecond)).len();
        assert_eq!(outbox.waiting(), 0);
    }
    assert!((2..=2 * 13).contains(&answers), "{answers} answers in a minute");
    let last = drained(&mut outbox, &snapshot, start + Duration::from_secs(60));
    assert_eq!(last.last().unwrap().1.topic, "e/status");
    assert_eq!(last.last().unwrap().1.payload, "online");
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
        let written: usize = outbox
            .unwritten(None)
            .map(|(_, announced)| serde_json::to_string(announced).unwrap().len())
            .sum();
        assert!(written < 1 << 20, "{written} bytes are written down");
        let complaints = outbox.unpublished();
        let left_out =
            |it: &Unpublished| matches!(it, Unpublished::TooMany { left_out, .. } if *left_out >= 999);
        assert!(complaints.iter().any(left_out), "{complaints:?}");
    }
}

/// An event of a random history.
#[derive(Clone, Debug)]
enum Step {
    Connect,
    Lose,
    Read(u8),
    Silence(u8),
    Send(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Connect),
        Just(Step::Lose),
        (0..3_u8).prop_map(Step::Read),
        (0..3_u8).prop_map(Step::Silence),
        (1..9_u8).prop_map(Step::Send),
    ]
}

proptest! {
    #[test]
    fn the_broker_ends_up_with_the_newest_of_every_gateway(steps in prop::collection::vec(step(), 0..80)) {
        let (latest, snapshot, mut outbox) = bench(options());
        let now = Instant::now();
        let mut kept: BTreeMap<String, String> = BTreeMap::new();
        let mut connected = false;
        let mut take = |outbox: &mut Outbox, most: usize| {
            for _ in 0..most {
                match outbox.next(&snapshot.borrow(), now) {
                    Some(Command::Publish(message)) => kept.insert(message.topic, message.payload),
                    Some(Command::Subscribe(_)) => continue,
                    None => return kept.clone(),
                };
            }
            kept.clone()
        };
        for (second, step) in steps.into_iter().enumerate() {
            match step {
                Step::Connect if !connected => {
                    connected = true;
                    outbox.connected();
                }
                Step::Lose if connected => {
                    connected = false;
                    outbox.lost();
                }
                Step::Read(serial) => {
                    latest.put_reading(reading(&serial.to_string(), u32::try_from(second % 60).unwrap()));
                }
                Step::Silence(serial) => latest.put_availability(
                    &Serial::parse(&serial.to_string()).unwrap(),
                    Availability::Offline("no answer".to_owned()),
                ),
                Step::Send(most) => {
                    let before = take(&mut outbox, 0).len();
                    let after = take(&mut outbox, most.into()).len();
                    prop_assert!(connected || after == before, "sent without a connection");
                }
                Step::Connect | Step::Lose => {}
            }
        }
        if !connected {
            outbox.connected();
        }
        let kept = take(&mut outbox, 1000);
        prop_assert_eq!(&kept["e/status"], "online");
        for (serial, known) in snapshot.borrow().gateways() {
            let online = *known.availability.as_ref().unwrap().value == Availability::Online;
            let word = if online { "online" } else { "offline" };
            prop_assert_eq!(&kept[&format!("e/{serial}/availability")], word);
            if let Some(reading) = known.fresh_reading() {
                let document = topics::document("e", &reading.value, None);
                prop_assert_eq!(&kept[&document.topic], &document.payload);
            }
        }
    }
}

/// An event of a random history in which devices come and go.
#[derive(Clone, Debug)]
enum Turn {
    Connect,
    Lose,
    Birth,
    Denied,
    Twin(u8),
    /// A reading of a gateway, with the first and the last of its inverters.
    Read(u8, u32, u32),
    Send(u8),
    Pass(u16),
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        1 => Just(Turn::Connect),
        1 => Just(Turn::Lose),
        2 => Just(Turn::Birth),
        1 => Just(Turn::Denied),
        1 => any::<u8>().prop_map(Turn::Twin),
        4 => (1..4_u8, 0..60_u32, 0..60_u32).prop_map(|(gateway, first, last)| Turn::Read(gateway, first, last)),
        4 => any::<u8>().prop_map(Turn::Send),
        4 => (0..2000_u16).prop_map(Turn::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn after_any_history_everything_is_announced_soon_and_nothing_accumulates(turns in prop::collection::vec(turn(), 0..50)) {
        let options = Options { topics: true, ..discovery() };
        let settings = options.homeassistant.clone().unwrap();
        let (latest, snapshot, mut outbox) = bench(options);
        let mut now = Instant::now();
        let mut kept: BTreeMap<String, String> = BTreeMap::new();
        let (mut connected, mut announced, start) = (false, 0, now);
        let mut take = |order| {
            let Command::Publish(message) = order else { return 0 };
            let announcement = message.topic.starts_with("homeassistant/");
            kept.insert(message.topic, message.payload);
            usize::from(announcement)
        };
        for turn in turns {
            match turn {
                Turn::Connect if !connected => {
                    connected = true;
                    outbox.connected();
                }
                Turn::Lose if connected => {
                    connected = false;
                    outbox.lost();
                }
                Turn::Connect | Turn::Lose => {}
                Turn::Birth => drop(outbox.incoming("homeassistant/status", b"online", false)),
                Turn::Denied => drop(outbox.incoming("e/status", b"offline", false)),
                Turn::Twin(n) => drop(outbox.incoming("e/instance", &[b'a' + n % 26], false)),
                Turn::Read(gateway, first, last) => {
                    let mut reading = test_readings::full();
                    reading.gateway.serial = Serial::parse(&gateway.to_string()).unwrap();
                    reading.inverters = roof(60).into_iter().skip(first as usize).take(last as usize).collect();
                    // No device belongs to two gateways.
                    let own = |serial: &Serial| Serial::parse(&format!("{gateway}{}", &serial.as_str()[1..])).unwrap();
                    reading.inverters.iter_mut().for_each(|it| it.serial = own(&it.serial));
                    reading.batteries.iter_mut().for_each(|it| it.serial = own(&it.serial));
                    latest.put_reading(reading);
                }
                Turn::Send(most) => for _ in 0..most {
                    let Some(order) = outbox.next(&snapshot.borrow(), now) else { break };
                    announced += take(order);
                },
                Turn::Pass(milliseconds) => now += Duration::from_millis(milliseconds.into()),
            }
            // The values of one gateway, and the first messages of a connection.
            prop_assert!(outbox.waiting() < 800);
            let allowed = 100 + usize::try_from((now - start).as_millis() / 100).unwrap();
            prop_assert!(announced <= allowed, "{announced} announcements");
        }
        if !connected {
            outbox.connected();
        }
        let mut rest = 0;
        for (_, message) in drained(&mut outbox, &snapshot, now) {
            rest += take(Command::Publish(message));
        }
        // Each at most once for what was pending, and once more for a birth that still waited.
        prop_assert!(rest <= 2 * 3 * (60 * 5 + 80), "{rest} announcements");
        prop_assert_eq!(&kept["e/status"], "online");
        for (_, known) in snapshot.borrow().gateways() {
            let Some(reading) = &known.reading else { continue };
            for wanted in crate::output::homeassistant::discovery(&reading.value, &settings) {
                prop_assert_eq!(kept.get(&wanted.topic), Some(&wanted.payload));
            }
        }
    }
}
