//! What is published of a gateway.

use std::time::Duration;

use tokio::time::Instant;

use super::changes::Changes;
use super::memory::Memory;
use crate::domoticz::{self, idx::Idx};
use crate::homeassistant::{Announced, Discovery};
use crate::message::Message;
use crate::reading::Reading;
use crate::state::StateDir;
use crate::topics;
use crate::wishes::Wishes;

/// What is published, and under which topics.
#[derive(Clone, Debug)]
pub struct Options {
    /// The first level of every topic of ours.
    pub prefix: String,
    /// Whether each value has a plain topic of its own beside the document.
    pub topics: bool,
    /// Discovery for Home Assistant and for Domoticz.
    pub homeassistant: Option<Discovery>,
    /// The devices in Domoticz that are fed by their idx.
    pub domoticz: Option<Domoticz>,
    /// How far the readings of a gateway are apart: an unchanged value is sent early enough before five
    /// minutes.
    pub interval: Duration,
    /// Our client id, by which a second daemon with the same prefix is told from this one.
    pub instance: String,
    /// Where what is asked over MQTT goes; `None` where nothing may be asked.
    pub wishes: Option<Wishes>,
    /// Where it is remembered what was left at the broker; `None` to remember nothing.
    pub state: Option<StateDir>,
}

/// The devices in Domoticz.
#[derive(Clone, Debug)]
pub struct Domoticz {
    /// What Domoticz listens to, [`domoticz::TOPIC`] unless told otherwise.
    pub topic: String,
    /// Which value goes to which device.
    pub idx: Idx,
}

impl Options {
    /// Where Home Assistant, and Domoticz alike, says that it has come up.
    pub(super) fn birth_topic(&self) -> Option<String> {
        self.homeassistant.as_ref().map(|discovery| format!("{}/status", discovery.discovery_prefix))
    }
}

/// What was published of one gateway.
#[derive(Debug, Default)]
pub(super) struct Published {
    announced: Announced,
    /// Whether all of it has been announced to those who listen now.
    heard: bool,
    values: Changes,
    devices: Changes,
}

impl Published {
    /// Begins again: everything is due.
    pub(super) fn forget(&mut self) {
        self.heard = false;
        self.forget_state();
    }

    /// The state is due again, the announcements are not.
    pub(super) fn forget_state(&mut self) {
        self.values.forget();
        self.devices.forget();
    }

    /// The announcements that are due before the state of this reading.
    pub(super) fn announcements(
        &mut self,
        options: &Options,
        reading: &Reading,
        memory: &mut Memory,
    ) -> Vec<Message> {
        let Some(discovery) = &options.homeassistant else { return Vec::new() };
        let news = self.announced.news(reading, discovery);
        if !news.is_empty() {
            for (topic, mark) in self.announced.marks(discovery) {
                memory.announced(&topic, &mark);
            }
        }
        if std::mem::replace(&mut self.heard, true) {
            news
        } else {
            self.announced.again(discovery).collect()
        }
    }

    /// What is due of a reading: the document always, values and devices when they changed or rested for
    /// long.
    pub(super) fn state(
        &mut self,
        options: &Options,
        reading: &Reading,
        now: Instant,
        memory: &mut Memory,
    ) -> Vec<Message> {
        for device in memory.look(reading) {
            self.announced.forget(&device);
        }
        let document = match &options.homeassistant {
            Some(discovery) => self.announced.document(reading, discovery),
            None => topics::document(&options.prefix, reading, None),
        };
        let mut messages = vec![document];
        if options.topics {
            let due = |topic: &str, payload: &str| self.values.due(topic, payload, options.interval, now);
            let due = topics::values(&options.prefix, reading, due);
            for value in &due {
                memory.sent(&reading.gateway.serial, &value.topic);
            }
            messages.extend(due);
        }
        if let Some(Domoticz { topic, idx }) = &options.domoticz {
            for update in domoticz::updates(reading, idx) {
                let value = (update.nvalue, &update.svalue);
                if self.devices.due(update.idx, value, options.interval, now) {
                    messages.push(update.message(topic));
                }
            }
        }
        messages
    }
}
