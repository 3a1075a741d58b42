//! A lifetime total, and the rules that guard it.
//!
//! The published total is the gateway's total plus a base, and never decreases.
//!
//! - After a **zero**, nothing is published until the total has returned.
//! - If the inverters' total drops by **2^32 J**, minus a little growth, it has wrapped: the base grows by that amount.
//! - After a **small decrease** (up to 5 kWh), the published total stays until the gateway's has caught up.
//! - After a larger decrease, an **impossible increase** (more than 200 kW since the last reading, plus 15 minutes) or
//!   the total of **another source**, nothing is published. If the old total returns, it continues unchanged. If the new
//!   total lasts for half an hour and three readings, changing as a total does, it is accepted. If it is less than the
//!   published total, a new base makes it continue without a step.
//! - After that, a return to the **old total** restores the old base, so that the true total is reached.
//!
//! All times are on the guard's own clocks (`GuardTime`), which jumps of the machine's clock do not affect.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::incident::Incident;
use super::level::{Level, StoredLevel};
use super::stopwatch::GuardTime;
use super::suspect::{StoredSuspect, Suspect};
use crate::base::reading::Source;
use crate::base::units::WattHours;

/// 2^32 J: `production.json` of firmware 7.3.130 to before 8.2.4264 contains the inverters' total modulo this.
const WRAP_WH: f64 = 4_294_967_296.0 / 3600.0;
/// The largest decrease that is not reported: the pages of one cycle are seconds apart.
const NOISE_WH: f64 = 20.0;

/// A guarded lifetime total.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct GuardedTotal {
    published: f64,
    level: Level,
    // Boxed: it is rare, and each inverter has a guarded total.
    #[serde(default)]
    former: Option<Box<Level>>,
    #[serde(default)]
    suspect: Option<Box<Suspect>>,
    /// A reported incident has not ended yet.
    #[serde(default, rename = "told")]
    is_reported: bool,
}

/// The form of a [`GuardedTotal`] in the file. Version 0.1.0 cannot read a file without the times of day, which this version
/// ignores: after a downgrade, all totals would start again.
#[derive(Serialize)]
pub(super) struct StoredTotal<'a> {
    published: f64,
    level: StoredLevel<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    former: Option<StoredLevel<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suspect: Option<StoredSuspect<'a>>,
    told: bool,
}

impl GuardedTotal {
    /// Returns the form in the file of a state whose last reading was `at`.
    pub(super) fn stored(&self, at: Timestamp) -> StoredTotal<'_> {
        StoredTotal {
            published: self.published,
            level: StoredLevel { level: &self.level, at },
            former: self.former.as_deref().map(|level| StoredLevel { level, at }),
            suspect: self.suspect.as_deref().map(|suspect| suspect.stored(at)),
            told: self.is_reported,
        }
    }

    /// Begins to guard a total.
    pub(super) fn new(raw: WattHours, source: Option<Source>, now: GuardTime) -> Self {
        let level = Level { source, raw: raw.value(), base: 0.0, seen: now.passed };
        Self { published: raw.value(), level, former: None, suspect: None, is_reported: false }
    }

    /// Records the gateway's total at `now`. Returns the total to publish, and an incident to report.
    pub(super) fn step(
        &mut self,
        raw: WattHours,
        source: Option<Source>,
        now: GuardTime,
    ) -> (Option<WattHours>, Option<Incident>) {
        let raw = raw.value();
        if raw <= 0.0 && self.level.raw > 0.0 {
            return (None, self.report(Incident::Zero));
        }
        // A first total of 0 may change to anything: the gateway was seen first just after its boot.
        let fresh = self.level.raw <= 0.0 && self.published <= 0.0;
        if fresh || self.level.continues(raw, source, now) {
            // The highest total stays the reference, so that many small decreases do not add up to a large one.
            let mark = raw.max(self.level.raw);
            return self.go_on(raw, Level { source, raw: mark, base: self.level.base, seen: now.passed });
        }
        if self.wrapped(raw, source, now) {
            let base = self.level.base + WRAP_WH;
            let (published, _) = self.go_on(raw, Level { source, raw, base, seen: now.passed });
            return (published, Some(Incident::Wrapped));
        }
        if let Some(former) = self.former.take_if(|former| former.continues(raw, source, now)) {
            self.is_reported = true;
            return self.go_on(raw, Level { raw, seen: now.passed, ..*former });
        }
        self.quarantine(raw, source, now)
    }

    /// Continues at `level` with the gateway's total `raw`.
    fn go_on(&mut self, raw: f64, level: Level) -> (Option<WattHours>, Option<Incident>) {
        let total = raw + level.base;
        let back = self.published - total;
        self.level = level;
        self.suspect = None;
        self.published = self.published.max(total);
        let incident = if back > NOISE_WH {
            self.report(Incident::SteppedBack { by: back })
        } else if back <= 0.0 && self.is_reported {
            self.is_reported = false;
            Some(Incident::Returned)
        } else {
            None
        };
        (WattHours::new(self.published), incident)
    }

    /// Returns the published total.
    pub fn published(&self) -> Option<WattHours> {
        WattHours::new(self.published)
    }

    /// Returns whether a reported incident has not ended yet.
    pub(super) fn is_held(&self) -> bool {
        self.is_reported
    }

    /// Returns [`GuardTime::passed`] at the last reading.
    pub(super) fn seen(&self) -> f64 {
        self.level.seen
    }

    fn report(&mut self, incident: Incident) -> Option<Incident> {
        let is_new = !self.is_reported;
        self.is_reported = true;
        is_new.then_some(incident)
    }

    fn wrapped(&self, raw: f64, source: Option<Source>, now: GuardTime) -> bool {
        let growth = raw + WRAP_WH - self.level.raw;
        source == Some(Source::Inverters)
            && self.level.source == source
            && (0.0..=self.level.most_growth(now)).contains(&growth)
    }

    fn quarantine(
        &mut self,
        raw: f64,
        source: Option<Source>,
        now: GuardTime,
    ) -> (Option<WattHours>, Option<Incident>) {
        let suspect = Suspect::record(self.suspect.take().map(|suspect| *suspect), raw, source, now);
        let level = suspect.level;
        if !suspect.has_lasted(now) {
            self.suspect = Some(Box::new(suspect));
            let from = self.level.raw;
            return (None, self.report(Incident::Held { from, to: raw, source }));
        }
        self.former = Some(Box::new(self.level));
        let step = raw - self.published;
        let incident = if step >= 0.0 {
            self.level = level;
            Incident::Accepted { step }
        } else {
            // The energy counted during the quarantine is added.
            let base = self.published - suspect.first;
            self.level = Level { base, ..level };
            Incident::Rebased { base, source }
        };
        self.is_reported = false;
        self.published = self.published.max(self.level.raw + self.level.base);
        (WattHours::new(self.published), Some(incident))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METER: Option<Source> = Some(Source::Meter);
    const INVERTERS: Option<Source> = Some(Source::Inverters);

    /// A day with one reading per minute.
    struct Day {
        track: GuardedTotal,
        minute: u32,
    }

    impl Day {
        fn from(total: f64, source: Option<Source>) -> Self {
            Self { track: GuardedTotal::new(wh(total), source, at(0)), minute: 0 }
        }

        fn see(&mut self, total: f64, source: Option<Source>) -> (Option<f64>, Option<&'static str>) {
            self.minute += 1;
            let (published, incident) = self.track.step(wh(total), source, at(self.minute));
            (published.map(WattHours::value), incident.map(|incident| incident.kind()))
        }
    }

    fn wh(value: f64) -> WattHours {
        WattHours::new(value).unwrap()
    }

    fn at(minute: u32) -> GuardTime {
        GuardTime { running: 60.0 * f64::from(minute), passed: 60.0 * f64::from(minute) }
    }

    #[test]
    fn zeros_after_a_boot_are_held_back() {
        let mut day = Day::from(9_000_000.0, METER);
        assert_eq!(day.see(0.0, METER), (None, Some("counter_held")));
        for _ in 0..100 {
            assert_eq!(day.see(0.0, METER), (None, None));
        }
        assert_eq!(day.see(9_000_050.0, METER), (Some(9_000_050.0), Some("counter_returned")));
        assert_eq!(day.see(9_000_060.0, METER), (Some(9_000_060.0), None));
    }

    #[test]
    fn the_wrap_is_unwrapped() {
        let mut day = Day::from(WRAP_WH - 100.0, INVERTERS);
        assert_eq!(day.see(50.0, INVERTERS), (Some(WRAP_WH + 50.0), Some("counter_wrapped")));
        assert_eq!(day.see(80.0, INVERTERS), (Some(WRAP_WH + 80.0), None));
    }

    #[test]
    fn a_small_step_back_is_waited_for() {
        let mut day = Day::from(1_000_000.0, METER);
        assert_eq!(day.see(999_000.0, METER), (Some(1_000_000.0), Some("counter_held")));
        assert_eq!(day.see(999_500.0, METER), (Some(1_000_000.0), None));
        assert_eq!(day.see(1_000_001.0, METER), (Some(1_000_001.0), Some("counter_returned")));
        assert_eq!(day.see(1_000_000.5, METER), (Some(1_000_001.0), None));
    }

    #[test]
    fn a_phantom_of_a_few_minutes_never_shows() {
        let mut day = Day::from(1_000_000.0, METER);
        assert_eq!(day.see(20_000_000.0, METER).0, None);
        for _ in 0..10 {
            assert_eq!(day.see(20_000_000.0, METER), (None, None));
        }
        assert_eq!(day.see(1_000_010.0, METER), (Some(1_000_010.0), Some("counter_returned")));
    }

    #[test]
    fn a_new_level_that_lasts_is_accepted() {
        let mut day = Day::from(1_000_000.0, METER);
        let seen: Vec<_> = (0..40).map(|minute| day.see(20_000_000.0 + f64::from(minute), METER)).collect();
        assert_eq!(seen.iter().filter(|(published, _)| published.is_none()).count(), 30);
        assert_eq!(seen[30], (Some(20_000_030.0), Some("counter_accepted")));
        assert_eq!(seen[31], (Some(20_000_031.0), None));
    }

    #[test]
    fn another_source_is_joined_on_and_the_true_total_comes_back() {
        let mut day = Day::from(19_000_000.0, METER);
        let seen: Vec<_> = (0..60).map(|minute| day.see(180_000.0 + f64::from(minute), INVERTERS)).collect();
        assert_eq!(seen[30], (Some(19_000_030.0), Some("counter_rebased")));
        assert_eq!(seen[59], (Some(19_000_059.0), None));
        // The meter returns, and has counted a little less than the inverters.
        assert_eq!(day.see(19_000_050.0, METER), (Some(19_000_059.0), None));
        assert_eq!(day.see(19_000_070.0, METER), (Some(19_000_070.0), Some("counter_returned")));
    }

    #[test]
    fn a_week_switched_off_is_no_incident() {
        let mut day = Day::from(1_000_000.0, METER);
        day.minute += 7 * 24 * 60;
        assert_eq!(day.see(1_200_000.0, METER), (Some(1_200_000.0), None));
    }

    proptest::proptest! {
        /// The published total never decreases, whatever the gateway shows. After an hour of correct readings, the guard
        /// follows them again.
        #[test]
        fn a_published_total_never_goes_backward(
            history in proptest::collection::vec((0_u8..8, 0.0_f64..3_000.0, proptest::bool::ANY), 1..300),
        ) {
            let (mut total, mut shown) = (2_000_000.0, 2_000_000.0);
            let mut day = Day::from(total, METER);
            for (kind, growth, meter) in history {
                total += growth;
                let raw = match kind {
                    0 => 0.0,
                    1 => total % WRAP_WH,
                    2 => total * 17.0,
                    3 => total - 3_000.0,
                    _ => total,
                };
                let (published, _) = day.see(raw, if meter { METER } else { INVERTERS });
                if let Some(published) = published {
                    proptest::prop_assert!(published >= shown, "{published} after {shown}");
                    shown = published;
                }
            }
            let mut last = None;
            for _ in 0..70 {
                total += 10.0;
                last = day.see(total, METER).0;
            }
            let last = last.expect("sound readings are published");
            proptest::prop_assert!(last >= shown && last >= total - 1.0, "{last}, true {total}");
        }
    }
}
