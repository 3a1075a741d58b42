//! Reads what the page shows of the history.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::base::reading::Serial;
use crate::io::history::rows::{CountedOn, Kind, Sample};
use crate::io::history::{Days, Error, HistoryFile, Samples, counted_on};
use crate::output::page::{Found, Today, View};
use crate::rules::history::periods::{Length, Period, Periods};

/// The first date of all; no gateway is older.
const FIRST: Date = jiff::civil::date(2000, 1, 1);

/// Reads the rows of a view.
pub fn found(
    file: &HistoryFile,
    gateway: &Serial,
    view: View,
    (today, zone): (Date, &TimeZone),
) -> Result<Found, Error> {
    let (from, to) = view.dates(today);
    let samples = match view {
        View::Day(date) => samples(file, gateway, date, zone)?,
        View::Month(_) | View::Year(_) | View::Years => Vec::new(),
    };
    let periods = periods(file, gateway, Kind::Site, (from, to), view.bars().unwrap_or(Length::Day))?;
    Ok(Found { samples, periods, first: first(file, gateway, today)?, sum: None })
}

/// Reads the energies of the date `today`.
pub fn today(file: &HistoryFile, gateway: &Serial, today: Date) -> Result<Today, Error> {
    let site = periods(file, gateway, Kind::Site, (today, today), Length::Day)?.into_iter().next();
    let inverters = counted_on(file, gateway, Kind::Inverter, today)?;
    let of_device = |on: CountedOn| (on.counted.series.device.clone(), on);
    Ok(Today { site, inverters: inverters.into_iter().map(of_device).collect() })
}

/// Returns the time from one midnight to the next.
pub(super) fn range(date: Date, zone: &TimeZone) -> (Timestamp, Timestamp) {
    let midnight = |date: Date, otherwise| {
        date.to_zoned(zone.clone()).map_or(otherwise, |midnight| midnight.timestamp())
    };
    let end = date.tomorrow().map_or(Timestamp::MAX, |next| midnight(next, Timestamp::MAX));
    (midnight(date, Timestamp::MIN), end)
}

/// Reads the samples from one midnight to the next.
pub(super) fn samples(
    file: &HistoryFile,
    gateway: &Serial,
    date: Date,
    zone: &TimeZone,
) -> Result<Vec<Sample>, Error> {
    let (begin, end) = range(date, zone);
    let mut pages = Samples::new(file.clone(), gateway.clone(), begin, end);
    let mut samples = Vec::new();
    loop {
        let page = pages.page()?;
        if page.is_empty() {
            return Ok(samples);
        }
        samples.extend(page);
    }
}

fn periods(
    file: &HistoryFile,
    gateway: &Serial,
    kind: Kind,
    (from, to): (Date, Date),
    length: Length,
) -> Result<Vec<Period>, Error> {
    let mut pages = Days::new(file.clone(), gateway.clone(), kind, from, to);
    let mut sum = Periods::new(length);
    let mut periods = Vec::new();
    while let Some(page) = pages.page()? {
        periods.extend(page.iter().flat_map(|day| sum.push(day)));
    }
    periods.extend(sum.finish());
    Ok(periods)
}

/// Reads the first date of the history.
fn first(file: &HistoryFile, gateway: &Serial, today: Date) -> Result<Option<Date>, Error> {
    let page = Days::new(file.clone(), gateway.clone(), Kind::Site, FIRST, today).page()?;
    Ok(page.unwrap_or_default().first().map(|day| day.growth.date))
}
