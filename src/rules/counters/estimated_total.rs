//! A lifetime total that the daemon estimates while the gateway has no counter for it.
//!
//! - It begins at the last total of the counter, or else at 0. If there was no counter before, nothing is published for
//!   half an hour: the page with the counter may only be late.
//! - When **the same counter returns** and has counted in the meantime, its total is used again. If it is less than the
//!   published total, that one waits for it.
//! - **Another counter** continues at the estimate: only its increase is used.
//! - The file is written every 15 minutes, so after a crash it lacks what was published last. It therefore contains an
//!   upper bound of that. After a crash the bound is published until the estimate has reached it. After an orderly end,
//!   the total continues without a step.
//!
//! The published total never decreases.

use serde::{Deserialize, Serialize, Serializer};

use super::stopwatch::GuardTime;
use crate::base::units::WattHours;

/// The time in seconds, while the program runs, for which an estimate without a counter before it is not published.
const WAIT_S: f64 = 30.0 * 60.0;
/// The share of the estimate that a counter must have counted to be the same one. An estimate is more accurate than that.
const COUNTED: f64 = 0.5;
/// The energy that is too small to tell whether a counter has counted it.
const NOISE_WH: f64 = 100.0;

/// An estimated lifetime total.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct EstimatedTotal {
    #[serde(serialize_with = "rounded")]
    wh: f64,
    /// The highest total that may have been published.
    #[serde(serialize_with = "rounded")]
    shown: f64,
    /// The difference to the counter, 0 unless the estimate is older than the counter.
    #[serde(default, skip_serializing_if = "is_zero")]
    base: f64,
    /// The last total of the counter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    counter: Option<f64>,
    /// [`GuardTime::running`] from which the total is published.
    #[serde(default, skip_serializing_if = "is_zero")]
    from: f64,
    /// The upper bound in the file.
    #[serde(skip)]
    bound: f64,
}

impl EstimatedTotal {
    /// Begins to estimate. `counter` is the last total of a counter.
    pub(super) fn new(counter: Option<WattHours>, now: GuardTime) -> Self {
        let counter = counter.map(WattHours::value);
        let from = if counter.is_some() { now.running } else { now.running + WAIT_S };
        let wh = counter.unwrap_or(0.0);
        Self { wh, shown: wh, base: 0.0, counter, from, bound: 0.0 }
    }

    /// Begins to estimate at 0, and publishes that at once.
    pub(super) fn reset(now: GuardTime) -> Self {
        Self { from: now.running, ..Self::new(None, now) }
    }

    /// Adds estimated energy.
    pub(super) fn add(&mut self, wh: f64) {
        self.wh += wh.max(0.0);
    }

    fn count(&mut self, counter: WattHours) {
        let counter = counter.value();
        let is_same = self.counter.is_some_and(|before| {
            let estimated = self.wh - (before + self.base);
            counter - before >= COUNTED * estimated - NOISE_WH
        });
        if !is_same {
            self.base = self.wh - counter;
        }
        self.counter = Some(counter);
        self.wh = counter + self.base;
    }

    /// Continues with a total of the counter. Returns `true` if the estimate is over: nothing of it has been published, or
    /// the total is the counter's again.
    pub(super) fn is_over_with(&mut self, counter: WattHours, now: GuardTime) -> bool {
        if self.waits(now) {
            return true;
        }
        self.count(counter);
        self.is_counted()
    }

    /// Returns `true` if nothing has been published yet.
    pub(super) fn waits(&self, now: GuardTime) -> bool {
        now.running < self.from
    }

    /// Returns `true` if the total is the counter's again.
    fn is_counted(&self) -> bool {
        is_zero(&self.base) && self.counter.is_some_and(|counter| counter >= self.shown)
    }

    /// Returns the total to publish.
    pub(super) fn publish(&mut self, now: GuardTime) -> Option<WattHours> {
        if self.waits(now) {
            return None;
        }
        self.shown = self.shown.max(self.wh);
        WattHours::new(self.shown)
    }

    /// Returns the total that was published last.
    pub(super) fn published(&self) -> Option<WattHours> {
        WattHours::new(self.shown)
    }

    /// Returns `true` if more has been published than the bound in the file.
    pub(super) fn exceeds_bound(&self) -> bool {
        self.shown > self.bound
    }

    /// Returns the state to store while the program runs, when at most `growth` Wh are published until the next write.
    pub(super) fn bounded(&mut self, growth: f64) -> Self {
        // While the total waits, nothing has been published.
        let waits = self.shown < self.wh;
        self.bound = if waits { self.shown } else { self.shown.max(self.wh + growth) };
        Self { shown: self.bound, ..self.clone() }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde requires")]
fn is_zero(value: &f64) -> bool {
    value.abs() < f64::EPSILON
}

/// Writes Wh with three decimals. A published total is whole, so that it does not decrease by the rounding.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde requires")]
pub(super) fn rounded<S: Serializer>(wh: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((wh * 1000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: u32) -> GuardTime {
        GuardTime { running: 60.0 * f64::from(minute), passed: 60.0 * f64::from(minute) }
    }

    fn wh(value: f64) -> WattHours {
        WattHours::new(value).unwrap()
    }

    fn shown(total: &mut EstimatedTotal, minute: u32) -> Option<f64> {
        total.publish(at(minute)).map(WattHours::value)
    }

    /// Returns the total after a restart.
    fn stored(total: &EstimatedTotal) -> EstimatedTotal {
        serde_json::from_str(&serde_json::to_string(total).unwrap()).unwrap()
    }

    #[test]
    fn without_a_counter_it_begins_at_0_and_waits_half_an_hour() {
        let mut total = EstimatedTotal::new(None, at(5));
        total.add(40.0);
        assert_eq!((shown(&mut total, 34), shown(&mut total, 35)), (None, Some(40.0)));
        assert_eq!(shown(&mut EstimatedTotal::reset(at(5)), 5), Some(0.0));
    }

    #[test]
    fn after_a_counter_it_goes_on_at_once_and_the_counter_takes_over_again() {
        let mut total = EstimatedTotal::new(Some(wh(9_000.0)), at(0));
        total.add(100.0);
        assert_eq!(shown(&mut total, 0), Some(9_100.0));
        let mut more = total.clone();
        more.count(wh(9_110.0));
        assert_eq!((shown(&mut more, 1), more.is_counted()), (Some(9_110.0), true));
        total.count(wh(9_090.0));
        assert_eq!((shown(&mut total, 1), total.is_counted()), (Some(9_100.0), false));
        total.count(wh(9_101.0));
        assert_eq!((shown(&mut total, 2), total.is_counted()), (Some(9_101.0), true));
    }

    #[test]
    fn a_counter_that_has_not_counted_in_the_meantime_or_is_new_goes_on_at_the_estimate() {
        let mut total = EstimatedTotal::new(Some(wh(9_000.0)), at(0));
        total.add(5_000.0);
        total.count(wh(9_000.0));
        assert_eq!(shown(&mut total, 1), Some(14_000.0));
        total.count(wh(9_050.0));
        assert_eq!((shown(&mut total, 2), total.is_counted()), (Some(14_050.0), false));
        for first in [0.0, 3_000_000.0] {
            let mut total = EstimatedTotal::reset(at(0));
            total.add(5_000.0);
            total.count(wh(first));
            assert_eq!(shown(&mut total, 1), Some(5_000.0));
            total.count(wh(first + 70.0));
            assert_eq!(shown(&mut total, 2), Some(5_070.0));
            total.add(30.0);
            assert_eq!(shown(&mut total, 3), Some(5_100.0), "the counter is gone again");
            total.count(wh(first + 104.0));
            assert_eq!(shown(&mut total, 4), Some(5_104.0));
        }
    }

    #[test]
    fn after_a_crash_the_bound_is_shown_until_the_estimate_has_reached_it() {
        let mut total = EstimatedTotal::reset(at(0));
        total.add(1_000.0);
        total.publish(at(1));
        let file = total.bounded(50.0);
        total.add(30.0);
        assert_eq!(shown(&mut total, 2), Some(1_030.0));
        assert!(!total.exceeds_bound());
        let mut crashed = stored(&file);
        assert_eq!(shown(&mut crashed, 3), Some(1_050.0));
        crashed.add(45.0);
        assert_eq!(shown(&mut crashed, 4), Some(1_050.0));
        crashed.add(10.0);
        assert_eq!(shown(&mut crashed, 5), Some(1_055.0), "nothing is counted twice");
        let mut ended = stored(&total);
        assert_eq!(shown(&mut ended, 3), Some(1_030.0), "an orderly end is no step");
        total.add(30.0);
        total.publish(at(3));
        assert!(total.exceeds_bound());
    }

    proptest::proptest! {
        /// Whatever happens, the published total never decreases, and is never more than what was counted or estimated
        /// plus the bound of one crash.
        #[test]
        fn a_published_total_never_goes_backward(
            first in proptest::option::of(0.0_f64..1e6),
            history in proptest::collection::vec((0_u8..6, 0.0_f64..500.0, 0.3_f64..1.5), 1..200),
        ) {
            let mut total = EstimatedTotal::new(first.map(wh), at(0));
            let (mut counter, mut last, mut made) = (first.unwrap_or(7e5), first.unwrap_or(0.0).round(), 0.0);
            let mut file = total.clone();
            for (minute, (kind, growth, share)) in (1..).zip(history) {
                counter += growth;
                match kind {
                    // A crash, an orderly restart, a counter, and estimates that are off.
                    0 => { total = stored(&file); made += growth; }
                    1 => { total = stored(&total); total.add(growth * share); made += growth * share.max(1.0); }
                    2 => { total.count(wh(counter)); made += growth; }
                    _ => { total.add(growth * share); made += growth * share.max(1.0); }
                }
                // Whole watt-hours are published.
                if let Some(published) = shown(&mut total, minute).map(f64::round) {
                    proptest::prop_assert!(published >= last, "{published} after {last}");
                    last = published;
                }
                if total.exceeds_bound() || minute % 15 == 0 {
                    file = total.bounded(60.0);
                }
                let most = first.unwrap_or(0.0) + made + 60.0 + 1.0;
                proptest::prop_assert!(last <= most, "{last} of at most {most}");
            }
        }
    }
}
