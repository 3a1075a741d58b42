//! Which inverters, batteries and dry contacts of a gateway are published, and how long each has been missing.
//!
//! A gateway that names new devices for ever, or something in its place, must not fill the memory, the state directory and
//! the broker. So no more are published than any house has, and when all places are taken a new device gets that of one
//! that is missing, one a minute.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::base::reading::Reading;
use crate::output::json::LISTS;
use crate::output::topics;

/// On so many days a device must have been missing to be gone for good.
const DAYS: u8 = 7;
/// How often a new device takes the place of a missing one.
const REPLACED: Duration = Duration::from_secs(60);
/// How long a device's name may be; serial numbers have twelve digits.
const LONGEST: usize = 32;
/// L1, L2, L3.
const PHASES: usize = 3;

/// How many entries of a list are published. A gateway takes 600 inverters at most.
fn most(list: &str) -> usize {
    match list {
        "inverters" => 1000,
        "batteries" => 200,
        _ => 16,
    }
}

/// The entries of a gateway's lists that have a place, as `inverters/482200000001`.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Roster {
    entries: BTreeMap<String, Absence>,
    /// When a missing device last lost its place to a new one.
    #[serde(skip)]
    replaced: Option<Instant>,
}

/// How long an entry of a list has been missing.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Absence {
    /// Entries of the same kind come from the same page.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    /// The days on which it was.
    days: u8,
    /// The last of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Date>,
}

impl Absence {
    /// A list with others of its kind did not have it on `today`; gives whether that is news. A day counts once, and
    /// only after the last one: a clock that jumps to and fro gains nothing.
    fn missed(&mut self, today: Date) -> bool {
        let news = self.last.is_none_or(|last| last < today);
        if news {
            (self.days, self.last) = (self.days.saturating_add(1), Some(today));
        }
        news
    }
}

/// What a reading has changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// Whether anything has to be written down.
    pub(super) changed: bool,
    /// The entries that have lost their places: gone for good, or replaced.
    pub(super) gone: Vec<String>,
    /// How many entries found no place.
    pub(super) refused: usize,
}

impl Roster {
    /// Forgets the entries that are not `wanted`.
    pub(super) fn retain(&mut self, wanted: impl Fn(&str) -> bool) {
        self.entries.retain(|entry, _| wanted(entry));
    }

    /// Looks for the devices that a new reading has and has not.
    pub(super) fn look(&mut self, reading: &Reading, now: Instant) -> Look {
        let mut look = Look::default();
        let present = entries(reading, &mut look.refused);
        let mut free = self.free_places();
        for (entry, kind) in &present {
            if let Some(known) = self.entries.get_mut(entry) {
                if known.days > 0 || known.kind != *kind {
                    *known = Absence { kind: kind.clone(), ..Absence::default() };
                    look.changed = true;
                }
                continue;
            }
            let none = &mut 0;
            let free = free.get_mut(list(entry)).unwrap_or(none);
            if *free == 0 {
                let replaced = self.replace_one(entry, kind.as_ref(), &present, now);
                look.refused += usize::from(replaced.is_none());
                look.changed |= replaced.is_some();
                look.gone.extend(replaced);
            } else {
                *free -= 1;
                self.give_place(entry, kind.as_ref());
                look.changed = true;
            }
        }
        self.count_missing(reading, &present, &mut look);
        let gone = |absence: &Absence| absence.days >= DAYS;
        look.gone.extend(self.entries.iter().filter(|(_, it)| gone(it)).map(|(entry, _)| entry.clone()));
        self.entries.retain(|_, absence| !gone(absence));
        look
    }

    /// Gives a new entry the place of a missing one of its kind, the one that was missing on most days; gives whose it was.
    fn replace_one(
        &mut self,
        entry: &str,
        kind: Option<&String>,
        present: &BTreeMap<String, Option<String>>,
        now: Instant,
    ) -> Option<String> {
        // One attempt a minute, because each looks through all.
        if self.replaced.is_some_and(|last| now.saturating_duration_since(last) < REPLACED) {
            return None;
        }
        self.replaced = Some(now);
        let missing = self.entries.iter().filter(|(other, absence)| {
            list(other) == list(entry) && absence.kind.as_ref() == kind && !present.contains_key(*other)
        });
        let longest = missing.max_by_key(|(_, absence)| absence.days).map(|(other, _)| other.clone())?;
        self.entries.remove(&longest);
        self.give_place(entry, kind);
        Some(longest)
    }

    fn give_place(&mut self, entry: &str, kind: Option<&String>) {
        self.entries.insert(entry.to_owned(), Absence { kind: kind.cloned(), ..Absence::default() });
    }

    /// Counts the day for each inverter and battery that is missing from a list with others of its kind.
    fn count_missing(
        &mut self,
        reading: &Reading,
        present: &BTreeMap<String, Option<String>>,
        look: &mut Look,
    ) {
        let today = reading.time.to_zoned(TimeZone::UTC).date();
        let kin: BTreeSet<(&str, &Option<String>)> =
            present.iter().map(|(entry, kind)| (list(entry), kind)).collect();
        for (entry, absence) in &mut self.entries {
            let counts = matches!(list(entry), "inverters" | "batteries");
            let missing = !present.contains_key(entry) && kin.contains(&(list(entry), &absence.kind));
            look.changed |= counts && missing && absence.missed(today);
        }
    }

    /// The reading without the entries that have no place.
    pub(super) fn admitted<'a>(&self, reading: &'a Reading) -> Cow<'a, Reading> {
        let place = |list: &str, name: &str| self.has(&format!("{list}/{}", topics::level(name)));
        let all = reading.phases.len() <= PHASES
            && reading.inverters.iter().all(|it| place("inverters", it.serial.as_str()))
            && reading.batteries.iter().all(|it| place("batteries", it.serial.as_str()))
            && reading.dry_contacts.iter().all(|it| place("dry_contacts", &it.id));
        if all {
            return Cow::Borrowed(reading);
        }
        let mut some = reading.clone();
        some.phases.truncate(PHASES);
        some.inverters.retain(|it| place("inverters", it.serial.as_str()));
        some.batteries.retain(|it| place("batteries", it.serial.as_str()));
        some.dry_contacts.retain(|it| place("dry_contacts", &it.id));
        Cow::Owned(some)
    }

    /// Whether an entry has a place.
    fn has(&self, entry: &str) -> bool {
        self.entries.contains_key(entry)
    }

    /// Gives an entry a place that is not looked for among the devices, such as a phase; whether it is new.
    pub(super) fn insert(&mut self, entry: &str) -> bool {
        let new = !self.has(entry);
        if new {
            self.entries.insert(entry.to_owned(), Absence::default());
        }
        new
    }

    /// All entries of a list.
    pub(super) fn of_list<'a>(&'a self, list: &'a str) -> impl Iterator<Item = &'a String> {
        self.entries.keys().filter(move |entry| self::list(entry) == list)
    }

    /// Takes away the places that are too many, as an older version may have written them down; gives whose they were.
    pub(super) fn trim(&mut self) -> Vec<String> {
        let (mut counts, mut gone) = (BTreeMap::<String, usize>::new(), Vec::new());
        self.entries.retain(|entry, _| {
            let count = counts.entry(list(entry).to_owned()).or_default();
            let known = LISTS.iter().any(|it| it.field == list(entry));
            let stays = known && entry.len() <= list(entry).len() + 1 + LONGEST && *count < most(list(entry));
            *count += usize::from(stays);
            if !stays {
                gone.push(entry.clone());
            }
            stays
        });
        gone
    }

    /// How many places of each list are free.
    fn free_places(&self) -> BTreeMap<&'static str, usize> {
        let taken = |list: &str| self.of_list(list).count();
        LISTS.iter().map(|list| (list.field, most(list.field).saturating_sub(taken(list.field)))).collect()
    }
}

/// The inverters, batteries and dry contacts of a reading, with the kind where one list holds several. `refused` counts
/// those whose names are none.
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

/// The list of an entry.
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

    fn inverters(reading: &Reading) -> usize {
        reading.inverters.len()
    }

    #[test]
    fn no_more_are_published_than_any_house_has() {
        let (mut roster, now) = (Roster::default(), Instant::now());
        let many = roof(10_000..12_500);
        let look = roster.look(&many, now);
        assert_eq!((look.refused, look.gone.len()), (1500, 0));
        assert_eq!(inverters(&roster.admitted(&many)), 1000);
        let few = roof(10_000..10_600);
        assert!(matches!(roster.admitted(&few), Cow::Borrowed(_)), "what has a place is not copied");
    }

    #[test]
    fn new_devices_at_each_visit_replace_missing_ones_slowly() {
        let (mut roster, start) = (Roster::default(), Instant::now());
        let mut gone = 0;
        // For eight hours, every five minutes.
        for visit in 0..96 {
            let reading = roof(visit * 2000..visit * 2000 + 2000);
            let look = roster.look(&reading, start + visit * Duration::from_secs(300));
            gone += look.gone.len();
            assert!(roster.of_list("inverters").count() <= 1000);
        }
        assert_eq!(gone, 95, "one at each visit but the first");
    }

    #[test]
    fn those_of_the_house_get_their_places_back() {
        let (mut roster, start) = (Roster::default(), Instant::now());
        roster.look(&roof(0..2000), start);
        let house = roof(5000..5030);
        let mut now = start;
        for _ in 0..30 {
            now += REPLACED;
            roster.look(&house, now);
        }
        assert_eq!(inverters(&roster.admitted(&house)), 30);
    }

    #[test]
    fn a_name_that_is_none_has_no_place() {
        let (mut roster, now) = (Roster::default(), Instant::now());
        let mut reading = test_readings::full();
        let contact = |id: String| DryContact { id, state: None, name: None };
        let known = reading.dry_contacts.len();
        reading.dry_contacts.push(contact("x".repeat(70_000)));
        reading.dry_contacts.push(contact(String::new()));
        reading.dry_contacts.extend((0..100).map(|n| contact(format!("c{n}"))));
        let look = roster.look(&reading, now);
        assert!(look.refused >= 80, "{look:?}");
        let admitted = roster.admitted(&reading);
        assert!((known..=16).contains(&admitted.dry_contacts.len()));
        assert!(admitted.dry_contacts.iter().all(|it| it.id.len() < 10 && !it.id.is_empty()));
    }

    #[test]
    fn a_file_with_too_many_is_cut_down() {
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
        fn whatever_comes_it_stays_small_and_keeps_what_is_there(
            visits in prop::collection::vec((0..3000_u32, 0..1500_u32, 0..100_u64), 1..6),
        ) {
            let (mut roster, mut now) = (Roster::default(), Instant::now());
            for (first, count, seconds) in visits {
                now += Duration::from_secs(seconds);
                let reading = roof(first..first + count);
                let before: BTreeSet<String> = roster.of_list("inverters").cloned().collect();
                let look = roster.look(&reading, now);
                let after: BTreeSet<String> = roster.of_list("inverters").cloned().collect();
                prop_assert!(after.len() <= 1000);
                prop_assert!(before.difference(&after).count() <= 1);
                let admitted = roster.admitted(&reading);
                prop_assert_eq!(inverters(&admitted) + look.refused, inverters(&reading));
                // A device that is there never loses its place.
                for inverter in &reading.inverters {
                    let entry = format!("inverters/{}", inverter.serial);
                    prop_assert!(!before.contains(&entry) || after.contains(&entry));
                }
            }
        }
    }
}
