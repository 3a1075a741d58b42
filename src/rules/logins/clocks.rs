//! Elapsed time that is immune to jumps of the clock (L9).
//!
//! All hold-offs are counted in the record's own age, which grows by the time that has passed since the record was
//! last written. Within one boot, the uptime measures that exactly. Across a reboot, the wall clock and the gateway's
//! clock measure it, and the smaller value counts. If the gateway's clock was not seen both before and after the reboot,
//! only the uptime since the boot is counted: at least that much has passed.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::base::clock::Moment;

/// The largest difference at which two clocks agree.
pub const AGREEMENT: Duration = Duration::from_secs(10 * 60);

/// The age of the record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Age {
    milliseconds: u64,
}

impl Age {
    /// Returns the age `length` later.
    #[must_use]
    pub fn plus(self, length: Duration) -> Self {
        let length = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        Self { milliseconds: self.milliseconds.saturating_add(length) }
    }

    /// Returns the time from `earlier` to `self`, or zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.milliseconds.saturating_sub(earlier.milliseconds))
    }
}

/// A reading of the machine's clocks and, if possible, of the gateway's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// The machine's clocks.
    pub moment: Moment,
    /// The gateway's clock, if `/info` has just returned it.
    pub gateway: Option<Timestamp>,
    /// `/info` has just responded, with or without the time.
    pub answers: bool,
}

/// The time in the latest response to `/info`.
///
/// Every recorded firmware returns the time in `/info`. A gateway that does not is no second clock (L9). The machine's
/// clock must not replace it: a clock always agrees with itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewayTime {
    /// The gateway did not respond.
    NoResponse,
    /// The gateway responded without the time.
    NoTime,
    /// The gateway's clock.
    Time(Timestamp),
}

impl Clocks {
    /// Combines the machine's clocks with the gateway's response.
    pub fn new(moment: Moment, gateway_time: GatewayTime) -> Self {
        let gateway = match gateway_time {
            GatewayTime::Time(time) => Some(time),
            GatewayTime::NoResponse | GatewayTime::NoTime => None,
        };
        Self { moment, gateway, answers: gateway_time != GatewayTime::NoResponse }
    }

    /// Returns `true` if the gateway's clock is known and agrees with the machine's.
    pub fn clocks_agree(&self) -> bool {
        self.gateway.is_some_and(|gateway| agree(between(self.moment.wall, gateway), 0))
    }

    /// Returns the clocks at the later `moment`, advancing the gateway's by the uptime that has passed.
    #[must_use]
    pub fn later(&self, moment: Moment) -> Self {
        let passed = moment.up.saturating_sub(self.moment.up);
        let gateway = self.gateway.and_then(|time| time.checked_add(passed).ok());
        Self { moment, gateway, answers: self.answers }
    }
}

/// The clocks when the record was last written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// The wall clock.
    pub wall: Timestamp,
    /// The identifier of the boot.
    pub boot: String,
    /// The uptime.
    pub up_ms: u64,
    /// The gateway's clock.
    pub gateway: Option<Timestamp>,
}

impl Anchor {
    /// Creates an anchor from the current clocks.
    pub fn new(clocks: &Clocks) -> Self {
        Self {
            wall: clocks.moment.wall,
            boot: clocks.moment.boot.clone(),
            up_ms: u64::try_from(clocks.moment.up.as_millis()).unwrap_or(u64::MAX),
            gateway: clocks.gateway,
        }
    }

    /// Returns `true` if an anchor made `now` would measure the time better after the next boot: one of the clocks was
    /// missing, the machine has booted since, or a clock was set.
    pub fn is_stale(&self, now: &Clocks) -> bool {
        let Some(gateway_now) = now.gateway else { return false };
        let passed = i64::try_from(now.moment.up.as_millis()).unwrap_or(i64::MAX)
            - i64::try_from(self.up_ms).unwrap_or(i64::MAX);
        self.boot != now.moment.boot
            || !agree(between(self.wall, now.moment.wall), passed)
            || self.gateway.is_none_or(|then| !agree(between(then, gateway_now), passed))
    }

    /// Returns the time that has passed since the anchor.
    pub fn elapsed(&self, now: &Clocks) -> Duration {
        let up_then = Duration::from_millis(self.up_ms);
        let same_boot = self.boot == now.moment.boot;
        if same_boot && let Some(passed) = now.moment.up.checked_sub(up_then) {
            return passed;
        }
        let by_clocks = self.gateway.zip(now.gateway).map_or(0, |(gateway_then, gateway_now)| {
            let wall = between(self.wall, now.moment.wall);
            let gateway = between(gateway_then, gateway_now);
            let set_back = |passed: i64| passed < 0 && !agree(passed, 0);
            match (set_back(wall), set_back(gateway)) {
                // A clock that was set back is ignored. One that is back by minutes was not set: with two gateways,
                // `gateway_then` and `gateway_now` may be from different clocks.
                (false, true) => wall,
                (true, false) => gateway,
                // Both may be right; the smaller one opens no hold-off early.
                _ => wall.min(gateway),
            }
        });
        // After a reboot, at least the uptime has passed.
        let least = if same_boot || !now.moment.has_boot_id() { Duration::ZERO } else { now.moment.up };
        Duration::from_millis(u64::try_from(by_clocks).unwrap_or(0)).max(least)
    }
}

/// Returns the milliseconds from `earlier` to `later`.
fn between(earlier: Timestamp, later: Timestamp) -> i64 {
    later.as_millisecond() - earlier.as_millisecond()
}

fn agree(one: i64, other: i64) -> bool {
    u128::from(one.abs_diff(other)) <= AGREEMENT.as_millis()
}

/// Returns `true` if `deadline` has passed by every trusted clock.
///
/// The system's clock is not trusted while it is behind `newest`, the newest time in the state directory, unless the
/// gateway's clock agrees with it. The times in a token are from the cloud's clock, so a small difference means
/// nothing. If both clocks are known, both have to be past `deadline`: a clock that has jumped ahead must not make
/// a token look expired.
pub(super) fn has_passed(deadline: Timestamp, newest: Timestamp, clocks: &Clocks) -> bool {
    let system = clocks.moment.wall >= deadline;
    let behind = between(clocks.moment.wall, newest);
    let trusted = behind <= 0 || agree(behind, 0) || clocks.clocks_agree();
    match clocks.gateway.map(|gateway| gateway >= deadline) {
        Some(gateway) if trusted => system && gateway,
        Some(gateway) => gateway,
        None => trusted && system,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn clocks(wall: &str, boot: &str, up: Duration, gateway: Option<&str>) -> Clocks {
        let moment = Moment { wall: at(wall), boot: boot.to_owned(), up };
        Clocks::new(moment, gateway.map_or(GatewayTime::NoResponse, |time| GatewayTime::Time(at(time))))
    }

    fn elapsed(then: &Clocks, now: &Clocks) -> Duration {
        Anchor::new(then).elapsed(now)
    }

    #[test]
    fn within_a_boot_no_jump_of_the_wall_clock_matters() {
        let then = clocks("2026-11-20T10:00:00Z", "a", HOUR, None);
        for wall in ["1970-01-01T00:00:00Z", "2026-11-20T10:00:00Z", "2099-01-01T00:00:00Z"] {
            assert_eq!(elapsed(&then, &clocks(wall, "a", 3 * HOUR, None)), 2 * HOUR);
        }
    }

    #[test]
    fn across_a_reboot_two_clocks_that_agree_are_believed() {
        let then = clocks("2026-11-20T10:00:00Z", "a", HOUR, Some("2026-11-20T10:01:00Z"));
        let now = clocks("2026-11-20T22:00:00Z", "b", HOUR, Some("2026-11-20T22:01:30Z"));
        assert_eq!(elapsed(&then, &now), 12 * HOUR);
    }

    #[test]
    fn a_pi_that_wakes_in_the_past_asks_the_gateway() {
        let then = clocks("2026-11-20T10:00:00Z", "a", HOUR, Some("2026-11-20T10:00:00Z"));
        let now = clocks("2020-01-01T00:00:00Z", "b", Duration::ZERO, Some("2026-11-20T12:00:00Z"));
        assert_eq!(elapsed(&then, &now), 2 * HOUR);
        let alone = clocks("2020-01-01T00:00:00Z", "b", HOUR, None);
        assert_eq!(elapsed(&then, &alone), HOUR, "at least the uptime has passed");
    }

    #[test]
    fn a_clock_corrected_after_the_anchor_opens_nothing_early() {
        let then = clocks("2020-01-01T00:00:00Z", "a", Duration::ZERO, Some("2026-11-20T10:00:00Z"));
        let now = clocks("2026-11-20T11:00:00Z", "b", Duration::ZERO, Some("2026-11-20T11:00:00Z"));
        assert_eq!(elapsed(&then, &now), HOUR);
    }

    #[test]
    fn a_gateway_that_lost_its_clock_is_no_witness() {
        let then = clocks("2026-11-20T10:00:00Z", "a", HOUR, Some("2026-11-20T10:00:00Z"));
        let now = clocks("2026-11-20T12:00:00Z", "b", HOUR, Some("1970-01-01T00:10:00Z"));
        assert_eq!(elapsed(&then, &now), 2 * HOUR);
    }

    #[test]
    fn the_clock_of_another_gateway_that_is_a_little_slow_does_not_make_a_lie_believed() {
        let then = clocks("2026-11-20T10:00:00Z", "a", HOUR, Some("2026-11-20T10:04:00Z"));
        let now = clocks("2027-12-25T10:01:00Z", "b", HOUR / 60, Some("2026-11-20T09:56:00Z"));
        assert_eq!(elapsed(&then, &now), HOUR / 60, "the uptime is all that is known");
    }

    #[test]
    fn of_two_clocks_that_nearly_agree_the_slower_is_believed() {
        let then = clocks("2026-11-20T10:00:00Z", "a", HOUR, Some("2026-11-20T10:00:00Z"));
        let now = clocks("2026-11-20T22:09:00Z", "b", HOUR, Some("2026-11-20T22:00:00Z"));
        assert_eq!(elapsed(&then, &now), 12 * HOUR);
    }

    #[test]
    fn where_the_boot_is_not_known_an_uptime_proves_nothing() {
        let then = clocks("2026-11-20T10:00:00Z", "process-1", HOUR, Some("2026-11-20T10:00:00Z"));
        let now = clocks("2026-11-20T10:01:00Z", "process-2", 10 * HOUR, Some("2026-11-20T10:01:00Z"));
        assert_eq!(elapsed(&then, &now), HOUR / 60, "the other process had run for long");
        let fell_back = clocks("2026-11-20T10:01:00Z", "process-1", HOUR / 2, Some("2026-11-20T10:01:00Z"));
        assert_eq!(elapsed(&then, &fell_back), HOUR / 60, "nor one that goes back");
    }

    #[test]
    fn a_gateway_that_tells_no_time_agrees_with_nobody() {
        let moment = clocks("2026-11-20T10:00:00Z", "a", HOUR, None).moment;
        let with_time = Clocks::new(moment.clone(), GatewayTime::Time(at("2026-11-20T10:09:00Z")));
        assert!(with_time.clocks_agree() && with_time.answers);
        let without_time = Clocks::new(moment.clone(), GatewayTime::NoTime);
        assert!(!without_time.clocks_agree() && without_time.answers);
        assert!(!Clocks::new(moment, GatewayTime::NoResponse).answers);
    }

    #[test]
    fn the_gateway_s_clock_goes_on_during_a_request() {
        let then = clocks("2026-11-20T10:00:00Z", "a", HOUR, Some("2026-11-20T10:00:05Z"));
        let jumped = clocks("2020-01-01T00:00:00Z", "a", HOUR + HOUR / 60, None).moment;
        assert_eq!(then.later(jumped).gateway, Some(at("2026-11-20T10:01:05Z")));
    }

    #[test]
    fn an_uptime_that_goes_back_is_another_boot() {
        let then = clocks("2026-11-20T10:00:00Z", "a", 5 * HOUR, Some("2026-11-20T10:00:00Z"));
        let now = clocks("2026-11-20T12:00:00Z", "a", HOUR, Some("2026-11-20T12:00:00Z"));
        assert_eq!(elapsed(&then, &now), 2 * HOUR);
    }

    #[test]
    fn across_a_reboot_the_wall_clock_alone_proves_nothing() {
        let then = clocks("2020-01-01T00:00:00Z", "a", Duration::ZERO, None);
        let now = clocks("2026-11-20T12:00:00Z", "b", HOUR, Some("2026-11-20T12:00:00Z"));
        assert_eq!(elapsed(&then, &now), HOUR, "it may have been corrected since");
    }

    #[test]
    fn an_anchor_is_made_anew_after_a_boot_and_after_a_clock_was_set() {
        let wall = "2026-11-20T10:00:00Z";
        let stale = |then: &Clocks, now: &Clocks| Anchor::new(then).is_stale(now);
        let (then, alone) = (clocks(wall, "a", HOUR, Some(wall)), clocks(wall, "a", HOUR, None));
        assert!(!stale(&then, &then) && !stale(&then, &alone));
        assert!(stale(&alone, &then));
        assert!(stale(&then, &clocks(wall, "b", HOUR, Some(wall))));
        assert!(stale(&then, &clocks("2020-01-01T00:00:00Z", "a", HOUR, Some(wall))));
        assert!(stale(&then, &clocks(wall, "a", HOUR, Some("2020-01-01T00:00:00Z"))));
    }

    #[test]
    fn a_deadline_passes_only_by_clocks_that_can_be_trusted() {
        let (deadline, newest) = (at("2027-01-01T00:00:00Z"), at("2026-06-01T00:00:00Z"));
        let passed = |wall: &str, gateway: Option<&str>| {
            has_passed(deadline, newest, &clocks(wall, "a", HOUR, gateway))
        };
        assert!(passed("2027-01-02T00:00:00Z", Some("2027-01-02T00:00:00Z")));
        assert!(passed("2027-01-02T00:00:00Z", None));
        assert!(!passed("2099-01-01T00:00:00Z", Some("2026-07-01T00:00:00Z")), "jumped ahead");
        assert!(passed("2020-01-01T00:00:00Z", Some("2027-01-02T00:00:00Z")), "woke in the past");
        assert!(!passed("2020-01-01T00:00:00Z", None));
        assert!(!passed("2026-05-31T23:57:00Z", Some("2099-01-01T00:00:00Z")), "we are a little slow");
        assert!(!passed("2026-07-01T00:00:00Z", Some("2099-01-01T00:00:00Z")), "the gateway jumped");
    }
}
