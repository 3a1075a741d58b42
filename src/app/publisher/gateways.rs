//! The topics of all gateways, and the order in which their values are sent.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};
use std::time::Duration;

use tokio::time::Instant;

use super::announced::AnnouncedTopics;
use super::gateway_topics::GatewayTopics;
use crate::app::latest::Snapshot;
use crate::base::rate_limit::RateLimit;
use crate::base::reading::Serial;
use crate::output::homeassistant::gateway_name;

/// The number of writes of a gateway's record that are not delayed. The first readings announce most entities, and what is
/// announced has to be known after a power cut.
const WRITES: u32 = 8;
/// The time between further writes, to spare the SD card.
const WRITE_INTERVAL: Duration = Duration::from_secs(15 * 60);

/// The topics of all gateways.
#[derive(Debug, Default)]
pub(super) struct Gateways {
    topics: BTreeMap<Serial, GatewayTopics>,
    /// The gateways whose record may have changed since it was written.
    touched: BTreeSet<Serial>,
    /// The gateways with values to send.
    due: BTreeSet<Serial>,
    /// The gateway that was served last.
    served: Option<Serial>,
    /// The number of the newest write that was looked at.
    seen: u64,
}

impl Gateways {
    /// Adds the stored record of a gateway.
    pub(super) fn remember(&mut self, serial: Serial, announced: AnnouncedTopics) {
        self.touched.insert(serial.clone());
        self.topics.insert(serial.clone(), GatewayTopics::new(serial, announced));
    }

    /// Returns the topics of a gateway.
    pub(super) fn get_mut(&mut self, serial: &Serial) -> Option<&mut GatewayTopics> {
        self.touch(serial);
        self.topics.get_mut(serial)
    }

    fn touch(&mut self, serial: &Serial) {
        if !self.touched.contains(serial) {
            self.touched.insert(serial.clone());
        }
    }

    /// Returns the topics of a gateway, which may be new.
    pub(super) fn get_or_new(&mut self, serial: &Serial, prefix: &str) -> &mut GatewayTopics {
        self.touch(serial);
        let new = || GatewayTopics::new(serial.clone(), AnnouncedTopics::new(prefix));
        self.topics.entry(serial.clone()).or_insert_with(new)
    }

    /// Iterates over the gateways.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&Serial, &mut GatewayTopics)> {
        self.touched.extend(self.topics.keys().cloned());
        self.topics.iter_mut()
    }

    /// Iterates over the serial numbers.
    pub(super) fn serials(&self) -> impl Iterator<Item = &Serial> {
        self.topics.keys()
    }

    /// Returns whether another gateway has the same name by default.
    pub(super) fn has_alike(&self, serial: &Serial) -> bool {
        self.topics.keys().any(|other| other != serial && gateway_name::are_alike(other, serial))
    }

    /// Returns whether another gateway announces an entity under `topic`, such as an inverter that was moved to it.
    pub(super) fn is_announced_by_another(&self, topic: &str, serial: &Serial) -> bool {
        self.topics.iter().any(|(other, it)| other != serial && it.announced.has_entity(topic))
    }

    /// Passes the records to write at `now` to `save`, or all changed ones if `now` is `None`; marks them as written.
    pub(super) fn save(&mut self, now: Option<Instant>, mut save: impl FnMut(&Serial, &AnnouncedTopics)) {
        // Only the touched ones are looked at: a thousand others have not changed.
        self.touched.retain(|serial| {
            let Some(gateway) = self.topics.get_mut(serial) else { return false };
            if is_due(&mut gateway.writes, now) && gateway.announced.take_change() {
                save(serial, &gateway.announced);
                if let (Some(now), Some(writes)) = (now, &mut gateway.writes) {
                    writes.take(now);
                }
            }
            gateway.announced.is_unsaved()
        });
    }

    /// Records that the stored records were lost, so that they are written again.
    pub(super) fn rewrite(&mut self) {
        for (_, gateway) in self.iter_mut() {
            gateway.writes = None;
            gateway.announced.mark_unsaved();
        }
    }

    /// Makes every value due again.
    pub(super) fn forget(&mut self) {
        self.iter_mut().for_each(|(_, gateway)| gateway.forget());
        self.seen = 0;
    }

    /// Makes the document of a gateway due again.
    pub(super) fn forget_document(&mut self, serial: Serial) {
        if let Some(gateway) = self.topics.get_mut(&serial) {
            gateway.forget_document();
            self.due.insert(serial);
        }
    }

    /// Makes the gateways due that were written to since the last call.
    pub(super) fn find_due(&mut self, snapshot: &Snapshot) {
        self.due.extend(snapshot.gateways_after(self.seen).map(|(serial, _)| serial.clone()));
        self.seen = snapshot.written();
    }

    /// Returns the next gateway with values to send. Gateways take turns, so that a slow broker receives the values of each.
    pub(super) fn next_due(&mut self) -> Option<Serial> {
        let serial = next_after(&self.due, self.served.as_ref())?.clone();
        self.due.remove(&serial);
        self.served = Some(serial.clone());
        Some(serial)
    }
}

/// Returns whether a record may be written at `now`; one of the last writes before the end always may.
fn is_due(writes: &mut Option<RateLimit>, now: Option<Instant>) -> bool {
    now.is_none_or(|now| {
        writes.get_or_insert_with(|| RateLimit::new(WRITES, WRITE_INTERVAL, now)).opens() <= now
    })
}

/// Returns the first of `serials` after `last`, or the first of all if there is none.
pub(super) fn next_after<'a>(serials: &'a BTreeSet<Serial>, last: Option<&Serial>) -> Option<&'a Serial> {
    let after = last.and_then(|last| serials.range((Excluded(last), Unbounded)).next());
    after.or_else(|| serials.first())
}
