//! Reads what the page shows of the history of all gateways together.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::chart::{range, samples};
use crate::base::reading::Serial;
use crate::io::history::rows::{Day, Recorded, Sample};
use crate::io::history::{DaysOfAll, Error, HistoryFile, first_date, gateways, recorded_before};
use crate::output::page::{Found, Sum, View};
use crate::rules::history::periods::{Length, Period, Periods};
use crate::rules::history::sums::{Member, Remarks, SumOfDays, SumOfSamples};

/// A function that returns whether a gateway is still read: another may have replaced it.
type IsRead<'a> = &'a dyn Fn(&Serial) -> bool;

/// Reads the rows of a view.
pub fn found(
    file: &HistoryFile,
    is_read: IsRead<'_>,
    view: View,
    (today, zone): (Date, &TimeZone),
) -> Result<Found, Error> {
    let (samples, has_gaps) = match view {
        View::Day(date) => curve(file, is_read, date, zone)?,
        View::Month(_) | View::Year(_) | View::Years => (Vec::new(), false),
    };
    let length = view.bars().unwrap_or(Length::Day);
    let (periods, remarks) = periods(file, is_read, (view.dates(today), today), length, zone)?;
    let first = first_date(file)?.filter(|first| *first <= today);
    Ok(Found { samples, periods, first, sum: Some(Sum { remarks, has_gaps }) })
}

/// Adds up the samples of a day.
fn curve(
    file: &HistoryFile,
    is_read: IsRead<'_>,
    date: Date,
    zone: &TimeZone,
) -> Result<(Vec<Sample>, bool), Error> {
    let (begin, end): (Timestamp, Timestamp) = range(date, zone);
    let recorded = recorded_before(file, date, zone)?;
    let mut sum = SumOfSamples::new(begin, end);
    for gateway in gateways(file)? {
        let member = Member::of(&gateway, &recorded, is_read(&gateway), date, zone);
        sum.add(&samples(file, &gateway, date, zone)?, member);
    }
    Ok(sum.finish())
}

/// Adds up the days from `from` to `to`.
fn periods(
    file: &HistoryFile,
    is_read: IsRead<'_>,
    ((from, to), today): ((Date, Date), Date),
    length: Length,
    zone: &TimeZone,
) -> Result<(Vec<Period>, Remarks), Error> {
    let (start, recorded) = beginning(file, is_read, from, zone)?;
    let mut pages = DaysOfAll::new(file.clone(), start, to);
    let mut sum = SumOfDays::new(&recorded, is_read, zone);
    let (mut added, mut periods) = (Periods::new(length), Vec::new());
    let mut of_date: Vec<(Serial, Day)> = Vec::new();
    let mut push = |rows: &[(Serial, Day)]| {
        let Some(date) = rows.first().map(|(_, day)| day.growth.date) else { return };
        let days = sum.push(date, rows);
        periods.extend(days.iter().filter(|_| date >= from).flat_map(|day| added.push(day)));
    };
    while let Some(page) = pages.page()? {
        for (gateway, day) in page {
            if of_date.first().is_some_and(|(_, first)| first.growth.date != day.growth.date) {
                push(&of_date);
                of_date.clear();
            }
            of_date.push((gateway, day));
        }
    }
    push(&of_date);
    periods.extend(added.finish());
    Ok((periods, sum.finish((from, to.min(today)))))
}

/// Returns the date on which the sums of a range that begins with `from` have to begin: the first one whose energies may
/// wait for a gateway that counts them in the range. Also returns what was counted before it.
fn beginning(
    file: &HistoryFile,
    is_read: IsRead<'_>,
    from: Date,
    zone: &TimeZone,
) -> Result<(Date, Vec<Recorded>), Error> {
    let mut start = from;
    loop {
        let recorded = recorded_before(file, start, zone)?;
        let sum = SumOfDays::new(&recorded, is_read, zone);
        match sum.oldest_gap(start) {
            Some(gap) if gap < start => start = gap,
            _ => return Ok((start, recorded)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::SignedDuration;
    use jiff::civil::date;

    use super::*;
    use crate::base::reading::Counter;
    use crate::base::units::{WattHours, Watts};
    use crate::io::history::rows::{Batch, Counted, Growth, SLOT_S, Series, Step};
    use crate::io::history::{History, NAME};
    use crate::io::state_dir::Disk;

    const TODAY: Date = date(2026, 6, 28);

    fn serial(gateway: &str) -> Serial {
        Serial::parse(gateway).unwrap()
    }

    fn midnight(date: Date) -> Timestamp {
        date.to_zoned(TimeZone::UTC).unwrap().timestamp()
    }

    fn wh(value: i32) -> WattHours {
        WattHours::new(f64::from(value)).unwrap()
    }

    /// Returns the days of June on which a gateway has counted the production, with the days before that each covers too.
    fn batch(gateway: &str, days: &[(i8, i8)], slots: std::ops::Range<i64>) -> Batch {
        let growth = |(day, gap): &(i8, i8)| Growth {
            date: date(2026, 6, *day),
            energy: wh(1000 * (1 + i32::from(*gap))),
            since: midnight(date(2026, 6, day - gap)),
            until: midnight(date(2026, 6, *day)) + SignedDuration::from_hours(24),
            estimated: false,
        };
        let growth: Vec<Growth> = days.iter().map(growth).collect();
        let at = growth.last().unwrap().until - SignedDuration::from_hours(1);
        let counted = Counted { series: Series::site(Counter::Production), total: wh(50_000), at };
        let sample = |slot: i64| Sample {
            start: midnight(TODAY) + SignedDuration::from_secs(SLOT_S * slot),
            seconds: 300,
            power: [Watts::new(100.0), None, None, None],
            energy: [None; 6],
            soc: None,
            estimated: false,
        };
        Batch {
            gateway: serial(gateway),
            samples: slots.map(sample).collect(),
            steps: vec![Step { from: None, to: counted, growth }],
            keep_from: None,
        }
    }

    async fn shown(batches: Vec<Batch>, read: &[&str], view: View) -> (Vec<(String, i64, i64)>, Found) {
        let directory = tempfile::tempdir().unwrap();
        let history = History::new(directory.path(), Disk::inline());
        history.write(Arc::new(batches)).await.unwrap();
        history.close().await;
        assert!(directory.path().join(NAME).exists());
        let file = HistoryFile::inside(directory.path());
        let is_read = |gateway: &Serial| read.contains(&gateway.as_str());
        let found = found(&file, &is_read, view, (TODAY, &TimeZone::UTC)).unwrap();
        let rows = found.periods.iter().map(|period| {
            (period.start.to_string(), period.energy[0].map_or(-1, WattHours::whole), period.days)
        });
        (rows.collect(), found)
    }

    fn row(date: &str, energy: i64, days: i64) -> (String, i64, i64) {
        (date.to_owned(), energy, days)
    }

    fn two() -> Vec<Batch> {
        vec![
            batch("1", &[(24, 0), (25, 0), (26, 0), (27, 0), (28, 0)], 0..6),
            batch("2", &[(24, 0), (27, 2), (28, 0)], 2..8),
        ]
    }

    #[tokio::test]
    async fn a_month_and_a_year_count_every_energy_of_all_gateways_once() {
        let (days, _) = shown(two(), &["1", "2"], View::Month(date(2026, 6, 1))).await;
        assert_eq!(
            days,
            [row("2026-06-24", 2000, 1), row("2026-06-27", 6000, 3), row("2026-06-28", 2000, 1)]
        );
        let (months, found) = shown(two(), &["1", "2"], View::Year(date(2026, 1, 1))).await;
        assert_eq!(months, [row("2026-06-01", 10_000, 5)]);
        assert_eq!(found.first, Some(date(2026, 6, 24)));
        let (years, _) = shown(two(), &["1", "2"], View::Years).await;
        assert_eq!(years, [row("2026-01-01", 10_000, 5)]);
    }

    #[tokio::test]
    async fn a_day_adds_what_waited_for_it_before() {
        let (days, _) = shown(two(), &["1", "2"], View::Day(date(2026, 6, 27))).await;
        assert_eq!(days, [row("2026-06-27", 6000, 3)]);
        let (days, found) = shown(two(), &["1", "2"], View::Day(date(2026, 6, 26))).await;
        assert_eq!(days, []);
        let (first, gateways) = found.sum.unwrap().remarks.waiting.unwrap();
        assert_eq!((first, gateways.into_iter().collect::<Vec<_>>()), (date(2026, 6, 25), vec![serial("2")]));
    }

    #[tokio::test]
    async fn the_curve_is_that_of_the_times_that_all_have() {
        let (_, found) = shown(two(), &["1", "2"], View::Day(TODAY)).await;
        let slot = |sample: &Sample| sample.start.duration_since(midnight(TODAY)).as_secs() / SLOT_S;
        let slots: Vec<i64> = found.samples.iter().map(slot).collect();
        assert_eq!((slots, found.sum.unwrap().has_gaps), (vec![2, 3, 4, 5], true));
        assert!(found.samples.iter().all(|sample| sample.power[0] == Watts::new(200.0)));
    }

    #[tokio::test]
    async fn a_gateway_that_was_replaced_is_not_waited_for() {
        let old = vec![batch("1", &[(24, 0), (25, 0)], 0..0), batch("2", &[(26, 0), (27, 0), (28, 0)], 0..3)];
        let (days, found) = shown(old, &["2"], View::Month(date(2026, 6, 1))).await;
        assert_eq!(days.len(), 5);
        assert!(days.iter().all(|(_, energy, days)| (*energy, *days) == (1000, 1)), "{days:?}");
        let remarks = found.sum.unwrap().remarks;
        assert_eq!(remarks.begun, [(serial("2"), date(2026, 6, 26))]);
        assert_eq!(remarks.ended, [(serial("1"), date(2026, 6, 25))]);
    }

    #[tokio::test]
    async fn the_ends_of_time_are_days_without_values() {
        for date in [Date::MIN, Date::MAX] {
            let (days, found) = shown(two(), &["1", "2"], View::Day(date)).await;
            assert_eq!((days.len(), found.samples.len()), (0, 0), "{date}");
        }
    }
}
