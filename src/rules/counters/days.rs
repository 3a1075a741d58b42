//! The values of today and yesterday, from the lifetime total at local midnight.
//!
//! The gateway's own daily totals are reset late, not always to 0, and off by an hour when the clocks change. A day is
//! unknown if there is a gap of more than an hour between the readings at its beginning or end, unless hardly anything
//! was counted in the gap.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::base::units::WattHours;

/// The longest gap around midnight whose energy is assigned to the new day.
const GAP: SignedDuration = SignedDuration::from_hours(1);
/// The energy in a longer gap that is small enough to ignore.
const NOTHING_WH: f64 = 100.0;

/// The current day of one total.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Days {
    #[serde(default)]
    day: Option<Day>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Day {
    date: Date,
    /// The total at midnight, if it is known.
    start: Option<f64>,
    /// The energy of the day before, if it is known.
    before: Option<f64>,
    last: f64,
    last_at: Timestamp,
}

impl Days {
    /// Records the total published at `time`.
    pub fn record(&mut self, total: WattHours, time: Timestamp, zone: &TimeZone) {
        let date = time.to_zoned(zone.clone()).date();
        let total = total.value();
        let fresh = Day { date, start: None, before: None, last: total, last_at: time };
        self.day = Some(match self.day {
            Some(day) if day.date == date => Day { last: total, last_at: time, ..day },
            Some(day) if day.date.tomorrow().is_ok_and(|next| next == date) => day.turn(fresh),
            // The clock was set back over midnight; that day has ended already.
            Some(day) if date.tomorrow().is_ok_and(|next| next == day.date) => day,
            _ => fresh,
        });
    }

    /// Returns the energy of `date`, which is today.
    pub fn today(&self, date: Date) -> Option<WattHours> {
        let day = self.day.filter(|day| day.date == date)?;
        WattHours::new(day.last - day.start?)
    }

    /// Returns the energy of the day before `date`, which is today.
    pub fn yesterday(&self, date: Date) -> Option<WattHours> {
        self.day.filter(|day| day.date == date)?.before.and_then(WattHours::new)
    }
}

impl Day {
    /// Begins a new day after midnight.
    fn turn(self, fresh: Self) -> Self {
        let gap = fresh.last_at.duration_since(self.last_at);
        if gap > GAP && fresh.last - self.last > NOTHING_WH {
            return fresh;
        }
        let before = self.start.map(|start| self.last - start);
        Self { start: Some(self.last), before, ..fresh }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone() -> TimeZone {
        // Amsterdam.
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
    }

    fn at(local: &str) -> Timestamp {
        local.parse::<jiff::civil::DateTime>().unwrap().to_zoned(zone()).unwrap().timestamp()
    }

    /// Returns today and yesterday after the readings.
    fn after(readings: &[(&str, f64)]) -> (Option<f64>, Option<f64>) {
        let mut days = Days::default();
        for (local, total) in readings {
            days.record(WattHours::new(*total).unwrap(), at(local), &zone());
        }
        let date = at(readings.last().unwrap().0).to_zoned(zone()).date();
        (days.today(date).map(WattHours::value), days.yesterday(date).map(WattHours::value))
    }

    #[test]
    fn the_first_day_is_unknown_and_the_second_is_not() {
        assert_eq!(after(&[("2026-06-20T15:00", 100.0), ("2026-06-20T23:59", 900.0)]), (None, None));
        let second =
            after(&[("2026-06-20T23:59", 900.0), ("2026-06-21T00:01", 905.0), ("2026-06-21T12:00", 5_000.0)]);
        assert_eq!(second, (Some(4_100.0), None));
        let third = after(&[
            ("2026-06-20T23:59", 900.0),
            ("2026-06-21T00:01", 905.0),
            ("2026-06-21T23:58", 9_900.0),
            ("2026-06-22T00:02", 9_950.0),
        ]);
        assert_eq!(third, (Some(50.0), Some(9_000.0)));
    }

    #[test]
    fn days_of_23_and_25_hours_begin_and_end_at_midnight() {
        for date in ["2026-03-29", "2026-10-25"] {
            let day: Date = date.parse().unwrap();
            let (before, next) = (day.yesterday().unwrap(), day.tomorrow().unwrap());
            let readings = [
                (format!("{before}T23:59"), 1_000.0),
                (format!("{day}T00:01"), 1_000.0),
                (format!("{day}T23:59"), 8_000.0),
                (format!("{next}T00:01"), 8_000.0),
            ];
            let readings: Vec<(&str, f64)> =
                readings.iter().map(|(at, total)| (at.as_str(), *total)).collect();
            assert_eq!(after(&readings), (Some(0.0), Some(7_000.0)));
        }
    }

    #[test]
    fn a_week_switched_off_leaves_both_unknown_until_midnight() {
        let off = [("2026-06-20T23:59", 100.0), ("2026-06-21T00:01", 100.0), ("2026-06-28T12:00", 50_000.0)];
        assert_eq!(after(&off), (None, None));
        let mut later = off.to_vec();
        later.extend([
            ("2026-06-28T23:59", 55_000.0),
            ("2026-06-29T00:01", 55_000.0),
            ("2026-06-29T12:00", 60_000.0),
        ]);
        assert_eq!(after(&later), (Some(5_000.0), None));
    }

    #[test]
    fn a_night_switched_off_does_no_harm_when_nothing_was_counted() {
        let dark = [("2026-06-20T00:01", 0.0), ("2026-06-20T22:30", 900.0), ("2026-06-21T05:30", 910.0)];
        assert_eq!(after(&dark).0, Some(10.0));
        let windy = [("2026-06-20T00:01", 0.0), ("2026-06-20T22:30", 900.0), ("2026-06-21T05:30", 4_000.0)];
        assert_eq!(after(&windy).0, None);
    }

    #[test]
    fn a_clock_put_back_over_midnight_costs_nothing() {
        let back = [
            ("2026-06-20T23:59", 900.0),
            ("2026-06-21T00:01", 905.0),
            ("2026-06-20T23:59", 906.0),
            ("2026-06-21T00:02", 910.0),
        ];
        assert_eq!(after(&back), (Some(10.0), None));
    }
}
