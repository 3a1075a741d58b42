//! The list of a gateway's inverters, batteries and dry contacts that are published, and how long each has been missing.
//!
//! A faulty gateway, or another device at its address, may list new devices forever. It must not fill the memory, the state
//! directory and the broker. So the list has a maximum size. When it is full, a new device replaces one that is missing, at
//! most one per minute.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::base::reading::Reading;
use crate::output::json::LISTS;
use crate::output::topics;

/// The number of days after which a missing device is removed.
const DAYS: u8 = 7;
/// The minimum time between two replacements of a missing device.
const REPLACE_INTERVAL: Duration = Duration::from_secs(60);
/// The maximum length of a device's name. Serial numbers have twelve digits.
const LONGEST: usize = 32;
/// The maximum number of phases.
const PHASES: usize = 3;

/// Returns the maximum number of entries of a list. A gateway supports at most 600 inverters.
fn maximum(list: &str) -> usize {
    match list {
        "inverters" => 1000,
        "batteries" => 200,
        _ => 16,
    }
}

/// The published entries of a gateway's lists, such as `inverters/482200000001`.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Roster {
    entries: BTreeMap<String, Absence>,
    /// The time of the last replacement.
    #[serde(skip)]
    replaced: Option<Instant>,
}

/// The days on which an entry was missing.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Absence {
    /// The kind of the device. Entries of the same kind come from the same page.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    /// The number of days.
    days: u8,
    /// The last of these days.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Date>,
}

impl Absence {
    /// Records that the entry is missing on `today`, and returns whether this is new. A day counts once, and only if it is
    /// after the last one, so that a clock that jumps does not add days.
    fn missed(&mut self, today: Date) -> bool {
        let news = self.last.is_none_or(|last| last < today);
        if news {
            (self.days, self.last) = (self.days.saturating_add(1), Some(today));
        }
        news
    }
}

/// The changes that a reading caused.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct RosterChange {
    /// `true` if the list has to be saved.
    pub(super) changed: bool,
    /// The entries that were removed or replaced.
    pub(super) gone: Vec<String>,
    /// The number of devices that did not fit.
    pub(super) refused: usize,
}

impl Roster {
    /// Removes the entries that are not `wanted`.
    pub(super) fn retain(&mut self, wanted: impl Fn(&str) -> bool) {
        self.entries.retain(|entry, _| wanted(entry));
    }

    /// Updates the list with the devices of a new reading.
    pub(super) fn update(&mut self, reading: &Reading, now: Instant) -> RosterChange {
        let mut change = RosterChange::default();
        let present = entries(reading, &mut change.refused);
        let mut free = self.free_places();
        for (entry, kind) in &present {
            if let Some(known) = self.entries.get_mut(entry) {
                if known.days > 0 || known.kind != *kind {
                    *known = Absence { kind: kind.clone(), ..Absence::default() };
                    change.changed = true;
                }
                continue;
            }
            let mut zero = 0;
            let free = free.get_mut(list(entry)).unwrap_or(&mut zero);
            if *free == 0 {
                let replaced = self.replace_one(entry, kind.as_ref(), &present, now);
                change.refused += usize::from(replaced.is_none());
                change.changed |= replaced.is_some();
                change.gone.extend(replaced);
            } else {
                *free -= 1;
                self.add(entry, kind.as_ref());
                change.changed = true;
            }
        }
        self.count_missing(reading, &present, &mut change);
        let gone = |absence: &Absence| absence.days >= DAYS;
        change.gone.extend(self.entries.iter().filter(|(_, it)| gone(it)).map(|(entry, _)| entry.clone()));
        self.entries.retain(|_, absence| !gone(absence));
        change
    }

    /// Replaces the entry of the same kind that was missing for most days with a new one, and returns the old one.
    fn replace_one(
        &mut self,
        entry: &str,
        kind: Option<&String>,
        present: &BTreeMap<String, Option<String>>,
        now: Instant,
    ) -> Option<String> {
        // One attempt per minute, because each searches all entries.
        if self.replaced.is_some_and(|last| now.saturating_duration_since(last) < REPLACE_INTERVAL) {
            return None;
        }
        self.replaced = Some(now);
        let missing = self.entries.iter().filter(|(other, absence)| {
            list(other) == list(entry) && absence.kind.as_ref() == kind && !present.contains_key(*other)
        });
        let longest = missing.max_by_key(|(_, absence)| absence.days).map(|(other, _)| other.clone())?;
        self.entries.remove(&longest);
        self.add(entry, kind);
        Some(longest)
    }

    fn add(&mut self, entry: &str, kind: Option<&String>) {
        self.entries.insert(entry.to_owned(), Absence { kind: kind.cloned(), ..Absence::default() });
    }

    /// Counts the day for each inverter and battery that is missing, if the list has others of its kind.
    fn count_missing(
        &mut self,
        reading: &Reading,
        present: &BTreeMap<String, Option<String>>,
        change: &mut RosterChange,
    ) {
        let today = reading.time.to_zoned(TimeZone::UTC).date();
        let kin: BTreeSet<(&str, &Option<String>)> =
            present.iter().map(|(entry, kind)| (list(entry), kind)).collect();
        for (entry, absence) in &mut self.entries {
            let counts = matches!(list(entry), "inverters" | "batteries");
            let missing = !present.contains_key(entry) && kin.contains(&(list(entry), &absence.kind));
            change.changed |= counts && missing && absence.missed(today);
        }
    }

    /// Returns the reading without the devices that are not in the list.
    pub(super) fn admitted(&self, reading: &Arc<Reading>) -> Arc<Reading> {
        let place = |list: &str, name: &str| self.has(&format!("{list}/{}", topics::level(name)));
        let all = reading.phases.len() <= PHASES
            && reading.inverters.iter().all(|it| place("inverters", it.serial.as_str()))
            && reading.batteries.iter().all(|it| place("batteries", it.serial.as_str()))
            && reading.dry_contacts.iter().all(|it| place("dry_contacts", &it.id));
        if all {
            return Arc::clone(reading);
        }
        let mut some = Reading::clone(reading);
        some.phases.truncate(PHASES);
        some.inverters.retain(|it| place("inverters", it.serial.as_str()));
        some.batteries.retain(|it| place("batteries", it.serial.as_str()));
        some.dry_contacts.retain(|it| place("dry_contacts", &it.id));
        Arc::new(some)
    }

    /// Returns whether the list has an entry.
    fn has(&self, entry: &str) -> bool {
        self.entries.contains_key(entry)
    }

    /// Adds an entry that is not a device, such as a phase; returns whether it is new.
    pub(super) fn insert(&mut self, entry: &str) -> bool {
        let new = !self.has(entry);
        if new {
            self.entries.insert(entry.to_owned(), Absence::default());
        }
        new
    }

    /// Returns the entries of a list.
    pub(super) fn of_list<'a>(&'a self, list: &'a str) -> impl Iterator<Item = &'a String> {
        self.entries.keys().filter(move |entry| self::list(entry) == list)
    }

    /// Removes the entries beyond the limits, which an older version may have saved; returns them.
    pub(super) fn trim(&mut self) -> Vec<String> {
        let (mut counts, mut gone) = (BTreeMap::<String, usize>::new(), Vec::new());
        self.entries.retain(|entry, _| {
            let count = counts.entry(list(entry).to_owned()).or_default();
            let known = LISTS.iter().any(|it| it.field == list(entry));
            let stays =
                known && entry.len() <= list(entry).len() + 1 + LONGEST && *count < maximum(list(entry));
            *count += usize::from(stays);
            if !stays {
                gone.push(entry.clone());
            }
            stays
        });
        gone
    }

    /// Returns the number of entries that still fit in each list.
    fn free_places(&self) -> BTreeMap<&'static str, usize> {
        let taken = |list: &str| self.of_list(list).count();
        LISTS.iter().map(|list| (list.field, maximum(list.field).saturating_sub(taken(list.field)))).collect()
    }
}

/// Returns the inverters, batteries and dry contacts of a reading, with the kind if a list has several. `refused` counts
/// the devices with invalid names.
fn entries(reading: &Reading, refused: &mut usize) -> BTreeMap<String, Option<String>> {
    let mut entries = BTreeMap::new();
    let inverters = reading.inverters.iter().map(|it| ("inverters", it.serial.as_str(), None));
    let batteries =
        reading.batteries.iter().map(|it| ("batteries", it.serial.as_str(), Some(it.kind.clone())));
    let contacts = reading.dry_contacts.iter().map(|it| ("dry_contacts", it.id.as_str(), None));
    for (list, name, kind) in inverters.chain(batteries).chain(contacts) {
        if (1..=LONGEST).contains(&name.len()) {
            entries.insert(format!("{list}/{}", topics::level(name)), kind);
        } else {
            *refused += 1;
        }
    }
    entries
}

/// Returns the list that an entry belongs to.
pub(super) fn list(entry: &str) -> &str {
    entry.split_once('/').map_or(entry, |(list, _)| list)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::reading::{DryContact, Inverter, Serial};
    use crate::base::test_readings;

    fn roof(serials: impl Iterator<Item = u32>) -> Reading {
        let mut reading = test_readings::full();
        let one = reading.inverters[0].clone();
        let inverter = |n: u32| Inverter { serial: Serial::parse(&n.to_string()).unwrap(), ..one.clone() };
        reading.inverters = serials.map(inverter).collect();
        reading
    }

    fn admitted(roster: &Roster, reading: &Reading) -> Arc<Reading> {
        roster.admitted(&Arc::new(reading.clone()))
    }

    fn inverters(reading: &Reading) -> usize {
        reading.inverters.len()
    }

    #[test]
    fn the_number_of_devices_is_limited() {
        let (mut roster, now) = (Roster::default(), Instant::now());
        let many = roof(10_000..12_500);
        let change = roster.update(&many, now);
        assert_eq!((change.refused, change.gone.len()), (1500, 0));
        assert_eq!(inverters(&admitted(&roster, &many)), 1000);
        let few = roof(10_000..10_600);
        let few = Arc::new(few);
        assert!(Arc::ptr_eq(&roster.admitted(&few), &few), "a reading that fits is not copied");
    }

    #[test]
    fn new_devices_at_each_poll_replace_missing_ones_slowly() {
        let (mut roster, start) = (Roster::default(), Instant::now());
        let mut gone = 0;
        // For eight hours, every five minutes.
        for visit in 0..96 {
            let reading = roof(visit * 2000..visit * 2000 + 2000);
            let change = roster.update(&reading, start + visit * Duration::from_secs(300));
            gone += change.gone.len();
            assert!(roster.of_list("inverters").count() <= 1000);
        }
        assert_eq!(gone, 95, "one at each poll but the first");
    }

    #[test]
    fn the_real_devices_return_to_the_list() {
        let (mut roster, start) = (Roster::default(), Instant::now());
        roster.update(&roof(0..2000), start);
        let house = roof(5000..5030);
        let mut now = start;
        for _ in 0..30 {
            now += REPLACE_INTERVAL;
            roster.update(&house, now);
        }
        assert_eq!(inverters(&admitted(&roster, &house)), 30);
    }

    #[test]
    fn a_device_with_an_invalid_name_is_refused() {
        let (mut roster, now) = (Roster::default(), Instant::now());
        let mut reading = test_readings::full();
        let contact = |id: String| DryContact { id, state: None, name: None };
        let known = reading.dry_contacts.len();
        reading.dry_contacts.push(contact("x".repeat(70_000)));
        reading.dry_contacts.push(contact(String::new()));
        reading.dry_contacts.extend((0..100).map(|n| contact(format!("c{n}"))));
        let change = roster.update(&reading, now);
        assert!(change.refused >= 80, "{change:?}");
        let admitted = admitted(&roster, &reading);
        assert!((known..=16).contains(&admitted.dry_contacts.len()));
        assert!(admitted.dry_contacts.iter().all(|it| it.id.len() < 10 && !it.id.is_empty()));
    }

    #[test]
    fn a_file_with_too_many_entries_is_trimmed() {
        let mut roster = Roster::default();
        for n in 0..3000 {
            roster.insert(&format!("inverters/{n}"));
        }
        roster.insert(&format!("batteries/{}", "1".repeat(70_000)));
        roster.insert("nonsense/1");
        roster.insert("phases/L1");
        assert_eq!(roster.trim().len(), 2002);
        assert_eq!(roster.of_list("inverters").count(), 1000);
        assert_eq!(roster.of_list("phases").count(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn the_list_stays_small_and_keeps_present_devices(
            visits in prop::collection::vec((0..3000_u32, 0..1500_u32, 0..100_u64), 1..6),
        ) {
            let (mut roster, mut now) = (Roster::default(), Instant::now());
            for (first, count, seconds) in visits {
                now += Duration::from_secs(seconds);
                let reading = roof(first..first + count);
                let before: BTreeSet<String> = roster.of_list("inverters").cloned().collect();
                let change = roster.update(&reading, now);
                let after: BTreeSet<String> = roster.of_list("inverters").cloned().collect();
                prop_assert!(after.len() <= 1000);
                prop_assert!(before.difference(&after).count() <= 1);
                let admitted = admitted(&roster, &reading);
                prop_assert_eq!(inverters(&admitted) + change.refused, inverters(&reading));
                // A device that is present is never removed.
                for inverter in &reading.inverters {
                    let entry = format!("inverters/{}", inverter.serial);
                    prop_assert!(!before.contains(&entry) || after.contains(&entry));
                }
            }
        }
    }
}
