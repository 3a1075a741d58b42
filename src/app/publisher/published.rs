//! What is published of a gateway.

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

/// What was published of one gateway.
#[derive(Debug, Default)]
pub(super) struct Published {
    announced: Announced,
    values: Dedup,
    devices: Dedup,
}

impl Published {
    /// The state is due again, the announcements are not.
    pub(super) fn forget_state(&mut self) {
        self.values.forget();
        self.devices.forget();
    }

    /// Looks through a new reading for what is there and what is not any more. Gives the names of the entities that are to
    /// be announced before its state, and how many devices are left out.
    pub(super) fn look_through(
        &mut self,
        options: &Options,
        reading: &Reading,
        memory: &mut AnnouncedTopics,
        now: Instant,
    ) -> (Vec<String>, usize) {
        let look = memory.look(reading, now);
        for device in &look.gone {
            self.announced.forget(device);
        }
        let Some(discovery) = &options.homeassistant else { return (Vec::new(), look.refused) };
        let news = self.announced.news(&memory.admitted(reading), discovery);
        for (topic, mark) in news.iter().filter_map(|name| self.announced.mark(name, discovery)) {
            memory.announced(&topic, &mark);
        }
        (news, look.refused)
    }

    /// The names of all entities that were announced.
    pub(super) fn entities(&self) -> BTreeSet<String> {
        self.announced.names().cloned().collect()
    }

    /// The message that announces the entity `name`; none for one that is gone.
    pub(super) fn announcement(&self, options: &Options, name: &str) -> Option<Message> {
        self.announced.message(name, options.homeassistant.as_ref()?)
    }

    /// What is due of a reading: the document always, values and devices when they changed or rested for
    /// long.
    pub(super) fn state(
        &mut self,
        options: &Options,
        reading: &Reading,
        now: Instant,
        memory: &mut AnnouncedTopics,
    ) -> Vec<Message> {
        let reading = &*memory.admitted(reading);
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
