//! The part of the history that the page shows: a day, a month, a year, or all years.

use jiff::civil::Date;
use jiff::{Span, Unit};

use crate::base::reading::Serial;
use crate::rules::history::periods::Length;

/// The first date of all years; no gateway is older.
const FIRST: Date = jiff::civil::date(2000, 1, 1);

/// The part of the history that the page shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// The curve of a day.
    Day(Date),
    /// The days of the month with this first date.
    Month(Date),
    /// The months of the year with this first date.
    Year(Date),
    /// All years.
    Years,
}

/// The error for a query that names no view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no date: write ?day=2026-06-21, ?month=2026-06, ?year=2026 or ?years=all")]
pub struct NotAView;

impl View {
    /// Understands a parameter of a query; `None` if its name is not that of a view.
    pub fn parse(name: &str, value: &str) -> Option<Result<Self, NotAView>> {
        let date = |text: String| {
            let is_plain = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
            text.parse::<Date>().ok().filter(|_| is_plain).ok_or(NotAView)
        };
        Some(match name {
            "day" => date(value.to_owned()).map(Self::Day),
            "month" => date(format!("{value}-01")).map(Self::Month),
            "year" => date(format!("{value}-01-01")).map(Self::Year),
            "years" => {
                if value == "all" {
                    Ok(Self::Years)
                } else {
                    Err(NotAView)
                }
            }
            _ => return None,
        })
    }

    /// Returns the query of a link to this view.
    pub fn query(self, gateway: Option<&Serial>) -> String {
        let query = match self {
            Self::Day(date) => format!("?day={date}"),
            Self::Month(date) => format!("?month={}", date.strftime("%Y-%m")),
            Self::Year(date) => format!("?year={}", date.strftime("%Y")),
            Self::Years => "?years=all".to_owned(),
        };
        gateway.map_or(query.clone(), |gateway| format!("{query}&gateway={gateway}"))
    }

    /// Returns the heading.
    pub(super) fn title(self) -> String {
        match self {
            Self::Day(date) => date.strftime("%A, %-d %B %Y").to_string(),
            Self::Month(date) => date.strftime("%B %Y").to_string(),
            Self::Year(date) => date.strftime("%Y").to_string(),
            Self::Years => "All years".to_owned(),
        }
    }

    /// Returns the first and the last date, if `today` is the last one of all.
    pub fn dates(self, today: Date) -> (Date, Date) {
        match self {
            Self::Day(date) => (date, date),
            Self::Month(date) => (date.first_of_month(), date.last_of_month()),
            Self::Year(date) => (date.first_of_year(), date.last_of_year()),
            Self::Years => (FIRST, today.last_of_year()),
        }
    }

    /// Returns the length of the bars; `None` for the curve of a day.
    pub const fn bars(self) -> Option<Length> {
        match self {
            Self::Day(_) => None,
            Self::Month(_) => Some(Length::Day),
            Self::Year(_) => Some(Length::Month),
            Self::Years => Some(Length::Year),
        }
    }

    /// Returns the view before or after this one.
    pub(super) fn step(self, count: i32) -> Option<Self> {
        let (date, unit) = match self {
            Self::Day(date) => (date, Unit::Day),
            Self::Month(date) => (date, Unit::Month),
            Self::Year(date) => (date, Unit::Year),
            Self::Years => return None,
        };
        let span = match unit {
            Unit::Day => Span::new().days(count),
            Unit::Month => Span::new().months(count),
            _ => Span::new().years(count),
        };
        let date = date.checked_add(span).ok()?;
        Some(match self {
            Self::Day(_) => Self::Day(date),
            Self::Month(_) => Self::Month(date),
            Self::Year(_) | Self::Years => Self::Year(date),
        })
    }

    /// Returns the views of the same time with other lengths, for the links above the chart.
    pub(super) fn lengths(self, today: Date) -> [(&'static str, Self); 4] {
        let (first, last) = self.dates(today);
        // The day of today, where it is part of the longer view; otherwise the first.
        let date =
            if matches!(self, Self::Years) || (first <= today && today <= last) { today } else { first };
        [
            ("Day", Self::Day(date)),
            ("Month", Self::Month(date.first_of_month())),
            ("Year", Self::Year(date.first_of_year())),
            ("All years", Self::Years),
        ]
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    const TODAY: Date = date(2026, 11, 26);

    #[test]
    fn a_link_leads_to_its_view() {
        for view in
            [View::Day(TODAY), View::Month(date(2026, 11, 1)), View::Year(date(2026, 1, 1)), View::Years]
        {
            let query = view.query(None);
            let (name, value) = query.strip_prefix('?').unwrap().split_once('=').unwrap();
            assert_eq!(View::parse(name, value), Some(Ok(view)), "{query}");
        }
        let serial = Serial::parse("122300000001").unwrap();
        assert_eq!(View::Day(TODAY).query(Some(&serial)), "?day=2026-11-26&gateway=122300000001");
    }

    #[test]
    fn what_is_no_date_is_an_error_and_other_names_are_ignored() {
        for (name, value) in [
            ("day", ""),
            ("day", "2026-02-30"),
            ("day", "yesterday"),
            ("day", "2026-11-26T00:00"),
            ("day", "-002026-11-26"),
            ("month", "2026"),
            ("month", "2026-13"),
            ("year", "26"),
            ("years", ""),
        ] {
            assert_eq!(View::parse(name, value), Some(Err(NotAView)), "{name}={value}");
        }
        assert_eq!(View::parse("token", "x"), None);
    }

    #[test]
    fn a_step_goes_to_the_neighbour_and_stops_at_the_end_of_time() {
        assert_eq!(View::Day(date(2026, 3, 1)).step(-1), Some(View::Day(date(2026, 2, 28))));
        assert_eq!(View::Month(date(2026, 12, 1)).step(1), Some(View::Month(date(2027, 1, 1))));
        assert_eq!(View::Year(date(2026, 1, 1)).step(-1), Some(View::Year(date(2025, 1, 1))));
        assert_eq!(View::Day(Date::MAX).step(1), None);
        assert_eq!(View::Years.step(1), None);
    }

    #[test]
    fn other_lengths_keep_the_time_and_prefer_today() {
        let of = |view: View| view.lengths(TODAY).map(|(_, view)| view.query(None));
        assert_eq!(
            of(View::Month(date(2026, 11, 1))),
            ["?day=2026-11-26", "?month=2026-11", "?year=2026", "?years=all"]
        );
        assert_eq!(
            of(View::Year(date(2024, 1, 1))),
            ["?day=2024-01-01", "?month=2024-01", "?year=2024", "?years=all"]
        );
        assert_eq!(of(View::Years)[0], "?day=2026-11-26");
    }
}
