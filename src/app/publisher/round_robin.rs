//! The order in which entities are announced.
//!
//! Cycles through all pending entities in a fixed order, and continues after the last one when others are added. So a
//! consumer that starts every second, or a connection that breaks every second, does not make it start again with the first.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

use crate::base::reading::Serial;

/// The pending entities, by gateway and name.
#[derive(Debug, Default)]
pub(super) struct RoundRobin {
    owed: BTreeMap<Serial, Owed>,
    /// The last one that was announced.
    last: Option<(Serial, String)>,
}

#[derive(Debug, Default)]
struct Owed {
    /// `true` if all entities of the gateway are pending. Their names are added only at its turn: a fleet has tens of thousands.
    whole: bool,
    names: BTreeSet<String>,
}

impl RoundRobin {
    /// Adds some of a gateway's entities.
    pub(super) fn owe(&mut self, serial: &Serial, names: impl IntoIterator<Item = String>) {
        let mut names = names.into_iter().peekable();
        if names.peek().is_some() {
            self.owed.entry(serial.clone()).or_default().names.extend(names);
        }
    }

    /// Adds all of a gateway's entities.
    pub(super) fn owe_whole(&mut self, serial: &Serial) {
        self.owed.entry(serial.clone()).or_default().whole = true;
    }

    /// Returns whether any entity is pending.
    pub(super) fn is_owed(&self) -> bool {
        !self.owed.is_empty()
    }

    /// Returns whether an entity of this gateway is pending.
    pub(super) fn owes(&self, serial: &Serial) -> bool {
        self.owed.contains_key(serial)
    }

    /// Removes and returns the next entity. `all` returns the entities of a gateway.
    pub(super) fn next(&mut self, all: impl Fn(&Serial) -> BTreeSet<String>) -> Option<(Serial, String)> {
        loop {
            let (serial, after) = self.turn()?;
            let owed = self.owed.get_mut(&serial)?;
            if std::mem::take(&mut owed.whole) {
                owed.names.extend(all(&serial));
            }
            let name = match &after {
                Some(after) => {
                    owed.names.range::<str, _>((Excluded(after.as_str()), Unbounded)).next().cloned()
                }
                None => owed.names.first().cloned(),
            };
            if let Some(name) = &name {
                owed.names.remove(name);
            }
            if owed.names.is_empty() {
                self.owed.remove(&serial);
            }
            match name {
                Some(name) => {
                    self.last = Some((serial.clone(), name.clone()));
                    return Some((serial, name));
                }
                // The other entities of this gateway come in the next cycle.
                None => self.last = self.last.take().map(|(serial, _)| (serial, END.to_owned())),
            }
        }
    }

    /// Returns the next gateway, and the name after which to continue.
    fn turn(&self) -> Option<(Serial, Option<String>)> {
        let first = || self.owed.keys().next().map(|serial| (serial.clone(), None));
        let Some((serial, name)) = &self.last else { return first() };
        if name != END && self.owed.contains_key(serial) {
            return Some((serial.clone(), Some(name.clone())));
        }
        let next = self.owed.range((Excluded(serial), Unbounded)).next();
        next.map_or_else(first, |(serial, _)| Some((serial.clone(), None)))
    }
}

/// A marker in place of a name, after all names.
const END: &str = "";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn serial(n: u8) -> Serial {
        Serial::parse(&n.to_string()).unwrap()
    }

    fn names(serial: &Serial) -> BTreeSet<String> {
        let count: u8 = serial.as_str().parse().unwrap();
        (0..=count * 3).map(|n| format!("e{n:02}")).collect()
    }

    #[test]
    fn each_entity_comes_once() {
        let mut order = RoundRobin::default();
        order.owe_whole(&serial(1));
        order.owe(&serial(2), ["b".to_owned(), "a".to_owned()]);
        order.owe(&serial(3), []);
        let around: Vec<String> = std::iter::from_fn(|| order.next(names))
            .map(|(serial, name)| format!("{serial}{name}"))
            .collect();
        assert_eq!(around, ["1e00", "1e01", "1e02", "1e03", "2a", "2b"]);
        assert!(!order.is_owed());
    }

    #[test]
    fn entities_that_are_added_again_each_time_all_come() {
        let mut order = RoundRobin::default();
        let mut seen = BTreeSet::new();
        let all: usize = (1..=5).map(|n| names(&serial(n)).len()).sum();
        for _ in 0..all {
            (1..=5).for_each(|n| order.owe_whole(&serial(n)));
            seen.extend(order.next(names));
        }
        assert_eq!(seen.len(), all);
    }

    proptest! {
           /// Each entity comes once for each time it is added, at the latest when all others have come once.
           #[test]
           fn no_entity_is_lost_or_waits_for_long(
               steps in prop::collection::vec((0..4_u8, 0..6_u8, 0..20_u8), 0..300),
           ) {
               let mut order = RoundRobin::default();
               let mut waiting: BTreeMap<(Serial, String), usize> = BTreeMap::new();
               let most: usize = (0..6).map(|n| names(&serial(n)).len()).sum();
               for (what, gateway, count) in steps {
                   let gateway = serial(gateway);
                   let some: Vec<String> = names(&gateway).into_iter().take(count.into()).collect();
                   match what {
                       0 => {
                           order.owe(&gateway, some.clone());
                           for name in some {
    waiting.entry((gateway.clone(), name)).or_default();
    }
                       }
                       1 => {
                           order.owe_whole(&gateway);
                           for name in names(&gateway) {
    waiting.entry((gateway.clone(), name)).or_default();
    }
                       }
                       _ => for _ in 0..count {
                           let next = order.next(names);
                           prop_assert_eq!(next.is_some(), !waiting.is_empty());
                           let Some(next) = next else { break };
                           prop_assert!(waiting.remove(&next).is_some(), "{:?} was not pending", next);
                           for turns in waiting.values_mut() {
    *turns += 1;
    }
                           prop_assert!(waiting.values().all(|turns| *turns < most));
                       }
                   }
               }
               while let Some(next) = order.next(names) {
                   prop_assert!(waiting.remove(&next).is_some());
               }
               prop_assert!(waiting.is_empty());
           }
       }
}
