//! Ten years of history: how large the file is, and how long it takes to read months, days and curves from it.
//!
//! `cargo bench --bench history`; `-- DIRECTORY` keeps the file there.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a benchmark"
)]

use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use enphased::app::history::query::{Query, Report, Words};
use enphased::base::reading::{Counter, Serial};
use enphased::base::units::{Percent, WattHours, Watts};
use enphased::io::history::rows::{Batch, Counted, Growth, Kind, Sample, Series, Step};
use enphased::io::history::{History, HistoryFile};
use enphased::io::state_dir::Disk;
use enphased::output::history::Format;
use fastrand::Rng;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, ToSpan};

const YEARS: i16 = 10;
const INVERTERS: usize = 50;
const RUNS: u32 = 20;

fn serial() -> Serial {
    Serial::parse("122300000001").unwrap()
}

fn energy(wh: i64) -> WattHours {
    WattHours::new(wh as f64).unwrap()
}

/// Returns a day as the daemon writes it, but in one batch in place of 96.
fn day(on: Date, number: i64, rng: &mut Rng) -> Batch {
    let midnight = on.to_zoned(TimeZone::UTC).unwrap().timestamp();
    let until = midnight + SignedDuration::from_hours(24);
    let slot = |n: i64| {
        let mut power = || Watts::new(f64::from(rng.i16(-4000..4000)));
        let power = [power(), power(), power(), power()];
        let mut wh = || Some(energy(rng.i64(0..400)));
        let energy = [wh(), wh(), wh(), wh(), wh(), wh()];
        let start = midnight + SignedDuration::from_secs(300 * n);
        let soc = Percent::new(f64::from(rng.u16(0..1000)) / 10.0);
        Sample { start, seconds: 300, power, energy, soc, estimated: false }
    };
    let samples = (0..288).map(slot).collect();
    let step = |series: Series| {
        let growth = Growth { date: on, energy: energy(20_000), since: midnight, until, estimated: false };
        let total = |days: i64| energy(20_000 * days);
        let to = Counted { series, total: total(number + 1), at: until };
        Step { from: (number > 0).then(|| total(number)), to, growth: vec![growth] }
    };
    let site = Counter::ALL.into_iter().map(Series::site);
    let phases = ["L1", "L2", "L3"].into_iter().flat_map(|phase| {
        let quantities = [Counter::Production, Counter::Import, Counter::Export];
        quantities.map(|quantity| Series { kind: Kind::Phase, device: phase.into(), quantity })
    });
    let inverters = (0..INVERTERS).map(|n| Series {
        kind: Kind::Inverter,
        device: format!("1223{n:08}").into(),
        quantity: Counter::Production,
    });
    let steps = site.chain(phases).chain(inverters).map(step).collect();
    Batch { gateway: serial(), samples, steps, keep_from: None }
}

/// Returns the median time of a query, and the size of its answer.
fn median(directory: &std::path::Path, words: Words<'_>, format: Format) -> (Duration, usize) {
    let today = date(2035, 12, 31);
    let query = Query::parse(&words, today).unwrap();
    let mut times = Vec::new();
    let mut size = 0;
    for _ in 0..RUNS {
        let begun = Instant::now();
        let file = HistoryFile::inside(directory);
        let mut report = Report::new(file, serial(), &query, format, &TimeZone::UTC);
        size = 0;
        while let Some(piece) = report.next_piece().unwrap() {
            size += black_box(piece).len();
        }
        times.push(begun.elapsed());
    }
    times.sort();
    (times[times.len() / 2], size)
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn main() {
    let temporary = tempfile::tempdir().unwrap();
    let kept = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).map(PathBuf::from);
    let directory = kept.unwrap_or_else(|| temporary.path().to_owned());
    let history = History::new(&directory, Disk::inline());
    let first = date(2026, 1, 1);
    let last = date(2026 + YEARS, 1, 1);
    let begun = Instant::now();
    let days = std::iter::successors(Some(first), |day| day.checked_add(1.day()).ok())
        .take_while(move |day| *day < last);
    let mut rng = Rng::with_seed(1);
    history.write_in_background((0..).zip(days).map(move |(number, on)| day(on, number, &mut rng)));
    let size = std::fs::metadata(history.path()).unwrap().len();
    println!(
        "{YEARS} years, one gateway, {INVERTERS} inverters: {:.1} MB, written in {:.1} s",
        size as f64 / 1e6,
        begun.elapsed().as_secs_f64()
    );
    let before = resident_kb();
    let range = Words { from: Some("2026"), to: Some("2035"), ..Words::default() };
    let one = Words { from: Some("2030-06-21"), to: Some("2030-06-21"), ..Words::default() };
    for (name, words, format) in [
        ("ten years by months", Words { step: Some("month"), ..range }, Format::Json),
        ("ten years by years", Words { step: Some("year"), ..range }, Format::Json),
        ("ten years by days", Words { step: Some("day"), ..range }, Format::Json),
        ("a day's curve", Words { step: Some("5m"), ..one }, Format::Json),
        ("a day of 50 inverters", Words { of: Some("inverters"), ..one }, Format::Json),
        (
            "a year of 50 inverters by months",
            Words { of: Some("inverters"), step: Some("month"), from: Some("2030"), to: Some("2030") },
            Format::Json,
        ),
    ] {
        let (time, size) = median(&directory, words, format);
        println!("{name}: {:.2} ms, {size} bytes", time.as_secs_f64() * 1e3);
    }
    let begun = Instant::now();
    let query = Query::parse(&Words { step: Some("5m"), ..range }, date(2035, 12, 31)).unwrap();
    let file = HistoryFile::inside(&directory);
    let mut report = Report::new(file, serial(), &query, Format::Csv, &TimeZone::UTC);
    let mut size = 0;
    while let Some(piece) = report.next_piece().unwrap() {
        size += piece.len();
    }
    println!(
        "ten years of 5 minutes as CSV: {:.0} MB in {:.1} s; peak memory of all queries {} kB more than before",
        size as f64 / 1e6,
        begun.elapsed().as_secs_f64(),
        resident_kb() - before
    );
}
