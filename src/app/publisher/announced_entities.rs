//! The entities of one gateway that were announced by discovery, in this run or in an earlier one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::base::message::Message;
use crate::base::reading::{GatewayFacts, Serial};
use crate::output::homeassistant::{Announcement, Discovery, Entity, config, names_in_document};

/// The announced entities by their topics. Stores the input of the messages, which are far longer.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct AnnouncedEntities {
    entities: BTreeMap<String, AnnouncedEntity>,
    /// The gateway's facts in the last messages.
    #[serde(skip)]
    facts: Option<GatewayFacts>,
}

#[derive(Debug, Serialize, Deserialize)]
struct AnnouncedEntity {
    #[serde(flatten)]
    mark: Announcement,
    /// The entity without its value; `None` if only an earlier run has announced it.
    #[serde(skip)]
    entity: Option<Entity>,
    /// The place among the entities of a reading.
    #[serde(skip)]
    place: usize,
    /// The last round of announcements in which the message was sent.
    #[serde(skip)]
    round: u64,
}

/// The changes that a reading caused.
#[derive(Debug, Default)]
pub(super) struct EntityChange {
    /// The topics of the messages that are new or have changed.
    pub(super) topics: Vec<String>,
    /// `true` if the record has to be saved.
    pub(super) changed: bool,
}

impl AnnouncedEntities {
    /// Removes the entities under topics that are not `valid`.
    pub(super) fn retain_topics(&mut self, valid: impl Fn(&str) -> bool) {
        self.entities.retain(|topic, _| valid(topic));
    }

    /// Adds the entities of a reading that have a value and are new, or whose messages have changed (new firmware).
    pub(super) fn add(
        &mut self,
        entities: &[Entity],
        facts: &GatewayFacts,
        discovery: &Discovery,
    ) -> EntityChange {
        let unchanged = self.facts.as_ref() == Some(facts);
        let mut change = EntityChange::default();
        for (place, entity) in entities.iter().enumerate().filter(|(_, entity)| entity.is_known()) {
            let topic = config::topic(entity, facts, discovery);
            let known = self.entities.get(&topic).and_then(|known| known.entity.as_ref());
            // A message depends only on the gateway's facts and the entity, so at most readings none is created.
            if unchanged && known.is_some() {
                continue;
            }
            let last = known.zip(self.facts.as_ref());
            let last = last.map(|(known, facts)| config::message(known, facts, discovery));
            if last.as_ref() == Some(&config::message(entity, facts, discovery)) {
                continue;
            }
            let mark = entity.mark();
            let announced = AnnouncedEntity { mark, entity: Some(entity.without_value()), place, round: 0 };
            let before = self.entities.get(&topic).map(|before| &before.mark);
            change.changed |= before != Some(&announced.mark);
            self.entities.insert(topic.clone(), announced);
            change.topics.push(topic);
        }
        if !unchanged {
            self.facts = Some(facts.clone());
        }
        change
    }

    /// Returns the topics of the messages that were not sent in `round`: those that were not sent for the most rounds first,
    /// otherwise in the order of the entities of a reading.
    pub(super) fn unsent(&self, round: u64) -> Vec<String> {
        let unsent = |(_, it): &(&String, &AnnouncedEntity)| it.entity.is_some() && it.round < round;
        let mut unsent: Vec<_> = self.entities.iter().filter(unsent).collect();
        unsent.sort_by_key(|(_, it)| (it.round, it.place));
        unsent.into_iter().map(|(topic, _)| topic.clone()).collect()
    }

    /// Returns the message under `topic`, and records it as sent in `round`; `None` if the entity was removed.
    pub(super) fn send(&mut self, topic: &str, round: u64, discovery: &Discovery) -> Option<Message> {
        let announced = self.entities.get_mut(topic)?;
        announced.round = round;
        let (entity, facts) = announced.entity.as_ref().zip(self.facts.as_ref())?;
        Some(config::message(entity, facts, discovery))
    }

    /// Returns whether an entity is announced under `topic`.
    pub(super) fn contains(&self, topic: &str) -> bool {
        self.entities.contains_key(topic)
    }

    /// Returns the names in the document to which the announcements refer. Those that were not sent in this run may be of
    /// version 0.1.0.
    pub(super) fn names_in_document(&self, gateway: &Serial) -> Vec<String> {
        let names = |(topic, announced): (&String, &AnnouncedEntity)| match &announced.entity {
            Some(entity) if announced.round > 0 && entity.is_in_document() => vec![entity.name_in_document()],
            Some(_) if announced.round > 0 => Vec::new(),
            _ => names_in_document(topic, gateway),
        };
        self.entities.iter().flat_map(names).collect()
    }

    /// Removes the `unwanted` entities, and returns their topics.
    pub(super) fn remove(&mut self, unwanted: impl Fn(&str, &Announcement) -> bool) -> Vec<String> {
        self.entities.extract_if(.., |topic, it| unwanted(topic, &it.mark)).map(|(topic, _)| topic).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::reading::Reading;
    use crate::base::test_readings;
    use crate::output::homeassistant::{discovery, entities};

    fn settings() -> Discovery {
        Discovery {
            discovery_prefix: "homeassistant".to_owned(),
            prefix: "enphased".to_owned(),
            expire_after: Duration::from_secs(300),
            inverters: true,
            details: false,
            several: false,
            configuration_url: None,
        }
    }

    fn add(announced: &mut AnnouncedEntities, reading: &Reading) -> Vec<String> {
        announced.add(&entities(reading, &settings()), &reading.gateway, &settings()).topics
    }

    /// Returns the messages of a round, in their order.
    fn round(announced: &mut AnnouncedEntities, round: u64) -> Vec<Message> {
        let topics = announced.unsent(round).into_iter();
        topics.map(|topic| announced.send(&topic, round, &settings()).unwrap()).collect()
    }

    fn by_topic(messages: Vec<Message>) -> BTreeMap<String, Message> {
        messages.into_iter().map(|message| (message.topic.clone(), message)).collect()
    }

    #[test]
    fn an_entity_is_announced_once_in_each_round() {
        let (mut reading, mut announced) = (test_readings::full(), AnnouncedEntities::default());
        add(&mut announced, &reading);
        let first = round(&mut announced, 1);
        assert_eq!(first, discovery(&reading, &settings()), "in the order of the reading");
        assert_eq!(add(&mut announced, &reading), [""; 0]);
        assert_eq!(announced.unsent(1), [""; 0]);
        // An inverter that is missing in the newest reading is announced too.
        reading.inverters.truncate(1);
        add(&mut announced, &reading);
        assert_eq!(round(&mut announced, 2), first);

        reading.gateway.firmware = "9.0.1".to_owned();
        let news = add(&mut announced, &reading);
        assert!(news.iter().all(|topic| topic.contains("/122300000000/")) && !news.is_empty());
        let news = round(&mut announced, 2);
        let all = by_topic([first, news].concat());
        assert_eq!(by_topic(round(&mut announced, 3)), all);
    }

    #[test]
    fn what_was_not_sent_for_the_most_rounds_comes_first() {
        let (reading, mut announced) = (test_readings::full(), AnnouncedEntities::default());
        add(&mut announced, &reading);
        let all = announced.unsent(1);
        for topic in &all[..5] {
            announced.send(topic, 1, &settings()).unwrap();
        }
        assert_eq!(announced.unsent(2), [&all[5..], &all[..5]].concat());
    }

    #[test]
    fn what_an_earlier_run_announced_is_not_announced_until_a_reading_has_it() {
        let mut announced = AnnouncedEntities::default();
        add(&mut announced, &test_readings::full());
        let stored = serde_json::to_string(&announced).unwrap();
        let mut announced: AnnouncedEntities = serde_json::from_str(&stored).unwrap();
        assert_eq!(announced.unsent(1), [""; 0]);
        let change = announced.add(
            &entities(&test_readings::full(), &settings()),
            &test_readings::full().gateway,
            &settings(),
        );
        assert!(!change.topics.is_empty() && !change.changed, "the record stays the same");
        assert_eq!(announced.unsent(1).len(), change.topics.len());
    }
}
