//! The newest reading, availability and token report of every gateway, for the outputs. Writers replace the old values and
//! never wait. A slow reader finds the newest values and misses those between, except for the last few events.

mod cloud_report;
mod snapshot;
mod token_report;

use tokio::sync::watch;

use crate::base::reading::{Event, Reading, Serial};
use crate::output::alerts::CurrentProblem;
pub use cloud_report::CloudReport;
pub use snapshot::{Availability, Gateway, Numbered, NumberedEvent, Snapshot};
pub use token_report::{Obstacle, TokenReport};

/// The newest values, to which pollers write. Clones share them.
#[derive(Clone, Debug)]
pub struct Latest(watch::Sender<Snapshot>);

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
        self.0.send_if_modified(|snapshot| snapshot.forget_reading(serial));
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

    /// Sets the totals of a gateway that are held back, of which its events tell the readers.
    pub fn put_held(&self, serial: &Serial, held: Vec<&'static str>) {
        self.0.send_if_modified(|snapshot| {
            snapshot.set_held(serial, held);
            false
        });
    }

    /// Adds an event of a gateway.
    pub fn put_event(&self, serial: &Serial, event: Event) {
        self.0.send_modify(|snapshot| snapshot.add_event(Some(serial), event));
    }

    /// Adds an event about the daemon.
    pub fn put_daemon_event(&self, event: Event) {
        self.0.send_modify(|snapshot| snapshot.add_event(None, event));
    }

    /// Writes the problems that last, if they have changed.
    pub fn put_problems(&self, problems: Vec<CurrentProblem>) {
        self.0.send_if_modified(|snapshot| snapshot.set_problems(problems));
    }

    /// Writes the last contact with the cloud, if it has changed.
    pub fn put_cloud(&self, report: CloudReport) {
        self.0.send_if_modified(|snapshot| snapshot.set_cloud(report));
    }

    /// Sets or clears the current problem with the broker.
    pub fn put_broker_trouble(&self, trouble: Option<&str>) {
        self.0.send_if_modified(|snapshot| snapshot.set_broker_trouble(trouble));
    }
}

impl Default for Latest {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::snapshot::EVENTS;
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
        latest.put_event(&serial, event("0"));
        let reader = latest.reader();
        let seen = reader.borrow().written();
        for n in 1..=EVENTS + 5 {
            latest.put_event(&serial, event(&n.to_string()));
        }
        let snapshot = reader.borrow();
        let missed: Vec<String> =
            snapshot.events_after(seen).map(|entry| entry.event.message.clone()).collect();
        assert_eq!(missed.len(), EVENTS);
        assert_eq!((missed[0].as_str(), missed[EVENTS - 1].as_str()), ("6", "69"));
        assert_eq!(snapshot.events_after(snapshot.written()).count(), 0);
    }
}
