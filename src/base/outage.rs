//! What is said of something outside that is away, or comes and goes: once when it begins, and once when it ends.

use std::time::Duration;

use tokio::time::Instant;

/// So many outages, each soon after the one before, are said together.
const FLAPS: u32 = 3;

/// What to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Say {
    /// It is away, or away for another reason that is new.
    Gone,
    /// It has gone away so often that the next times are not said any more.
    Flaps(u32),
    /// It is there, after so long if it was said that it is away.
    Back(Option<Duration>),
    /// It has gone away so often in so long, and is steady now.
    Holds(u32, Duration),
    /// Nothing that would be news.
    Nothing,
}

/// The outages since it was steady. `K` is the kind of a failure.
#[derive(Debug)]
pub struct Outage<K> {
    /// What has been there for so long is steady.
    steady: Duration,
    /// When the first of them began, and how many there were.
    first: Option<Instant>,
    count: u32,
    /// The kinds that were said.
    said: Vec<K>,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Nothing is known.
    Unknown,
    There {
        since: Instant,
    },
    Away {
        since: Instant,
        /// Whether it is one of those that are counted: not while it is quiet, nor when it was never there.
        counted: bool,
        said: bool,
    },
}

impl<K: PartialEq> Outage<K> {
    /// Nothing is known yet; what has been there for `steady` is steady.
    pub const fn new(steady: Duration) -> Self {
        Self { steady, first: None, count: 0, said: Vec::new(), state: State::Unknown }
    }

    /// It is away. In a `quiet` time, such as the nightly restart of a gateway, nothing is said unless it lasts.
    pub fn failed(&mut self, kind: K, quiet: bool, now: Instant) -> Say {
        let (since, counted, said) = match self.state {
            State::Unknown => (now, true, false),
            State::There { .. } => (now, false, false),
            State::Away { since, counted, said } => (since, counted, said),
        };
        if quiet {
            self.state = State::Away { since, counted, said };
            return Say::Nothing;
        }
        if !counted {
            self.first.get_or_insert(since);
            self.count = self.count.saturating_add(1);
        }
        let new = !self.said.contains(&kind);
        if new {
            self.said.push(kind);
        }
        let say = match self.count {
            FLAPS if !counted => Say::Flaps(FLAPS),
            count if !counted && count < FLAPS => Say::Gone,
            _ if new => Say::Gone,
            _ => Say::Nothing,
        };
        self.state = State::Away { since, counted: true, said: said || say != Say::Nothing };
        say
    }

    /// It is there.
    pub fn ended(&mut self, now: Instant) -> Say {
        let away = match self.state {
            State::There { .. } => return self.steady(now),
            State::Away { since, said: true, .. } => Some(now.saturating_duration_since(since)),
            State::Away { .. } | State::Unknown => None,
        };
        self.state = State::There { since: now };
        if self.count < FLAPS { Say::Back(away) } else { Say::Nothing }
    }

    /// Time has passed.
    pub fn steady(&mut self, now: Instant) -> Say {
        let State::There { since } = self.state else { return Say::Nothing };
        if now.saturating_duration_since(since) < self.steady {
            return Say::Nothing;
        }
        let count = std::mem::take(&mut self.count);
        self.said.clear();
        match self.first.take() {
            Some(first) if count >= FLAPS => Say::Holds(count, since.saturating_duration_since(first)),
            _ => Say::Nothing,
        }
    }

    /// How long it has been away.
    pub fn lasts(&self, now: Instant) -> Duration {
        match self.state {
            State::Away { since, .. } => now.saturating_duration_since(since),
            State::Unknown | State::There { .. } => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MINUTE: Duration = Duration::from_secs(60);
    const STEADY: Duration = Duration::from_secs(600);

    fn outage() -> Outage<&'static str> {
        Outage::new(STEADY)
    }

    #[test]
    fn an_outage_is_said_when_it_begins_when_its_kind_is_new_and_when_it_ends() {
        let (start, mut outage) = (Instant::now(), outage());
        assert_eq!(outage.failed("away", false, start), Say::Gone);
        assert_eq!(outage.failed("away", false, start + MINUTE), Say::Nothing);
        assert_eq!(outage.failed("password", false, start + 2 * MINUTE), Say::Gone);
        assert_eq!(outage.lasts(start + 2 * MINUTE), 2 * MINUTE);
        assert_eq!(outage.ended(start + 3 * MINUTE), Say::Back(Some(3 * MINUTE)));
        assert_eq!(outage.ended(start + 4 * MINUTE), Say::Nothing);
        assert_eq!(outage.ended(start + 14 * MINUTE), Say::Nothing);
        assert_eq!(outage.failed("away", false, start + 15 * MINUTE), Say::Gone);
    }

    #[test]
    fn kinds_that_take_turns_are_said_once_each() {
        let (start, mut outage) = (Instant::now(), outage());
        let kinds = ["away", "password", "malformed"].into_iter().cycle().take(1000);
        let said = kinds.filter(|kind| outage.failed(kind, false, start) == Say::Gone).count();
        assert_eq!(said, 3);
    }

    #[test]
    fn what_comes_and_goes_for_a_day_is_said_in_a_few_lines() {
        let (start, mut outage, mut said) = (Instant::now(), outage(), Vec::new());
        let mut now = start;
        for _ in 0..20_000 {
            said.push(outage.ended(now));
            said.push(outage.steady(now + SECOND));
            said.push(outage.failed("lost", false, now + 2 * SECOND));
            said.push(outage.failed("away", false, now + 3 * SECOND));
            now += 4 * SECOND;
        }
        said.push(outage.ended(now));
        said.push(outage.steady(now + STEADY));
        said.retain(|say| *say != Say::Nothing);
        let back = || Say::Back(Some(2 * SECOND));
        let holds = Say::Holds(20_000, 79_998 * SECOND);
        let lines = [Say::Back(None), Say::Gone, Say::Gone, back(), Say::Gone, back(), Say::Flaps(3), holds];
        assert_eq!(said, lines);
    }

    #[test]
    fn what_was_steady_in_between_is_said_each_time() {
        let (mut now, mut outage) = (Instant::now(), outage());
        for _ in 0..10 {
            assert!(matches!(outage.ended(now), Say::Back(_)));
            assert_eq!(outage.steady(now + STEADY), Say::Nothing);
            assert_eq!(outage.failed("lost", false, now + STEADY), Say::Gone);
            now += STEADY + SECOND;
        }
    }

    #[test]
    fn a_quiet_time_is_quiet_unless_it_lasts() {
        let (start, mut outage) = (Instant::now(), outage());
        outage.ended(start);
        for night in 0..10 {
            let night = start + night * MINUTE;
            assert_eq!(outage.failed("away", true, night), Say::Nothing);
            assert_eq!(outage.ended(night + SECOND), Say::Back(None));
        }
        let night = start + 20 * MINUTE;
        assert_eq!(outage.failed("away", true, night), Say::Nothing);
        assert_eq!(outage.failed("away", false, night + 10 * MINUTE), Say::Gone);
        assert_eq!(outage.failed("away", false, night + 11 * MINUTE), Say::Nothing);
        assert_eq!(outage.ended(night + 12 * MINUTE), Say::Back(Some(12 * MINUTE)));
    }
}
