//! What the broker is owed: a pure state, asked for the next message whenever the connection has room.
//!
//! Nothing waits in a queue. What is owed follows from the numbers on the board and from what was sent on
//! this connection, so a slow broker gets the newest when its turn comes, and one that was away gets
//! everything again.

use std::collections::{BTreeMap, VecDeque};

use tokio::time::Instant;

use super::content::Options;
use super::leaving::Leaving;
use super::memory::Memory;
use super::names::Names;
use super::pace::Pace;
use super::sent::Sent;
use crate::board::Sheet;
use crate::message::Message;
use crate::mqtt::Order;
use crate::reading::Serial;
use crate::topics;

/// What the broker is owed.
#[derive(Debug)]
pub struct Outbox {
    options: Options,
    connected: bool,
    /// The rest of what was begun: one gateway's news at most.
    begun: VecDeque<Order>,
    /// The rest of one gateway's announcements.
    announcing: VecDeque<Message>,
    announced: Option<Serial>,
    pace: Pace,
    gateways: BTreeMap<Serial, Sent>,
    /// Whose turn was last.
    served: Option<Serial>,
    /// Up to which write of the board no news are owed.
    settled: u64,
    /// Up to which write of the board all readings were looked through for something to announce.
    looked_through: u64,
    /// The number of the last event that was sent, on whatever connection.
    told: u64,
    /// What each gateway has left at the broker.
    leaving: Leaving,
    /// Other daemons under our prefix.
    names: Names,
}

/// What a message from the broker meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Home Assistant or Domoticz has come up: everything is owed again.
    Birth,
    /// Somebody else has declared us offline under our own topic; that is put right.
    Denied,
    /// Another daemon publishes under our prefix, known to the broker by this client id; told once of each.
    Twin(String),
    /// Something is asked of the gateway at this level of the topics.
    Asked(String),
    /// None of ours.
    Nothing,
}

impl Outbox {
    /// Owes nothing until there is a connection.
    pub fn new(options: Options, now: Instant) -> Self {
        Self {
            options,
            connected: false,
            begun: VecDeque::new(),
            announcing: VecDeque::new(),
            announced: None,
            pace: Pace::new(now),
            gateways: BTreeMap::new(),
            served: None,
            settled: 0,
            looked_through: 0,
            told: 0,
            leaving: Leaving::default(),
            names: Names::default(),
        }
    }

    /// What a gateway had left at the broker when the daemon ended. What is not wanted any more leaves.
    pub fn remember(&mut self, serial: Serial, mut memory: Memory) {
        memory.retire(&serial, &self.options);
        self.leaving.remember(serial, memory);
    }

    /// What has to be remembered and is not written down yet; it counts as written then.
    pub fn unwritten(&mut self) -> impl Iterator<Item = (&Serial, &Memory)> {
        self.leaving.unwritten()
    }

    /// How much waits here for the connection; none of it grows with an outage.
    pub fn waiting(&self) -> usize {
        self.begun.len() + self.announcing.len()
    }

    /// There is a connection, and a broker that may have forgotten everything.
    pub fn connected(&mut self) {
        self.owe_everything();
        self.connected = true;
        self.begun.clear();
        self.names.connected();
        self.begun.push_back(self.online());
        let prefix = &self.options.prefix;
        self.begun.push_back(Order::Subscribe(topics::instance_topic(prefix)));
        self.begun.push_back(Order::Subscribe(topics::status_topic(prefix)));
        let asked = self.options.wishes.as_ref().map(|_| topics::asked_filter(prefix));
        self.begun.extend(asked.map(Order::Subscribe));
        self.begun.extend(self.options.birth_topic().map(Order::Subscribe));
    }

    /// There is no connection any more.
    pub fn lost(&mut self) {
        self.connected = false;
        self.begun.clear();
        self.announcing.clear();
        self.leaving.lost();
    }

    /// A message has come in.
    pub fn incoming(&mut self, topic: &str, payload: &[u8], retained: bool) -> Meaning {
        self.introduce(topic);
        // What the broker had kept is older than this connection.
        if retained || !self.connected {
            return Meaning::Nothing;
        }
        if payload == b"online" && self.options.birth_topic().is_some_and(|birth| birth == topic) {
            self.owe_everything();
            return Meaning::Birth;
        }
        if payload == b"offline" && topic == topics::status_topic(&self.options.prefix) {
            self.begun.push_back(self.online());
            return Meaning::Denied;
        }
        if topic == topics::instance_topic(&self.options.prefix) {
            return self.twin(payload);
        }
        let asked = topics::asked_of(&self.options.prefix, topic).filter(|_| self.options.wishes.is_some());
        asked.map_or(Meaning::Nothing, |level| Meaning::Asked(level.to_owned()))
    }

    /// Says our name once per connection, and not before it is certain that an answer would be heard: the status has
    /// come back to us, which was subscribed to after the names. (The connection may send what is published before
    /// what is subscribed to.)
    fn introduce(&mut self, topic: &str) {
        let heard = self.connected && topic == topics::status_topic(&self.options.prefix);
        if heard && self.names.introduces() {
            self.begun.push_back(self.instance());
        }
    }

    /// A daemon has said its name: our own echo, one that is known, or another, which is told ours in turn.
    fn twin(&mut self, payload: &[u8]) -> Meaning {
        let Some(name) = self.names.heard(payload, &self.options.instance) else { return Meaning::Nothing };
        self.begun.push_back(self.instance());
        Meaning::Twin(name)
    }

    /// The next order for the connection, or `None` while nothing is owed.
    pub fn next(&mut self, sheet: &Sheet, now: Instant) -> Option<Order> {
        if !self.connected {
            return None;
        }
        loop {
            if let Some(order) = self.begun.pop_front() {
                return Some(order);
            }
            if let Some(message) = self.announcement(sheet, now) {
                return Some(Order::Publish(message));
            }
            if let Some(message) = self.removal(now) {
                return Some(Order::Publish(message));
            }
            let begun = self.begin_event(sheet) || self.begin_news(sheet, now);
            if !begun {
                self.leaving.rest();
                return None;
            }
        }
    }

    /// When something is owed by time alone.
    pub fn wakes(&self) -> Option<Instant> {
        let owed = !self.announcing.is_empty() || self.leaving.is_owed();
        (self.connected && owed).then(|| self.pace.opens())
    }

    /// What is left to say before an orderly end.
    pub fn farewell(&self) -> Vec<Message> {
        let prefix = &self.options.prefix;
        let gateways = self.gateways.keys();
        let mut messages: Vec<Message> =
            gateways.map(|serial| topics::availability(prefix, serial, false)).collect();
        messages.push(topics::status(prefix, false));
        messages
    }

    fn online(&self) -> Order {
        Order::Publish(topics::status(&self.options.prefix, true))
    }

    fn instance(&self) -> Order {
        Order::Publish(topics::instance(&self.options.prefix, &self.options.instance))
    }

    fn owe_everything(&mut self) {
        self.announcing.clear();
        self.gateways.values_mut().for_each(Sent::forget);
        (self.settled, self.looked_through) = (0, 0);
    }

    /// The next announcement, if the pace allows it. They go before the state; when the pace holds them up
    /// the state goes on meanwhile, and goes again after the last of them, since a consumer drops what it
    /// does not know.
    fn announcement(&mut self, sheet: &Sheet, now: Instant) -> Option<Message> {
        if self.announcing.is_empty() {
            self.begin_announcements(sheet);
        }
        if self.announcing.is_empty() || !self.pace.take(now) {
            return None;
        }
        let message = self.announcing.pop_front();
        if self.announcing.is_empty()
            && let Some(sent) = self.announced.take().and_then(|serial| self.gateways.get_mut(&serial))
        {
            sent.forget_state();
            self.settled = 0;
        }
        message
    }

    fn begin_announcements(&mut self, sheet: &Sheet) {
        if self.options.homeassistant.is_none() {
            return;
        }
        for (serial, known) in sheet.gateways_after(self.looked_through) {
            let Some(reading) = &known.reading else { continue };
            let sent = self.gateways.entry(serial.clone()).or_default();
            if sent.looked_through == reading.number {
                continue;
            }
            sent.looked_through = reading.number;
            let memory = self.leaving.of(serial, &self.options);
            self.announcing = sent.published.announcements(&self.options, &reading.value, memory).into();
            if !self.announcing.is_empty() {
                self.announced = Some(serial.clone());
                return;
            }
        }
        self.looked_through = sheet.written();
    }

    /// Empties the next topic of something that is gone for good, at the pace of announcements: a consumer of those
    /// hears of it too.
    fn removal(&mut self, now: Instant) -> Option<Message> {
        if self.leaving.is_owed() && self.pace.take(now) { self.leaving.next() } else { None }
    }

    fn begin_event(&mut self, sheet: &Sheet) -> bool {
        let Some(told) = sheet.events_after(self.told).next() else { return false };
        self.told = told.number;
        let message = topics::event(&self.options.prefix, &told.serial, &told.event);
        self.begun.push_back(Order::Publish(message));
        true
    }

    /// Begins the news of the next gateway that has some, in turn, so that none starves behind a slow broker.
    fn begin_news(&mut self, sheet: &Sheet, now: Instant) -> bool {
        let mut new: Vec<_> = sheet.gateways_after(self.settled).collect();
        let last = self.served.as_ref();
        // Those after the last one come before those up to it.
        new.sort_unstable_by_key(|(serial, _)| (last.is_some_and(|last| *serial <= last), *serial));
        for (serial, known) in new {
            let sent = self.gateways.entry(serial.clone()).or_default();
            let memory = self.leaving.of(serial, &self.options);
            let news = sent.news(&self.options, serial, known, now, memory);
            if !news.is_empty() {
                self.begun.extend(news.into_iter().map(Order::Publish));
                self.served = Some(serial.clone());
                return true;
            }
        }
        self.settled = sheet.written();
        false
    }
}

#[cfg(test)]
mod tests;
