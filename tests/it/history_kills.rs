//! Kills a process that writes the history, hundreds of times, at random moments. After each kill the file is sound, everything
//! that was acknowledged is there, and nothing is there twice.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use enphased::base::reading::{Counter, Serial};
use enphased::base::units::{WattHours, Watts};
use enphased::io::history::rows::{Batch, Counted, Growth, Kind, Sample, Series, Step};
use enphased::io::history::{Days, History, HistoryFile, Samples};
use enphased::io::state_dir::Disk;
use jiff::civil::date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// The number of kills. `KILLS` makes it longer.
const KILLS: u32 = 200;
/// The directory of the process that writes.
const DIRECTORY: &str = "ENPHASED_TEST_HISTORY";
const INVERTERS: i64 = 20;

fn serial() -> Serial {
    Serial::parse("122300000001").unwrap()
}

fn start(slot: i64) -> Timestamp {
    Timestamp::from_second(1_782_000_000 + 300 * slot).unwrap()
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn wh(number: i64) -> WattHours {
    WattHours::new(number as f64).unwrap()
}

/// Returns what is written after `slot` slots, each of which adds 10 Wh to the site and 1 Wh to each inverter.
fn batch(slot: i64) -> Batch {
    let at = start(slot + 1);
    let sample = Sample {
        start: start(slot),
        seconds: 300,
        power: [Watts::new(120.0), None, None, None],
        energy: [Some(wh(10)), None, None, None, None, None],
        soc: None,
        estimated: false,
    };
    let step = |kind, device: String, each: i64| {
        let series = Series { kind, device: device.into(), quantity: Counter::Production };
        let on = (at - SignedDuration::from_secs(1)).to_zoned(TimeZone::UTC).date();
        let growth = Growth { date: on, energy: wh(each), since: start(slot), until: at, estimated: false };
        let from = (slot > 0).then(|| wh(1000 + each * slot));
        Step { from, to: Counted { series, total: wh(1000 + each * (slot + 1)), at }, growth: vec![growth] }
    };
    let inverters = (0..INVERTERS).map(|n| step(Kind::Inverter, format!("{n}"), 1));
    let steps = std::iter::once(step(Kind::Site, String::new(), 10)).chain(inverters).collect();
    Batch { gateway: serial(), samples: vec![sample], steps, keep_from: None }
}

/// Not a test: the process that writes, and says after each transaction how many slots are on disk.
#[tokio::test]
#[ignore = "the process that is killed; started by the test below"]
async fn write_until_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let history = History::new(Path::new(&directory), Disk::inline());
    let totals = history.totals(&serial()).await.unwrap();
    let site = totals.iter().find(|counted| counted.series.kind == Kind::Site);
    let first = site.map_or(0, |counted| (counted.total.whole() - 1000) / 10);
    let mut out = std::io::stdout().lock();
    for slot in first.. {
        history.write(Arc::new(vec![batch(slot)])).await.unwrap();
        writeln!(out, "\nwritten {}", slot + 1).unwrap();
        out.flush().unwrap();
    }
}

struct Writer {
    child: Child,
    directory: PathBuf,
}

impl Writer {
    fn start(directory: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "history_kills::write_until_killed", "--ignored", "--nocapture"]);
        command.env(DIRECTORY, directory).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        Self { child: command.spawn().unwrap(), directory: directory.to_owned() }
    }

    /// Kills the process after it has written for a while, and returns the number of slots that it has acknowledged.
    fn kill_after(mut self, transactions: usize, pause: Duration) -> i64 {
        let mut lines = BufReader::new(self.child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let number =
            |line: String| line.strip_prefix("written ").and_then(|number| number.parse::<i64>().ok());
        let last = lines.by_ref().filter_map(number).nth(transactions).expect("the process ended by itself");
        std::thread::sleep(pause);
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        lines.filter_map(number).last().unwrap_or(last)
    }

    fn check(directory: &Path, acknowledged: i64) {
        let file = || HistoryFile::inside(directory);
        let far = Timestamp::from_second(4_000_000_000).unwrap();
        let mut samples = Samples::new(file(), serial(), start(0), far);
        let pages = std::iter::from_fn(|| Some(samples.page().unwrap()).filter(|page| !page.is_empty()));
        let slots: Vec<Timestamp> = pages.flatten().map(|sample| sample.start).collect();
        let number = i64::try_from(slots.len()).unwrap();
        assert!(
            number == acknowledged || number == acknowledged + 1,
            "{number} slots, {acknowledged} acknowledged"
        );
        assert!(
            (0..number).zip(&slots).all(|(slot, found)| start(slot) == *found),
            "in order, and none is missing"
        );
        for (kind, each) in [(Kind::Site, 10), (Kind::Inverter, INVERTERS)] {
            let mut days = Days::new(file(), serial(), kind, date(2000, 1, 1), date(2100, 1, 1));
            let pages = std::iter::from_fn(|| days.page().unwrap());
            let sum: i64 = pages.flatten().map(|day| day.growth.energy.whole()).sum();
            assert_eq!(sum, each * number, "{kind:?}");
        }
    }
}

#[test]
fn a_process_that_is_killed_while_it_writes_loses_nothing_that_was_written() {
    let directory = tempfile::tempdir().unwrap();
    let kills = std::env::var("KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let mut rng = fastrand::Rng::with_seed(12);
    let mut acknowledged = 0;
    for kill in 0..kills {
        let writer = Writer::start(directory.path());
        let path = writer.directory.clone();
        acknowledged = writer.kill_after(rng.usize(0..3), Duration::from_micros(rng.u64(0..4_000)));
        // Reading recovers the log of the last writes, as the next process does.
        if kill % 10 == 0 || kill + 1 == kills {
            Writer::check(&path, acknowledged);
        }
    }
    assert!(acknowledged > i64::from(kills), "{acknowledged}");
    assert!(!directory.path().join("history.db.damaged").exists(), "every start has checked the file");
}
