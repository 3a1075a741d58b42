//! The retained topics of a gateway at the broker, recorded so that they can be removed when they are obsolete.
//!
//! A topic is obsolete if the configuration excludes it (discovery, inverters, details, plain topics, another prefix). The
//! topics of an inverter or a battery are also obsolete after seven days on which it was missing from a list with others of
//! its kind. A failed page, a truncated response or a restart yields no such list, and does not count. A whole group, such
//! as the grid, is never removed: a page that fails for a long time looks the same.
//!
//! The record is stored in the state directory, not derived from the retained messages at the broker. That would require a
//! subscription to the announcements of all programs, which restricted access may forbid. Nor do the messages show on how
//! many days a device was missing.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::announced_entities::AnnouncedEntities;
use super::options::Options;
use super::roster::{self, Roster, RosterChange};
use crate::base::message::Message;
use crate::base::reading::{GatewayFacts, Reading, Serial};
use crate::output::homeassistant::{self, Announcement, Discovery, Entity};
use crate::output::json::LISTS;
use crate::output::topics;

/// The retained topics of one gateway at the broker.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AnnouncedTopics {
    /// The first level of the plain topics.
    prefix: String,
    /// The discovery topics.
    entities: AnnouncedEntities,
    /// The plain topics, relative to the gateway's topic, with `+` for an entry of a list.
    values: BTreeSet<String>,
    /// The entries of the lists, such as `inverters/482200000001`.
    entries: Roster,
    /// The topics that have to be removed. Not stored: until they are removed, the file keeps the state from which they
    /// were derived.
    #[serde(skip)]
    obsolete: BTreeSet<String>,
    /// `true` if the state differs from the file.
    #[serde(skip)]
    changed: bool,
}

impl AnnouncedTopics {
    /// Creates an empty record for topics below `prefix`.
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), ..Self::default() }
    }

    /// Returns `stored` without invalid topics, because a broker closes the connection for each of them. Returns `None` if
    /// the prefix is invalid.
    pub(super) fn publishable(mut stored: Self) -> Option<Self> {
        stored.entities.retain_topics(topics::is_topic);
        stored.values.retain(|pattern| topics::is_topic(&pattern.replacen("/+/", "/", 1)));
        stored.entries.retain(topics::is_topic);
        topics::is_topic(&stored.prefix).then_some(stored)
    }

    /// Marks for removal every topic that the configuration excludes.
    pub(super) fn remove_unwanted(&mut self, serial: &Serial, options: &Options) {
        let too_many = self.entries.trim();
        self.remove_entries(serial, &too_many);
        if self.prefix != options.prefix {
            let base = self.base(serial);
            self.remove_values(serial, |_| true);
            self.obsolete.extend(["reading", "availability", "token"].map(|name| format!("{base}{name}")));
            self.prefix.clone_from(&options.prefix);
            self.changed = true;
        }
        if !options.topics {
            self.remove_values(serial, |_| true);
        }
        let wanted = |topic: &str, announcement: &Announcement| {
            options.homeassistant.as_ref().is_some_and(|discovery| discovery.wants(topic, announcement))
        };
        self.remove_entities(|topic, announcement| !wanted(topic, announcement));
    }

    /// Adds the entities of a reading. Returns whether a message is new or has changed.
    pub(super) fn add_entities(
        &mut self,
        entities: &[Entity],
        facts: &GatewayFacts,
        discovery: &Discovery,
    ) -> bool {
        let change = self.entities.add(entities, facts, discovery);
        self.changed |= change.changed;
        change.topics.iter().for_each(|topic| _ = self.obsolete.remove(topic));
        !change.topics.is_empty()
    }

    /// Returns the topics of the announcements to send in `round`, in their order.
    pub(super) fn unsent(&self, round: u64) -> Vec<String> {
        self.entities.unsent(round)
    }

    /// Returns the announcement under `topic`, and records it as sent in `round`; `None` if the entity was removed.
    pub(super) fn send(&mut self, topic: &str, round: u64, discovery: &Discovery) -> Option<Message> {
        self.entities.send(topic, round, discovery)
    }

    /// Returns the names in the document to which announcements at the broker refer, and that have no value among `entities`.
    pub(super) fn absent(&self, serial: &Serial, entities: &[Entity]) -> Vec<String> {
        let present = entities.iter().filter(|entity| entity.has_value()).map(Entity::name_in_document);
        let present: BTreeSet<String> = present.collect();
        let mut names = self.entities.names_in_document(serial);
        names.extend(self.obsolete.iter().flat_map(|topic| homeassistant::names_in_document(topic, serial)));
        names.retain(|name| !present.contains(name));
        names
    }

    /// Records that a plain topic was published.
    pub(super) fn add_value(&mut self, serial: &Serial, topic: &str) {
        if !self.obsolete.is_empty() {
            self.obsolete.remove(topic);
        }
        let Some(path) = topic.strip_prefix(self.base(serial).as_str()) else { return };
        let (pattern, entry) = pattern(path);
        if !self.values.contains(&pattern) {
            self.values.insert(pattern);
            self.changed = true;
        }
        self.changed |= entry.is_some_and(|entry| self.entries.insert(entry));
    }

    /// Updates the list of devices with a new reading, and marks the topics of removed devices for removal.
    pub(super) fn update(&mut self, reading: &Reading, now: Instant) -> RosterChange {
        let change = self.entries.update(reading, now);
        self.remove_entries(&reading.gateway.serial, &change.gone);
        self.changed |= change.changed;
        change
    }

    /// Returns the reading without the devices that are not in the list.
    pub(super) fn admitted(&self, reading: &Arc<Reading>) -> Arc<Reading> {
        self.entries.admitted(reading)
    }

    /// Marks for removal every topic of the entries in `gone`.
    fn remove_entries(&mut self, serial: &Serial, gone: &[String]) {
        if gone.is_empty() {
            return;
        }
        let lost: BTreeSet<&String> = gone.iter().collect();
        self.remove_entities(|_, announcement| {
            announcement.device.as_ref().is_some_and(|device| lost.contains(device))
        });
        let base = self.base(serial);
        for (list, field) in self.values.iter().filter_map(|pattern| pattern.split_once("/+/")) {
            let of_list = gone.iter().filter(|entry| roster::list(entry) == list);
            self.obsolete.extend(of_list.map(|entry| format!("{base}{entry}/{field}")));
        }
        self.changed = true;
    }

    /// Takes the next topic to remove.
    pub(super) fn next_removal(&mut self) -> Option<String> {
        let topic = self.obsolete.pop_first()?;
        self.changed = true;
        Some(topic)
    }

    /// Returns whether a topic has to be removed.
    pub(super) fn has_removals(&self) -> bool {
        !self.obsolete.is_empty()
    }

    /// Marks a topic for removal again, because the broker may not have received it. Ignores an entity that is announced.
    pub(super) fn restore_removal(&mut self, topic: String) {
        if !self.has_entity(&topic) {
            self.obsolete.insert(topic);
        }
    }

    /// Returns whether an entity is announced under this discovery topic.
    pub(super) fn has_entity(&self, topic: &str) -> bool {
        self.entities.contains(topic)
    }

    /// Records that the file was lost and has to be written again.
    pub(super) const fn mark_unsaved(&mut self) {
        self.changed = true;
    }

    /// Returns whether the file differs from the record.
    pub(super) const fn is_unsaved(&self) -> bool {
        self.changed
    }

    /// Returns whether the file has to be written, and records it as written.
    pub(super) fn take_change(&mut self) -> bool {
        if !self.changed || !self.obsolete.is_empty() {
            return false;
        }
        self.changed = false;
        true
    }

    /// Returns the prefix of the gateway's plain topics, with a slash at the end.
    fn base(&self, serial: &Serial) -> String {
        format!("{}/{}/", self.prefix, topics::level(serial.as_str()))
    }

    /// Marks for removal every discovery topic that is `unwanted`.
    fn remove_entities(&mut self, unwanted: impl Fn(&str, &Announcement) -> bool) {
        let gone = self.entities.remove(unwanted);
        self.changed |= !gone.is_empty();
        self.obsolete.extend(gone);
    }

    /// Marks for removal every plain topic whose entry matches `unwanted` (`None` means topics outside any list).
    fn remove_values(&mut self, serial: &Serial, unwanted: impl Fn(Option<&str>) -> bool) {
        let base = self.base(serial);
        let mut topics = BTreeSet::new();
        for pattern in &self.values {
            match pattern.split_once("/+/") {
                Some((list, field)) => {
                    let of_list = self.entries.of_list(list);
                    let obsolete = of_list.filter(|entry| unwanted(Some(entry.as_str())));
                    topics.extend(obsolete.map(|entry| format!("{base}{entry}/{field}")));
                }
                None if unwanted(None) => {
                    topics.insert(format!("{base}{pattern}"));
                }
                None => {}
            }
        }
        if unwanted(None) {
            self.values.clear();
        }
        self.changed |= !topics.is_empty();
        self.obsolete.extend(topics);
    }
}

/// Splits a path such as `inverters/4822…/power_w` into `inverters/+/power_w` and `inverters/4822…`.
fn pattern(path: &str) -> (String, Option<&str>) {
    let split = path.split_once('/').and_then(|(list, rest)| {
        LISTS.iter().find(|it| it.field == list)?;
        let (name, field) = rest.split_once('/')?;
        Some((format!("{list}/+/{field}"), path.get(..list.len() + 1 + name.len())?))
    });
    split.map_or_else(|| (path.to_owned(), None), |(pattern, entry)| (pattern, Some(entry)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::ToSpan;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::app::publisher::announced_files;
    use crate::base::test_readings;
    use crate::io::state_dir::StateDir;

    fn options() -> Options {
        let discovery = Discovery {
            discovery_prefix: "homeassistant".to_owned(),
            prefix: "e".to_owned(),
            expire_after: Duration::from_secs(300),
            inverters: true,
            details: true,
            several: false,
            configuration_url: None,
        };
        Options {
            prefix: "e".to_owned(),
            topics: true,
            homeassistant: Some(discovery),
            domoticz: None,
            interval: Duration::from_secs(30),
            instance: "us".to_owned(),
            requests: None,
            state: None,
        }
    }

    /// Returns the test reading `day` days later, without the devices whose serial numbers end with `without`.
    fn reading(day: i32, without: &[&str]) -> Reading {
        let mut reading = test_readings::full();
        reading.time = (reading.time.to_zoned(TimeZone::UTC) + day.days()).timestamp();
        let stays = |serial: &Serial| !without.iter().any(|end| serial.as_str().ends_with(end));
        reading.inverters.retain(|it| stays(&it.serial));
        reading.batteries.retain(|it| stays(&it.serial));
        reading
    }

    /// Returns the record after the whole test reading was announced and published.
    fn recorded() -> AnnouncedTopics {
        let (options, reading, mut announced) = (options(), reading(0, &[]), AnnouncedTopics::new("e"));
        let discovery = options.homeassistant.as_ref().unwrap();
        announced.add_entities(&homeassistant::entities(&reading, discovery), &reading.gateway, discovery);
        for value in topics::values("e", &reading, |_, _| true) {
            announced.add_value(&reading.gateway.serial, &value.topic);
        }
        assert_eq!(gone(&mut announced, &reading), Vec::<String>::new());
        announced
    }

    /// Returns the entries that `reading` removes.
    fn gone(announced: &mut AnnouncedTopics, reading: &Reading) -> Vec<String> {
        announced.update(reading, Instant::now()).gone
    }

    fn leaving(mut announced: AnnouncedTopics) -> Vec<String> {
        std::iter::from_fn(|| announced.next_removal()).collect()
    }

    #[test]
    fn an_inverter_that_is_missing_for_seven_days_is_removed() {
        let mut announced = recorded();
        for day in 1..=6 {
            for _ in 0..100 {
                assert_eq!(
                    gone(&mut announced, &reading(day, &["482200000002"])),
                    Vec::<String>::new(),
                    "day {day}"
                );
            }
        }
        assert!(!announced.has_removals());
        assert_eq!(gone(&mut announced, &reading(7, &["482200000002"])), ["inverters/482200000002"]);
        let gone = leaving(announced);
        assert!(gone.iter().all(|topic| topic.contains("/482200000002/")), "{gone:?}");
        for topic in [
            "homeassistant/sensor/482200000002/power/config",
            "e/122300000000/inverters/482200000002/power_w",
            "e/122300000000/inverters/482200000002/reported_at",
        ] {
            assert!(gone.iter().any(|it| it == topic), "{topic} in {gone:?}");
        }
    }

    #[test]
    fn an_inverter_that_returns_within_seven_days_stays_and_its_count_restarts() {
        let mut announced = recorded();
        for round in 0..3 {
            for day in 1..=6 {
                gone(&mut announced, &reading(10 * round + day, &["482200000002"]));
            }
            gone(&mut announced, &reading(10 * round + 7, &[]));
        }
        assert!(!announced.has_removals());
    }

    #[test]
    fn a_page_that_fails_for_long_removes_nothing() {
        let mut announced = recorded();
        for day in 1..400 {
            // No inverters, and only the batteries of one kind, which come from another page.
            let mut partial = reading(day, &["482200000001", "482200000002", "492200000001"]);
            (partial.grid, partial.production, partial.storage, partial.phases) =
                (None, None, None, Vec::new());
            assert_eq!(gone(&mut announced, &partial), Vec::<String>::new(), "day {day}");
        }
        assert!(!announced.has_removals());
    }

    #[test]
    fn a_clock_that_jumps_back_and_forth_removes_nothing() {
        let mut announced = recorded();
        for _ in 0..50 {
            gone(&mut announced, &reading(1, &["482200000002"]));
            gone(&mut announced, &reading(-9000, &["482200000002"]));
        }
        assert!(!announced.has_removals());
    }

    #[test]
    fn the_record_survives_a_restart_and_is_written_only_when_it_changes() {
        let mut announced = recorded();
        assert!(announced.take_change());
        gone(&mut announced, &reading(0, &[]));
        announced.add_value(&Serial::parse("122300000000").unwrap(), "e/122300000000/production/power_w");
        assert!(!announced.take_change(), "nothing is new");
        for day in 1..=3 {
            gone(&mut announced, &reading(day, &["482200000002"]));
            assert!(announced.take_change(), "a day is counted");
            gone(&mut announced, &reading(day, &["482200000002"]));
            assert!(!announced.take_change(), "and only once");
        }
        let written = serde_json::to_string(&announced).unwrap();
        let mut read: AnnouncedTopics = serde_json::from_str(&written).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), written);
        let gone: Vec<String> =
            (4..=7).flat_map(|day| gone(&mut read, &reading(day, &["482200000002"]))).collect();
        assert_eq!(gone, ["inverters/482200000002"]);
    }

    /// Returns the topics that are removed when the daemon starts again with `change`.
    fn after(change: fn(&mut Options)) -> Vec<String> {
        let (mut options, mut announced) = (options(), recorded());
        change(&mut options);
        announced.remove_unwanted(&Serial::parse("122300000000").unwrap(), &options);
        leaving(announced)
    }

    fn discovery(options: &mut Options) -> &mut Discovery {
        options.homeassistant.as_mut().unwrap()
    }

    #[test]
    fn topics_that_the_configuration_excludes_are_removed() {
        assert_eq!(after(|_| ()), Vec::<String>::new());

        let inverters = after(|options| discovery(options).inverters = false);
        assert!(inverters.len() >= 4, "{inverters:?}");
        assert!(
            inverters.iter().all(|topic| topic.starts_with("homeassistant/sensor/4822")),
            "{inverters:?}"
        );

        // Details are disabled from the start, not removed.
        assert_eq!(after(|options| discovery(options).details = false), Vec::<String>::new());

        let all = after(|options| options.homeassistant = None);
        assert!(all.len() > 50 && all.len() > inverters.len());
        assert!(all.iter().all(|topic| topic.starts_with("homeassistant/")), "{all:?}");
        assert!(all.iter().any(|topic| topic.starts_with("homeassistant/binary_sensor/")), "{all:?}");
        assert_eq!(after(|options| discovery(options).discovery_prefix = "domoticz".to_owned()), all);
    }

    #[test]
    fn all_plain_topics_are_removed_when_they_are_disabled_or_renamed() {
        let sent: BTreeSet<String> = topics::values("e", &test_readings::full(), |_, _| true)
            .into_iter()
            .map(|value| value.topic)
            .collect();
        let off: BTreeSet<String> = after(|options| options.topics = false).into_iter().collect();
        assert_eq!(off.difference(&sent).next(), None, "nothing else is removed");
        assert_eq!(sent.difference(&off).next(), None, "nothing stays");
        let renamed: BTreeSet<String> = after(|options| {
            options.prefix = "other".to_owned();
            discovery(options).prefix = "other".to_owned();
        })
        .into_iter()
        .collect();
        let more: Vec<&String> = renamed.difference(&off).collect();
        assert_eq!(more, ["e/122300000000/availability", "e/122300000000/reading", "e/122300000000/token"]);
    }

    #[test]
    fn a_topic_that_is_announced_again_before_its_removal_stays() {
        let (options, mut announced) = (options(), recorded());
        let mut off = options.clone();
        (off.homeassistant, off.topics) = (None, false);
        announced.remove_unwanted(&Serial::parse("122300000000").unwrap(), &off);
        let topic = "homeassistant/sensor/482200000001/power/config";
        let discovery = options.homeassistant.as_ref().unwrap();
        let power = |entity: &Entity| entity.name_in_document() == "sn482200000001_power";
        let reading = test_readings::full();
        let entities: Vec<Entity> =
            homeassistant::entities(&reading, discovery).into_iter().filter(power).collect();
        announced.add_entities(&entities, &reading.gateway, discovery);
        let value = "e/122300000000/production/power_w";
        announced.add_value(&Serial::parse("122300000000").unwrap(), value);
        let gone = leaving(announced);
        assert!(!gone.iter().any(|it| it == topic || it == value), "{gone:?}");
        assert!(gone.len() > 100);
    }

    #[tokio::test]
    async fn invalid_topics_in_the_file_are_ignored() {
        const NAME: &str = "announced-122300000000.json";
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        let serial = Serial::parse("122300000000").unwrap();
        for odd in ["a\nb", "a#", "a+b", "a\u{85}b", "\u{0}", ""] {
            let mut announced = recorded();
            let whole = serde_json::to_value(&announced.entities).unwrap().as_object().unwrap().len();
            announced.entities = serde_json::from_value({
                let mut entities = serde_json::to_value(&announced.entities).unwrap();
                entities[odd] = serde_json::json!({});
                entities
            })
            .unwrap();
            announced.values.insert(odd.to_owned());
            state.write(NAME, &announced).await.unwrap();
            let (_, mut read) = announced_files::load(&state).await.pop().unwrap();
            assert_eq!(
                serde_json::to_value(&read.entities).unwrap().as_object().unwrap().len(),
                whole,
                "{odd:?}"
            );
            read.remove_unwanted(&serial, &Options { topics: false, homeassistant: None, ..options() });
            let left = leaving(read);
            assert!(
                left.len() > 100 && left.iter().all(|topic| topics::is_topic(topic)),
                "{odd:?}: {left:?}"
            );
            state.write(NAME, &AnnouncedTopics { prefix: odd.to_owned(), ..recorded() }).await.unwrap();
            assert!(announced_files::load(&state).await.is_empty(), "{odd:?}");
        }
    }
}
