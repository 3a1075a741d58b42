//! The announcements and removals to send next, at the pace of the slowest consumer.
//!
//! Announcements are sent in rounds: everything is announced again on each connection and when a consumer starts. The
//! gateways take turns, and in its turn each sends first what was not sent for the most rounds. So a consumer that starts
//! every second, or a connection that breaks every second, does not make it start again with the first announcement.

use std::collections::BTreeSet;
use std::time::Duration;
use std::vec;

use tokio::time::Instant;

use super::gateway_topics::GatewayTopics;
use super::gateways::{Gateways, next_after};
use crate::base::message::Message;
use crate::base::rate_limit::RateLimit;
use crate::base::reading::Serial;
use crate::output::homeassistant::Discovery;

/// The number of announcements that are sent at once: all of a house without details. Domoticz processes ten messages a
/// second (2022.2 to 2025.1), and the broker drops messages beyond its queue (mosquitto: 1000 per client).
const BURST: u32 = 100;
/// The time between further announcements.
const GAP: Duration = Duration::from_millis(100);
/// The time after the last announcement is processed until the state is sent once more. A broker sends only some
/// announcements at a time (mosquitto: 20), so the state, which has another quality of service, may overtake the others,
/// and a consumer ignores the values of entities that it does not know yet.
const SETTLING: Duration = Duration::from_secs(1);

/// The pending announcements and removals.
#[derive(Debug)]
pub(super) struct Announcer {
    discovery: Option<Discovery>,
    rate_limit: RateLimit,
    /// The number of the current round.
    round: u64,
    /// The gateways with announcements that were not sent in this round.
    announcing: BTreeSet<Serial>,
    turn: Option<Turn>,
    /// The gateway of the last turn.
    last: Option<Serial>,
    /// The gateways whose document is sent again, with the time.
    settling: BTreeSet<(Instant, Serial)>,
    /// The gateways with topics to remove.
    removing: BTreeSet<Serial>,
    /// The topics whose removal the broker may not have received.
    removed: Vec<(Serial, String)>,
}

/// The announcements of one gateway that have to be sent, by their topics.
#[derive(Debug)]
struct Turn {
    serial: Serial,
    topics: vec::IntoIter<String>,
}

impl Announcer {
    /// Creates an announcer that has nothing to send.
    pub(super) fn new(discovery: Option<Discovery>, now: Instant) -> Self {
        Self {
            discovery,
            rate_limit: RateLimit::new(BURST, GAP, now),
            round: 0,
            announcing: BTreeSet::new(),
            turn: None,
            last: None,
            settling: BTreeSet::new(),
            removing: BTreeSet::new(),
            removed: Vec::new(),
        }
    }

    /// Begins a round, in which everything is announced again.
    pub(super) fn begin_round(&mut self, gateways: &Gateways) {
        self.round += 1;
        if self.discovery.is_some() {
            self.announcing.extend(gateways.serials().cloned());
        }
    }

    /// Adds a gateway with new announcements.
    pub(super) fn announce(&mut self, serial: &Serial) {
        self.announcing.insert(serial.clone());
    }

    /// Adds a gateway with topics to remove.
    pub(super) fn remove(&mut self, serial: &Serial) {
        self.removing.insert(serial.clone());
    }

    /// Returns the next announcement or removal, if the rate limit allows one `now`. Removals are limited as well, because
    /// consumers of announcements receive them too.
    pub(super) fn next(&mut self, gateways: &mut Gateways, now: Instant) -> Option<Message> {
        if self.rate_limit.opens() > now {
            return None;
        }
        let message = self.announcement(gateways, now).or_else(|| self.removal(gateways))?;
        self.rate_limit.take(now);
        if self.turn.as_ref().is_some_and(|turn| turn.topics.len() == 0) {
            self.end_turn(now);
        }
        Some(message)
    }

    fn announcement(&mut self, gateways: &mut Gateways, now: Instant) -> Option<Message> {
        loop {
            if self.turn.is_none() {
                self.turn = Some(self.next_turn(gateways)?);
            }
            let (turn, discovery) = self.turn.as_mut().zip(self.discovery.as_ref())?;
            let Some(topic) = turn.topics.next() else {
                self.end_turn(now);
                continue;
            };
            let gateway = gateways.get_mut(&turn.serial)?;
            if let Some(message) = gateway.announced.send(&topic, self.round, discovery) {
                return Some(message);
            }
        }
    }

    /// Begins the turn of the next gateway after the last one.
    fn next_turn(&mut self, gateways: &mut Gateways) -> Option<Turn> {
        let serial = next_after(&self.announcing, self.last.as_ref())?.clone();
        self.announcing.remove(&serial);
        self.last = Some(serial.clone());
        let topics = gateways.get_mut(&serial).map(|gateway| gateway.announced.unsent(self.round));
        Some(Turn { serial, topics: topics.unwrap_or_default().into_iter() })
    }

    /// Ends the turn of a gateway. Its document is sent again now, and when the slowest consumer has processed all
    /// announcements.
    fn end_turn(&mut self, now: Instant) {
        if let Some(turn) = self.turn.take() {
            let settled = self.rate_limit.idle().max(now) + SETTLING;
            self.settling.extend([(now, turn.serial.clone()), (settled, turn.serial)]);
        }
    }

    /// Makes the documents due that have to be sent again by `now`.
    pub(super) fn settle(&mut self, gateways: &mut Gateways, now: Instant) {
        while self.settling.first().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, serial)) = self.settling.pop_first() {
                gateways.forget_document(serial);
            }
        }
    }

    fn removal(&mut self, gateways: &mut Gateways) -> Option<Message> {
        loop {
            let serial = self.removing.first()?.clone();
            let Some(topic) = gateways.get_mut(&serial).and_then(GatewayTopics::next_removal) else {
                self.removing.remove(&serial);
                continue;
            };
            // An inverter that was moved to another gateway is now announced by that one.
            if gateways.is_announced_by_another(&topic, &serial) {
                continue;
            }
            self.removed.push((serial, topic.clone()));
            return Some(Message::announcement(topic, String::new()));
        }
    }

    /// Records that the connection has accepted all messages.
    pub(super) fn rest(&mut self) {
        if self.removing.is_empty() {
            self.removed.clear();
        }
    }

    /// Records that the connection was lost. The last removals are repeated, because the broker may not have received them.
    pub(super) fn lost(&mut self, gateways: &mut Gateways) {
        self.turn = None;
        self.settling.clear();
        for (serial, topic) in self.removed.drain(..) {
            if let Some(gateway) = gateways.get_mut(&serial) {
                gateway.restore_removal(topic);
                self.removing.insert(serial);
            }
        }
    }

    /// Returns the next time at which something has to be sent.
    pub(super) fn wakes(&self) -> Option<Instant> {
        let is_pending = self.turn.is_some() || !self.announcing.is_empty() || !self.removing.is_empty();
        let limited = is_pending.then(|| self.rate_limit.opens());
        limited.into_iter().chain(self.settling.first().map(|(at, _)| *at)).min()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::base::test_readings;
    use crate::output::homeassistant::{self, PREFIX};

    fn discovery() -> Discovery {
        Discovery {
            discovery_prefix: PREFIX.to_owned(),
            prefix: "e".to_owned(),
            expire_after: Duration::from_secs(300),
            inverters: true,
            details: true,
            several: true,
            configuration_url: None,
        }
    }

    fn serial(gateway: u8) -> Serial {
        Serial::parse(&gateway.to_string()).unwrap()
    }

    /// Returns gateways that announce a different number of entities.
    fn gateways() -> (Gateways, usize) {
        let (mut gateways, mut count) = (Gateways::default(), 0);
        for gateway in 1..=3_u8 {
            let mut reading = test_readings::bare();
            reading.gateway.serial = serial(gateway);
            reading.inverters.clear();
            let entities = homeassistant::entities(&reading, &discovery());
            let known = entities.into_iter().filter(homeassistant::Entity::is_known);
            let some: Vec<_> = known.take(usize::from(gateway) * 3).collect();
            count += some.len();
            let topics = gateways.get_or_new(&serial(gateway), "e");
            topics.announced.add_entities(&some, &reading.gateway, &discovery());
        }
        (gateways, count)
    }

    /// Returns the topic of the next announcement at a time when the rate limit allows it.
    fn next(announcer: &mut Announcer, gateways: &mut Gateways, now: &mut Instant) -> Option<String> {
        *now += GAP;
        Some(announcer.next(gateways, *now)?.topic)
    }

    #[test]
    fn everything_is_announced_although_a_round_begins_before_each_message() {
        let (mut gateways, all) = gateways();
        let mut now = Instant::now();
        let mut announcer = Announcer::new(Some(discovery()), now);
        let mut sent = BTreeSet::new();
        for _ in 0..all {
            announcer.begin_round(&gateways);
            sent.extend(next(&mut announcer, &mut gateways, &mut now));
        }
        assert_eq!(sent.len(), all);
    }

    proptest! {
        /// Each announcement comes once for each round, at the latest when all others have come twice.
        #[test]
        fn no_announcement_is_lost_or_waits_for_long(steps in prop::collection::vec(0..30_u8, 0..60)) {
            let (mut gateways, all) = gateways();
            let mut now = Instant::now();
            let mut announcer = Announcer::new(Some(discovery()), now);
            announcer.begin_round(&gateways);
            // The messages since each topic was sent last, for the topics that are pending.
            let mut waiting: BTreeMap<String, usize> = (1..=3_u8)
                .flat_map(|gateway| gateways.get_mut(&serial(gateway)).unwrap().announced.unsent(1))
                .map(|topic| (topic, 0))
                .collect();
            let topics: Vec<String> = waiting.keys().cloned().collect();
            prop_assert_eq!(topics.len(), all);
            for step in steps {
                if step == 0 {
                    announcer.begin_round(&gateways);
                    for topic in &topics {
                        waiting.entry(topic.clone()).or_default();
                    }
                    continue;
                }
                for _ in 0..step {
                    let Some(topic) = next(&mut announcer, &mut gateways, &mut now) else { break };
                    prop_assert!(waiting.remove(&topic).is_some(), "{} again", topic);
                    for messages in waiting.values_mut() {
                        *messages += 1;
                    }
                    prop_assert!(waiting.values().all(|messages| *messages < 2 * all));
                }
            }
            while let Some(topic) = next(&mut announcer, &mut gateways, &mut now) {
                waiting.remove(&topic);
            }
            prop_assert!(waiting.is_empty(), "{:?} were not sent", waiting);
        }
    }
}
