//! The schedule of polls: at multiples of the interval, and less often while the gateway is absent or struggles.
//!
//! Ticks are skipped, never bunched: after a long poll, the next one is at a multiple of the interval again.

use std::time::Duration;

use jiff::Zoned;
use tokio::time::Instant;

use crate::base::backoff::Delays;
use crate::io::gateway::Error;

/// The time for which an absent gateway is tried at each interval. A restart or an update takes minutes.
const RETURN_EXPECTED: Duration = Duration::from_secs(10 * 60);
/// The longest delay between polls while the gateway is absent, which costs nothing, or responds but nothing can be read:
/// it may be starting.
const LONGEST_UNREAD: Duration = Duration::from_secs(60);
/// The longest delay between polls while the gateway struggles: it accepts connections, but does not respond.
const LONGEST_STRUGGLE: Duration = Duration::from_secs(5 * 60);
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
    /// The time of the first failure since the last success.
    failing_since: Option<Instant>,
    struggling: Delays,
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

/// The failure of a poll, by what it means for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing responds at the address.
    Absent,
    /// The gateway is there, but does not respond, or is not the expected one.
    Struggling,
    /// The gateway refuses the token.
    TokenRefused,
    /// The gateway asked clients to back off, possibly for this long.
    Busy(Option<Duration>),
    /// The gateway responds, but nothing can be read.
    Unread,
}

impl Failure {
    /// Classifies the error of a page or of the whole gateway.
    pub const fn of(error: &Error) -> Self {
        match error {
            Error::Unreachable { .. } if error.is_absence() => Self::Absent,
            Error::Unreachable { .. } => Self::Struggling,
            Error::TokenRefused => Self::TokenRefused,
            Error::Busy { retry_after, .. } => Self::Busy(*retry_after),
            _ if error.is_about_every_page() => Self::Struggling,
            _ => Self::Unread,
        }
    }
}

impl Schedule {
    /// Creates a schedule that polls every `interval` from `start` on. An interval of less than a second counts as one.
    pub fn new(start: Instant, interval: Duration) -> Self {
        let interval = interval.max(Duration::from_secs(1));
        let struggling = Delays::new(interval, LONGEST_STRUGGLE.max(interval));
        let unread = Delays::new(interval.min(LONGEST_UNREAD), LONGEST_UNREAD);
        Self { start, interval, failing_since: None, struggling, unread, next: start, closed: None }
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
        self.failing_since = None;
        self.struggling.reset();
        self.unread.reset();
        self.next = next_tick(self.start, self.interval, now);
        self.closed = Some((now + CLOSEST, Closed::JustPolled));
    }

    /// Schedules the next poll as for a gateway that struggles, because nothing can be read until something changes.
    pub fn rest(&mut self, now: Instant) {
        self.next = next_tick(self.start, self.interval, now + LONGEST_STRUGGLE);
        self.closed = Some((now + CLOSEST, Closed::JustPolled));
    }

    /// Records a failed poll that ended at `now`.
    ///
    /// An absent gateway is tried at each interval at first, later every minute. While a gateway struggles, the delay
    /// grows. If it responds, the next poll is within a minute, or after the delay that it asked for.
    pub fn failed(&mut self, now: Instant, failure: Failure) {
        // While the gateway fails, on-demand polls are limited to one per interval.
        self.closed = Some((now + self.interval.max(CLOSEST), Closed::JustPolled));
        let delay = self.delay(now, failure);
        // At a multiple of the interval, so that several gateways stay staggered as they began.
        self.next = match delay.checked_sub(self.interval) {
            Some(more) => next_tick(self.start, self.interval, now + more),
            None => now + delay,
        };
        if let Failure::Busy(Some(asked)) = failure {
            let earliest = now + asked.min(LONGEST_BUSY);
            self.closed = self.closed.max(Some((earliest, Closed::Busy)));
            if self.next < earliest {
                self.next = next_tick(self.start, self.interval, earliest);
            }
        }
    }

    /// Returns the delay after a failed poll that ended at `now`, before it is aligned with the interval.
    fn delay(&mut self, now: Instant, failure: Failure) -> Duration {
        let since = *self.failing_since.get_or_insert(now);
        match failure {
            Failure::Absent if now.saturating_duration_since(since) < RETURN_EXPECTED => {
                self.interval.min(LONGEST_UNREAD)
            }
            Failure::Absent => LONGEST_UNREAD,
            Failure::Struggling => self.struggling.next_delay(),
            // A starting gateway may refuse the token briefly; if it continues, polls are no more frequent than usual.
            Failure::TokenRefused => self.unread.next_delay().max(self.interval),
            Failure::Busy(_) | Failure::Unread => {
                self.struggling.reset();
                self.unread.next_delay()
            }
        }
    }
}

/// Returns the first instant after `now` that is a whole number of intervals after `start`.
fn next_tick(start: Instant, interval: Duration, now: Instant) -> Instant {
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
    use proptest::prelude::*;

    use super::*;
    use crate::io::gateway::Stage;

    const HALF_MINUTE: Duration = Duration::from_secs(30);

    fn unreachable(stage: Stage) -> Error {
        Error::Unreachable { address: "x".into(), path: "/info", stage, why: "timeout".into() }
    }

    /// Returns the seconds between polls that all fail in this way at once.
    fn gaps<const N: usize>(interval: u64, failure: Failure) -> [u64; N] {
        let mut schedule = Schedule::new(Instant::now(), Duration::from_secs(interval));
        [(); N].map(|()| {
            let now = schedule.next();
            schedule.failed(now, failure);
            (schedule.next() - now).as_secs()
        })
    }

    #[test]
    fn a_failure_is_classified_by_whether_the_gateway_is_there() {
        let busy = Error::Busy { status: 503, path: "/info", retry_after: Some(HALF_MINUTE) };
        for (error, failure) in [
            (unreachable(Stage::Connect), Failure::Absent),
            (unreachable(Stage::Handshake), Failure::Struggling),
            (unreachable(Stage::Response), Failure::Struggling),
            (Error::Certificate { address: "x".into(), why: "?".into() }, Failure::Struggling),
            (Error::TokenRefused, Failure::TokenRefused),
            (busy, Failure::Busy(Some(HALF_MINUTE))),
            (Error::Missing { path: "/ivp/meters" }, Failure::Unread),
        ] {
            assert_eq!(Failure::of(&error), failure, "{error:?}");
        }
    }

    #[test]
    fn an_absent_gateway_is_tried_at_each_interval_for_ten_minutes_and_then_every_minute() {
        for (interval, first, polls) in [(5, 5, 120), (30, 30, 20), (60, 60, 10), (600, 60, 10)] {
            let gaps: [u64; 200] = gaps(interval, Failure::Absent);
            assert_eq!(gaps[..polls], vec![first; polls], "{interval}");
            assert_eq!(gaps[polls..], vec![60; 200 - polls], "{interval}");
        }
    }

    #[test]
    fn the_ten_minutes_begin_again_after_a_success_only() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, HALF_MINUTE);
        let after = |seconds| start + Duration::from_secs(seconds);
        schedule.failed(after(0), Failure::Absent);
        schedule.failed(after(570), Failure::Struggling);
        schedule.failed(after(600), Failure::Absent);
        assert_eq!(schedule.next(), after(660));
        schedule.answered(after(660));
        schedule.failed(after(690), Failure::Absent);
        assert_eq!(schedule.next(), after(720));
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
    fn polls_grow_apart_while_the_gateway_struggles_and_recover_at_once() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, HALF_MINUTE);
        let mut gaps = Vec::new();
        for _ in 0..7 {
            let now = schedule.next();
            schedule.failed(now, Failure::Struggling);
            gaps.push((schedule.next() - now).as_secs());
        }
        assert_eq!(gaps, [30, 60, 120, 240, 300, 300, 300]);
        let now = schedule.next();
        schedule.answered(now);
        assert_eq!(schedule.next() - now, HALF_MINUTE);
        schedule.failed(now, Failure::Struggling);
        assert_eq!(schedule.next() - now, HALF_MINUTE);
    }

    #[test]
    fn a_gateway_that_responds_and_cannot_be_read_is_asked_again_within_a_minute() {
        for (interval, seconds) in
            [(5, [5, 10, 20, 40, 60, 60]), (30, [30, 60, 60, 60, 60, 60]), (600, [60; 6])]
        {
            for failure in [Failure::Unread, Failure::Busy(None)] {
                assert_eq!(gaps(interval, failure), seconds, "{interval} {failure:?}");
            }
        }
        assert_eq!(gaps(30, Failure::TokenRefused), [30, 60, 60]);
        // After a retry within a long interval, the next poll is at a multiple of the interval again.
        let start = Instant::now();
        let mut schedule = Schedule::new(start, Duration::from_secs(600));
        schedule.failed(start, Failure::Unread);
        schedule.answered(start + Duration::from_secs(60));
        assert_eq!(schedule.next() - start, Duration::from_secs(600));
    }

    #[test]
    fn a_busy_gateway_is_left_alone_as_long_as_it_asks() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, HALF_MINUTE);
        schedule.failed(start, Failure::Busy(Some(Duration::from_secs(601))));
        assert_eq!(schedule.next() - start, Duration::from_secs(630));
        for years in [10 * 86400, 1 << 40, u64::MAX] {
            schedule.failed(start, Failure::Busy(Some(Duration::from_secs(years))));
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
        schedule.failed(after(30), Failure::Struggling);
        assert_eq!(schedule.early(after(59)), OnDemand::TooSoon(Duration::from_secs(1)));
        assert_eq!(schedule.early(after(60)), OnDemand::Now);
        schedule.failed(after(60), Failure::Busy(Some(Duration::from_secs(600))));
        assert_eq!(schedule.early(after(100)), OnDemand::BackOff(Duration::from_secs(560)));
        assert_eq!(schedule.early(after(660)), OnDemand::Now);
        schedule.failed(after(660), Failure::Busy(Some(Duration::from_secs(3))));
        assert_eq!(schedule.early(after(661)), OnDemand::TooSoon(Duration::from_secs(29)));
    }

    #[test]
    fn the_nightly_restart_is_quiet() {
        let at = |time: &str| is_quiet(&format!("2026-06-21T{time}+02:00[+02:00]").parse().unwrap());
        assert!(!at("22:54:59") && at("22:55:00") && at("23:09:59") && !at("23:10:00"));
    }

    fn failure() -> impl Strategy<Value = Failure> {
        let wait = proptest::option::of((0_u64..100_000).prop_map(Duration::from_secs));
        prop_oneof![
            Just(Failure::Absent),
            Just(Failure::Struggling),
            Just(Failure::TokenRefused),
            Just(Failure::Unread),
            wait.prop_map(Failure::Busy),
        ]
    }

    proptest::proptest! {
        #[test]
        fn whatever_failed_before_an_absent_gateway_is_tried_again_within_a_minute_and_none_is_forgotten(
            interval in 1_u64..400,
            polls in proptest::collection::vec((failure(), 0_u64..60_000), 1..60),
        ) {
            let start = Instant::now();
            let interval = Duration::from_secs(interval);
            let mut schedule = Schedule::new(start, interval);
            for (failure, took) in polls {
                let now = schedule.next() + Duration::from_millis(took);
                schedule.failed(now, failure);
                let delay = schedule.next() - now;
                proptest::prop_assert!(!delay.is_zero());
                let longest = match failure {
                    Failure::Absent => LONGEST_UNREAD,
                    Failure::TokenRefused | Failure::Unread | Failure::Busy(None) => LONGEST_UNREAD.max(interval),
                    Failure::Struggling => LONGEST_STRUGGLE.max(interval),
                    Failure::Busy(Some(asked)) => {
                        let asked = asked.min(LONGEST_BUSY);
                        proptest::prop_assert!(delay >= asked);
                        (asked + interval).max(LONGEST_UNREAD)
                    }
                };
                proptest::prop_assert!(delay <= longest, "{:?} after {:?}", delay, failure);
            }
        }

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
