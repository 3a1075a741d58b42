//! Reads what is stored.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Error;
use super::rows::{Counted, CountedOn, Day, Growth, Kind, Recorded, Sample, Series};
use crate::base::reading::{Counter, Serial};
use crate::base::units::{Percent, WattHours, Watts};

/// Returns the number of `gateway` in the file.
pub(super) fn id_of_gateway(connection: &Connection, gateway: &Serial) -> Result<Option<i64>, Error> {
    let mut find = connection.prepare("SELECT id FROM gateway WHERE serial = ?1")?;
    Ok(find.query_row([gateway.as_str()], |row| row.get(0)).optional()?)
}

/// Returns the gateways, in the order in which they were first seen.
pub(super) fn gateways(connection: &Connection) -> Result<Vec<Serial>, Error> {
    let mut list = connection.prepare("SELECT serial FROM gateway ORDER BY id")?;
    let serials = list.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    Ok(serials.iter().filter_map(|serial| Serial::parse(serial).ok()).collect())
}

/// Returns the totals up to which the days of `gateway` are counted.
pub(super) fn counted(connection: &Connection, gateway: &Serial) -> Result<Vec<Counted>, Error> {
    let Some(gateway) = id_of_gateway(connection, gateway)? else { return Ok(Vec::new()) };
    let mut list = connection
        .prepare("SELECT kind, device, quantity, total_wh, counted_at FROM series WHERE gateway = ?1")?;
    let rows = list.query_map([gateway], |row| {
        let counted = || {
            let (total, at) = (energy(row.get(3).ok()?)?, time(row.get(4).ok()?)?);
            Some(Counted { series: series(row, 0)?, total, at })
        };
        Ok(counted())
    })?;
    rows.filter_map(Result::transpose).map(|row| Ok(row?)).collect()
}

/// Returns up to `limit` samples of `gateway` that begin at `from` or later, and before `to`.
pub(super) fn samples(
    connection: &Connection,
    gateway: &Serial,
    from: i64,
    to: i64,
    limit: u32,
) -> Result<Vec<Sample>, Error> {
    let Some(gateway) = id_of_gateway(connection, gateway)? else { return Ok(Vec::new()) };
    let mut list = connection.prepare(
        "SELECT start, seconds, production_w, consumption_w, grid_w, storage_w, production_wh, consumption_wh, import_wh,
                export_wh, charged_wh, discharged_wh, soc_percent, estimated
         FROM sample WHERE gateway = ?1 AND start >= ?2 AND start < ?3 ORDER BY start LIMIT ?4",
    )?;
    let rows = list.query_map(params![gateway, from, to, limit], sample)?;
    rows.filter_map(Result::transpose).map(|row| Ok(row?)).collect()
}

fn sample(row: &Row<'_>) -> rusqlite::Result<Option<Sample>> {
    let Some(start) = time(row.get(0)?) else { return Ok(None) };
    let (mut power, mut energies) = ([None; 4], [None; 6]);
    for (n, power) in power.iter_mut().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "bounded by the type")]
        let value = row.get::<_, Option<i64>>(2 + n)?.and_then(|value| Watts::new(value as f64));
        *power = value;
    }
    for (n, place) in energies.iter_mut().enumerate() {
        *place = row.get::<_, Option<i64>>(6 + n)?.and_then(energy);
    }
    let soc = row.get::<_, Option<f64>>(12)?.and_then(Percent::new);
    let estimated = row.get(13)?;
    Ok(Some(Sample { start, seconds: row.get(1)?, power, energy: energies, soc, estimated }))
}

/// Rows, and the date and series of the last of them, after which the next page begins.
pub(super) type Page<T> = (Vec<T>, Option<(String, i64)>);

/// Returns up to `limit` days of `gateway` after `date` and `series`, up to the date `to`, and the position of the last.
pub(super) fn days(
    connection: &Connection,
    gateway: &Serial,
    position: (Kind, (&str, i64), Date),
    limit: u32,
) -> Result<Page<Day>, Error> {
    let Some(gateway) = id_of_gateway(connection, gateway)? else { return Ok((Vec::new(), None)) };
    let (days, last) = days_of(connection, Some(gateway), position, limit)?;
    Ok((days.into_iter().map(|(_, day)| day).collect(), last))
}

/// Returns the same of all gateways, each day with its gateway.
pub(super) fn days_of_all(
    connection: &Connection,
    position: (Kind, (&str, i64), Date),
    limit: u32,
) -> Result<Page<(Serial, Day)>, Error> {
    let mut list = connection.prepare("SELECT id, serial FROM gateway")?;
    let serials = list.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
    let serials = serials.collect::<Result<Vec<(i64, String)>, _>>()?;
    let serials: BTreeMap<i64, Serial> =
        serials.iter().filter_map(|(id, serial)| Some((*id, Serial::parse(serial).ok()?))).collect();
    let (days, end) = days_of(connection, None, position, limit)?;
    let named = |(id, day)| Some((serials.get(&id)?.clone(), day));
    Ok((days.into_iter().filter_map(named).collect(), end))
}

/// Returns the days of one gateway or of all, each with the number of its gateway.
fn days_of(
    connection: &Connection,
    gateway: Option<i64>,
    (kind, after, to): (Kind, (&str, i64), Date),
    limit: u32,
) -> Result<Page<(i64, Day)>, Error> {
    let table = if kind == Kind::Site { "site_day" } else { "device_day" };
    // `+` keeps SQLite from searching by series, of which there may be hundreds: the days are in the order of their dates.
    let mut select = connection.prepare(&format!(
        "SELECT kind, device, quantity, date, wh, since, until, estimated, days.series, series.gateway
         FROM {table} AS days CROSS JOIN series ON series.id = days.series
         WHERE (date, days.series) > (?1, ?2) AND date <= ?3 AND (?4 IS NULL OR +series.gateway = ?4) AND +series.kind = ?5
         ORDER BY date, days.series LIMIT ?6"
    ))?;
    let parameters = params![after.0, after.1, to.to_string(), gateway, kind.name(), limit];
    let mut rows = select.query(parameters)?;
    let (mut days, mut last) = (Vec::new(), None);
    while let Some(row) = rows.next()? {
        last = Some((row.get(3)?, row.get(8)?));
        let gateway = row.get(9)?;
        days.extend(day(row)?.map(|day| (gateway, day)));
    }
    Ok((days, last))
}

/// Returns the first date of all sites.
pub(super) fn first_date(connection: &Connection) -> Result<Option<Date>, Error> {
    let first: Option<String> =
        connection.query_row("SELECT min(date) FROM site_day", [], |row| row.get(0))?;
    Ok(first.and_then(|date| date.parse().ok()))
}

/// Returns the counters of all sites, and what was counted before `date` in `zone`.
pub(super) fn recorded_before(
    connection: &Connection,
    date: Date,
    zone: &TimeZone,
) -> Result<Vec<Recorded>, Error> {
    let mut list = connection.prepare(
        "SELECT series.id, gateway.serial, quantity, counted_at FROM series JOIN gateway ON gateway.id = series.gateway
         WHERE kind = 'site' ORDER BY series.id",
    )?;
    // In the order of the dates: the last one before is nearly always the first that is found.
    let mut find = connection.prepare(
        "SELECT date, until FROM site_day WHERE date < ?1 AND +series = ?2 ORDER BY date DESC, series DESC LIMIT 1",
    )?;
    let mut rows = list.query([])?;
    let mut recorded = Vec::new();
    while let Some(row) = rows.next()? {
        let text = |column: usize| row.get_ref(column).ok()?.as_str().ok();
        let gateway = text(1).and_then(|serial| Serial::parse(serial).ok());
        let quantity = text(2).and_then(Counter::from_name);
        let (Some(gateway), Some(quantity), Some(counted_at)) = (gateway, quantity, time(row.get(3)?)) else {
            continue;
        };
        let newest = counted_at.to_zoned(zone.clone()).date();
        let before = if newest < date {
            Some((newest, counted_at))
        } else {
            let found = find.query_row(params![date.to_string(), row.get::<_, i64>(0)?], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
            });
            found.optional()?.and_then(|(date, until)| Some((date.parse().ok()?, time(until)?)))
        };
        recorded.push(Recorded { gateway, quantity, counted_at, before });
    }
    Ok(recorded)
}

/// Returns the counters of `kind` of `gateway`, each with its energy on `date`.
pub(super) fn counted_on(
    connection: &Connection,
    gateway: &Serial,
    kind: Kind,
    date: Date,
) -> Result<Vec<CountedOn>, Error> {
    let Some(gateway) = id_of_gateway(connection, gateway)? else { return Ok(Vec::new()) };
    let table = if kind == Kind::Site { "site_day" } else { "device_day" };
    // One statement: a write between two would change one of them.
    let mut list = connection.prepare(&format!(
        "SELECT kind, device, quantity, total_wh, counted_at, days.wh
         FROM series LEFT JOIN {table} AS days ON days.date = ?3 AND days.series = series.id
         WHERE gateway = ?1 AND kind = ?2"
    ))?;
    let rows = list.query_map(params![gateway, kind.name(), date.to_string()], |row| {
        let on = || {
            let (total, at) = (energy(row.get(3).ok()?)?, time(row.get(4).ok()?)?);
            let counted = Counted { series: series(row, 0)?, total, at };
            Some(CountedOn { counted, energy: row.get::<_, Option<i64>>(5).ok()?.and_then(energy) })
        };
        Ok(on())
    })?;
    rows.filter_map(Result::transpose).map(|row| Ok(row?)).collect()
}

fn day(row: &Row<'_>) -> rusqlite::Result<Option<Day>> {
    let date = row.get_ref(3)?.as_str().ok().and_then(|date| date.parse().ok());
    let (energy, since, until) = (energy(row.get(4)?), time(row.get(5)?), time(row.get(6)?));
    let (Some(series), Some(date), Some(energy), Some(since), Some(until)) =
        (series(row, 0), date, energy, since, until)
    else {
        return Ok(None);
    };
    Ok(Some(Day { series, growth: Growth { date, energy, since, until, estimated: row.get(7)? } }))
}

/// Returns the series in three columns, unless another version of the program has written it.
fn series(row: &Row<'_>, first: usize) -> Option<Series> {
    let text = |column: usize| row.get_ref(first + column).ok()?.as_str().ok();
    let (kind, quantity) = (Kind::from_name(text(0)?)?, Counter::from_name(text(2)?)?);
    Some(Series { kind, device: text(1)?.into(), quantity })
}

#[expect(clippy::cast_precision_loss, reason = "bounded by the type")]
fn energy(wh: i64) -> Option<WattHours> {
    WattHours::new(wh as f64)
}

fn time(second: i64) -> Option<Timestamp> {
    Timestamp::from_second(second).ok()
}
