//! A snapshot of the newest values of all gateways.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use tokio::time::Instant;

use super::cloud_report::CloudReport;
use super::token_report::TokenReport;
use crate::base::reading::{Event, Reading, Serial};
use crate::output::alerts::CurrentProblem;

/// The number of events that are kept for slow readers. A long outage of the broker loses the older ones.
pub(super) const EVENTS: usize = 64;

/// A snapshot of the newest values. Every write has a number that is larger than those before, by which a reader
/// recognises new values.
#[derive(Debug, Default)]
pub struct Snapshot {
    gateways: BTreeMap<Serial, Gateway>,
    /// The gateways by their newest write, so that a reader finds the changed ones without searching all.
    newest: BTreeMap<u64, Serial>,
    events: VecDeque<NumberedEvent>,
    broker_trouble: Option<Arc<str>>,
    cloud: Option<Arc<CloudReport>>,
    problems: Vec<CurrentProblem>,
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
    /// The problems that last and affect it; `None` if nobody watches for problems.
    pub problems: Option<Numbered<Vec<CurrentProblem>>>,
    /// The names of its lifetime totals that are held back.
    pub held: Vec<&'static str>,
    /// The number of its newest write.
    written: u64,
}

/// A value with the number of its write.
#[derive(Debug)]
pub struct Numbered<T> {
    /// The number of the write.
    pub number: u64,
    /// The time of the write.
    pub at: Instant,
    /// The value.
    pub value: Arc<T>,
}

impl<T> Clone for Numbered<T> {
    fn clone(&self) -> Self {
        Self { number: self.number, at: self.at, value: Arc::clone(&self.value) }
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

/// An event of a gateway, with the number of its write.
#[derive(Clone, Debug)]
pub struct NumberedEvent {
    /// The number of the write.
    pub number: u64,
    /// The gateway; `None` if the event is about the daemon.
    pub serial: Option<Serial>,
    /// The event.
    pub event: Arc<Event>,
}

/// Selects a field of a gateway.
type Place<T> = fn(&mut Gateway) -> &mut Option<Numbered<T>>;

impl Gateway {
    /// Returns the reading, unless the gateway has stopped responding since.
    pub fn fresh_reading(&self) -> Option<&Numbered<Reading>> {
        if self.availability.is_some() && !self.is_online() { None } else { self.reading.as_ref() }
    }

    /// Returns the number of its newest write.
    pub const fn written(&self) -> u64 {
        self.written
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

    /// Returns the last contact with the cloud; `None` before the record of logins was read.
    pub fn cloud(&self) -> Option<&CloudReport> {
        self.cloud.as_deref()
    }

    /// Returns the problems that last.
    pub fn problems(&self) -> &[CurrentProblem] {
        &self.problems
    }

    /// Returns the number of the newest write.
    pub const fn written(&self) -> u64 {
        self.written
    }

    fn number<T>(&mut self, value: T) -> Numbered<T> {
        self.written += 1;
        Numbered { number: self.written, at: Instant::now(), value: Arc::new(value) }
    }

    /// Writes `value` to the field that `place` selects.
    pub(super) fn write<T>(&mut self, serial: &Serial, value: T, place: Place<T>) {
        let numbered = self.number(value);
        let gateway = self.gateways.entry(serial.clone()).or_default();
        self.newest.remove(&gateway.written);
        self.newest.insert(numbered.number, serial.clone());
        gateway.written = numbered.number;
        *place(gateway) = Some(numbered);
    }

    /// Writes `value` if it differs from the current one; returns whether it did.
    pub(super) fn write_news<T: PartialEq>(&mut self, serial: &Serial, value: T, place: Place<T>) -> bool {
        let known = self.gateways.get_mut(serial).and_then(|gateway| place(gateway).as_ref());
        let news = known.is_none_or(|known| *known.value != value);
        if news {
            self.write(serial, value, place);
        }
        news
    }

    /// Removes the reading of `serial`; returns whether there was one.
    pub(super) fn forget_reading(&mut self, serial: &Serial) -> bool {
        self.gateways.get_mut(serial).is_some_and(|gateway| gateway.reading.take().is_some())
    }

    /// Sets the totals of `serial` that are held back. No reader waits for that.
    pub(super) fn set_held(&mut self, serial: &Serial, held: Vec<&'static str>) {
        if let Some(gateway) = self.gateways.get_mut(serial) {
            gateway.held = held;
        }
    }

    /// Sets the problems that last; returns whether they are news.
    pub(super) fn set_problems(&mut self, problems: Vec<CurrentProblem>) -> bool {
        let mut is_news = self.problems != problems;
        self.problems = problems;
        for serial in self.gateways.keys().cloned().collect::<Vec<_>>() {
            let affects = |problem: &&CurrentProblem| {
                problem.serial.as_ref().is_none_or(|affected| *affected == serial)
            };
            let problems: Vec<CurrentProblem> = self.problems.iter().filter(affects).cloned().collect();
            is_news |= self.write_news(&serial, problems, |gateway| &mut gateway.problems);
        }
        is_news
    }

    /// Adds an event of `serial`, and drops the oldest if there are too many.
    pub(super) fn add_event(&mut self, serial: Option<&Serial>, event: Event) {
        let Numbered { number, value, .. } = self.number(event);
        if self.events.len() == EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(NumberedEvent { number, serial: serial.cloned(), event: value });
    }

    /// Writes the last contact with the cloud; returns whether it has changed.
    pub(super) fn set_cloud(&mut self, report: CloudReport) -> bool {
        let changed = self.cloud() != Some(&report);
        if changed {
            self.cloud = Some(Arc::new(report));
        }
        changed
    }

    /// Sets or clears the current problem with the broker; returns whether it has changed.
    pub(super) fn set_broker_trouble(&mut self, trouble: Option<&str>) -> bool {
        let changed = self.broker_trouble() != trouble;
        self.broker_trouble = trouble.map(Arc::from);
        changed
    }
}
