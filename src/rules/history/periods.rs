//! Adds up stored days to days, months and years.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use crate::base::reading::Counter;
use crate::base::units::WattHours;
use crate::io::history::rows::{Day, Growth};

/// The length of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Length {
    Day,
    Month,
    Year,
}

impl Length {
    /// Returns the first date of the period that contains `date`.
    fn start(self, date: Date) -> Date {
        match self {
            Self::Day => date,
            Self::Month => date.first_of_month(),
            Self::Year => date.first_of_year(),
        }
    }
}

/// The energy of the site or of a device in a period.
#[derive(Clone, Debug, PartialEq)]
pub struct Period {
    /// The first date of the period.
    pub start: Date,
    /// The device; empty for the site.
    pub device: Box<str>,
    /// The energies, in the order of [`Counter::ALL`].
    pub energy: [Option<WattHours>; 6],
    /// The number of days that the energies cover: more than one on the first day after a gap.
    pub days: i64,
    /// The beginning of the time that the energies cover.
    pub since: Timestamp,
    /// The end of the time that the energies cover.
    pub until: Timestamp,
    /// A part of the energies is estimated.
    pub estimated: bool,
}

/// The sum so far, and the days of its last date, which are counted once for all quantities.
#[derive(Debug)]
struct Sum {
    period: Period,
    date: Date,
    days_of_date: i64,
}

/// Adds up days that arrive in the order of their dates.
#[derive(Debug)]
pub struct Periods {
    length: Length,
    start: Option<Date>,
    sums: BTreeMap<Box<str>, Sum>,
}

impl Periods {
    /// Creates an empty sum.
    pub const fn new(length: Length) -> Self {
        Self { length, start: None, sums: BTreeMap::new() }
    }

    /// Adds a day. Returns the periods that have ended with the day before.
    pub fn push(&mut self, day: &Day) -> Vec<Period> {
        let start = self.length.start(day.growth.date);
        let ended = if self.start == Some(start) { Vec::new() } else { self.finish() };
        self.start = Some(start);
        let sum = self.sums.entry(day.series.device.clone()).or_insert_with(|| Sum::new(start, day));
        sum.add(day.series.quantity, &day.growth);
        ended
    }

    /// Ends the last periods, and returns them.
    pub fn finish(&mut self) -> Vec<Period> {
        std::mem::take(&mut self.sums).into_values().map(Sum::finish).collect()
    }
}

impl Sum {
    fn new(start: Date, day: &Day) -> Self {
        let Growth { date, since, until, .. } = day.growth;
        let period = Period {
            start,
            device: day.series.device.clone(),
            energy: [None; 6],
            days: 0,
            since,
            until,
            estimated: false,
        };
        Self { period, date, days_of_date: 0 }
    }

    fn add(&mut self, quantity: Counter, growth: &Growth) {
        let period = &mut self.period;
        if growth.date != self.date {
            period.days += self.days_of_date;
            (self.date, self.days_of_date) = (growth.date, 0);
        }
        self.days_of_date = self.days_of_date.max(days(growth));
        period.since = period.since.min(growth.since);
        period.until = period.until.max(growth.until);
        period.estimated |= growth.estimated;
        let place = Counter::ALL.iter().position(|known| *known == quantity);
        if let Some(energy) = place.and_then(|place| period.energy.get_mut(place)) {
            *energy = WattHours::total([Some(energy.unwrap_or(WattHours::ZERO)), Some(growth.energy)]);
        }
    }

    fn finish(mut self) -> Period {
        self.period.days += self.days_of_date;
        self.period
    }
}

/// Returns the number of days that the energy of one date covers, at least one.
pub(super) fn days(growth: &Growth) -> i64 {
    let covered = growth.until.duration_since(growth.since);
    ((covered + SignedDuration::from_hours(12)).as_hours() / 24).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::history::rows::{Kind, Series};

    fn day(date: &str, device: &str, quantity: Counter, wh: f64, days_before: i64) -> Day {
        let date: Date = date.parse().unwrap();
        let midnight = date.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp();
        let growth = Growth {
            date,
            energy: WattHours::new(wh).unwrap(),
            since: midnight - SignedDuration::from_hours(24 * days_before),
            until: midnight + SignedDuration::from_hours(24),
            estimated: quantity == Counter::Charged,
        };
        let kind = if device.is_empty() { Kind::Site } else { Kind::Inverter };
        Day { series: Series { kind, device: device.into(), quantity }, growth }
    }

    /// The start, the device, production, import and days of a period.
    type Row = (String, String, Option<i64>, Option<i64>, i64);

    fn summed(length: Length, days: &[Day]) -> Vec<Row> {
        let mut periods = Periods::new(length);
        let mut all: Vec<Period> = days.iter().flat_map(|day| periods.push(day)).collect();
        all.extend(periods.finish());
        let whole = |energy: Option<WattHours>| energy.map(WattHours::whole);
        all.iter()
            .map(|period| {
                let [production, _, import, ..] = period.energy.map(whole);
                (period.start.to_string(), period.device.to_string(), production, import, period.days)
            })
            .collect()
    }

    fn row(start: &str, device: &str, production: Option<i64>, import: Option<i64>, days: i64) -> Row {
        (start.to_owned(), device.to_owned(), production, import, days)
    }

    #[test]
    fn days_add_up_to_months_and_years_and_a_day_counts_once_for_all_quantities() {
        let days = [
            day("2026-01-30", "", Counter::Production, 100.0, 0),
            day("2026-01-30", "", Counter::Import, 7.0, 0),
            day("2026-02-08", "", Counter::Production, 900.0, 7),
            day("2026-02-08", "", Counter::Import, 70.0, 7),
            day("2026-02-09", "", Counter::Production, 50.0, 0),
            day("2027-01-01", "", Counter::Production, 1.0, 0),
        ];
        assert_eq!(
            summed(Length::Month, &days),
            [
                row("2026-01-01", "", Some(100), Some(7), 1),
                row("2026-02-01", "", Some(950), Some(70), 9),
                row("2027-01-01", "", Some(1), None, 1),
            ]
        );
        assert_eq!(
            summed(Length::Year, &days),
            [row("2026-01-01", "", Some(1050), Some(77), 10), row("2027-01-01", "", Some(1), None, 1)]
        );
        assert_eq!(summed(Length::Day, &days)[1], row("2026-02-08", "", Some(900), Some(70), 8));
    }

    #[test]
    fn devices_are_summed_each_on_its_own() {
        let days = [
            day("2026-01-30", "b", Counter::Production, 100.0, 0),
            day("2026-01-30", "a", Counter::Production, 10.0, 0),
            day("2026-01-31", "a", Counter::Production, 1.0, 0),
        ];
        assert_eq!(
            summed(Length::Month, &days),
            [row("2026-01-01", "a", Some(11), None, 2), row("2026-01-01", "b", Some(100), None, 1)]
        );
        assert_eq!(summed(Length::Month, &[]), []);
    }

    #[test]
    fn a_day_of_25_hours_and_the_first_part_of_a_day_are_one_day() {
        let mut one = day("2026-10-25", "", Counter::Production, 1.0, 0);
        one.growth.until += SignedDuration::from_hours(1);
        assert_eq!(days(&one.growth), 1);
        one.growth.since = one.growth.until;
        assert_eq!(days(&one.growth), 1);
    }
}
