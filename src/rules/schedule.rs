//! The schedule of polls: at multiples of the interval, and less often while the gateway is unreachable.
//!
//! Ticks are skipped, never bunched: after a long poll, the next one is at a multiple of the interval again.

use std::time::Duration;

use jiff::Zoned;
use tokio::time::Instant;

use crate::base::backoff::Delays;
use crate::io::gateway::Error;

/// The longest delay between polls while the gateway is unreachable.
const LONGEST_AWAY: Duration = Duration::from_secs(5 * 60);
/// The longest delay between polls while the gateway responds but nothing can be read: it may be starting.
const LONGEST_UNREAD: Duration = Duration::from_secs(60);
/// The cap on the delay that a gateway asks for: some ask for years.
const LONGEST_BUSY: Duration = Duration::from_secs(10 * 60);
/// The minutes of the day in which failures are expected: gateways restart about 23:00 local time, for 1 to 3 minutes.
const QUIET: std::ops::Range<i16> = 22 * 60 + 55..23 * 60 + 10;

/// The minimum time between polls: if polled more often, some gateways stop responding (docs/protocol.md, section 3.10).
const CLOSEST: Duration = Duration::from_secs(5);

/// The schedule of one gateway.
#[derive(Debug)]
pub struct Schedule {
    start: Instant,
    interval: Duration,
    away: Delays,
    unread: Delays,
    next: Instant,
    /// The time before which no on-demand poll is made, and the reason.
    closed: Option<(Instant, Closed)>,
}

/// The reason for refusing an on-demand poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Closed {
    /// The last poll was too recent.
    JustPolled,
    /// The gateway asked clients to back off.
    Busy,
}

/// The answer to a request for an on-demand poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDemand {
    /// A poll may be made now.
    Now,
    /// The last poll was too recent; the remaining time.
    TooSoon(Duration),
    /// The gateway asked clients to back off; the remaining time.
    BackOff(Duration),
}

impl Schedule {
    /// Creates a schedule that polls every `interval` from `start` on. An interval of less than a second counts as one.
    pub fn new(start: Instant, interval: Duration) -> Self {
        let interval = interval.max(Duration::from_secs(1));
        let away = Delays::new(interval, LONGEST_AWAY.max(interval));
        let unread = Delays::new(interval.min(LONGEST_UNREAD), LONGEST_UNREAD);
        Self { start, interval, away, unread, next: start, closed: None }
    }

    /// Returns the time of the next poll.
    pub fn next(&self) -> Instant {
        self.next
    }

    /// Decides whether an on-demand poll may be made at `now`.
    pub fn early(&self, now: Instant) -> OnDemand {
        match self.closed {
            Some((until, why)) if until > now => match why {
                Closed::JustPolled => OnDemand::TooSoon(until - now),
                Closed::Busy => OnDemand::BackOff(until - now),
            },
            _ => OnDemand::Now,
        }
    }

    /// Records a successful poll that ended at `now`.
    pub fn answered(&mut self, now: Instant) {
        self.away.reset();
        self.unread.reset();
        self.next = next_tick(self.start, self.interval, now);
        self.closed = Some((now + CLOSEST, Closed::JustPolled));
    }

    /// Schedules the next poll as for an unreachable gateway, because nothing can be read until something changes.
    pub fn rest(&mut self, now: Instant) {
        self.next = next_tick(self.start, self.interval, now + LONGEST_AWAY);
        self.closed = Some((now + CLOSEST, Closed::JustPolled));
    }

    /// Records a failed poll that ended at `now`, with the `error` of a page or of the whole gateway.
    ///
    /// While the gateway is unreachable, the delay grows. If it responds, the next poll is within a minute, or after the
    /// delay that it asked for.
    pub fn failed(&mut self, now: Instant, error: Option<&Error>) {
        // While the gateway fails, on-demand polls are limited to one per interval.
        self.closed = Some((now + self.interval.max(CLOSEST), Closed::JustPolled));
        let delay = match error {
            Some(Error::Unreachable { .. }) => self.away.next_delay(),
            // A starting gateway may refuse the token briefly; if it continues, polls are no more frequent than usual.
            Some(Error::TokenRefused) => self.unread.next_delay().max(self.interval),
            Some(error) if error.is_about_every_page() => self.away.next_delay(),
            _ => {
                self.away.reset();
                self.unread.next_delay()
            }
        };
        // At a multiple of the interval, so that several gateways stay staggered as they began.
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

/// Returns the first instant after `now` that is a whole number of intervals after `start`.
pub fn next_tick(start: Instant, interval: Duration, now: Instant) -> Instant {
    let since = now.saturating_duration_since(start).as_nanos();
    let step = interval.as_nanos().max(1);
    let whole = u64::try_from((since / step + 1) * step).unwrap_or(u64::MAX);
    start + Duration::from_nanos(whole)
}

/// Returns `true` if `local` is within the nightly restart, when an unreachable gateway is not reported.
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
        // After a retry within a long interval, the next poll is at a multiple of the interval again.
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
        assert_eq!(schedule.early(after(1)), OnDemand::TooSoon(CLOSEST));
        assert_eq!(schedule.early(after(6)), OnDemand::Now);
        schedule.answered(after(6));
        assert_eq!(schedule.next(), start + HALF_MINUTE, "the grid stays");
        schedule.failed(after(30), Some(&away()));
        assert_eq!(schedule.early(after(59)), OnDemand::TooSoon(Duration::from_secs(1)));
        assert_eq!(schedule.early(after(60)), OnDemand::Now);
        schedule.failed(after(60), Some(&busy(Some(Duration::from_secs(600)))));
        assert_eq!(schedule.early(after(100)), OnDemand::BackOff(Duration::from_secs(560)));
        assert_eq!(schedule.early(after(660)), OnDemand::Now);
        schedule.failed(after(660), Some(&busy(Some(Duration::from_secs(3)))));
        assert_eq!(schedule.early(after(661)), OnDemand::TooSoon(Duration::from_secs(29)));
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
