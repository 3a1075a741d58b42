//! The hours in which it is day at a gateway, learned from its own production.
//!
//! An hour of the local day is light if the gateway produced in it on one of the last days. It is *day* if the hour before and
//! the hour after are light too: a gateway may sleep until the sun is high enough, and clouds shift that. Before two
//! days of production are known, it is day from 10:00 to 16:00.

use std::collections::BTreeMap;

use jiff::civil::{Date, DateTime};
use serde::{Deserialize, Serialize};

/// The minimum production of a light hour in W. At night, meters measure a few watts.
const LIGHT_W: f64 = 20.0;
/// The number of days for which an hour stays light.
const DAYS: i32 = 7;
/// The hours in which it is day until production is known.
const USUAL: std::ops::Range<i8> = 10..16;

/// The hours in which a gateway produces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Daylight {
    /// The first day of what is known.
    first: Option<Date>,
    /// The last day on which the gateway produced in each hour.
    hours: BTreeMap<i8, Date>,
}

impl Daylight {
    /// Records the production at a local time. Returns whether a new hour of the day is light.
    pub fn see(&mut self, local: DateTime, watts: f64) -> bool {
        if watts < LIGHT_W {
            return false;
        }
        let (date, hour) = (local.date(), local.hour());
        let is_recent = self.newest().is_some_and(|newest| (0..=DAYS).contains(&days(newest, date)));
        if !is_recent {
            // Months without a reading, or a clock that was set.
            *self = Self { first: Some(date), hours: BTreeMap::new() };
        }
        self.hours.insert(hour, date) != Some(date)
    }

    /// Returns whether it is day.
    pub fn is_day(&self, local: DateTime) -> bool {
        let hour = local.hour();
        if !self.is_known() {
            return USUAL.contains(&hour);
        }
        [hour - 1, hour, hour + 1].into_iter().all(|hour| self.is_light(hour.rem_euclid(24)))
    }

    /// Returns whether a whole day is known.
    fn is_known(&self) -> bool {
        self.first.zip(self.newest()).is_some_and(|(first, newest)| days(first, newest) >= 2)
    }

    fn is_light(&self, hour: i8) -> bool {
        let last = self.hours.get(&hour).zip(self.newest());
        last.is_some_and(|(last, newest)| days(*last, newest) <= DAYS)
    }

    fn newest(&self) -> Option<Date> {
        self.hours.values().max().copied()
    }
}

/// Returns the number of days from one date to another.
fn days(from: Date, to: Date) -> i32 {
    // Without a larger unit, the span consists of days.
    from.until(to).map_or(i32::MAX, |span| span.get_days())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn at(day: i8, hour: i8) -> DateTime {
        date(2026, 3, day).at(hour, 30, 0, 0)
    }

    /// Returns what is known after days of production in these hours, up to this day.
    fn lit(hours: std::ops::Range<i8>, until: i8) -> Daylight {
        let mut daylight = Daylight::default();
        for day in 1..=until {
            for hour in 0..24 {
                daylight.see(at(day, hour), if hours.contains(&hour) { 500.0 } else { 4.0 });
            }
        }
        daylight
    }

    fn day_hours(daylight: &Daylight, day: i8) -> Vec<i8> {
        (0..24).filter(|hour| daylight.is_day(at(day, *hour))).collect()
    }

    #[test]
    fn before_anything_is_known_it_is_day_from_ten_to_four() {
        let usual: Vec<i8> = (10..16).collect();
        assert_eq!(day_hours(&Daylight::default(), 1), usual);
        assert_eq!(day_hours(&lit(5..21, 2), 2), usual, "there was no whole day yet");
    }

    #[test]
    fn it_is_day_between_the_first_and_the_last_hour_of_production() {
        assert_eq!(day_hours(&lit(6..20, 5), 6), (7..19).collect::<Vec<i8>>());
    }

    #[test]
    fn a_machine_with_another_time_zone_than_the_roof_learns_the_same() {
        let mut daylight = Daylight::default();
        for day in 1..=5 {
            for hour in [20, 21, 22, 23, 0, 1, 2, 3] {
                daylight.see(at(day, hour), 500.0);
            }
        }
        assert_eq!(day_hours(&daylight, 6), [0, 1, 2, 21, 22, 23]);
    }

    #[test]
    fn an_hour_is_forgotten_after_a_week_in_which_the_gateway_produced_at_others_only() {
        let mut daylight = lit(6..20, 3);
        for day in 4..=11 {
            for hour in 9..15 {
                daylight.see(at(day, hour), 500.0);
            }
        }
        assert_eq!(day_hours(&daylight, 12), (10..14).collect::<Vec<i8>>());
    }

    #[test]
    fn dark_days_and_an_outage_change_nothing_and_a_long_absence_begins_again() {
        let daylight = lit(6..20, 5);
        assert_eq!(day_hours(&daylight, 28), (7..19).collect::<Vec<i8>>());
        let mut later = daylight;
        assert!(later.see(at(28, 11), 500.0));
        assert!(!later.see(at(28, 11), 500.0), "known already");
        assert_eq!(day_hours(&later, 28), (10..16).collect::<Vec<i8>>());
    }
}
