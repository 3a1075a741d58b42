//! The energy in the reports of one inverter.
//!
//! A report contains the mean power since the report before: in recordings of firmware 8.2 and 8.3 it is
//! `joulesProduced / duration` of `device_data`, for about 5 or 15 minutes. So the energy of a report is its power, times
//! the time since the last one. After a longer gap (a night, an outage) the power before that is unknown, and the report
//! counts for one usual interval.
//!
//! The time comes from the gateway's clock, which may be set. So the time that is counted is also limited by the time
//! that has passed on the guard's own clock.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::stopwatch::GuardTime;
use crate::base::units::Watts;

/// The longest time that one report covers, in seconds. Inverters report every 5 to 15 minutes, some gateways hourly.
const LONGEST_S: f64 = 65.0 * 60.0;
/// The age of a report when it is read, in seconds: the page is read every 5 minutes, and may be slow.
const LATE_S: f64 = 6.0 * 60.0;
/// The interval of inverters of which only one report is known, in seconds.
const USUAL_S: f64 = 15.0 * 60.0;

/// The reports of one inverter.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct InverterReports {
    /// The time of the newest counted report.
    at: Timestamp,
    /// [`GuardTime::passed`] up to which energy was counted.
    until: f64,
    /// The last interval between two reports, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    interval: Option<f64>,
    /// The power in the newest report, in W.
    #[serde(skip)]
    power: f64,
}

impl InverterReports {
    /// Begins with a report whose energy is unknown.
    pub(super) fn new(at: Timestamp, now: GuardTime) -> Self {
        Self { at, until: now.passed - LATE_S, interval: None, power: 0.0 }
    }

    /// Returns the energy of the report made at `at`, in Wh: 0 if it was counted before.
    pub(super) fn energy(&mut self, power: Watts, at: Timestamp, now: GuardTime) -> f64 {
        let since = at.duration_since(self.at).as_secs_f64();
        // If a report is older by more than an hour, the gateway's clock was set.
        if (-LONGEST_S..=0.0).contains(&since) {
            return 0.0;
        }
        self.at = at;
        self.power = power.positive().value();
        if (0.0..=LONGEST_S).contains(&since) {
            self.interval = Some(since);
        }
        // Time that no report has covered is lost.
        self.until = self.until.max(now.passed - LONGEST_S);
        let counted = self.interval.unwrap_or(0.0).min(now.passed - self.until).max(0.0);
        self.until += counted;
        self.power * counted / 3600.0
    }

    /// Returns the energy in Wh that may be counted in the next `seconds`, if the power grows.
    pub(super) fn most_growth(&self, max_power: Option<Watts>, seconds: f64) -> f64 {
        let growing = 4.0 * self.power + 8.0;
        let power = max_power.map_or(growing, |most| growing.min(most.positive().value()));
        power * (seconds + self.interval.unwrap_or(USUAL_S)) / 3600.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(second: i64) -> Timestamp {
        Timestamp::from_second(1_782_036_900 + second).unwrap()
    }

    #[expect(clippy::cast_precision_loss, reason = "a few days")]
    fn at(second: i64) -> GuardTime {
        GuardTime { running: second as f64, passed: second as f64 }
    }

    /// Returns the energy of reports of 360 W, given as pairs of the gateway's and the guard's seconds.
    fn counted(reports: &[(i64, i64)]) -> Vec<f64> {
        let mut seen = InverterReports::new(stamp(reports[0].0), at(reports[0].1));
        let power = Watts::new(360.0).unwrap();
        reports.iter().map(|(theirs, ours)| seen.energy(power, stamp(*theirs), at(*ours))).collect()
    }

    #[test]
    fn a_report_counts_once_for_the_time_since_the_one_before() {
        assert_eq!(
            counted(&[(0, 100), (0, 400), (900, 1000), (900, 1300), (1200, 1310)]),
            [0.0, 0.0, 90.0, 0.0, 30.0]
        );
        assert_eq!(
            counted(&[(0, 0), (900, 900), (600, 910), (900, 920), (1800, 1800)]),
            [0.0, 90.0, 0.0, 0.0, 90.0]
        );
    }

    #[test]
    fn after_a_night_a_report_counts_for_one_interval() {
        let (night, day) = (43_200, 44_100);
        assert_eq!(counted(&[(0, 0), (900, 900), (night, night), (day, day)]), [0.0, 90.0, 90.0, 90.0]);
        assert_eq!(counted(&[(0, 0), (night, night)]), [0.0, 0.0], "no interval is known");
    }

    #[test]
    fn no_jump_of_the_gateways_clock_counts_more_time_than_has_passed() {
        // An hour forward counts at most the age that a report may have; then the reports go on.
        let forward = counted(&[(0, 0), (300, 300), (4_200, 600), (4_500, 900), (4_800, 1_200)]);
        assert_eq!(forward, [0.0, 30.0, 66.0, 30.0, 30.0]);
        let back = counted(&[(90_000, 0), (90_300, 300), (600, 600), (900, 900)]);
        assert_eq!(back, [0.0, 30.0, 30.0, 30.0]);
    }

    proptest::proptest! {
        /// Whatever the gateway's clock shows, no more time is counted than has passed, plus the age of the first report.
        #[test]
        fn no_energy_is_counted_twice(
            steps in proptest::collection::vec((-200_000_i64..200_000, 1_i64..20_000, 0_u8..4), 1..200),
        ) {
            let mut seen = InverterReports::new(stamp(0), at(0));
            let (mut theirs, mut ours, mut wh) = (0, 0, 0.0);
            for (jump, passed, kind) in steps {
                ours += passed;
                theirs += match kind { 0 => jump, 1 => 0, _ => passed };
                wh += seen.energy(Watts::new(1.0).unwrap(), stamp(theirs), at(ours));
                seen = serde_json::from_str(&serde_json::to_string(&seen).unwrap()).unwrap();
                proptest::prop_assert!(wh * 3600.0 <= at(ours).passed + LATE_S + 0.001, "{wh} Wh in {ours} s");
            }
        }
    }
}
