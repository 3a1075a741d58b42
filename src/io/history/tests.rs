//! Tests the file: what is written is there once, whatever happens to it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use jiff::Timestamp;
use jiff::civil::date;
use rusqlite::Connection;

use super::rows::{Day, Growth, Kind, Sample, Series, Step};
use super::*;
use crate::base::reading::Counter;
use crate::base::units::{Percent, WattHours, Watts};

/// 2026-06-21T00:00:00Z.
const START: i64 = 1_782_000_000;

fn serial() -> Serial {
    Serial::parse("122300000001").unwrap()
}

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(START + second).unwrap()
}

fn wh(value: f64) -> WattHours {
    WattHours::new(value).unwrap()
}

fn sample(second: i64, seconds: u16, energy: f64) -> Sample {
    Sample {
        start: time(second),
        seconds,
        power: [Watts::new(energy), None, Watts::new(-100.0), None],
        energy: [WattHours::new(energy), None, None, WattHours::new(8.0), None, None],
        soc: Percent::new(55.5),
        estimated: false,
    }
}

fn step(series: Series, from: Option<f64>, to: f64, second: i64) -> Step {
    let growth = Growth {
        date: date(2026, 6, 21),
        energy: wh(to - from.unwrap_or(to)),
        since: time(second - 900),
        until: time(second),
        estimated: false,
    };
    let to = Counted { series, total: wh(to), at: time(second) };
    Step { from: from.map(wh), to, growth: vec![growth] }
}

fn batch(samples: Vec<Sample>, steps: Vec<Step>) -> Batch {
    Batch { gateway: serial(), samples, steps, keep_from: None }
}

struct Outer {
    dir: tempfile::TempDir,
    history: History,
}

impl Outer {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let history = History::new(dir.path(), Disk::inline());
        Self { dir, history }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    async fn write(&self, samples: Vec<Sample>, steps: Vec<Step>) -> Result<(), Error> {
        self.history.write(Arc::new(vec![batch(samples, steps)])).await
    }

    fn samples(&self) -> Vec<Sample> {
        let file = HistoryFile::inside(self.dir.path());
        let mut samples = Samples::new(file, serial(), time(-86_400 * 4000), time(86_400 * 4000));
        let mut all = Vec::new();
        loop {
            let page = samples.page().unwrap();
            if page.is_empty() {
                return all;
            }
            all.extend(page);
        }
    }

    fn days(&self, kind: Kind) -> Vec<Day> {
        let file = HistoryFile::inside(self.dir.path());
        let mut days = Days::new(file, serial(), kind, date(2000, 1, 1), date(2100, 1, 1));
        let mut all = Vec::new();
        while let Some(page) = days.page().unwrap() {
            all.extend(page);
        }
        all
    }
}

fn production() -> Series {
    Series::site(Counter::Production)
}

fn inverter() -> Series {
    Series { kind: Kind::Inverter, device: "122310000101".into(), quantity: Counter::Production }
}

#[tokio::test]
async fn what_is_written_is_read_again_and_closed_to_others() {
    let outer = Outer::new();
    assert!(matches!(gateways(&HistoryFile::inside(outer.dir.path())), Err(Error::Absent)));
    let samples: Vec<Sample> = (0..2500).map(|n| sample(300 * n, 300, 5.0)).collect();
    let steps = vec![step(production(), None, 1000.0, 900), step(inverter(), None, 10.0, 900)];
    outer.write(samples.clone(), steps).await.unwrap();
    outer.write(Vec::new(), vec![step(production(), Some(1000.0), 1600.0, 1800)]).await.unwrap();
    for name in ["history.db", "history.db-wal", "history.db-shm"] {
        assert_eq!(fs::metadata(outer.path(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    assert_eq!(outer.samples(), samples);
    let days = outer.days(Kind::Site);
    assert_eq!(days.len(), 1);
    assert_eq!((days[0].growth.energy, days[0].growth.since), (wh(600.0), time(0)));
    assert_eq!(days[0].growth.until, time(1800));
    assert_eq!(outer.days(Kind::Inverter)[0].series, inverter());
    assert_eq!(outer.days(Kind::Phase), []);
    let totals = outer.history.totals(&serial()).await.unwrap();
    assert!(
        totals.contains(&Counted { series: production(), total: wh(1600.0), at: time(1800) }),
        "{totals:?}"
    );
    outer.history.close().await;
    assert!(!outer.path("history.db-wal").exists());
    assert_eq!(outer.samples(), samples);
}

#[tokio::test]
async fn each_gateway_has_a_history_of_its_own() {
    let outer = Outer::new();
    outer.write(vec![sample(0, 300, 5.0)], vec![step(production(), None, 1000.0, 900)]).await.unwrap();
    let other = Serial::parse("122300000002").unwrap();
    let batch = Batch {
        gateway: other.clone(),
        ..batch(vec![sample(0, 300, 7.0)], vec![step(production(), None, 7.0, 900)])
    };
    outer.history.write(Arc::new(vec![batch])).await.unwrap();
    assert_eq!(outer.samples(), [sample(0, 300, 5.0)]);
    assert_eq!(outer.history.totals(&other).await.unwrap()[0].total, wh(7.0));
    assert_eq!(gateways(&HistoryFile::inside(outer.dir.path())).unwrap(), [serial(), other]);
}

#[tokio::test]
async fn what_is_written_twice_is_there_once() {
    let outer = Outer::new();
    outer.write(Vec::new(), vec![step(production(), None, 1000.0, 0)]).await.unwrap();
    for _ in 0..3 {
        let steps = vec![step(production(), Some(1000.0), 1600.0, 900)];
        outer.write(vec![sample(0, 300, 5.0)], steps).await.unwrap();
    }
    assert_eq!(outer.days(Kind::Site)[0].growth.energy, wh(600.0));
    outer.write(vec![sample(0, 300, 9.0)], Vec::new()).await.unwrap();
    assert_eq!(outer.samples(), [sample(0, 300, 5.0)]);
}

#[tokio::test]
async fn the_parts_of_a_slot_are_put_together_up_to_its_length() {
    let outer = Outer::new();
    for (seconds, energy) in [(100, 100.0), (200, 400.0), (50, 900.0)] {
        outer.write(vec![sample(0, seconds, energy)], Vec::new()).await.unwrap();
    }
    let stored = outer.samples();
    assert_eq!(
        (stored[0].seconds, stored[0].energy[0], stored[0].power[0]),
        (300, Some(wh(500.0)), Watts::new(300.0))
    );
    assert_eq!(stored[0].energy[1], None);
}

#[tokio::test]
async fn a_backup_that_was_restored_is_continued() {
    let outer = Outer::new();
    outer.write(Vec::new(), vec![step(production(), None, 1000.0, 0)]).await.unwrap();
    outer.history.close().await;
    let backup = fs::read(outer.path("history.db")).unwrap();
    outer.write(Vec::new(), vec![step(production(), Some(1000.0), 1600.0, 900)]).await.unwrap();
    fs::remove_file(outer.path("history.db")).unwrap();
    fs::remove_file(outer.path("history.db-wal")).unwrap();
    fs::write(outer.path("history.db"), backup).unwrap();
    outer.write(Vec::new(), vec![step(production(), Some(1600.0), 1700.0, 1800)]).await.unwrap();
    assert_eq!(outer.days(Kind::Site)[0].growth.energy, wh(700.0));
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_and_a_new_one_begins() {
    let damages: [fn(&mut Vec<u8>); 4] = [
        |bytes| bytes.truncate(0x2000 + 7),
        |bytes| bytes[..100].fill(b'x'),
        |bytes| *bytes = b"not a database, but long enough to look at it; ".repeat(100),
        |bytes| bytes[4096..].fill(0xff),
    ];
    for (n, damage) in damages.into_iter().enumerate() {
        let outer = Outer::new();
        outer.write(vec![sample(0, 300, 5.0)], vec![step(production(), None, 1000.0, 900)]).await.unwrap();
        outer.history.close().await;
        let mut bytes = fs::read(outer.path("history.db")).unwrap();
        damage(&mut bytes);
        fs::write(outer.path("history.db"), &bytes).unwrap();
        // As after a power cut: the log of the last writes is there.
        fs::write(outer.path("history.db-wal"), b"").unwrap();
        let history = History::new(outer.dir.path(), Disk::inline());
        history.write(Arc::new(vec![batch(vec![sample(300, 300, 6.0)], Vec::new())])).await.unwrap();
        assert_eq!(fs::read(outer.path("history.db.damaged")).unwrap(), bytes, "{n}");
        assert_eq!(outer.samples(), [sample(300, 300, 6.0)], "{n}");
    }
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_left_alone() {
    let outer = Outer::new();
    outer.write(vec![sample(0, 300, 5.0)], Vec::new()).await.unwrap();
    outer.history.close().await;
    let connection = Connection::open(outer.path("history.db")).unwrap();
    connection.execute_batch("PRAGMA user_version = 7").unwrap();
    drop(connection);
    let error = outer.write(vec![sample(300, 300, 5.0)], Vec::new()).await.unwrap_err();
    assert!(matches!(error, Error::Newer { version: 7 }), "{error}");
    assert!(!outer.path("history.db.damaged").exists());
    assert!(matches!(gateways(&HistoryFile::inside(outer.dir.path())), Err(Error::Newer { .. })));
}

#[tokio::test]
async fn a_file_that_another_program_has_locked_is_readable_and_written_later() {
    let outer = Outer::new();
    outer.write(vec![sample(0, 300, 5.0)], Vec::new()).await.unwrap();
    let other = Connection::open(outer.path("history.db")).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let error = outer.write(vec![sample(300, 300, 5.0)], Vec::new()).await.unwrap_err();
    assert!(matches!(error, Error::Locked), "{error}");
    assert_eq!(outer.samples(), [sample(0, 300, 5.0)]);
    other.execute_batch("COMMIT").unwrap();
    outer.write(vec![sample(300, 300, 5.0)], Vec::new()).await.unwrap();
    assert_eq!(outer.samples().len(), 2);
}

#[tokio::test]
async fn what_is_not_a_file_or_belongs_elsewhere_is_refused() {
    let outer = Outer::new();
    std::os::unix::fs::symlink(outer.path("elsewhere"), outer.path("history.db")).unwrap();
    let error = outer.write(vec![sample(0, 300, 5.0)], Vec::new()).await.unwrap_err();
    assert!(error.to_string().ends_with("it is a symbolic link, not a regular file"), "{error}");
    assert!(!outer.path("elsewhere").exists());
}

#[tokio::test]
async fn old_samples_are_deleted_at_most_thirty_days_at_once() {
    let outer = Outer::new();
    let samples = (0..100).map(|day| sample(86_400 * day, 300, 5.0)).collect();
    outer.write(samples, Vec::new()).await.unwrap();
    for left in [70, 40, 20, 20] {
        let keep_from = Some(time(86_400 * 80));
        outer
            .history
            .write(Arc::new(vec![Batch { keep_from, ..batch(Vec::new(), Vec::new()) }]))
            .await
            .unwrap();
        assert_eq!(outer.samples().len(), left);
    }
}

/// The SQL of every version is what was released: a changed step would leave two kinds of files with the same version.
#[tokio::test]
async fn the_schema_is_the_one_of_its_version() {
    let outer = Outer::new();
    outer.write(Vec::new(), Vec::new()).await.unwrap();
    let connection = Connection::open(outer.path("history.db")).unwrap();
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    let mut tables =
        connection.prepare("SELECT name FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").unwrap();
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(version, 1);
    assert_eq!(tables, ["day", "device_day", "gateway", "sample", "series", "site_day"]);
}
