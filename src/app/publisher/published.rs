//! The messages for one gateway: announcements, values and the document.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::announced::AnnouncedTopics;
use super::dedup::Dedup;
use super::options::{Domoticz, Options};
use crate::base::message::Message;
use crate::base::reading::Reading;
use crate::output::domoticz;
use crate::output::homeassistant::Announced;
use crate::output::topics;

/// The announcements and values that were published for one gateway.
#[derive(Debug, Default)]
pub(super) struct Published {
    announced: Announced,
    values: Dedup,
    devices: Dedup,
}

impl Published {
    /// Makes the values due again, but not the announcements.
    pub(super) fn forget_state(&mut self) {
        self.values.forget();
        self.devices.forget();
    }

    /// Updates the entities with a new reading. Returns the names of the entities to announce before the values, and the
    /// number of devices that were refused.
    pub(super) fn update(
        &mut self,
        options: &Options,
        reading: &Reading,
        announced: &mut AnnouncedTopics,
        now: Instant,
    ) -> (Vec<String>, usize) {
        let change = announced.update(reading, now);
        for device in &change.gone {
            self.announced.forget(device);
        }
        let Some(discovery) = &options.homeassistant else { return (Vec::new(), change.refused) };
        let news = self.announced.news(&announced.admitted(reading), discovery);
        for (topic, announcement) in news.iter().filter_map(|name| self.announced.mark(name, discovery)) {
            announced.add_entity(&topic, &announcement);
        }
        (news, change.refused)
    }

    /// Returns the names of all announced entities.
    pub(super) fn entities(&self) -> BTreeSet<String> {
        self.announced.names().cloned().collect()
    }

    /// Returns the message that announces the entity `name`, or `None` if the entity was removed.
    pub(super) fn announcement(&self, options: &Options, name: &str) -> Option<Message> {
        self.announced.message(name, options.homeassistant.as_ref()?)
    }

    /// Returns the messages that are due for a reading: always the document, and each value or device that has changed or
    /// was not sent for a while.
    pub(super) fn state(
        &mut self,
        options: &Options,
        reading: &Reading,
        now: Instant,
        announced: &mut AnnouncedTopics,
    ) -> Vec<Message> {
        let reading = &*announced.admitted(reading);
        let document = match &options.homeassistant {
            Some(discovery) => self.announced.document(reading, discovery),
            None => topics::document(&options.prefix, reading, None),
        };
        let mut messages = vec![document];
        if options.topics {
            let due = |topic: &str, payload: &str| self.values.due(topic, payload, options.interval, now);
            let due = topics::values(&options.prefix, reading, due);
            for value in &due {
                announced.add_value(&reading.gateway.serial, &value.topic);
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
