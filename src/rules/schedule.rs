//! When to poll again: on a grid of the interval, further apart while the gateway is away.
//!
//! Ticks are skipped, never bunched: after a poll that took long the next one is on the grid again.

use std::time::Duration;

use jiff::Zoned;
use tokio::time::Instant;

use crate::base::backoff::Delays;
use crate::io::gateway::Error;

/// While the gateway is away, polls are no further apart than this, so that it is noticed soon when it is back.
const LONGEST_AWAY: Duration = Duration::from_secs(5 * 60);
/// A gateway that responds while nothing can be read may be starting: polls are no further apart than this.
const LONGEST_UNREAD: Duration = Duration::from_secs(60);
/// A gateway that asks to be left alone is heard, for minutes: some name years.
const LONGEST_BUSY: Duration = Duration::from_secs(10 * 60);
/// Gateways restart about 23:00 local time and are away for 1 to 3 minutes: minutes of the day from and to
/// which failures there are expected.
const QUIET: std::ops::Range<i16> = 22 * 60 + 55..23 * 60 + 10;

/// Asked more often than this, some gateways stop answering (docs/protocol.md, section 3.10).
const CLOSEST: Duration = Duration::from_secs(5);

/// When to poll one gateway.
#[derive(Debug)]
pub struct Schedule {
    start: Instant,
    interval: Duration,
    away: Delays,
    unread: Delays,
    next: Instant,
    /// No poll out of turn before this, and why.
    closed: Option<(Instant, Closed)>,
}

/// Why there is no poll out of turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Closed {
    /// The last one was just now.
    JustAsked,
    /// The gateway asked to be left alone.
    Busy,
}

/// Whether a poll may be made out of turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Early {
    /// It may.
    Now,
    /// The last one was too short a time ago; how long to wait.
    TooSoon(Duration),
    /// The gateway has asked to be left alone; how long to wait.
    LeftAlone(Duration),
}

impl Schedule {
    /// Polls every `interval` from `start` on; the first at `start`. An interval of zero counts as a second.
    pub fn new(start: Instant, interval: Duration) -> Self {
        let interval = interval.max(Duration::from_secs(1));
        let away = Delays::new(interval, LONGEST_AWAY.max(interval));
        let unread = Delays::new(interval.min(LONGEST_UNREAD), LONGEST_UNREAD);
        Self { start, interval, away, unread, next: start, closed: None }
    }

    /// When the next poll is due.
    pub fn next(&self) -> Instant {
        self.next
    }

    /// Whether a poll may be made at `now`, although none is due.
    pub fn early(&self, now: Instant) -> Early {
        match self.closed {
            Some((until, why)) if until > now => match why {
                Closed::JustAsked => Early::TooSoon(until - now),
                Closed::Busy => Early::LeftAlone(until - now),
            },
            _ => Early::Now,
        }
    }

    /// The gateway answered the poll that ended at `now`: the next is on the grid.
    pub fn answered(&mut self, now: Instant) {
        self.away.reset();
        self.unread.reset();
        self.next = next_tick(self.start, self.interval, now);
        self.closed = Some((now + CLOSEST, Closed::JustAsked));
    }

    /// There is nothing to read here until something changes: the next look is as late as while the gateway is away.
    pub fn rest(&mut self, now: Instant) {
        self.next = next_tick(self.start, self.interval, now + LONGEST_AWAY);
        self.closed = Some((now + CLOSEST, Closed::JustAsked));
    }

    /// The poll that ended at `now` failed, with `error` if one page or the gateway as a whole did. While the gateway is
    /// unreachable, the next poll is later each time. One that responds is asked again within a minute, or as late as it
    /// asked for.
    pub fn failed(&mut self, now: Instant, error: Option<&Error>) {
        // A gateway that fails is not asked out of turn more often than one that is well is in turn.
        self.closed = Some((now + self.interval.max(CLOSEST), Closed::JustAsked));
        let delay = match error {
            Some(Error::Unreachable { .. }) => self.away.next_delay(),
            // A gateway that starts may refuse the token for a moment; one that goes on is asked no more often than usual.
            Some(Error::TokenRefused) => self.unread.next_delay().max(self.interval),
            Some(error) if error.is_about_every_page() => self.away.next_delay(),
            _ => {
                self.away.reset();
                self.unread.next_delay()
            }
        };
        // On the grid again, so that many gateways of one process keep apart as they began.
        self.next = match delay.checked_sub(self.interval) {
            Some(more) => next_tick(self.start, self.interval, now + more),
            None => now + delay,
        };
        if let Some(Error::Busy { retry_after: Some(asked), .. }) = error {
            let earliest = now + (*asked).min(LONGEST_BUSY);
            self.closed = self.closed.max(Some((earliest, Closed::Busy)));
            if self.next < earliest {
                self.next = next_tick(self.start, self.interval, earliest);
            }
        }
    }
}

/// The first instant after `now` that is a whole number of intervals after `start`.
pub fn next_tick(start: Instant, interval: Duration, now: Instant) -> Instant {
    let since = now.saturating_duration_since(start).as_nanos();
    let step = interval.as_nanos().max(1);
    let whole = u64::try_from((since / step + 1) * step).unwrap_or(u64::MAX);
    start + Duration::from_nanos(whole)
}

/// Whether `local` is in the nightly restart, when a gateway that is away is no news.
pub fn is_quiet(local: &Zoned) -> bool {
    QUIET.contains(&(i16::from(local.hour()) * 60 + i16::from(local.minute())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF_MINUTE: Duration = Duration::from_secs(30);

    fn busy(retry_after: Option<Duration>) -> Error {
        Error::Busy { status: 503, path: "/info", retry_after }
    }

    fn away() -> Error {
        Error::Unreachable { address: "x".into(), path: "/info", connected: false, why: "timeout".into() }
    }

    #[test]
    fn a_long_poll_skips_ticks_and_bunches_none() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, HALF_MINUTE);
        assert_eq!(schedule.next(), start);
        schedule.answered(start + Duration::from_secs(1));
        assert_eq!(schedule.next(), start + HALF_MINUTE);
        schedule.answered(start + Duration::from_secs(95));
        assert_eq!(schedule.next(), start + Duration::from_secs(120));
        schedule.answered(start + Duration::from_secs(120));
        assert_eq!(schedule.next(), start + Duration::from_secs(150));
    }

    #[test]
    fn polls_grow_apart_while_the_gateway_is_away_and_recover_at_once() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, HALF_MINUTE);
        let mut gaps = Vec::new();
        for _ in 0..7 {
            let now = schedule.next();
            schedule.failed(now, Some(&away()));
            gaps.push((schedule.next() - now).as_secs());
        }
        assert_eq!(gaps, [30, 60, 120, 240, 300, 300, 300]);
        let now = schedule.next();
        schedule.answered(now);
        assert_eq!(schedule.next() - now, HALF_MINUTE);
        schedule.failed(now, Some(&away()));
        assert_eq!(schedule.next() - now, HALF_MINUTE);
    }

    #[test]
    fn a_gateway_that_responds_and_cannot_be_read_is_asked_again_within_a_minute() {
        let missing = Error::Missing { path: "/ivp/meters" };
        for (interval, gaps) in [(5, [5, 10, 20, 40, 60, 60]), (30, [30, 60, 60, 60, 60, 60]), (600, [60; 6])]
        {
            for error in [None, Some(&missing), Some(&busy(None))] {
                let start = Instant::now();
                let mut schedule = Schedule::new(start, Duration::from_secs(interval));
                let seen = gaps.map(|_| {
                    let now = schedule.next();
                    schedule.failed(now, error);
                    (schedule.next() - now).as_secs()
                });
                assert_eq!(seen, gaps, "{interval} {error:?}");
            }
        }
        let start = Instant::now();
        let mut schedule = Schedule::new(start, HALF_MINUTE);
        for gap in [30, 60, 60] {
            let now = schedule.next();
            schedule.failed(now, Some(&Error::TokenRefused));
            assert_eq!((schedule.next() - now).as_secs(), gap);
        }
        // Between the ticks of a long interval the grid is found again.
        let start = Instant::now();
        let mut schedule = Schedule::new(start, Duration::from_secs(600));
        schedule.failed(start, None);
        schedule.answered(start + Duration::from_secs(60));
        assert_eq!(schedule.next() - start, Duration::from_secs(600));
    }

    #[test]
    fn a_busy_gateway_is_left_alone_as_long_as_it_asks() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, HALF_MINUTE);
        schedule.failed(start, Some(&busy(Some(Duration::from_secs(601)))));
        assert_eq!(schedule.next() - start, Duration::from_secs(630));
        for years in [10 * 86400, 1 << 40, u64::MAX] {
            schedule.failed(start, Some(&busy(Some(Duration::from_secs(years)))));
            assert_eq!(schedule.next() - start, Duration::from_secs(630), "minutes, whatever it says");
        }
    }

    #[test]
    fn a_poll_out_of_turn_keeps_its_distance_and_honours_a_busy_gateway() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, HALF_MINUTE);
        let after = |seconds| start + Duration::from_secs(seconds);
        schedule.answered(after(1));
        assert_eq!(schedule.early(after(1)), Early::TooSoon(CLOSEST));
        assert_eq!(schedule.early(after(6)), Early::Now);
        schedule.answered(after(6));
        assert_eq!(schedule.next(), start + HALF_MINUTE, "the grid stays");
        schedule.failed(after(30), Some(&away()));
        assert_eq!(schedule.early(after(59)), Early::TooSoon(Duration::from_secs(1)));
        assert_eq!(schedule.early(after(60)), Early::Now);
        schedule.failed(after(60), Some(&busy(Some(Duration::from_secs(600)))));
        assert_eq!(schedule.early(after(100)), Early::LeftAlone(Duration::from_secs(560)));
        assert_eq!(schedule.early(after(660)), Early::Now);
        schedule.failed(after(660), Some(&busy(Some(Duration::from_secs(3)))));
        assert_eq!(schedule.early(after(661)), Early::TooSoon(Duration::from_secs(29)));
    }

    #[test]
    fn the_nightly_restart_is_quiet() {
        let at = |time: &str| is_quiet(&format!("2026-06-21T{time}+02:00[+02:00]").parse().unwrap());
        assert!(!at("22:54:59") && at("22:55:00") && at("23:09:59") && !at("23:10:00"));
    }

    proptest::proptest! {
        #[test]
        fn the_next_tick_is_on_the_grid_and_less_than_an_interval_away(
            interval in 1_u64..4000, passed in 0_u64..100_000_000,
        ) {
            let start = Instant::now();
            let (interval, now) = (Duration::from_millis(interval), start + Duration::from_millis(passed));
            let next = next_tick(start, interval, now);
            proptest::prop_assert!(next > now && next - now <= interval);
            proptest::prop_assert_eq!((next - start).as_millis() % interval.as_millis(), 0);
        }
    }
}
