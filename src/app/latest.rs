//! The newest of everything, for whoever publishes. Writers replace what was there and never wait; a reader
//! that was slow finds the newest and misses what lay between, except events, of which the last few are kept.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::watch;

use crate::base::reading::{Event, Reading, Serial};

/// How many events are kept for readers that are behind: an outage of the broker costs the older ones.
const EVENTS: usize = 64;

/// Where pollers put things. Clones share one board.
#[derive(Clone, Debug)]
pub struct Board(watch::Sender<Sheet>);

/// What is on the board. Every write has a number of its own, larger than those before, by which a reader
/// sees what is new to it.
#[derive(Debug, Default)]
pub struct Sheet {
    gateways: BTreeMap<Serial, Gateway>,
    /// Each gateway by its newest write, so that a reader need not look through all of them for what is new to it.
    newest: BTreeMap<u64, Serial>,
    events: VecDeque<Told>,
    broker_trouble: Option<Arc<str>>,
    written: u64,
}

/// The newest of one gateway. Absent is what nobody knows yet.
#[derive(Clone, Debug, Default)]
pub struct Gateway {
    /// Its newest reading, which may be old when it is offline.
    pub reading: Option<Numbered<Reading>>,
    /// Whether it answers.
    pub availability: Option<Numbered<Availability>>,
    /// How its token is.
    pub token: Option<Numbered<TokenReport>>,
    /// The newest write of all.
    written: u64,
}

/// Something with the number of the write that put it here.
#[derive(Debug)]
pub struct Numbered<T> {
    /// The write.
    pub number: u64,
    /// What was written.
    pub value: Arc<T>,
}

impl<T> Clone for Numbered<T> {
    fn clone(&self) -> Self {
        Self { number: self.number, value: Arc::clone(&self.value) }
    }
}

/// Whether a gateway answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Availability {
    /// The last poll brought a reading.
    Online,
    /// It did not; the sentence says why.
    Offline(String),
}

/// How a gateway's token is, without the token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TokenReport {
    /// A stable word for programs, e.g. `valid`, `expired`, `missing`.
    pub state: &'static str,
    /// `owner` or `installer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// When the cloud made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Timestamp>,
    /// Until when it is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Whole days until then; negative when it is past.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days_left: Option<i64>,
    /// A sentence for people.
    pub message: String,
}

/// An event of a gateway.
#[derive(Clone, Debug)]
pub struct Told {
    /// The write.
    pub number: u64,
    /// Whose event it is.
    pub serial: Serial,
    /// What happened.
    pub event: Arc<Event>,
}

impl Gateway {
    /// The reading unless the gateway has stopped answering since: what may be shown as the present.
    pub fn fresh_reading(&self) -> Option<&Numbered<Reading>> {
        let offline = |known: &Numbered<Availability>| *known.value != Availability::Online;
        if self.availability.as_ref().is_some_and(offline) { None } else { self.reading.as_ref() }
    }
}

impl Sheet {
    /// Every gateway that something is known of.
    pub fn gateways(&self) -> impl Iterator<Item = (&Serial, &Gateway)> {
        self.gateways.iter()
    }

    /// Those of which something was written after the write `number`, the longest ago first.
    pub fn gateways_after(&self, number: u64) -> impl Iterator<Item = (&Serial, &Gateway)> {
        let newer = self.newest.range((Bound::Excluded(number), Bound::Unbounded));
        newer.filter_map(|(_, serial)| self.gateways.get_key_value(serial))
    }

    /// What is known of one gateway.
    pub fn gateway(&self, serial: &Serial) -> Option<&Gateway> {
        self.gateways.get(serial)
    }

    /// The events after the write `number`, oldest first.
    pub fn events_after(&self, number: u64) -> impl Iterator<Item = &Told> {
        self.events.iter().skip_while(move |told| told.number <= number)
    }

    /// What is wrong with the broker, in a sentence.
    pub fn broker_trouble(&self) -> Option<&str> {
        self.broker_trouble.as_deref()
    }

    /// The number of the newest write.
    pub const fn written(&self) -> u64 {
        self.written
    }

    fn number<T>(&mut self, value: T) -> Numbered<T> {
        self.written += 1;
        Numbered { number: self.written, value: Arc::new(value) }
    }

    /// Writes `value` where `place` says.
    fn write<T>(&mut self, serial: &Serial, value: T, place: Place<T>) {
        let numbered = self.number(value);
        let gateway = self.gateways.entry(serial.clone()).or_default();
        self.newest.remove(&gateway.written);
        self.newest.insert(numbered.number, serial.clone());
        gateway.written = numbered.number;
        *place(gateway) = Some(numbered);
    }

    /// The same, unless it stands there; whether it did not.
    fn write_news<T: PartialEq>(&mut self, serial: &Serial, value: T, place: Place<T>) -> bool {
        let known = self.gateways.get_mut(serial).and_then(|gateway| place(gateway).as_ref());
        let news = known.is_none_or(|known| *known.value != value);
        if news {
            self.write(serial, value, place);
        }
        news
    }
}

/// Where something is kept of a gateway.
type Place<T> = fn(&mut Gateway) -> &mut Option<Numbered<T>>;

impl Board {
    /// A board with nothing on it.
    pub fn new() -> Self {
        Self(watch::Sender::new(Sheet::default()))
    }

    /// A reader, woken by every write.
    pub fn reader(&self) -> watch::Receiver<Sheet> {
        let mut reader = self.0.subscribe();
        // What is there already is new to this reader.
        reader.mark_changed();
        reader
    }

    /// A new reading, which also shows that its gateway answers.
    pub fn put_reading(&self, reading: Reading) {
        let serial = reading.gateway.serial.clone();
        self.0.send_modify(|sheet| sheet.write(&serial, reading, |gateway| &mut gateway.reading));
        self.put_availability(&serial, Availability::Online);
    }

    /// The reading of a gateway that was replaced by another is of no use any more.
    pub fn forget_reading(&self, serial: &Serial) {
        self.0.send_if_modified(|sheet| {
            sheet.gateways.get_mut(serial).is_some_and(|gateway| gateway.reading.take().is_some())
        });
    }

    /// Whether the gateway answers. The same again is not told again.
    pub fn put_availability(&self, serial: &Serial, availability: Availability) {
        self.0.send_if_modified(|sheet| {
            sheet.write_news(serial, availability, |gateway| &mut gateway.availability)
        });
    }

    /// How the gateway's token is. The same again is not told again.
    pub fn put_token(&self, serial: &Serial, token: TokenReport) {
        self.0.send_if_modified(|sheet| sheet.write_news(serial, token, |gateway| &mut gateway.token));
    }

    /// Something that happened to a gateway.
    pub fn tell(&self, serial: &Serial, event: Event) {
        self.0.send_modify(|sheet| {
            let Numbered { number, value } = sheet.number(event);
            if sheet.events.len() == EVENTS {
                sheet.events.pop_front();
            }
            sheet.events.push_back(Told { number, serial: serial.clone(), event: value });
        });
    }

    /// What is wrong with the broker, or nothing any more.
    pub fn put_broker_trouble(&self, trouble: Option<&str>) {
        self.0.send_if_modified(|sheet| {
            let changed = sheet.broker_trouble() != trouble;
            sheet.broker_trouble = trouble.map(Arc::from);
            changed
        });
    }
}

impl Default for Board {
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
        let board = Board::new();
        let serial = Serial::parse("1").unwrap();
        let number = |board: &Board| {
            let reader = board.reader();
            let sheet = reader.borrow();
            sheet.gateway(&serial).unwrap().reading.as_ref().unwrap().number
        };
        board.put_reading(reading("1"));
        let first = number(&board);
        board.put_reading(reading("1"));
        assert!(number(&board) > first);
    }

    #[test]
    fn a_reading_of_a_gateway_that_fell_silent_is_not_fresh() {
        let board = Board::new();
        let serial = Serial::parse("1").unwrap();
        board.put_reading(reading("1"));
        let reader = board.reader();
        assert!(reader.borrow().gateway(&serial).unwrap().fresh_reading().is_some());
        board.put_availability(&serial, Availability::Offline("no answer".to_owned()));
        assert!(reader.borrow().gateway(&serial).unwrap().fresh_reading().is_none());
        assert!(reader.borrow().gateway(&serial).unwrap().reading.is_some());
        board.put_reading(reading("1"));
        assert!(reader.borrow().gateway(&serial).unwrap().fresh_reading().is_some());
    }

    #[test]
    fn the_reading_of_a_gateway_that_was_replaced_is_dropped() {
        let board = Board::new();
        let serial = Serial::parse("1").unwrap();
        board.put_reading(reading("1"));
        board.forget_reading(&serial);
        let mut reader = board.reader();
        let known = reader.borrow_and_update().gateway(&serial).cloned().unwrap();
        assert!(known.reading.is_none() && known.availability.is_some());
        board.forget_reading(&serial);
        assert!(!reader.has_changed().unwrap());
    }

    #[test]
    fn a_reader_finds_the_gateways_that_are_new_to_it() {
        let board = Board::new();
        for serial in ["1", "2", "3", "1"] {
            board.put_reading(reading(serial));
        }
        let reader = board.reader();
        let after = |number: u64| -> Vec<String> {
            let sheet = reader.borrow();
            sheet.gateways_after(number).map(|(serial, _)| serial.to_string()).collect()
        };
        assert_eq!(after(0), ["2", "3", "1"]);
        let seen = reader.borrow().written();
        assert_eq!(after(seen), [""; 0]);
        board.put_availability(&Serial::parse("2").unwrap(), Availability::Online);
        assert_eq!(after(seen), [""; 0], "the same again is nothing new");
        board.put_availability(&Serial::parse("2").unwrap(), Availability::Offline("no answer".to_owned()));
        assert_eq!(after(seen), ["2"]);
    }

    #[test]
    fn the_same_availability_wakes_nobody() {
        let board = Board::new();
        let serial = Serial::parse("1").unwrap();
        board.put_availability(&serial, Availability::Online);
        let mut reader = board.reader();
        reader.borrow_and_update();
        board.put_availability(&serial, Availability::Online);
        assert!(!reader.has_changed().unwrap());
        board.put_availability(&serial, Availability::Offline("no answer".to_owned()));
        assert!(reader.has_changed().unwrap());
    }

    #[test]
    fn a_reader_catches_up_with_events_and_old_ones_fall_off() {
        let board = Board::new();
        let serial = Serial::parse("1").unwrap();
        board.tell(&serial, event("0"));
        let reader = board.reader();
        let seen = reader.borrow().written();
        for n in 1..=EVENTS + 5 {
            board.tell(&serial, event(&n.to_string()));
        }
        let sheet = reader.borrow();
        let missed: Vec<String> = sheet.events_after(seen).map(|told| told.event.message.clone()).collect();
        assert_eq!(missed.len(), EVENTS);
        assert_eq!((missed[0].as_str(), missed[EVENTS - 1].as_str()), ("6", "69"));
        assert_eq!(sheet.events_after(sheet.written()).count(), 0);
    }
}
