//! Decides which message is sent to the broker next. It is called whenever the connection has room, and does no I/O.
//!
//! There is no queue of values. For one gateway after the other, the messages that the broker should have are compared
//! with those that were sent on this connection. So a slow broker receives the newest values, and one that was unreachable
//! receives everything again.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::announced::AnnouncedTopics;
use super::announced_files;
use super::announcer::Announcer;
use super::gateway_topics::{Circumstances, Searched};
use super::gateways::Gateways;
use super::incoming::{Incoming, Meaning, subscriptions};
use super::options::Options;
use super::unpublished::{Unpublished, UnpublishedList};
use crate::app::latest::{Gateway, Snapshot};
use crate::base::message::Message;
use crate::base::reading::Serial;
use crate::io::mqtt::Command;
use crate::io::state_dir::StateDir;
use crate::output::topics;

/// The time for which each Domoticz device receives its value with each reading, after a connection or the start of a
/// consumer. Domoticz connects up to 30 seconds later than this daemon after a restart of the broker.
const REPEAT_DEVICES: Duration = Duration::from_secs(90);

/// The state of what has to be sent to the broker.
#[derive(Debug)]
pub struct Outbox {
    options: Options,
    connected: bool,
    /// `true` if the first messages of the connection were not sent yet.
    greeting: bool,
    /// The orders of the step in progress: at most the new values of one gateway.
    begun: VecDeque<Command>,
    announcer: Announcer,
    incoming: Incoming,
    gateways: Gateways,
    /// The gateway that is served, with its reading, until its values are sent.
    serving: Option<(Serial, Searched)>,
    /// The number of the last event that was sent, on any connection.
    last_event: u64,
    /// The time until which all Domoticz devices receive their values.
    repeat_devices: Option<Instant>,
    unpublished: UnpublishedList,
}

impl Outbox {
    /// Creates a state with nothing to send until there is a connection.
    pub fn new(options: Options, now: Instant) -> Self {
        Self {
            announcer: Announcer::new(options.homeassistant.clone(), now),
            options,
            connected: false,
            greeting: false,
            begun: VecDeque::new(),
            incoming: Incoming::default(),
            gateways: Gateways::default(),
            serving: None,
            last_event: 0,
            repeat_devices: None,
            unpublished: UnpublishedList::default(),
        }
    }

    /// Loads the stored records of all gateways from `state`.
    pub async fn recall(&mut self, state: &StateDir) {
        for (serial, announced) in announced_files::load(state).await {
            self.remember(serial, announced);
        }
    }

    /// Adds the stored record of a gateway, and marks the topics that are not needed any more for removal.
    pub fn remember(&mut self, serial: Serial, mut announced: AnnouncedTopics) {
        announced.remove_unwanted(&serial, &self.options);
        if announced.has_removals() {
            self.announcer.remove(&serial);
        }
        self.gateways.remember(serial, announced);
    }

    /// Passes the records to write at `now` to `save`, or all changed ones if `now` is `None`; marks them as written.
    pub fn save(&mut self, now: Option<Instant>, save: impl FnMut(&Serial, &AnnouncedTopics)) {
        self.gateways.save(now, save);
    }

    /// Records that the stored records were lost, so that they are written again.
    pub(super) fn rewrite(&mut self) {
        self.gateways.rewrite();
    }

    /// Returns what could not be published since the last call, at most the first few.
    pub(super) fn unpublished(&mut self) -> Vec<Unpublished> {
        self.unpublished.take()
    }

    /// Records a new connection. The broker may have lost everything.
    pub fn connected(&mut self) {
        self.connected = true;
        self.greeting = true;
        self.begun.clear();
        self.incoming.connected();
    }

    /// Records that the connection was lost.
    pub fn lost(&mut self) {
        self.connected = false;
        self.begun.clear();
        self.announcer.lost(&mut self.gateways);
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
        if self.greeting {
            self.greeting = false;
            self.owe_everything(now);
            self.greet(snapshot, now);
        } else if self.incoming.births.take(now) {
            self.owe_everything(now);
        }
        loop {
            self.gateways.find_due(snapshot);
            self.announcer.settle(&mut self.gateways, now);
            match self.pick(now) {
                Some(Command::Publish(message)) if !self.unpublished.fits(&message) => {}
                Some(order) => return Some(order),
                None if self.begin_event(snapshot)
                    || self.begin_values(snapshot, now)
                    || self.begin_gateway(snapshot, now) => {}
                None => {
                    self.announcer.rest();
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
            let instance = topics::instance(&self.options.prefix, &self.options.instance);
            return Some(Command::Publish(instance));
        }
        self.announcer.next(&mut self.gateways, now).map(Command::Publish)
    }

    /// Returns the next time at which something has to be sent without any event.
    pub(super) fn wakes(&self) -> Option<Instant> {
        if !self.connected {
            return None;
        }
        self.incoming.wakes().into_iter().chain(self.announcer.wakes()).min()
    }

    /// Returns the last messages before an orderly end.
    pub(super) fn last_messages(&self) -> Vec<Message> {
        let prefix = &self.options.prefix;
        let offline = self.gateways.serials().map(|serial| topics::availability(prefix, serial, false));
        offline.chain([topics::status(prefix, false)]).collect()
    }

    fn online(&self) -> Command {
        Command::Publish(topics::status(&self.options.prefix, true))
    }

    /// Makes everything due again.
    fn owe_everything(&mut self, now: Instant) {
        self.gateways.forget();
        self.announcer.begin_round(&self.gateways);
        self.serving = None;
        self.repeat_devices = Some(now + REPEAT_DEVICES);
    }

    /// Begins a connection. The broker may still have values of an earlier run, which would look current as soon as this
    /// daemon is online. So every gateway that is away or has not been read yet is declared offline before.
    fn greet(&mut self, snapshot: &Snapshot, now: Instant) {
        let at = circumstances(&self.options, self.repeat_devices, now);
        for (serial, gateway) in self.gateways.iter_mut() {
            let known = snapshot.gateway(serial);
            if !known.is_some_and(Gateway::is_online) {
                self.begun.extend(gateway.availability(known, at).map(Command::Publish));
            }
        }
        self.begun.push_back(self.online());
        self.begun.extend(subscriptions(&self.options).map(Command::Subscribe));
    }

    fn begin_event(&mut self, snapshot: &Snapshot) -> bool {
        let Some(entry) = snapshot.events_after(self.last_event).next() else { return false };
        self.last_event = entry.number;
        let message = topics::event(&self.options.prefix, entry.serial.as_ref(), &entry.event);
        self.begun.push_back(Command::Publish(message));
        true
    }

    /// Begins with the next gateway that has new values. What its reading announces comes before its values.
    fn begin_gateway(&mut self, snapshot: &Snapshot, now: Instant) -> bool {
        let Some(serial) = self.gateways.next_due() else { return false };
        let Some(known) = snapshot.gateway(&serial) else { return true };
        let several = self.options.homeassistant.as_ref().is_some_and(|discovery| discovery.several);
        let is_ambiguous = several && self.gateways.has_alike(&serial);
        let gateway = self.gateways.get_or_new(&serial, &self.options.prefix);
        let at = circumstances(&self.options, self.repeat_devices, now);
        let searched = gateway.search(known, Circumstances { is_ambiguous, ..at });
        if searched.is_news {
            self.announcer.announce(&serial);
        }
        if gateway.announced.has_removals() {
            self.announcer.remove(&serial);
        }
        if searched.refused > 0 {
            self.unpublished.add(Unpublished::TooMany { serial: serial.clone(), left_out: searched.refused });
        }
        self.serving = Some((serial, searched));
        true
    }

    /// Begins with the values of the gateway that is served. While the rate limit delays its announcements, its values are
    /// sent, and its document is sent again after the last one.
    fn begin_values(&mut self, snapshot: &Snapshot, now: Instant) -> bool {
        let Some((serial, searched)) = self.serving.take() else { return false };
        if let Some((gateway, known)) = self.gateways.get_mut(&serial).zip(snapshot.gateway(&serial)) {
            let at = circumstances(&self.options, self.repeat_devices, now);
            let values = gateway.values(known, searched, at);
            self.begun.extend(values.into_iter().map(Command::Publish));
        }
        true
    }
}

fn circumstances(options: &Options, repeat_devices: Option<Instant>, now: Instant) -> Circumstances<'_> {
    let repeat_devices = repeat_devices.is_some_and(|until| now <= until);
    Circumstances { options, now, is_ambiguous: false, repeat_devices }
}

#[cfg(test)]
mod tests;
