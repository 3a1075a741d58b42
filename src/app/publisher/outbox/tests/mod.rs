//! Helpers for the tests of the outbox. Each file below tests one subject.

mod announcements;
mod clients;
mod domoticz;
mod histories;
mod limits;
mod removals;
mod retained;
mod values;

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

fn roof(inverters: u32) -> Vec<crate::base::reading::Inverter> {
    let one = test_readings::full().inverters[0].clone();
    let inverter = |n: u32| {
        let serial = Serial::parse(&format!("4822000000{n:02}")).unwrap();
        crate::base::reading::Inverter { serial, ..one.clone() }
    };
    (0..inverters).map(inverter).collect()
}
