//! Decides which message is sent to the broker next. It is called whenever the connection has room, and does no I/O.
//!
//! There is no queue. The messages to send follow from the numbers of the writes in `latest` and from what was sent on
//! this connection. So a slow broker receives the newest values, and one that was unreachable receives everything again.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::announced::{self, AnnouncedTopics};
use super::gateway_state::GatewayState;
use super::incoming::{Incoming, Meaning};
use super::options::Options;
use super::removal::Removals;
use super::round_robin::RoundRobin;
use super::unpublished::{Unpublished, UnpublishedList};
use crate::app::latest::Snapshot;
use crate::base::message::Message;
use crate::base::rate_limit::RateLimit;
use crate::base::reading::Serial;
use crate::io::mqtt::Command;
use crate::io::state_dir::StateDir;
use crate::output::topics;

/// The number of announcements that are sent at once: all of a house without details. Domoticz processes ten messages a
/// second (2022.2 to 2025.1), and the broker drops messages beyond its queue (mosquitto: 1000 per client).
const BURST: u32 = 100;
/// The time between further announcements.
const GAP: Duration = Duration::from_millis(100);
/// The state of what has to be sent to the broker.
#[derive(Debug)]
pub struct Outbox {
    options: Options,
    connected: bool,
    /// The orders of the step in progress: at most the new values of one gateway.
    begun: VecDeque<Command>,
    /// The entities to announce.
    announcements: RoundRobin,
    rate_limit: RateLimit,
    incoming: Incoming,
    gateways: BTreeMap<Serial, GatewayState>,
    /// The gateway that was served last.
    served: Option<Serial>,
    /// The number of the write up to which all values were sent.
    settled: u64,
    /// The number of the write up to which all readings were searched for entities to announce.
    looked_through: u64,
    /// The number of the last event that was sent, on any connection.
    last_event: u64,
    /// The topics of each gateway that exist at the broker.
    removals: Removals,
    unpublished: UnpublishedList,
}

impl Outbox {
    /// Creates a state with nothing to send until there is a connection.
    pub fn new(options: Options, now: Instant) -> Self {
        Self {
            options,
            connected: false,
            begun: VecDeque::new(),
            announcements: RoundRobin::default(),
            rate_limit: RateLimit::new(BURST, GAP, now),
            incoming: Incoming::default(),
            gateways: BTreeMap::new(),
            served: None,
            settled: 0,
            looked_through: 0,
            last_event: 0,
            removals: Removals::default(),
            unpublished: UnpublishedList::default(),
        }
    }

    /// Loads the stored gateways of all gateways from `state`.
    pub async fn recall(&mut self, state: &StateDir) {
        for (serial, announced) in announced::load(state).await {
            self.remember(serial, announced);
        }
    }

    /// Adds the stored announced of a gateway, and marks the topics that are not needed any more for removal.
    pub fn remember(&mut self, serial: Serial, mut announced: AnnouncedTopics) {
        announced.remove_unwanted(&serial, &self.options);
        self.removals.remember(serial, announced);
    }

    /// Returns the gateways to write at `now`, or all changed ones if `now` is `None`; records them as written.
    pub fn unwritten(&mut self, now: Option<Instant>) -> impl Iterator<Item = (&Serial, &AnnouncedTopics)> {
        self.removals.unwritten(now)
    }

    /// Records that the stored gateways were lost.
    pub fn rewrite(&mut self) {
        self.removals.rewrite();
    }

    /// Returns what could not be published since the last call, at most the first few.
    pub fn unpublished(&mut self) -> Vec<Unpublished> {
        self.unpublished.take()
    }

    /// Returns the number of waiting orders, which does not grow during an outage.
    pub fn waiting(&self) -> usize {
        self.begun.len()
    }

    /// Records a new connection. The broker may have lost everything.
    pub fn connected(&mut self) {
        self.owe_everything();
        self.connected = true;
        self.begun.clear();
        self.incoming.connected();
        self.begun.push_back(self.online());
        let prefix = &self.options.prefix;
        self.begun.push_back(Command::Subscribe(topics::instance_topic(prefix)));
        self.begun.push_back(Command::Subscribe(topics::status_topic(prefix)));
        let requests = self.options.requests.as_ref().map(|_| topics::request_filter(prefix));
        self.begun.extend(requests.map(Command::Subscribe));
        self.begun.extend(self.options.birth_topic().map(Command::Subscribe));
    }

    /// Records that the connection was lost.
    pub fn lost(&mut self) {
        self.connected = false;
        self.begun.clear();
        self.removals.lost();
    }

    /// Records that messages from the broker were missed.
    pub fn missed(&mut self) {
        self.incoming.missed();
    }

    /// Handles a message from the broker.
    pub fn incoming(&mut self, topic: &str, payload: &[u8], retained: bool) -> Meaning {
        if self.connected {
            self.incoming.incoming(&self.options, topic, payload, retained)
        } else {
            Meaning::Nothing
        }
    }

    /// Returns the next order for the connection, or `None` if there is nothing to send.
    pub fn next(&mut self, snapshot: &Snapshot, now: Instant) -> Option<Command> {
        if !self.connected {
            return None;
        }
        if self.incoming.births.take(now) {
            self.owe_everything();
        }
        self.find_announcements(snapshot, now);
        loop {
            match self.pick(now) {
                Some(Command::Publish(message)) if !self.unpublished.fits(&message) => {}
                Some(order) => return Some(order),
                None if self.begin_event(snapshot) || self.begin_news(snapshot, now) => {}
                None => {
                    self.removals.rest();
                    return None;
                }
            }
        }
    }

    /// Returns the next order that does not depend on new values.
    fn pick(&mut self, now: Instant) -> Option<Command> {
        if self.incoming.status.take(now) {
            return Some(self.online());
        }
        if let Some(order) = self.begun.pop_front() {
            return Some(order);
        }
        if self.incoming.instance.take(now) {
            return Some(self.instance());
        }
        self.announcement(now).or_else(|| self.removal(now)).map(Command::Publish)
    }

    /// Returns the next time at which something has to be sent without any event.
    pub fn wakes(&self) -> Option<Instant> {
        if !self.connected {
            return None;
        }
        let limited =
            (self.announcements.is_owed() || self.removals.is_owed()).then(|| self.rate_limit.opens());
        self.incoming.wakes().into_iter().chain(limited).min()
    }

    /// Returns the last messages before an orderly end.
    pub fn last_messages(&self) -> Vec<Message> {
        let prefix = &self.options.prefix;
        let gateways = self.gateways.keys();
        let mut messages: Vec<Message> =
            gateways.map(|serial| topics::availability(prefix, serial, false)).collect();
        messages.push(topics::status(prefix, false));
        messages
    }

    fn online(&self) -> Command {
        Command::Publish(topics::status(&self.options.prefix, true))
    }

    fn instance(&self) -> Command {
        Command::Publish(topics::instance(&self.options.prefix, &self.options.instance))
    }

    fn owe_everything(&mut self) {
        for (serial, sent) in &mut self.gateways {
            sent.forget();
            self.announcements.owe_whole(serial);
        }
        self.settled = 0;
    }

    /// Searches the new readings for entities to announce, and for devices that are gone.
    fn find_announcements(&mut self, snapshot: &Snapshot, now: Instant) {
        for (serial, known) in snapshot.gateways_after(self.looked_through) {
            let Some(reading) = &known.reading else { continue };
            let sent = self.gateways.entry(serial.clone()).or_default();
            if sent.looked_through == reading.number {
                continue;
            }
            sent.looked_through = reading.number;
            let announced = self.removals.of(serial, &self.options);
            let (names, more) = sent.published.update(&self.options, &reading.value, announced, now);
            self.announcements.owe(serial, names);
            if more > 0 {
                self.unpublished.add(Unpublished::TooMany { serial: serial.clone(), left_out: more });
            }
        }
        self.looked_through = snapshot.written();
    }

    /// Returns the next announcement, if the rate limit allows it. Announcements come before values. While the limit delays
    /// them, values are sent, and the document is sent again after the last one, since a consumer ignores values of entities
    /// that it does not know.
    fn announcement(&mut self, now: Instant) -> Option<Message> {
        while self.announcements.is_owed() && self.rate_limit.opens() <= now {
            let gateways = &self.gateways;
            let all = |serial: &Serial| gateways.get(serial).map(|sent| sent.published.entities());
            let (serial, name) = self.announcements.next(|serial| all(serial).unwrap_or_default())?;
            let sent = self.gateways.get_mut(&serial)?;
            let message = sent.published.announcement(&self.options, &name);
            if !self.announcements.owes(&serial) {
                sent.forget_document();
                self.settled = 0;
            }
            if message.is_some() {
                self.rate_limit.take(now);
                return message;
            }
        }
        None
    }

    /// Returns the next message that removes a topic, if the rate limit allows it: consumers of announcements receive
    /// removals too.
    fn removal(&mut self, now: Instant) -> Option<Message> {
        if self.removals.is_owed() && self.rate_limit.take(now) { self.removals.next() } else { None }
    }

    fn begin_event(&mut self, snapshot: &Snapshot) -> bool {
        let Some(entry) = snapshot.events_after(self.last_event).next() else { return false };
        self.last_event = entry.number;
        let message = topics::event(&self.options.prefix, &entry.serial, &entry.event);
        self.begun.push_back(Command::Publish(message));
        true
    }

    /// Starts with the new values of the next gateway that has some. Gateways take turns, so that a slow broker receives the
    /// values of each.
    fn begin_news(&mut self, snapshot: &Snapshot, now: Instant) -> bool {
        let mut new: Vec<_> = snapshot.gateways_after(self.settled).collect();
        let last = self.served.as_ref();
        // Gateways after the last one come before those up to it.
        new.sort_unstable_by_key(|(serial, _)| (last.is_some_and(|last| *serial <= last), *serial));
        for (serial, known) in new {
            let sent = self.gateways.entry(serial.clone()).or_default();
            let announced = self.removals.of(serial, &self.options);
            let news = sent.news(&self.options, serial, known, now, announced);
            if !news.is_empty() {
                self.begun.extend(news.into_iter().map(Command::Publish));
                self.served = Some(serial.clone());
                return true;
            }
        }
        self.settled = snapshot.written();
        false
    }
}

#[cfg(test)]
mod tests;
