//! What the broker is owed: a pure state, asked for the next message whenever the connection has room.
//!
//! Nothing waits in a queue. What is owed follows from the numbers on the board and from what was sent on
//! this connection, so a slow broker gets the newest when its turn comes, and one that was away gets
//! everything again.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::complaint::{Complaint, Complaints};
use super::content::Options;
use super::incoming::{Incoming, Meaning};
use super::leaving::Leaving;
use super::memory::{self, Memory};
use super::sent::Sent;
use super::walk::Walk;
use crate::app::latest::Sheet;
use crate::base::message::Message;
use crate::base::rate_limit::RateLimit;
use crate::base::reading::Serial;
use crate::io::mqtt::Order;
use crate::io::state_dir::StateDir;
use crate::output::topics;

/// How many announcements may go at once: all of a house without details. Domoticz takes ten messages a second (2022.2 to
/// 2025.1), and what waits for it beyond the broker's queue (mosquitto: 1000 a client) is dropped.
const BURST: u32 = 100;
/// One more after each of these.
const GAP: Duration = Duration::from_millis(100);
/// What the broker is owed.
#[derive(Debug)]
pub struct Outbox {
    options: Options,
    connected: bool,
    /// The rest of what was begun: one gateway's news at most.
    begun: VecDeque<Order>,
    /// The entities that are to be announced.
    walk: Walk,
    pace: RateLimit,
    incoming: Incoming,
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
    complaints: Complaints,
}

impl Outbox {
    /// Owes nothing until there is a connection.
    pub fn new(options: Options, now: Instant) -> Self {
        Self {
            options,
            connected: false,
            begun: VecDeque::new(),
            walk: Walk::default(),
            pace: RateLimit::new(BURST, GAP, now),
            incoming: Incoming::default(),
            gateways: BTreeMap::new(),
            served: None,
            settled: 0,
            looked_through: 0,
            told: 0,
            leaving: Leaving::default(),
            complaints: Complaints::default(),
        }
    }

    /// What the gateways had left at the broker, as written down in `state`.
    pub async fn recall(&mut self, state: &StateDir) {
        for (serial, memory) in memory::load(state).await {
            self.remember(serial, memory);
        }
    }

    /// What a gateway had left at the broker when the daemon ended. What is not wanted any more leaves.
    pub fn remember(&mut self, serial: Serial, mut memory: Memory) {
        memory.retire(&serial, &self.options);
        self.leaving.remember(serial, memory);
    }

    /// What has to be remembered and is not written down yet, at `now` or before the end; it counts as written then.
    pub fn unwritten(&mut self, now: Option<Instant>) -> impl Iterator<Item = (&Serial, &Memory)> {
        self.leaving.unwritten(now)
    }

    /// What is remembered is not on disk any more.
    pub fn rewrite(&mut self) {
        self.leaving.rewrite();
    }

    /// What was not published since the last call; of many complaints the first.
    pub fn complaints(&mut self) -> Vec<Complaint> {
        self.complaints.take()
    }

    /// How much waits here for the connection; none of it grows with an outage.
    pub fn waiting(&self) -> usize {
        self.begun.len()
    }

    /// There is a connection, and a broker that may have forgotten everything.
    pub fn connected(&mut self) {
        self.owe_everything();
        self.connected = true;
        self.begun.clear();
        self.incoming.connected();
        self.begun.push_back(self.online());
        let prefix = &self.options.prefix;
        self.begun.push_back(Order::Subscribe(topics::instance_topic(prefix)));
        self.begun.push_back(Order::Subscribe(topics::status_topic(prefix)));
        let asked = self.options.wishes.as_ref().map(|_| topics::request_filter(prefix));
        self.begun.extend(asked.map(Order::Subscribe));
        self.begun.extend(self.options.birth_topic().map(Order::Subscribe));
    }

    /// There is no connection any more.
    pub fn lost(&mut self) {
        self.connected = false;
        self.begun.clear();
        self.leaving.lost();
    }

    /// Messages from the broker were missed.
    pub fn missed(&mut self) {
        self.incoming.missed();
    }

    /// A message has come in.
    pub fn incoming(&mut self, topic: &str, payload: &[u8], retained: bool) -> Meaning {
        if self.connected {
            self.incoming.incoming(&self.options, topic, payload, retained)
        } else {
            Meaning::Nothing
        }
    }

    /// The next order for the connection, or `None` while nothing is owed.
    pub fn next(&mut self, sheet: &Sheet, now: Instant) -> Option<Order> {
        if !self.connected {
            return None;
        }
        if self.incoming.births.take(now) {
            self.owe_everything();
        }
        self.look_through(sheet, now);
        loop {
            match self.pick(now) {
                Some(Order::Publish(message)) if !self.complaints.fits(&message) => {}
                Some(order) => return Some(order),
                None if self.begin_event(sheet) || self.begin_news(sheet, now) => {}
                None => {
                    self.leaving.rest();
                    return None;
                }
            }
        }
    }

    /// The next order of what was begun or is owed by itself.
    fn pick(&mut self, now: Instant) -> Option<Order> {
        if self.incoming.status.take(now) {
            return Some(self.online());
        }
        if let Some(order) = self.begun.pop_front() {
            return Some(order);
        }
        if self.incoming.instance.take(now) {
            return Some(self.instance());
        }
        self.announcement(now).or_else(|| self.removal(now)).map(Order::Publish)
    }

    /// When something is owed by time alone.
    pub fn wakes(&self) -> Option<Instant> {
        let paced = (self.walk.is_owed() || self.leaving.is_owed()).then(|| self.pace.opens());
        self.incoming.wakes().into_iter().chain(paced).min().filter(|_| self.connected)
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
        for (serial, sent) in &mut self.gateways {
            sent.forget();
            self.walk.owe_whole(serial);
        }
        self.settled = 0;
    }

    /// Looks through the readings that are new for what is to be announced, and for what is gone.
    fn look_through(&mut self, sheet: &Sheet, now: Instant) {
        for (serial, known) in sheet.gateways_after(self.looked_through) {
            let Some(reading) = &known.reading else { continue };
            let sent = self.gateways.entry(serial.clone()).or_default();
            if sent.looked_through == reading.number {
                continue;
            }
            sent.looked_through = reading.number;
            let memory = self.leaving.of(serial, &self.options);
            let (names, more) = sent.published.look_through(&self.options, &reading.value, memory, now);
            self.walk.owe(serial, names);
            if more > 0 {
                self.complaints.add(Complaint::TooMany { serial: serial.clone(), left_out: more });
            }
        }
        self.looked_through = sheet.written();
    }

    /// The next announcement, if the pace allows it. They go before the state; when the pace holds them up the state goes
    /// on meanwhile, and the document goes again after the last of them, since a consumer drops what it does not know.
    fn announcement(&mut self, now: Instant) -> Option<Message> {
        while self.walk.is_owed() && self.pace.opens() <= now {
            let gateways = &self.gateways;
            let all = |serial: &Serial| gateways.get(serial).map(|sent| sent.published.entities());
            let (serial, name) = self.walk.next(|serial| all(serial).unwrap_or_default())?;
            let sent = self.gateways.get_mut(&serial)?;
            let message = sent.published.announcement(&self.options, &name);
            if !self.walk.owes(&serial) {
                sent.forget_document();
                self.settled = 0;
            }
            if message.is_some() {
                self.pace.take(now);
                return message;
            }
        }
        None
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
