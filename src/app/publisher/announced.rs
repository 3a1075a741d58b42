//! What a gateway has left at the broker, so that it can be taken away again when it is gone for good.
//!
//! Gone for good is what the configuration leaves out (discovery, inverters, details, plain topics, another
//! prefix), and an inverter or a battery that was missing on seven days from lists that named others of its
//! kind. A page that fails, a cut answer or a restart brings no such list and so never counts. A whole group,
//! say the grid, is not judged: one that was taken out of the house looks like a page that fails for long.
//!
//! It is kept in the state directory, and not learned from what the broker retains. That would take a
//! subscription to all that any program has announced, is not to be had where access is restricted, and does
//! not tell on how many days a device was missing.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::options::Options;
use super::roster::{self, Roster, RosterChange};
use crate::base::reading::{Reading, Serial};
use crate::io::state_dir::{Saver, StateDir, Stored};
use crate::output::homeassistant::Announcement;
use crate::output::json::LISTS;
use crate::output::topics;

/// The names of the files, `announced-SERIAL.json`.
const BEGINNING: &str = "announced-";
const END: &str = ".json";
/// How soon a write that has failed is made again.
const AGAIN: Duration = Duration::from_secs(60);

/// What one gateway has left at the broker.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AnnouncedTopics {
    /// The first level of the plain topics.
    prefix: String,
    /// The topics of discovery.
    entities: BTreeMap<String, Announcement>,
    /// The plain topics below the gateway's own, a list's entry named `+`.
    values: BTreeSet<String>,
    /// The entries of lists, as `inverters/482200000001`.
    entries: Roster,
    /// The topics that are to be emptied, and are not yet. Not written down: as long as there are any, what is on
    /// disk is what they follow from.
    #[serde(skip)]
    leaving: BTreeSet<String>,
    /// Whether it differs from what is on disk.
    #[serde(skip)]
    changed: bool,
}

impl AnnouncedTopics {
    /// Nothing yet, below `prefix`.
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), ..Self::default() }
    }

    /// What is left of `stored` that can be topics: a broker ends the connection over any other, each time anew. `None`
    /// where that is nothing.
    fn publishable(mut stored: Self) -> Option<Self> {
        stored.entities.retain(|topic, _| topics::is_topic(topic));
        stored.values.retain(|pattern| topics::is_topic(&pattern.replacen("/+/", "/", 1)));
        stored.entries.retain(topics::is_topic);
        topics::is_topic(&stored.prefix).then_some(stored)
    }

    /// Takes leave of all that the configuration does not want any more.
    pub(super) fn retire(&mut self, serial: &Serial, options: &Options) {
        let too_many = self.entries.trim();
        self.leave_entries(serial, &too_many);
        if self.prefix != options.prefix {
            let base = self.base(serial);
            self.leave_values(serial, |_| true);
            self.leaving.extend(["reading", "availability", "token"].map(|name| format!("{base}{name}")));
            self.prefix.clone_from(&options.prefix);
            self.changed = true;
        }
        if !options.topics {
            self.leave_values(serial, |_| true);
        }
        let wanted = |topic: &str, mark: &Announcement| {
            options.homeassistant.as_ref().is_some_and(|discovery| discovery.wants(topic, mark))
        };
        self.leave_entities(|topic, mark| !wanted(topic, mark));
    }

    /// An entity was announced.
    pub(super) fn announced(&mut self, topic: &str, mark: &Announcement) {
        self.leaving.remove(topic);
        if self.entities.get(topic) != Some(mark) {
            self.entities.insert(topic.to_owned(), mark.clone());
            self.changed = true;
        }
    }

    /// A plain topic was sent.
    pub(super) fn sent(&mut self, serial: &Serial, topic: &str) {
        if !self.leaving.is_empty() {
            self.leaving.remove(topic);
        }
        let Some(path) = topic.strip_prefix(self.base(serial).as_str()) else { return };
        let (pattern, entry) = pattern(path);
        if !self.values.contains(&pattern) {
            self.values.insert(pattern);
            self.changed = true;
        }
        self.changed |= entry.is_some_and(|entry| self.entries.insert(entry));
    }

    /// Looks for the devices that a new reading has and has not; what has lost its place leaves.
    pub(super) fn look(&mut self, reading: &Reading, now: Instant) -> RosterChange {
        let look = self.entries.look(reading, now);
        self.leave_entries(&reading.gateway.serial, &look.gone);
        self.changed |= look.changed;
        look
    }

    /// The reading without the devices that have no place.
    pub(super) fn admitted<'a>(&self, reading: &'a Reading) -> Cow<'a, Reading> {
        self.entries.admitted(reading)
    }

    fn leave_entries(&mut self, serial: &Serial, gone: &[String]) {
        if gone.is_empty() {
            return;
        }
        let lost: BTreeSet<&String> = gone.iter().collect();
        self.leave_entities(|_, mark| mark.device.as_ref().is_some_and(|device| lost.contains(device)));
        let base = self.base(serial);
        for (list, field) in self.values.iter().filter_map(|pattern| pattern.split_once("/+/")) {
            let of_list = gone.iter().filter(|entry| roster::list(entry) == list);
            self.leaving.extend(of_list.map(|entry| format!("{base}{entry}/{field}")));
        }
        self.changed = true;
    }

    /// The next topic that is to be emptied.
    pub(super) fn next_to_leave(&mut self) -> Option<String> {
        let topic = self.leaving.pop_first()?;
        self.changed = true;
        Some(topic)
    }

    /// Whether there is one.
    pub(super) fn leaves(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// A topic was not emptied after all, unless it is wanted again.
    pub(super) fn keep_leaving(&mut self, topic: String) {
        if !self.holds(&topic) {
            self.leaving.insert(topic);
        }
    }

    /// Whether this topic of discovery is announced.
    pub(super) fn holds(&self, topic: &str) -> bool {
        self.entities.contains_key(topic)
    }

    /// What is on disk is lost.
    pub(super) const fn lost(&mut self) {
        self.changed = true;
    }

    /// Whether it has to be written down; it counts as written then.
    pub(super) fn take_change(&mut self) -> bool {
        self.leaving.is_empty() && std::mem::take(&mut self.changed)
    }

    /// What is below the gateway's level.
    fn base(&self, serial: &Serial) -> String {
        format!("{}/{}/", self.prefix, topics::level(serial.as_str()))
    }

    fn leave_entities(&mut self, unwanted: impl Fn(&str, &Announcement) -> bool) {
        let before = self.entities.len();
        let leaving = &mut self.leaving;
        self.entities.retain(|topic, mark| {
            let stays = !unwanted(topic, mark);
            if !stays {
                leaving.insert(topic.clone());
            }
            stays
        });
        self.changed |= self.entities.len() != before;
    }

    /// Takes leave of the plain topics of the entries that `unwanted` names; of all, if it names also what
    /// belongs to none.
    fn leave_values(&mut self, serial: &Serial, unwanted: impl Fn(Option<&str>) -> bool) {
        let base = self.base(serial);
        let mut topics = BTreeSet::new();
        for pattern in &self.values {
            match pattern.split_once("/+/") {
                Some((list, field)) => {
                    let of_list = self.entries.of_list(list);
                    let leaving = of_list.filter(|entry| unwanted(Some(entry.as_str())));
                    topics.extend(leaving.map(|entry| format!("{base}{entry}/{field}")));
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
        self.leaving.extend(topics);
    }
}

/// What every gateway has left at the broker, as written down.
pub(super) async fn load(state: &StateDir) -> Vec<(Serial, AnnouncedTopics)> {
    let names = state.names(BEGINNING, END).await.unwrap_or_else(|error| {
        tracing::debug!(%error, "what was announced is not known");
        Vec::new()
    });
    let mut known = Vec::new();
    for name in names {
        let serial = name.strip_prefix(BEGINNING).and_then(|rest| rest.strip_suffix(END)?.parse().ok());
        match state.read(&name).await {
            Ok(Stored::Found(memory)) => known.extend(serial.zip(AnnouncedTopics::publishable(memory))),
            // What is not known stays at the broker, which harms nobody.
            Ok(Stored::Absent | Stored::Damaged(_)) => {}
            Err(error) => tracing::debug!(%error, "what was announced is not known"),
        }
    }
    known
}

/// Where what each gateway has left is written down. Where that fails, an announcement may one day outlive its device.
#[derive(Debug)]
pub(super) struct Files {
    state: StateDir,
    savers: BTreeMap<Serial, Saver>,
    /// Which of the directories it is that were found under the same path.
    directory: u64,
    /// When the last write failed that was not made up for.
    failed: Option<Instant>,
}

impl Files {
    pub(super) fn new(state: StateDir) -> Self {
        let directory = state.replaced();
        Self { state, savers: BTreeMap::new(), directory, failed: None }
    }

    /// Lets what `serial` has left be written down.
    pub(super) fn save(&mut self, serial: &Serial, memory: &AnnouncedTopics) {
        let name = || format!("{BEGINNING}{}{END}", topics::level(serial.as_str()));
        let saver = self.savers.entry(serial.clone()).or_insert_with(|| Saver::new(name()));
        saver.save(&self.state, memory);
    }

    /// Whether everything has to be written again: into another directory, or because a write has failed.
    pub(super) fn are_lost(&mut self, now: Instant) -> bool {
        for saver in self.savers.values() {
            if let Some(Err(error)) = saver.outcome() {
                tracing::debug!(%error, "what was announced is not written down");
                self.failed.get_or_insert(now);
            }
        }
        let directory = self.state.replaced();
        let is_new = std::mem::replace(&mut self.directory, directory) != directory;
        let is_time = self.failed.is_some_and(|failed| now.saturating_duration_since(failed) >= AGAIN);
        if is_new || is_time {
            self.failed = None;
        }
        is_new || is_time
    }

    /// Waits up to `patience` until everything is written down.
    pub(super) async fn finish(&self, patience: Duration) {
        let end = Instant::now() + patience;
        for saver in self.savers.values() {
            saver.finish(end.saturating_duration_since(Instant::now())).await;
        }
    }
}

/// `inverters/4822…/power_w` as `inverters/+/power_w` and `inverters/4822…`.
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
    use crate::base::test_readings;
    use crate::output::homeassistant::{Announced, Discovery};

    fn options() -> Options {
        let discovery = Discovery {
            discovery_prefix: "homeassistant".to_owned(),
            prefix: "e".to_owned(),
            expire_after: Duration::from_secs(300),
            inverters: true,
            details: true,
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

    /// The sample on a day after the first, without the devices whose serial ends so.
    fn reading(day: i32, without: &[&str]) -> Reading {
        let mut reading = test_readings::full();
        reading.time = (reading.time.to_zoned(TimeZone::UTC) + day.days()).timestamp();
        let stays = |serial: &Serial| !without.iter().any(|end| serial.as_str().ends_with(end));
        reading.inverters.retain(|it| stays(&it.serial));
        reading.batteries.retain(|it| stays(&it.serial));
        reading
    }

    /// What is remembered after everything in the sample was announced and sent.
    fn remembered() -> AnnouncedTopics {
        let (options, reading, mut memory) = (options(), reading(0, &[]), AnnouncedTopics::new("e"));
        let mut announced = Announced::default();
        let discovery = options.homeassistant.as_ref().unwrap();
        for name in announced.news(&reading, discovery) {
            let (topic, mark) = announced.mark(&name, discovery).unwrap();
            memory.announced(&topic, &mark);
        }
        for value in topics::values("e", &reading, |_, _| true) {
            memory.sent(&reading.gateway.serial, &value.topic);
        }
        assert_eq!(gone(&mut memory, &reading), Vec::<String>::new());
        memory
    }

    /// What is gone for good once `reading` is looked at.
    fn gone(memory: &mut AnnouncedTopics, reading: &Reading) -> Vec<String> {
        memory.look(reading, Instant::now()).gone
    }

    fn leaving(mut memory: AnnouncedTopics) -> Vec<String> {
        std::iter::from_fn(|| memory.next_to_leave()).collect()
    }

    #[test]
    fn an_inverter_that_the_others_do_without_for_seven_days_is_gone() {
        let mut memory = remembered();
        for day in 1..=6 {
            for _ in 0..100 {
                assert_eq!(
                    gone(&mut memory, &reading(day, &["482200000002"])),
                    Vec::<String>::new(),
                    "day {day}"
                );
            }
        }
        assert!(!memory.leaves());
        assert_eq!(gone(&mut memory, &reading(7, &["482200000002"])), ["inverters/482200000002"]);
        let gone = leaving(memory);
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
    fn one_that_comes_back_in_time_stays_and_begins_again() {
        let mut memory = remembered();
        for round in 0..3 {
            for day in 1..=6 {
                gone(&mut memory, &reading(10 * round + day, &["482200000002"]));
            }
            gone(&mut memory, &reading(10 * round + 7, &[]));
        }
        assert!(!memory.leaves());
    }

    #[test]
    fn a_page_that_fails_takes_nothing_away_however_long() {
        let mut memory = remembered();
        for day in 1..400 {
            // No inverters at all; of the batteries only one kind, whose page is another.
            let mut partial = reading(day, &["482200000001", "482200000002", "492200000001"]);
            (partial.grid, partial.production, partial.storage, partial.phases) =
                (None, None, None, Vec::new());
            assert_eq!(gone(&mut memory, &partial), Vec::<String>::new(), "day {day}");
        }
        assert!(!memory.leaves());
    }

    #[test]
    fn a_clock_that_jumps_to_and_fro_does_not_age_anything() {
        let mut memory = remembered();
        for _ in 0..50 {
            gone(&mut memory, &reading(1, &["482200000002"]));
            gone(&mut memory, &reading(-9000, &["482200000002"]));
        }
        assert!(!memory.leaves());
    }

    #[test]
    fn it_is_the_same_after_a_restart_and_written_only_when_it_changed() {
        let mut memory = remembered();
        assert!(memory.take_change());
        gone(&mut memory, &reading(0, &[]));
        memory.sent(&Serial::parse("122300000000").unwrap(), "e/122300000000/production/power_w");
        assert!(!memory.take_change(), "nothing is new");
        for day in 1..=3 {
            gone(&mut memory, &reading(day, &["482200000002"]));
            assert!(memory.take_change(), "a day is counted");
            gone(&mut memory, &reading(day, &["482200000002"]));
            assert!(!memory.take_change(), "and only once");
        }
        let written = serde_json::to_string(&memory).unwrap();
        let mut read: AnnouncedTopics = serde_json::from_str(&written).unwrap();
        assert_eq!(read, memory);
        let gone: Vec<String> =
            (4..=7).flat_map(|day| gone(&mut read, &reading(day, &["482200000002"]))).collect();
        assert_eq!(gone, ["inverters/482200000002"]);
    }

    /// What leaves when the daemon starts again with `change`.
    fn after(change: fn(&mut Options)) -> Vec<String> {
        let (mut options, mut memory) = (options(), remembered());
        change(&mut options);
        memory.retire(&Serial::parse("122300000000").unwrap(), &options);
        leaving(memory)
    }

    fn discovery(options: &mut Options) -> &mut Discovery {
        options.homeassistant.as_mut().unwrap()
    }

    #[test]
    fn what_the_configuration_leaves_out_leaves() {
        assert_eq!(after(|_| ()), Vec::<String>::new());

        let inverters = after(|options| discovery(options).inverters = false);
        assert!(inverters.len() >= 4, "{inverters:?}");
        assert!(
            inverters.iter().all(|topic| topic.starts_with("homeassistant/sensor/4822")),
            "{inverters:?}"
        );

        let details = after(|options| discovery(options).details = false);
        assert!(details.contains(&"homeassistant/sensor/122300000000/l1_voltage/config".to_owned()));
        assert!(details.contains(&"homeassistant/sensor/492200000001/temperature/config".to_owned()));
        assert!(!details.iter().any(|topic| topic.ends_with("_energy/config")), "{details:?}");

        let all = after(|options| options.homeassistant = None);
        assert!(all.len() > details.len() + inverters.len());
        assert!(all.iter().all(|topic| topic.starts_with("homeassistant/sensor/")), "{all:?}");
        assert_eq!(after(|options| discovery(options).discovery_prefix = "domoticz".to_owned()), all);
    }

    #[test]
    fn plain_topics_that_are_switched_off_or_renamed_leave_to_the_last() {
        let sent: BTreeSet<String> = topics::values("e", &test_readings::full(), |_, _| true)
            .into_iter()
            .map(|value| value.topic)
            .collect();
        let off: BTreeSet<String> = after(|options| options.topics = false).into_iter().collect();
        assert_eq!(off.difference(&sent).next(), None, "nothing else leaves");
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
    fn what_is_announced_again_before_it_left_stays() {
        let (options, mut memory) = (options(), remembered());
        let mut off = options.clone();
        (off.homeassistant, off.topics) = (None, false);
        memory.retire(&Serial::parse("122300000000").unwrap(), &off);
        let topic = "homeassistant/sensor/482200000001/power/config";
        let mark = Announcement { device: Some("inverters/482200000001".to_owned()), detail: false };
        memory.announced(topic, &mark);
        let value = "e/122300000000/production/power_w";
        memory.sent(&Serial::parse("122300000000").unwrap(), value);
        let gone = leaving(memory);
        assert!(!gone.iter().any(|it| it == topic || it == value), "{gone:?}");
        assert!(gone.len() > 100);
    }

    #[tokio::test]
    async fn what_can_be_no_topic_is_forgotten_when_it_is_read() {
        const NAME: &str = "announced-122300000000.json";
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        let serial = Serial::parse("122300000000").unwrap();
        for odd in ["a\nb", "a#", "a+b", "a\u{85}b", "\u{0}", ""] {
            let mut memory = remembered();
            let whole = memory.entities.len();
            memory.entities.insert(odd.to_owned(), Announcement { device: None, detail: false });
            memory.values.insert(odd.to_owned());
            state.write(NAME, &memory).await.unwrap();
            let (_, mut read) = load(&state).await.pop().unwrap();
            assert_eq!(read.entities.len(), whole, "{odd:?}");
            read.retire(&serial, &Options { topics: false, homeassistant: None, ..options() });
            let left = leaving(read);
            assert!(
                left.len() > 100 && left.iter().all(|topic| topics::is_topic(topic)),
                "{odd:?}: {left:?}"
            );
            state.write(NAME, &AnnouncedTopics { prefix: odd.to_owned(), ..remembered() }).await.unwrap();
            assert!(load(&state).await.is_empty(), "{odd:?}");
        }
    }
}
