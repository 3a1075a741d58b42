//! What is said of a broker that is away, or comes and goes.

use std::time::Duration;

use tokio::time::Instant;

/// A connection that has held for this long is a good one.
const STEADY: Duration = Duration::from_secs(10 * 60);
/// So many breaks of connections that were not good are flapping.
const FLAPS: u32 = 3;

/// What to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Say {
    /// There is no connection, for a reason that is new.
    Gone,
    /// The connection has broken so often that the next breaks are not said any more.
    Flaps(u32),
    /// It is there, after so long if it was away.
    Back(Option<Duration>),
    /// It broke so often in so long, and holds now.
    Holds(u32, Duration),
    /// Nothing that would be news.
    Nothing,
}

/// The connections since the last good one. `K` is the kind of a failure.
#[derive(Debug)]
pub(super) struct Outage<K> {
    /// When the first of them broke.
    first: Option<Instant>,
    breaks: u32,
    /// The kinds that were said.
    said: Vec<K>,
    connection: Connection,
}

#[derive(Clone, Copy, Debug)]
enum Connection {
    /// There was none yet.
    Never,
    Since(Instant),
    Gone(Instant),
}

impl<K> Default for Outage<K> {
    fn default() -> Self {
        Self { first: None, breaks: 0, said: Vec::new(), connection: Connection::Never }
    }
}

impl<K: PartialEq> Outage<K> {
    /// A connection broke, or none came about.
    pub(super) fn lost(&mut self, kind: K, now: Instant) -> Say {
        let broke = matches!(self.connection, Connection::Since(_));
        if let Connection::Since(_) = self.connection {
            self.first.get_or_insert(now);
            self.breaks = self.breaks.saturating_add(1);
        }
        if !matches!(self.connection, Connection::Gone(_)) {
            self.connection = Connection::Gone(now);
        }
        let new = !self.said.contains(&kind);
        if new {
            self.said.push(kind);
        }
        match (broke, self.breaks) {
            (true, FLAPS) => Say::Flaps(FLAPS),
            (true, breaks) if breaks < FLAPS => Say::Gone,
            _ if new => Say::Gone,
            _ => Say::Nothing,
        }
    }

    /// There is a connection.
    pub(super) fn connected(&mut self, now: Instant) -> Say {
        let away = match self.connection {
            Connection::Gone(since) => Some(now.saturating_duration_since(since)),
            Connection::Never | Connection::Since(_) => None,
        };
        self.connection = Connection::Since(now);
        if self.breaks < FLAPS { Say::Back(away) } else { Say::Nothing }
    }

    /// Time has passed.
    pub(super) fn passed(&mut self, now: Instant) -> Say {
        let Connection::Since(since) = self.connection else { return Say::Nothing };
        if now.saturating_duration_since(since) < STEADY {
            return Say::Nothing;
        }
        let breaks = std::mem::take(&mut self.breaks);
        self.said.clear();
        match self.first.take() {
            Some(first) if breaks >= FLAPS => Say::Holds(breaks, since.saturating_duration_since(first)),
            _ => Say::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_outage_is_said_when_it_begins_when_its_kind_is_new_and_when_it_ends() {
        let (start, mut outage) = (Instant::now(), Outage::default());
        assert_eq!(outage.connected(start), Say::Back(None));
        assert_eq!(outage.lost("away", start + 5 * STEADY), Say::Gone);
        // Alternately, as often as it likes.
        let kinds = ["away", "password"].into_iter().cycle().take(1000);
        let said: Vec<Say> = kinds.map(|kind| outage.lost(kind, start + 5 * STEADY)).collect();
        assert_eq!(said.iter().filter(|say| **say == Say::Gone).count(), 1);
        assert_eq!(outage.connected(start + 5 * STEADY + SECOND), Say::Back(Some(SECOND)));
        assert_eq!(outage.passed(start + 7 * STEADY), Say::Nothing);
        assert_eq!(outage.lost("away", start + 8 * STEADY), Say::Gone);
    }

    #[test]
    fn a_broker_that_comes_and_goes_for_a_day_is_said_in_a_few_lines() {
        let (start, mut outage, mut said) = (Instant::now(), Outage::default(), Vec::new());
        let mut now = start;
        for _ in 0..20_000 {
            said.push(outage.connected(now));
            said.push(outage.passed(now + SECOND));
            said.push(outage.lost("lost", now + 2 * SECOND));
            said.push(outage.lost("away", now + 3 * SECOND));
            now += 4 * SECOND;
        }
        said.push(outage.connected(now));
        said.push(outage.passed(now + STEADY));
        said.retain(|say| *say != Say::Nothing);
        let back = || Say::Back(Some(2 * SECOND));
        let holds = Say::Holds(20_000, 79_998 * SECOND);
        let lines = [Say::Back(None), Say::Gone, Say::Gone, back(), Say::Gone, back(), Say::Flaps(3), holds];
        assert_eq!(said, lines);
    }

    #[test]
    fn what_was_good_in_between_is_no_flapping() {
        let (mut now, mut outage) = (Instant::now(), Outage::default());
        for _ in 0..10 {
            assert!(matches!(outage.connected(now), Say::Back(_)));
            assert_eq!(outage.passed(now + STEADY), Say::Nothing);
            assert_eq!(outage.lost("lost", now + STEADY), Say::Gone);
            now += STEADY + SECOND;
        }
    }
}
