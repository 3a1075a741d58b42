//! One lifetime total and the rules that guard it.
//!
//! What is published is the gateway's total plus a base, and never less than before.
//!
//! - A **zero** after something else is held back (nothing is published) until the total is there again.
//! - A drop by **2^32 J** less a little growth, of the inverters' total, is a wrap: the base grows by it.
//! - A **small step back** (to 5 kWh) holds what is published until the total has caught up.
//! - A larger step back, a **step that no roof can make** (200 kW since the last reading and a quarter of an hour
//!   more) and the total of **another source** are held back. When the old total comes back, it goes on as if nothing
//!   had been. When the new total has lasted half an hour and three readings, moving as a total does, it is accepted:
//!   as it is if it is at least what is published, else on a new base that joins it on without a step.
//! - After that, a return to the **old total** takes the old base again, so that the true total is reached.
//!
//! Time is the guard's own (`Moment`): how far a clock is off or jumps changes nothing.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::moment::Moment;
use crate::base::reading::Source;
use crate::base::units::WattHours;

/// 2^32 J: `production.json` of firmware 7.3.130 to before 8.2.4264 shows the inverters' total modulo this.
pub const WRAP_WH: f64 = 4_294_967_296.0 / 3600.0;
/// More than any gateway's inverters give (600 of them make 180 kW).
const MOST_POWER_W: f64 = 200_000.0;
/// Inverters report up to a quarter of an hour late, all at once.
const LATE_S: f64 = 15.0 * 60.0;
/// A step back up to this is waited for.
const SMALL_STEP_WH: f64 = 5_000.0;
/// A step back up to this is not worth a word: the pages of one cycle are a second apart.
const NOISE_WH: f64 = 20.0;
/// A new level must last so long while the program runs.
const QUARANTINE_S: f64 = 30.0 * 60.0;
/// In so many readings at least.
const QUARANTINE_READINGS: u32 = 3;

/// A total as the gateway shows it, and what is added to it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Level {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<Source>,
    raw: f64,
    #[serde(default)]
    base: f64,
    /// [`Moment::passed`] when it was seen.
    #[serde(default)]
    seen: f64,
}

impl Level {
    /// Whether `raw` can be this total at `now`: grown by no more than a roof can make, or back a little.
    fn continues(&self, raw: f64, source: Option<Source>, now: Moment) -> bool {
        let growth = raw - self.raw;
        self.source == source && growth >= -SMALL_STEP_WH && growth <= self.most_growth(now)
    }

    fn most_growth(&self, now: Moment) -> f64 {
        MOST_POWER_W * ((now.passed - self.seen).max(0.0) + LATE_S) / 3600.0
    }
}

/// A level that is not believed yet.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Suspect {
    first: f64,
    /// [`Moment::running`] when it was seen first.
    #[serde(default)]
    begun: f64,
    readings: u32,
    level: Level,
}

impl Suspect {
    /// Goes on with `known` if the gateway still shows that total, else begins anew with the one it shows now.
    pub(super) fn see(known: Option<Self>, raw: f64, source: Option<Source>, now: Moment) -> Self {
        let level = Level { source, raw, base: 0.0, seen: now.passed };
        match known.filter(|suspect| suspect.level.continues(raw, source, now)) {
            Some(suspect) => Self { readings: suspect.readings + 1, level, ..suspect },
            None => Self { first: raw, begun: now.running, readings: 1, level },
        }
    }

    /// Whether it has lasted long enough to be believed.
    pub(super) fn has_lasted(&self, now: Moment) -> bool {
        now.running - self.begun >= QUARANTINE_S && self.readings >= QUARANTINE_READINGS
    }
}

/// One guarded total.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Track {
    published: f64,
    level: Level,
    // Rare, and there is a track for each inverter: on the heap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    former: Option<Box<Level>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    suspect: Option<Box<Suspect>>,
    /// An incident that was told goes on.
    #[serde(default)]
    told: bool,
}

/// What to do when the guard keeps to a total that was never right.
const WAY_BACK: &str =
    "If the published total is wrong, `enphased gateway reset-totals` starts again from the gateway's";

/// What happened to a total.
#[derive(Clone, Debug, PartialEq)]
pub enum Incident {
    /// Held back, because of a zero.
    Zero,
    /// Held back, because it cannot be.
    Held {
        /// What was shown before.
        from: f64,
        /// What is shown now.
        to: f64,
        /// Whose total it is now.
        source: Option<Source>,
    },
    /// It stepped back a little; what is published stands still for that long.
    SteppedBack {
        /// By how much.
        by: f64,
    },
    /// It wrapped at 2^32 J.
    Wrapped,
    /// Another total goes on from what was published.
    Rebased {
        /// What is added to it from now on.
        base: f64,
        /// Whose total it is.
        source: Option<Source>,
    },
    /// A step was believed in the end.
    Accepted {
        /// How large it is.
        step: f64,
    },
    /// The total is there again.
    Returned,
    /// The first total that was ever seen is more than the site can have made.
    Doubted {
        /// What is shown.
        raw: f64,
        /// What the site can have made.
        most: f64,
    },
    /// The operator has had the guard forget the total.
    Reset {
        /// What was published before, if anything.
        from: Option<f64>,
        /// What is published now.
        to: f64,
    },
}

impl Incident {
    /// A stable word for programs.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Zero | Self::Held { .. } | Self::SteppedBack { .. } | Self::Doubted { .. } => {
                "counter_held"
            }
            Self::Reset { .. } => "counter_reset",
            Self::Wrapped => "counter_wrapped",
            Self::Rebased { .. } => "counter_rebased",
            Self::Accepted { .. } => "counter_accepted",
            Self::Returned => "counter_returned",
        }
    }
}

impl fmt::Display for Incident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zero => {
                write!(
                    f,
                    "the gateway shows 0, as after a restart; nothing is published until the total is back"
                )
            }
            Self::Held { from, to, source } => {
                let whose = source_name(*source);
                write!(
                    f,
                    "implausible change from {from:.0} to {to:.0} Wh ({whose}); nothing is published until the total is \
                     back or the new one has lasted for half an hour"
                )
            }
            Self::SteppedBack { by } => {
                write!(f, "a step back by {by:.0} Wh; the published total waits until it has caught up")
            }
            Self::Wrapped => write!(f, "it wrapped at 2^32 J and goes on from there"),
            Self::Rebased { base, source } => {
                write!(
                    f,
                    "the new total of {} has lasted; it continues with {base:.0} Wh added, so that the published total \
                     never goes backward. {WAY_BACK}",
                    source_name(*source)
                )
            }
            Self::Accepted { step } => {
                write!(f, "a step of {step:.0} Wh has lasted and is accepted. {WAY_BACK}")
            }
            Self::Returned => write!(f, "the total is back"),
            Self::Doubted { raw, most } => write!(
                f,
                "the first total that the gateway shows, {raw:.0} Wh, is more than its inverters can have made in 30 \
                 years ({most:.0} Wh); nothing is published until it has lasted for half an hour"
            ),
            Self::Reset { from: Some(from), to } => {
                write!(f, "reset by the operator from {from:.0} to {to:.0} Wh")
            }
            Self::Reset { from: None, to } => write!(f, "reset by the operator to {to:.0} Wh"),
        }
    }
}

impl Track {
    /// The first time a total is seen.
    pub(super) fn new(raw: WattHours, source: Option<Source>, now: Moment) -> Self {
        let level = Level { source, raw: raw.value(), base: 0.0, seen: now.passed };
        Self { published: raw.value(), level, former: None, suspect: None, told: false }
    }

    /// Takes the total as shown at `now`; gives what may be published and what happened.
    pub(super) fn step(
        &mut self,
        raw: WattHours,
        source: Option<Source>,
        now: Moment,
    ) -> (Option<WattHours>, Option<Incident>) {
        let raw = raw.value();
        if raw <= 0.0 && self.level.raw > 0.0 {
            return (None, self.tell(Incident::Zero));
        }
        // From nothing a total may go anywhere: a gateway seen first just after its boot.
        let fresh = self.level.raw <= 0.0 && self.published <= 0.0;
        if fresh || self.level.continues(raw, source, now) {
            // The highest stays the mark, so that many small steps back do not add up to a large one.
            let mark = raw.max(self.level.raw);
            return self.go_on(raw, Level { source, raw: mark, base: self.level.base, seen: now.passed });
        }
        if self.wrapped(raw, source, now) {
            let base = self.level.base + WRAP_WH;
            let (published, _) = self.go_on(raw, Level { source, raw, base, seen: now.passed });
            return (published, Some(Incident::Wrapped));
        }
        if let Some(former) = self.former.take_if(|former| former.continues(raw, source, now)) {
            self.told = true;
            return self.go_on(raw, Level { raw, seen: now.passed, ..*former });
        }
        self.quarantine(raw, source, now)
    }

    /// The total goes on at `level`, where the gateway shows `raw`.
    fn go_on(&mut self, raw: f64, level: Level) -> (Option<WattHours>, Option<Incident>) {
        let total = raw + level.base;
        let back = self.published - total;
        self.level = level;
        self.suspect = None;
        self.published = self.published.max(total);
        let incident = if back > NOISE_WH {
            self.tell(Incident::SteppedBack { by: back })
        } else if back <= 0.0 && self.told {
            self.told = false;
            Some(Incident::Returned)
        } else {
            None
        };
        (WattHours::new(self.published), incident)
    }

    /// What is published.
    pub fn published(&self) -> Option<WattHours> {
        WattHours::new(self.published)
    }

    /// [`Moment::passed`] when the total was seen last.
    pub(super) fn seen(&self) -> f64 {
        self.level.seen
    }

    fn tell(&mut self, incident: Incident) -> Option<Incident> {
        let news = !self.told;
        self.told = true;
        news.then_some(incident)
    }

    fn wrapped(&self, raw: f64, source: Option<Source>, now: Moment) -> bool {
        let growth = raw + WRAP_WH - self.level.raw;
        source == Some(Source::Inverters)
            && self.level.source == source
            && (0.0..=self.level.most_growth(now)).contains(&growth)
    }

    fn quarantine(
        &mut self,
        raw: f64,
        source: Option<Source>,
        now: Moment,
    ) -> (Option<WattHours>, Option<Incident>) {
        let suspect = Suspect::see(self.suspect.take().map(|suspect| *suspect), raw, source, now);
        let level = suspect.level;
        if !suspect.has_lasted(now) {
            self.suspect = Some(Box::new(suspect));
            let from = self.level.raw;
            return (None, self.tell(Incident::Held { from, to: raw, source }));
        }
        self.former = Some(Box::new(self.level));
        let step = raw - self.published;
        let incident = if step >= 0.0 {
            self.level = level;
            Incident::Accepted { step }
        } else {
            // What was gained while it was not believed is counted.
            let base = self.published - suspect.first;
            self.level = Level { base, ..level };
            Incident::Rebased { base, source }
        };
        self.told = false;
        self.published = self.published.max(self.level.raw + self.level.base);
        (WattHours::new(self.published), Some(incident))
    }
}

/// The word for a source in messages.
fn source_name(source: Option<Source>) -> &'static str {
    match source {
        Some(Source::Meter) => "the meter",
        Some(Source::Inverters) => "the inverters",
        None => "the gateway",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METER: Option<Source> = Some(Source::Meter);
    const INVERTERS: Option<Source> = Some(Source::Inverters);

    /// A day of readings, one a minute.
    struct Day {
        track: Track,
        minute: u32,
    }

    impl Day {
        fn from(total: f64, source: Option<Source>) -> Self {
            Self { track: Track::new(wh(total), source, at(0)), minute: 0 }
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

    fn at(minute: u32) -> Moment {
        Moment { running: 60.0 * f64::from(minute), passed: 60.0 * f64::from(minute) }
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
        // The meter is back and has counted a little less than the inverters.
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
        /// Whatever a gateway shows, what is published does not go backward, and an hour of sound readings later
        /// the guard follows them again.
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
