//! Reads the history for the command and the API: what is asked for, and the rows piece by piece.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::base::reading::Serial;
use crate::io::history::rows::Kind;
use crate::io::history::{self, Days, HistoryFile, Samples};
use crate::output::history::{Format, Heading, Rows, Step};
use crate::rules::history::periods::{Length, Periods};

/// The days and the months that are shown if no range is named.
const DAYS: i32 = 31;
const MONTHS: i32 = 12;
/// The bytes after which a piece ends.
const PIECE: usize = 64 << 10;
/// The first date of a range without a beginning; no gateway is older.
const FIRST: Date = jiff::civil::date(2000, 1, 1);

/// A query in the words of the command line or of a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Words<'a> {
    /// The first date; may be a month or a year.
    pub from: Option<&'a str>,
    /// The last date; may be a month or a year.
    pub to: Option<&'a str>,
    /// `5m`, `day`, `month` or `year`.
    pub step: Option<&'a str>,
    /// `site`, `phases` or `inverters`.
    pub of: Option<&'a str>,
}

/// The reason that a range does not make sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Not a date.
    #[error("{name}: \"{}\" is not a date; write 2026-06-21, 2026-06 or 2026", .text.escape_debug())]
    Date {
        /// The name of the parameter.
        name: &'static str,
        /// The text.
        text: String,
    },
    /// A word that is not known.
    #[error("{name}: this word is not known; write {known}")]
    Word {
        /// The name of the parameter.
        name: &'static str,
        /// The known words.
        known: &'static str,
    },
    /// The end is before the beginning.
    #[error("from: {from} is after {to}; write the earlier date first")]
    Order {
        /// The first date.
        from: Date,
        /// The last date.
        to: Date,
    },
    /// There are no samples of devices.
    #[error("of: phases and inverters have days, and no values of 5 minutes; write step=day")]
    NoSamples,
}

/// A query: the periods, and the series of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    step: Step,
    of: Kind,
    from: Date,
    to: Date,
}

impl Query {
    /// Understands the words of a request that is made on the date `today`.
    pub fn parse(words: &Words<'_>, today: Date) -> Result<Self, Invalid> {
        let step = match words.step {
            None | Some("day") => Step::Periods(Length::Day),
            Some("5m") => Step::FiveMinutes,
            Some("month") => Step::Periods(Length::Month),
            Some("year") => Step::Periods(Length::Year),
            Some(_) => return Err(Invalid::Word { name: "step", known: "5m, day, month or year" }),
        };
        let of = match words.of {
            None | Some("site") => Kind::Site,
            Some("phases") => Kind::Phase,
            Some("inverters") => Kind::Inverter,
            Some(_) => return Err(Invalid::Word { name: "of", known: "site, phases or inverters" }),
        };
        if step == Step::FiveMinutes && of != Kind::Site {
            return Err(Invalid::NoSamples);
        }
        let date = |name, text: Option<&str>| {
            text.map(|text| dates(text).ok_or_else(|| Invalid::Date { name, text: text.to_owned() }))
                .transpose()
        };
        let (from, to) = (date("from", words.from)?, date("to", words.to)?);
        let to = to.map_or(today, |(_, last)| last);
        let from = from.map_or_else(|| default_from(step, to), |(first, _)| first);
        if from > to {
            return Err(Invalid::Order { from, to });
        }
        Ok(Self { step, of, from, to })
    }
}

/// Returns the first date of a range that ends with `to`.
fn default_from(step: Step, to: Date) -> Date {
    let from = match step {
        Step::FiveMinutes => Ok(to),
        Step::Periods(Length::Day) => to.checked_sub(Span::new().days(DAYS - 1)),
        Step::Periods(Length::Month) => to.first_of_month().checked_sub(Span::new().months(MONTHS - 1)),
        Step::Periods(Length::Year) => Ok(FIRST),
    };
    from.unwrap_or(FIRST).min(to)
}

/// Returns the first and the last date of a day, a month or a year.
fn dates(text: &str) -> Option<(Date, Date)> {
    let parts: Vec<&str> = text.split('-').collect();
    let number = |text: &str, digits: usize| {
        let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { text.parse::<i16>().ok() } else { None }
    };
    let small = |text: &str| number(text, 2).and_then(|number| i8::try_from(number).ok());
    match *parts.as_slice() {
        [year] => {
            let first = Date::new(number(year, 4)?, 1, 1).ok()?;
            Some((first, first.last_of_year()))
        }
        [year, month] => {
            let first = Date::new(number(year, 4)?, small(month)?, 1).ok()?;
            Some((first, first.last_of_month()))
        }
        [year, month, day] => {
            let date = Date::new(number(year, 4)?, small(month)?, small(day)?).ok()?;
            Some((date, date))
        }
        _ => None,
    }
}

/// The pages of the rows.
enum Pages {
    Samples(Samples),
    Days(Days, Periods),
}

/// The rows of a gateway, as text, piece by piece.
pub struct Report {
    pages: Pages,
    rows: Rows,
    has_begun: bool,
    has_ended: bool,
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl Report {
    /// Prepares the answer to `query` about `gateway`. Days are those in `zone`.
    pub fn new(file: HistoryFile, gateway: Serial, query: &Query, format: Format, zone: &TimeZone) -> Self {
        let Query { step, of, from, to } = *query;
        let pages = match step {
            Step::FiveMinutes => {
                let midnight = |date: Date, otherwise| {
                    date.to_zoned(zone.clone()).map_or(otherwise, |midnight| midnight.timestamp())
                };
                let end = to.tomorrow().map_or(Timestamp::MAX, |next| midnight(next, Timestamp::MAX));
                let begin = midnight(from, Timestamp::MIN);
                Pages::Samples(Samples::new(file, gateway.clone(), begin, end))
            }
            Step::Periods(length) => {
                Pages::Days(Days::new(file, gateway.clone(), of, from, to), Periods::new(length))
            }
        };
        let heading = Heading { gateway, step, of, from, to };
        Self { pages, rows: Rows::new(format, heading, zone.clone()), has_begun: false, has_ended: false }
    }

    /// Returns the next piece, or `None` after the last one. A piece has at most some hundred kilobytes.
    pub fn next_piece(&mut self) -> Result<Option<String>, history::Error> {
        if self.has_ended {
            return Ok(None);
        }
        let mut out = String::new();
        while out.len() < PIECE && !self.has_ended {
            self.read(&mut out)?;
        }
        Ok(Some(out))
    }

    fn read(&mut self, out: &mut String) -> Result<(), history::Error> {
        // Read first: an error is returned before anything is sent.
        let mut rows = String::new();
        self.has_ended = match &mut self.pages {
            Pages::Samples(samples) => {
                let page = present(samples.page())?.unwrap_or_default();
                for sample in &page {
                    self.rows.sample(sample, &mut rows);
                }
                page.is_empty()
            }
            Pages::Days(days, periods) => {
                let page = present(days.page())?.flatten();
                let ended = page.iter().flatten().flat_map(|day| periods.push(day));
                ended.for_each(|period| self.rows.period(&period, &mut rows));
                if page.is_none() {
                    periods.finish().iter().for_each(|period| self.rows.period(period, &mut rows));
                }
                page.is_none()
            }
        };
        if !self.has_begun {
            self.rows.begin(out);
            self.has_begun = true;
        }
        out.push_str(&rows);
        if self.has_ended {
            self.rows.end(out);
        }
        Ok(())
    }
}

/// Returns `None` if there is no history yet: then there are no rows.
fn present<T>(page: Result<T, history::Error>) -> Result<Option<T>, history::Error> {
    match page {
        Ok(page) => Ok(Some(page)),
        Err(history::Error::Absent) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: Option<&str>, to: Option<&str>, step: &str) -> Result<(String, String), Invalid> {
        let words = Words { from, to, step: Some(step), of: None };
        let query = Query::parse(&words, jiff::civil::date(2026, 11, 26))?;
        Ok((query.from.to_string(), query.to.to_string()))
    }

    fn dates_of(from: &str, to: &str) -> (String, String) {
        (from.to_owned(), to.to_owned())
    }

    #[test]
    fn a_range_without_an_end_ends_today_and_one_without_a_beginning_has_a_useful_length() {
        assert_eq!(range(None, None, "5m").unwrap(), dates_of("2026-11-26", "2026-11-26"));
        assert_eq!(range(None, None, "day").unwrap(), dates_of("2026-10-27", "2026-11-26"));
        assert_eq!(range(None, None, "month").unwrap(), dates_of("2025-12-01", "2026-11-26"));
        assert_eq!(range(None, None, "year").unwrap(), dates_of("2000-01-01", "2026-11-26"));
        assert_eq!(range(None, Some("2024-02"), "day").unwrap(), dates_of("2024-01-30", "2024-02-29"));
        assert_eq!(range(Some("2025"), None, "day").unwrap(), dates_of("2025-01-01", "2026-11-26"));
        assert_eq!(range(Some("2025"), Some("2025"), "month").unwrap(), dates_of("2025-01-01", "2025-12-31"));
        assert_eq!(
            range(Some("1999-05-05"), Some("1999-05-05"), "year").unwrap(),
            dates_of("1999-05-05", "1999-05-05")
        );
        assert_eq!(range(None, Some("1999-05-05"), "year").unwrap(), dates_of("1999-05-05", "1999-05-05"));
    }

    #[test]
    fn what_is_not_a_range_is_explained() {
        let words = |from, to, step| range(from, to, step).unwrap_err().to_string();
        for text in [
            "",
            "yesterday",
            "26-11-26",
            "2026-13",
            "2026-02-30",
            "2026-1-1",
            "+026",
            "2026-06-21T00:00",
            "-1-2",
        ] {
            assert!(
                words(Some(text), None, "day").ends_with("is not a date; write 2026-06-21, 2026-06 or 2026")
            );
        }
        assert_eq!(words(Some("\x1b[31m"), None, "day").matches('\x1b').count(), 0);
        assert_eq!(words(None, None, "hour"), "step: this word is not known; write 5m, day, month or year");
        assert!(words(Some("2026-11-27"), None, "day").contains("2026-11-27 is after 2026-11-26"));
        let of = Words { of: Some("inverters"), step: Some("5m"), ..Words::default() };
        assert_eq!(Query::parse(&of, FIRST), Err(Invalid::NoSamples));
        let of = Words { of: Some("panels"), ..Words::default() };
        assert_eq!(
            Query::parse(&of, FIRST).unwrap_err().to_string(),
            "of: this word is not known; write site, phases or inverters"
        );
    }
}
