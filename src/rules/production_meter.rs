//! Detects a production meter that measures far less than the inverters report.
//!
//! The causes are a reversed transformer or one around the wrong wire, an open breaker, or a meter with the wrong phases.
//! Production, house and their totals are too low then, and nothing else shows it.
//!
//! Inverters report means over 5 to 15 minutes, some gateways hourly, while the meter shows the current second. So the
//! meter must be below a fifth in every reading while each inverter sends three new reports: no cloud and no dusk lasts
//! that long while the inverters still produce. A meter that shows a fifth or more may cover only a part of the panels on
//! purpose. One that shows less is reported once.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::base::reading::{Event, Inverter, Reading, Source};
use crate::base::units::Watts;

/// The minimum power of the inverters for a comparison: it excludes dusk, and powers too small for a transformer.
const ENOUGH_W: f64 = 500.0;
/// The share of the inverters' sum below which a meter is blind.
const BLIND: f64 = 0.2;
/// The age from which a report is ignored. Inverters report every 5 to 15 minutes, some gateways hourly.
const LATE: SignedDuration = SignedDuration::from_mins(65);
/// The number of new reports of each inverter before a result.
const ROUNDS: u32 = 3;
/// The minimum time before a result.
const LASTING: SignedDuration = SignedDuration::from_mins(45);

/// A comparison of the production meter with the inverters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// The power of the production meter.
    pub meter: Watts,
    /// The sum of the inverters in W, minus the charging power of batteries, which may be behind the same meter.
    pub inverters: f64,
    /// The time of the meter's value.
    at: Timestamp,
    /// The times of the oldest and newest report.
    reports: (Timestamp, Timestamp),
}

impl Comparison {
    /// Compares the meter and the inverters of `reading`, if it has enough data.
    pub fn of(reading: &Reading) -> Option<Self> {
        let production =
            reading.production.as_ref().filter(|production| production.source == Source::Meter)?;
        let (meter, at) = (production.power_w?, production.measured_at?);
        let fresh = |inverter: &&Inverter| {
            let age = inverter.reported_at.map(|reported| at.duration_since(reported));
            age.is_some_and(|age| age < LATE && age > -LATE)
        };
        let (mut sum, mut reports) = (0.0, None);
        for inverter in reading.inverters.iter().filter(fresh) {
            let (Some(power), Some(reported)) = (inverter.power_w, inverter.reported_at) else { continue };
            sum += power.value();
            let (oldest, newest) = reports.unwrap_or((reported, reported));
            reports = Some((reported.min(oldest), reported.max(newest)));
        }
        let inverters = sum - charging(reading)?;
        (inverters >= ENOUGH_W).then_some(Self { meter, inverters, at, reports: reports? })
    }

    /// Returns `true` if the meter measures less than a fifth of the inverters' sum.
    pub fn is_blind(&self) -> bool {
        self.meter.value() < BLIND * self.inverters
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the production meter shows {:.0} W and the inverters report {:.0} W",
            self.meter.value(),
            self.inverters
        )
    }
}

/// The advice for a blind meter.
pub const ADVICE: &str = "production, house and their totals are too low. Check the production transformer (its arrow, the \
                          wire it is around, its plug), the breaker of its voltage, and that the meter is enabled with \
                          the right phases in the Enphase Installer app. If it measures only a part of the panels on \
                          purpose, ignore this message";

/// Returns the charging power of the batteries, or `None` if it is unknown.
fn charging(reading: &Reading) -> Option<f64> {
    match reading.storage.as_ref().and_then(|storage| storage.power_w) {
        Some(power) => Some((-power).positive().value()),
        None if reading.batteries.is_empty() => Some(0.0),
        None => None,
    }
}

/// The comparisons of one gateway's production meter. The report is stored, so that a restart does not repeat it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ProductionMeter {
    #[serde(skip)]
    stretch: Option<Stretch>,
    /// The time since when the meter has been blind, if that was reported.
    #[serde(default)]
    reported: Option<Timestamp>,
}

/// A period of readings with the same result.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    blind: bool,
    since: Timestamp,
    last: Timestamp,
    /// The number of new reports of each inverter.
    rounds: u32,
    /// The time of the newest report when the last round began.
    round_began: Timestamp,
}

impl Stretch {
    /// Extends `before`, or begins a new stretch if the result differs or there was a gap.
    fn extend(before: Option<Self>, comparison: &Comparison) -> Self {
        let (at, (oldest, newest)) = (comparison.at, comparison.reports);
        let goes_on = |stretch: &Self| {
            let gap = at.duration_since(stretch.last);
            stretch.blind == comparison.is_blind() && gap < LATE && gap >= SignedDuration::ZERO
        };
        let Some(stretch) = before.filter(goes_on) else {
            let blind = comparison.is_blind();
            return Self { blind, since: at, last: at, rounds: 0, round_began: newest };
        };
        if oldest > stretch.round_began {
            Self { last: at, rounds: stretch.rounds + 1, round_began: newest, ..stretch }
        } else {
            Self { last: at, ..stretch }
        }
    }

    fn has_lasted(&self) -> bool {
        self.rounds >= ROUNDS && self.last.duration_since(self.since) >= LASTING
    }
}

impl ProductionMeter {
    /// Compares the meter with the inverters of `reading`. Returns an event if the meter has become blind or recovered.
    pub fn see(&mut self, reading: &Reading) -> Option<Event> {
        let comparison = Comparison::of(reading)?;
        let stretch = Stretch::extend(self.stretch, &comparison);
        self.stretch = Some(stretch);
        if !stretch.has_lasted() {
            return None;
        }
        let time = reading.time;
        match (stretch.blind, self.reported) {
            (true, None) => {
                self.reported = Some(stretch.since);
                let message = format!("{comparison}: {ADVICE}");
                Some(Event { time, kind: "production_meter_blind", message })
            }
            (false, Some(since)) => {
                self.reported = None;
                let length = stretch.since.duration_since(since).as_hours();
                let message =
                    format!("{comparison}: the meter measures the production again, after {length} h");
                Some(Event { time, kind: "production_meter_sees", message })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::reading::{Battery, GatewayFacts, Production, Serial, Storage};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_782_036_900 + second).unwrap()
    }

    fn serial(number: i64) -> Serial {
        Serial::parse(&number.to_string()).unwrap()
    }

    /// Returns a reading with a meter and ten inverters. Each inverter reports the mean of the last `period` seconds, at
    /// a different second.
    fn reading(second: i64, meter: f64, sun: impl Fn(i64) -> f64, period: i64) -> Reading {
        let gateway = GatewayFacts {
            serial: serial(1),
            name: None,
            firmware: "8.3.5289".to_owned(),
            part_number: None,
            metered: true,
        };
        let mut reading = Reading::empty(at(second), gateway);
        reading.production = Some(Production {
            power_w: Watts::new(meter),
            energy_wh: None,
            today_wh: None,
            yesterday_wh: None,
            source: Source::Meter,
            measured_at: Some(at(second)),
        });
        reading.inverters = (0..10)
            .map(|number| {
                let reported = (second - number * 7).div_euclid(period) * period + number * 7;
                Inverter {
                    power_w: Watts::new(sun(reported - period / 2) / 10.0),
                    reported_at: Some(at(reported)),
                    ..Inverter::unmeasured(serial(number))
                }
            })
            .collect();
        reading
    }

    const DAY: i64 = 86_400;

    /// Returns the production over one day in W, at most `most`.
    fn sunny(most: f64) -> impl Fn(i64) -> f64 {
        move |second| {
            let hour = f64::from(i32::try_from(second.rem_euclid(DAY)).unwrap()) / 3600.0;
            most * (1.0 - ((hour - 12.0) / 6.0).powi(2)).max(0.0)
        }
    }

    /// Returns the events of some days with a reading every 30 seconds; `meter` returns the meter's value for the sun's.
    fn days(
        days: i64,
        period: i64,
        sun: impl Fn(i64) -> f64,
        meter: impl Fn(i64, f64) -> f64,
    ) -> Vec<(i64, &'static str)> {
        let mut production_meter = ProductionMeter::default();
        (0..days * DAY)
            .step_by(30)
            .filter_map(|second| {
                let event =
                    production_meter.see(&reading(second, meter(second, sun(second)), &sun, period))?;
                Some((second, event.kind))
            })
            .collect()
    }

    #[test]
    fn a_meter_that_sees_nothing_or_a_tenth_is_reported_once() {
        for period in [300, 900, 3600] {
            let blind: [fn(f64) -> f64; 4] = [|_| 0.0, |sun| sun / 10.0, |_| -4.0, |sun| -sun];
            for share in blind {
                let events = days(3, period, sunny(4_000.0), |_, sun| share(sun));
                assert_eq!(events.len(), 1, "{period}: {events:?}");
                assert_eq!(events[0].1, "production_meter_blind");
            }
        }
    }

    #[test]
    fn a_sound_meter_is_never_reported_not_at_dusk_nor_under_clouds_nor_at_night() {
        // A cloud front of 40 minutes every two hours, with flicker between; meters show slightly less than inverters.
        let cloudy = |second: i64| {
            let clear = second.rem_euclid(7200) > 2400;
            let flickers = second.rem_euclid(600) < 200;
            sunny(6_000.0)(second) * if clear { 1.0 } else { 0.03 } * if flickers { 0.1 } else { 1.0 }
        };
        for period in [300, 900, 3600] {
            assert_eq!(days(3, period, sunny(6_000.0), |_, sun| sun * 0.97 - 4.0), []);
            assert_eq!(days(3, period, cloudy, |_, sun| sun * 0.97 - 4.0), []);
        }
    }

    #[test]
    fn a_meter_around_a_third_of_the_panels_is_one_that_covers_a_part() {
        assert_eq!(days(3, 900, sunny(6_000.0), |_, sun| sun / 3.0), []);
    }

    #[test]
    fn a_meter_that_is_mended_is_reported_once_more() {
        let mended = |second: i64, sun: f64| if second < DAY + DAY / 2 { 0.0 } else { sun };
        let kinds: Vec<_> = days(4, 900, sunny(4_000.0), mended).into_iter().map(|(_, kind)| kind).collect();
        assert_eq!(kinds, ["production_meter_blind", "production_meter_sees"]);
    }

    #[test]
    fn a_restart_does_not_report_it_again() {
        let mut meter = ProductionMeter::default();
        let mut events = 0;
        for second in (DAY / 3..DAY / 3 * 2).step_by(30) {
            events += usize::from(meter.see(&reading(second, 0.0, sunny(4_000.0), 900)).is_some());
            if second == DAY / 2 {
                meter = serde_json::from_str(&serde_json::to_string(&meter).unwrap()).unwrap();
            }
        }
        assert_eq!(events, 1);
    }

    #[test]
    fn an_hour_is_not_enough_for_reports_that_come_once_an_hour() {
        let first = days(1, 3600, sunny(4_000.0), |_, _| 0.0)[0].0;
        let early = days(1, 300, sunny(4_000.0), |_, _| 0.0)[0].0;
        assert!(first - early > 3600, "{first} and {early}");
    }

    #[test]
    fn batteries_that_charge_behind_the_meter_explain_it() {
        let mut reading = reading(DAY / 2, 50.0, sunny(3_000.0), 300);
        assert!(Comparison::of(&reading).unwrap().is_blind());
        reading.batteries = vec![Battery::unmeasured(serial(7), "acb")];
        assert_eq!(Comparison::of(&reading), None, "they may charge");
        reading.storage = Some(Storage { power_w: Watts::new(-2_900.0), ..Storage::default() });
        assert_eq!(Comparison::of(&reading), None, "they take nearly all");
        reading.storage = Some(Storage { power_w: Watts::new(-1_000.0), ..Storage::default() });
        assert!(Comparison::of(&reading).unwrap().is_blind());
    }

    #[test]
    fn reports_of_yesterday_evening_say_nothing() {
        let mut reading = reading(DAY / 2, 0.0, sunny(3_000.0), 300);
        for inverter in &mut reading.inverters {
            inverter.reported_at = Some(at(DAY / 2 - 4_000));
        }
        assert_eq!(Comparison::of(&reading), None);
    }
}
