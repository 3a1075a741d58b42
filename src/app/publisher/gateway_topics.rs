//! The topics of one gateway: the messages that the broker should have, compared with those that it was sent.

use std::hash::{DefaultHasher, Hash, Hasher};

use tokio::time::Instant;

use super::alert;
use super::announced::AnnouncedTopics;
use super::dedup::Dedup;
use super::options::{Domoticz, Options};
use crate::app::latest::{Gateway, Numbered};
use crate::base::message::Message;
use crate::base::rate_limit::RateLimit;
use crate::base::reading::{GatewayFacts, Reading, Serial};
use crate::output::domoticz;
use crate::output::homeassistant::{self, Entity, gateway_name};
use crate::output::topics;

/// The topics of one gateway.
#[derive(Debug)]
pub(super) struct GatewayTopics {
    serial: Serial,
    /// The retained topics at the broker.
    pub(super) announced: AnnouncedTopics,
    /// The messages that were sent on this connection.
    sent: Dedup,
    /// The number of the last reading that was sent on this connection; 0 to send it again.
    reading: u64,
    /// The number of the last reading that was searched for devices and entities.
    searched: u64,
    /// A hash of everything in a reading on which the announcements and `absent` depend.
    shape: Option<u64>,
    /// The names to which announcements at the broker refer and that have no value, which must be null in the document.
    absent: Vec<String>,
    /// The limit on writes of the record, since the first one.
    pub(super) writes: Option<RateLimit>,
}

/// The circumstances in which messages are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances<'a> {
    pub(super) options: &'a Options,
    pub(super) now: Instant,
    /// `true` if another gateway would have the same name.
    pub(super) is_ambiguous: bool,
    /// `true` to send the value of every Domoticz device with each reading, even if it is unchanged.
    pub(super) repeat_devices: bool,
}

/// A reading that was searched for new devices and entities, and has to be sent.
#[derive(Debug, Default)]
pub(super) struct Searched {
    /// The reading without the devices that were refused, with its number.
    reading: Option<Numbered<Reading>>,
    /// The entities of discovery, built once for the announcements and the document.
    entities: Vec<Entity>,
    /// `true` if there are entities to announce.
    pub(super) is_news: bool,
    /// The number of devices that were refused.
    pub(super) refused: usize,
}

impl GatewayTopics {
    /// Creates the topics of a gateway with this record of earlier ones.
    pub(super) fn new(serial: Serial, announced: AnnouncedTopics) -> Self {
        Self {
            serial,
            announced,
            sent: Dedup::default(),
            reading: 0,
            searched: 0,
            shape: None,
            absent: Vec::new(),
            writes: None,
        }
    }

    /// Makes every value due again, but not the announcements.
    pub(super) fn forget(&mut self) {
        self.sent.forget();
        self.reading = 0;
    }

    /// Makes the document due again, after announcements were sent.
    pub(super) const fn forget_document(&mut self) {
        self.reading = 0;
        self.shape = None;
    }

    /// Takes the next topic to remove.
    pub(super) fn next_removal(&mut self) -> Option<String> {
        self.shape = None;
        self.announced.next_removal()
    }

    /// Marks a topic for removal again, because the broker may not have received it.
    pub(super) fn restore_removal(&mut self, topic: String) {
        self.shape = None;
        self.announced.restore_removal(topic);
    }

    /// Returns the availability if it has to be sent. A gateway that has not been read in this run is offline.
    pub(super) fn availability(&mut self, known: Option<&Gateway>, at: Circumstances<'_>) -> Option<Message> {
        let is_online = known.is_some_and(Gateway::is_online);
        self.news(topics::availability(&at.options.prefix, &self.serial, is_online), at)
    }

    /// Searches the newest reading for devices and entities to announce, before its values are sent.
    pub(super) fn search(&mut self, known: &Gateway, at: Circumstances<'_>) -> Searched {
        let Some(reading) = known.reading.as_ref() else { return Searched::default() };
        let is_new = self.searched != reading.number;
        // A consumer would take an old reading for a fresh one.
        let is_due = known.fresh_reading().is_some() && self.reading != reading.number;
        if !is_new && !is_due {
            return Searched::default();
        }
        let mut searched = Searched::default();
        if is_new {
            self.searched = reading.number;
            let change = self.announced.update(&reading.value, at.now);
            if !change.gone.is_empty() {
                self.shape = None;
            }
            searched.refused = change.refused;
        }
        let value = self.announced.admitted(&reading.value);
        if let Some(discovery) = &at.options.homeassistant {
            searched.entities = homeassistant::entities(&value, discovery);
            searched.is_news = self.announce(&value, &searched.entities, at);
        }
        searched.reading = Some(Numbered { number: reading.number, at: reading.at, value });
        searched
    }

    /// Adds the entities of a reading to those that are announced. Returns whether a message is new or has changed.
    fn announce(&mut self, reading: &Reading, entities: &[Entity], at: Circumstances<'_>) -> bool {
        let Some(discovery) = &at.options.homeassistant else { return false };
        let facts = if at.is_ambiguous {
            &gateway_name::with_more_digits(&reading.gateway)
        } else {
            &reading.gateway
        };
        let shape = shape(facts, entities);
        if self.shape == Some(shape) {
            return false;
        }
        self.shape = Some(shape);
        let is_news = self.announced.add_entities(entities, facts, discovery);
        self.absent = self.announced.absent(&self.serial, entities);
        is_news
    }

    /// Returns the messages to send for the newest values, after the announcements. `searched` is their reading.
    pub(super) fn values(
        &mut self,
        known: &Gateway,
        searched: Searched,
        at: Circumstances<'_>,
    ) -> Vec<Message> {
        let mut messages = Vec::new();
        let availability =
            if known.availability.is_some() { self.availability(Some(known), at) } else { None };
        if let Some(token) = &known.token {
            let message = topics::token(&at.options.prefix, &self.serial, &*token.value);
            messages.extend(self.news(message, at));
        }
        if let Some(problems) = &known.problems {
            let message = topics::problems(&at.options.prefix, &self.serial, &problems.value);
            messages.extend(self.news(message, at));
        }
        // A newer reading may be due already.
        let newest = known.fresh_reading().map(|newest| newest.number);
        let reading = searched.reading.filter(|it| newest == Some(it.number) && self.reading != it.number);
        messages.extend(self.alert(known, reading.is_some(), at));
        if let Some(reading) = reading {
            self.reading = reading.number;
            messages.push(self.document(&reading.value, searched.entities, at.options));
            messages.extend(self.plain_values(&reading.value, at));
            messages.extend(self.devices(&reading.value, at));
        }
        // A gateway that returns is online after its new values, so that the old ones do not look current.
        let place = if known.is_online() { messages.len() } else { 0 };
        messages.splice(place..place, availability);
        messages
    }

    fn document(&self, reading: &Reading, entities: Vec<Entity>, options: &Options) -> Message {
        match &options.homeassistant {
            Some(discovery) => homeassistant::document(reading, discovery, entities, &self.absent),
            None => topics::document(&options.prefix, reading, None),
        }
    }

    /// Returns each value that has changed, or was not sent for a while.
    fn plain_values(&mut self, reading: &Reading, at: Circumstances<'_>) -> Vec<Message> {
        if !at.options.topics {
            return Vec::new();
        }
        let due = |topic: &str, payload: &str| self.sent.due(topic, payload, at.options.interval, at.now);
        let messages = topics::values(&at.options.prefix, reading, due);
        for message in &messages {
            self.announced.add_value(&self.serial, &message.topic);
        }
        messages
    }

    /// Returns the value of each Domoticz device that has changed, or was not sent for a while.
    fn devices(&mut self, reading: &Reading, at: Circumstances<'_>) -> Vec<Message> {
        let Some(Domoticz { topic, idx }) = &at.options.domoticz else { return Vec::new() };
        let mut due = |update: &domoticz::Update| {
            let value = (update.nvalue, &update.svalue);
            self.sent.due(update.idx, value, at.options.interval, at.now) || at.repeat_devices
        };
        let updates = domoticz::updates(reading, idx).into_iter();
        updates.filter(|update| due(update)).map(|update| update.message(topic)).collect()
    }

    /// Returns the state of everything for the Domoticz device `alert`, also while the gateway is away. It is repeated like
    /// the other devices if `with_reading` is `true`.
    fn alert(&mut self, known: &Gateway, with_reading: bool, at: Circumstances<'_>) -> Option<Message> {
        let Domoticz { topic, idx } = at.options.domoticz.as_ref()?;
        let update = alert::update(known, idx)?;
        let value = (update.nvalue, &update.svalue);
        let is_due = if with_reading {
            self.sent.due(update.idx, value, at.options.interval, at.now) || at.repeat_devices
        } else {
            self.sent.differs(update.idx, value, at.now)
        };
        is_due.then(|| update.message(topic))
    }

    /// Returns `message` if the last one on its topic was different.
    fn news(&mut self, message: Message, at: Circumstances<'_>) -> Option<Message> {
        let is_news = self.sent.differs(&message.topic, &message.payload, at.now);
        is_news.then_some(message)
    }
}

/// Returns a hash of the gateway's facts and of which entities have a value.
fn shape(facts: &GatewayFacts, entities: &[Entity]) -> u64 {
    let mut hasher = DefaultHasher::new();
    facts.hash(&mut hasher);
    for entity in entities {
        entity.hash_identity(&mut hasher);
        (entity.is_known(), entity.has_value()).hash(&mut hasher);
    }
    hasher.finish()
}
