//! The local day of a time.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// A local day, from midnight to midnight: 23 to 25 hours.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LocalDay {
    pub(super) date: Date,
    pub(super) midnight: Timestamp,
    end: Timestamp,
}

impl LocalDay {
    /// Returns the day that has passed by `at`: at midnight, the one that ends.
    pub(super) fn of(at: Timestamp, zone: &TimeZone) -> Self {
        let before = Timestamp::from_nanosecond(at.as_nanosecond() - 1).unwrap_or(at);
        let date = before.to_zoned(zone.clone()).date();
        let midnight = |date: Date| date.to_zoned(zone.clone()).map_or(at, |midnight| midnight.timestamp());
        Self { date, midnight: midnight(date), end: date.tomorrow().map_or(at, midnight) }
    }

    /// Returns whether `at` belongs to this day.
    pub(super) fn contains(&self, at: Timestamp) -> bool {
        self.midnight < at && at <= self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_contains_its_end_and_not_its_beginning() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let day = LocalDay::of(at("2026-10-25T12:00:00Z"), &zone);
        assert_eq!((day.midnight, day.end), (at("2026-10-24T22:00:00Z"), at("2026-10-25T23:00:00Z")));
        assert!(day.contains(day.end) && !day.contains(day.midnight));
        assert_eq!(LocalDay::of(day.end, &zone), day);
        assert_eq!(LocalDay::of(day.midnight, &zone).date, jiff::civil::date(2026, 10, 24));
    }
}
