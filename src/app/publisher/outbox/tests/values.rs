//! Tests of the values, events and reports that are sent.

use super::*;
use crate::output::alerts::CurrentProblem;
use crate::rules::alerts::{Current, Kind, Problem};

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
    assert_eq!(all, [&GREETING[..], &["e/1/reading", "e/1/availability online"]].concat());
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
    assert_eq!(sent(&mut outbox, &snapshot, now), ["e/1/reading", "e/1/availability online"]);
}

#[test]
fn an_event_is_sent_once_even_if_the_connection_breaks() {
    let (latest, snapshot, mut outbox) = bench(options());
    let now = Instant::now();
    let serial = Serial::parse("1").unwrap();
    latest.put_event(&serial, event("while the broker is away"));
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
        source: None,
        issued_at: None,
        expires_at: None,
        next_login_at: None,
        days_left: Some(300),
        message: "valid".to_owned(),
        waiting: None,
        obstacle: None,
    };
    for _ in 0..2 {
        latest.put_token(&Serial::parse("1").unwrap(), report.clone());
    }
    assert_eq!(sent(&mut outbox, &snapshot, now), ["e/1/token"]);
}

#[test]
fn the_problems_of_a_gateway_are_sent_when_they_change() {
    let (latest, snapshot, mut outbox) = bench(options());
    let now = Instant::now();
    for serial in ["1", "2"] {
        latest.put_reading(reading(serial, 0));
    }
    outbox.connected();
    sent(&mut outbox, &snapshot, now);
    let problem = |serial: Option<&str>| {
        CurrentProblem::from(Current {
            problem: Problem { kind: Kind::GatewayKey, gateway: serial.map(str::to_owned), part: None },
            serial: serial.and_then(|serial| Serial::parse(serial).ok()),
            since: jiff::Timestamp::UNIX_EPOCH,
            what: "another key".to_owned(),
        })
    };
    latest.put_problems(Vec::new());
    assert_eq!(sent(&mut outbox, &snapshot, now), ["e/1/problems", "e/2/problems"]);
    for _ in 0..2 {
        latest.put_problems(vec![problem(Some("1"))]);
    }
    assert_eq!(sent(&mut outbox, &snapshot, now), ["e/1/problems"]);
    latest.put_problems(vec![problem(Some("1")), problem(None)]);
    let mut both = sent(&mut outbox, &snapshot, now);
    both.sort();
    assert_eq!(both, ["e/1/problems", "e/2/problems"], "the daemon's affects both");
    latest.put_daemon_event(event("the daemon"));
    assert_eq!(sent(&mut outbox, &snapshot, now), ["e/event"]);
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

#[test]
fn gateways_that_were_not_read_yet_are_declared_offline_before_the_daemon_is_online() {
    let (latest, snapshot, mut outbox) = bench(options());
    let (now, serial) = (Instant::now(), |text: &str| Serial::parse(text).unwrap());
    for text in ["1", "2", "3"] {
        outbox.remember(serial(text), AnnouncedTopics::new("e"));
    }
    latest.put_reading(reading("2", 0));
    latest.put_reading(reading("3", 0));
    latest.put_availability(&serial("3"), Availability::Offline("no answer".to_owned()));
    let offline = ["e/1/availability offline", "e/3/availability offline"];
    for _ in 0..2 {
        outbox.connected();
        let sent = sent(&mut outbox, &snapshot, now);
        assert_eq!(sent, [&offline[..], &GREETING, &["e/2/reading", "e/2/availability online"]].concat());
        outbox.lost();
    }
    latest.put_reading(reading("1", 0));
    outbox.connected();
    let sent = sent(&mut outbox, &snapshot, now);
    assert_eq!(sent[..2], ["e/3/availability offline", "e/status online"]);
    assert!(sent.contains(&"e/1/availability online".to_owned()), "{sent:?}");
}
