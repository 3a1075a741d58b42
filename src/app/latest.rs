//! The newest reading, availability and token report of every gateway, for the outputs. Writers replace the old values and
//! never wait. A slow reader finds the newest values and misses those between, except for the last few events.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::watch;

use crate::base::reading::{Event, Reading, Serial};

/// The number of events that are kept for slow readers. A long outage of the broker loses the older ones.
const EVENTS: usize = 64;

/// The newest values, to which pollers write. Clones share them.
#[derive(Clone, Debug)]
pub struct Latest(watch::Sender<Snapshot>);

/// A snapshot of the newest values. Every write has a number that is larger than those before, by which a reader
/// recognises new values.
#[derive(Debug, Default)]
pub struct Snapshot {
    gateways: BTreeMap<Serial, Gateway>,
    /// The gateways by their newest write, so that a reader finds the changed ones without searching all.
    newest: BTreeMap<u64, Serial>,
    events: VecDeque<NumberedEvent>,
    broker_trouble: Option<Arc<str>>,
    written: u64,
}

/// The newest values of one gateway; `None` before the first.
#[derive(Clone, Debug, Default)]
pub struct Gateway {
    /// The newest reading, which may be old if the gateway is offline.
    pub reading: Option<Numbered<Reading>>,
    /// The availability of the gateway.
    pub availability: Option<Numbered<Availability>>,
    /// The state of its token.
    pub token: Option<Numbered<TokenReport>>,
    /// The number of its newest write.
    written: u64,
}

/// A value with the number of its write.
#[derive(Debug)]
pub struct Numbered<T> {
    /// The number of the write.
    pub number: u64,
    /// The value.
    pub value: Arc<T>,
}

impl<T> Clone for Numbered<T> {
    fn clone(&self) -> Self {
        Self { number: self.number, value: Arc::clone(&self.value) }
    }
}

/// The availability of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Availability {
    /// The last poll yielded a reading.
    Online,
    /// The last poll failed, for this reason.
    Offline(String),
}

/// The state of a gateway's token, without the token itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TokenReport {
    /// The state as a stable word for programs, e.g. `valid`, `expired`, `missing`.
    pub state: &'static str,
    /// The role, `owner` or `installer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The time at which the cloud issued the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Timestamp>,
    /// The time at which the token expires. Null if there is no token, because Home Assistant warns about a missing field.
    pub expires_at: Option<Timestamp>,
    /// The time of the next login without a request by the operator; null if none is planned, or if it is due.
    pub next_login_at: Option<Timestamp>,
    /// The whole days until then; negative after the expiry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days_left: Option<i64>,
    /// The state as a sentence for people.
    pub message: String,
}

/// An event of a gateway, with the number of its write.
#[derive(Clone, Debug)]
pub struct NumberedEvent {
    /// The number of the write.
    pub number: u64,
    /// The gateway.
    pub serial: Serial,
    /// The event.
    pub event: Arc<Event>,
}

impl Gateway {
    /// Returns the reading, unless the gateway has stopped responding since.
    pub fn fresh_reading(&self) -> Option<&Numbered<Reading>> {
        if self.availability.is_some() && !self.is_online() { None } else { self.reading.as_ref() }
    }

    /// Returns whether the gateway has been read, and responds.
    pub fn is_online(&self) -> bool {
        self.availability.as_ref().is_some_and(|known| *known.value == Availability::Online)
    }
}

impl Snapshot {
    /// Returns all gateways.
    pub fn gateways(&self) -> impl Iterator<Item = (&Serial, &Gateway)> {
        self.gateways.iter()
    }

    /// Returns the gateways with a write after the write `number`, the oldest write first.
    pub fn gateways_after(&self, number: u64) -> impl Iterator<Item = (&Serial, &Gateway)> {
        let newer = self.newest.range((Bound::Excluded(number), Bound::Unbounded));
        newer.filter_map(|(_, serial)| self.gateways.get_key_value(serial))
    }

    /// Returns the values of one gateway.
    pub fn gateway(&self, serial: &Serial) -> Option<&Gateway> {
        self.gateways.get(serial)
    }

    /// Returns the events after the write `number`, oldest first.
    pub fn events_after(&self, number: u64) -> impl Iterator<Item = &NumberedEvent> {
        self.events.iter().skip_while(move |entry| entry.number <= number)
    }

    /// Returns the current problem with the broker.
    pub fn broker_trouble(&self) -> Option<&str> {
        self.broker_trouble.as_deref()
    }

    /// Returns the number of the newest write.
    pub const fn written(&self) -> u64 {
        self.written
    }

    fn number<T>(&mut self, value: T) -> Numbered<T> {
        self.written += 1;
        Numbered { number: self.written, value: Arc::new(value) }
    }

    /// Writes `value` to the field that `place` selects.
    fn write<T>(&mut self, serial: &Serial, value: T, place: Place<T>) {
        let numbered = self.number(value);
        let gateway = self.gateways.entry(serial.clone()).or_default();
        self.newest.remove(&gateway.written);
        self.newest.insert(numbered.number, serial.clone());
        gateway.written = numbered.number;
        *place(gateway) = Some(numbered);
    }

    /// Writes `value` if it differs from the current one; returns whether it did.
    fn write_news<T: PartialEq>(&mut self, serial: &Serial, value: T, place: Place<T>) -> bool {
        let known = self.gateways.get_mut(serial).and_then(|gateway| place(gateway).as_ref());
        let news = known.is_none_or(|known| *known.value != value);
        if news {
            self.write(serial, value, place);
        }
        news
    }
}

/// Selects a field of a gateway.
type Place<T> = fn(&mut Gateway) -> &mut Option<Numbered<T>>;

impl Latest {
    /// Creates an empty instance.
    pub fn new() -> Self {
        Self(watch::Sender::new(Snapshot::default()))
    }

    /// Returns a reader that every write wakes.
    pub fn reader(&self) -> watch::Receiver<Snapshot> {
        let mut reader = self.0.subscribe();
        // Existing values are new to this reader.
        reader.mark_changed();
        reader
    }

    /// Writes a new reading, and marks its gateway as online.
    pub fn put_reading(&self, reading: Reading) {
        let serial = reading.gateway.serial.clone();
        self.0.send_modify(|snapshot| snapshot.write(&serial, reading, |gateway| &mut gateway.reading));
        self.put_availability(&serial, Availability::Online);
    }

    /// Removes the reading of a gateway that was replaced by another.
    pub fn forget_reading(&self, serial: &Serial) {
        self.0.send_if_modified(|snapshot| {
            snapshot.gateways.get_mut(serial).is_some_and(|gateway| gateway.reading.take().is_some())
        });
    }

    /// Writes whether the gateway responds, if that has changed.
    pub fn put_availability(&self, serial: &Serial, availability: Availability) {
        self.0.send_if_modified(|snapshot| {
            snapshot.write_news(serial, availability, |gateway| &mut gateway.availability)
        });
    }

    /// Writes the state of the gateway's token, if it has changed.
    pub fn put_token(&self, serial: &Serial, token: TokenReport) {
        self.0.send_if_modified(|snapshot| snapshot.write_news(serial, token, |gateway| &mut gateway.token));
    }

    /// Adds an event of a gateway.
    pub fn tell(&self, serial: &Serial, event: Event) {
        self.0.send_modify(|snapshot| {
            let Numbered { number, value } = snapshot.number(event);
            if snapshot.events.len() == EVENTS {
                snapshot.events.pop_front();
            }
            snapshot.events.push_back(NumberedEvent { number, serial: serial.clone(), event: value });
        });
    }

    /// Sets or clears the current problem with the broker.
    pub fn put_broker_trouble(&self, trouble: Option<&str>) {
        self.0.send_if_modified(|snapshot| {
            let changed = snapshot.broker_trouble() != trouble;
            snapshot.broker_trouble = trouble.map(Arc::from);
            changed
        });
    }
}

impl Default for Latest {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::reading::GatewayFacts;

    fn reading(serial: &str) -> Reading {
        let facts = GatewayFacts {
            serial: Serial::parse(serial).unwrap(),
            name: None,
            firmware: "8.3.5289".to_owned(),
            part_number: None,
            metered: true,
        };
        Reading::empty("2026-11-20T10:00:00Z".parse().unwrap(), facts)
    }

    fn event(message: &str) -> Event {
        Event { time: "2026-11-20T10:00:00Z".parse().unwrap(), kind: "test", message: message.to_owned() }
    }

    #[test]
    fn the_newest_reading_wins_and_has_a_larger_number() {
        let latest = Latest::new();
        let serial = Serial::parse("1").unwrap();
        let number = |latest: &Latest| {
            let reader = latest.reader();
            let snapshot = reader.borrow();
            snapshot.gateway(&serial).unwrap().reading.as_ref().unwrap().number
        };
        latest.put_reading(reading("1"));
        let first = number(&latest);
        latest.put_reading(reading("1"));
        assert!(number(&latest) > first);
    }

    #[test]
    fn a_reading_of_an_offline_gateway_is_not_fresh() {
        let latest = Latest::new();
        let serial = Serial::parse("1").unwrap();
        latest.put_reading(reading("1"));
        let reader = latest.reader();
        assert!(reader.borrow().gateway(&serial).unwrap().fresh_reading().is_some());
        latest.put_availability(&serial, Availability::Offline("no response".to_owned()));
        assert!(reader.borrow().gateway(&serial).unwrap().fresh_reading().is_none());
        assert!(reader.borrow().gateway(&serial).unwrap().reading.is_some());
        latest.put_reading(reading("1"));
        assert!(reader.borrow().gateway(&serial).unwrap().fresh_reading().is_some());
    }

    #[test]
    fn the_reading_of_a_gateway_that_was_replaced_is_removed() {
        let latest = Latest::new();
        let serial = Serial::parse("1").unwrap();
        latest.put_reading(reading("1"));
        latest.forget_reading(&serial);
        let mut reader = latest.reader();
        let known = reader.borrow_and_update().gateway(&serial).cloned().unwrap();
        assert!(known.reading.is_none() && known.availability.is_some());
        latest.forget_reading(&serial);
        assert!(!reader.has_changed().unwrap());
    }

    #[test]
    fn a_reader_finds_the_gateways_with_new_values() {
        let latest = Latest::new();
        for serial in ["1", "2", "3", "1"] {
            latest.put_reading(reading(serial));
        }
        let reader = latest.reader();
        let after = |number: u64| -> Vec<String> {
            let snapshot = reader.borrow();
            snapshot.gateways_after(number).map(|(serial, _)| serial.to_string()).collect()
        };
        assert_eq!(after(0), ["2", "3", "1"]);
        let seen = reader.borrow().written();
        assert_eq!(after(seen), [""; 0]);
        latest.put_availability(&Serial::parse("2").unwrap(), Availability::Online);
        assert_eq!(after(seen), [""; 0], "an unchanged value is not new");
        latest
            .put_availability(&Serial::parse("2").unwrap(), Availability::Offline("no response".to_owned()));
        assert_eq!(after(seen), ["2"]);
    }

    #[test]
    fn an_unchanged_availability_wakes_no_reader() {
        let latest = Latest::new();
        let serial = Serial::parse("1").unwrap();
        latest.put_availability(&serial, Availability::Online);
        let mut reader = latest.reader();
        reader.borrow_and_update();
        latest.put_availability(&serial, Availability::Online);
        assert!(!reader.has_changed().unwrap());
        latest.put_availability(&serial, Availability::Offline("no response".to_owned()));
        assert!(reader.has_changed().unwrap());
    }

    #[test]
    fn a_reader_receives_missed_events_and_old_ones_are_dropped() {
        let latest = Latest::new();
        let serial = Serial::parse("1").unwrap();
        latest.tell(&serial, event("0"));
        let reader = latest.reader();
        let seen = reader.borrow().written();
        for n in 1..=EVENTS + 5 {
            latest.tell(&serial, event(&n.to_string()));
        }
        let snapshot = reader.borrow();
        let missed: Vec<String> =
            snapshot.events_after(seen).map(|entry| entry.event.message.clone()).collect();
        assert_eq!(missed.len(), EVENTS);
        assert_eq!((missed[0].as_str(), missed[EVENTS - 1].as_str()), ("6", "69"));
        assert_eq!(snapshot.events_after(snapshot.written()).count(), 0);
    }
}
