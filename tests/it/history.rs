//! The history of a daemon in virtual time: what it contains, how often files are written, and what a disk that hangs, is
//! locked or loses its file does to it.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use enphased::base::reading::{Counter, Serial};
use enphased::base::units::WattHours;
use enphased::io::history::rows::{Day, Kind, Sample};
use enphased::io::history::{Days, HistoryFile, Samples};
use enphased::io::http::Listen;
use enphased::simulator::SimulationOptions;
use jiff::civil::date;
use tokio::time::sleep;

use crate::server::client::get;
use crate::support::house::{HOUR, House, MINUTE};
use crate::support::log::Log;
use crate::support::sd_card::SdCard;

fn house() -> House {
    House::new(SimulationOptions::default()).with_history()
}

fn samples(house: &House, serial: &Serial) -> Vec<Sample> {
    let (from, to) = ("2000-01-01T00:00:00Z".parse().unwrap(), "2100-01-01T00:00:00Z".parse().unwrap());
    let mut pages = Samples::new(HistoryFile::inside(house.state()), serial.clone(), from, to);
    std::iter::from_fn(|| Some(pages.page().unwrap()).filter(|page| !page.is_empty())).flatten().collect()
}

fn days(house: &House, kind: Kind) -> Vec<Day> {
    let file = HistoryFile::inside(house.state());
    let mut pages = Days::new(file, house.serial(), kind, date(2000, 1, 1), date(2100, 1, 1));
    std::iter::from_fn(|| pages.page().unwrap()).flatten().collect()
}

/// Returns the energy of production on a date.
fn produced(house: &House, on: &str) -> i64 {
    let on = on.parse().unwrap();
    let is_it = |day: &&Day| day.series.quantity == Counter::Production && day.growth.date == on;
    days(house, Kind::Site).iter().filter(is_it).map(|day| day.growth.energy.whole()).sum()
}

#[tokio::test(start_paused = true)]
async fn a_day_has_288_samples_and_the_energy_of_site_phases_and_inverters() {
    let house = house().with("interval = \"2m\"\n");
    house.live(42 * HOUR).await;
    let all = samples(&house, &house.serial());
    let on_day: Vec<&Sample> =
        all.iter().filter(|sample| sample.start.to_string().starts_with("2026-06-22")).collect();
    assert_eq!(on_day.len(), 288);
    let (made, day) = (
        on_day.iter().map(|sample| sample.energy[0].unwrap().whole()).sum::<i64>(),
        produced(&house, "2026-06-22"),
    );
    assert_eq!(made, day);
    assert!(day > 5_000, "{day} Wh");
    let noon = all.iter().find(|sample| sample.start.to_string().starts_with("2026-06-22T12:00")).unwrap();
    let (power, energy) = (noon.power[0].unwrap().value(), noon.energy[0].unwrap().value());
    assert!((power / 12.0 - energy).abs() < 0.1 * energy, "{power} W, {energy} Wh");
    let phases: i64 = days(&house, Kind::Phase)
        .iter()
        .filter(|day| day.series.quantity == Counter::Production && day.growth.date == date(2026, 6, 22))
        .map(|day| day.growth.energy.whole())
        .sum();
    assert!((phases - day).abs() < 10, "{phases} of the phases, {day} of the site");
    let inverters: Vec<i64> = days(&house, Kind::Inverter)
        .iter()
        .filter(|day| day.growth.date == date(2026, 6, 22))
        .map(|day| day.growth.energy.whole())
        .collect();
    assert!(inverters.len() > 3 && inverters.iter().all(|energy| *energy > 0), "{inverters:?}");
}

/// Returns the identity of every state file but the history. A replaced file has another one.
fn identities(house: &House) -> BTreeMap<String, (u64, i64, i64)> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(house.state()).unwrap().map(Result::unwrap) {
        let (name, data) = (entry.file_name().into_string().unwrap(), entry.metadata().unwrap());
        if !name.starts_with("history.db") {
            files.insert(name, (data.ino(), data.mtime(), data.mtime_nsec()));
        }
    }
    files
}

/// With a server that a program asks each minute, and alerts.
#[tokio::test(start_paused = true)]
async fn a_day_writes_at_most_250_times_to_all_files_together() {
    let house =
        house().with("\n[server]\nlisten = [\"127.0.0.1:0\"]\n[alerts]\nurl = \"http://127.0.0.1:9/\"\n");
    let worker = Arc::new(SdCard::default());
    let visit = async |addresses: Vec<Listen>| {
        let server = addresses[0].address;
        sleep(HOUR).await;
        let (before, mut replaced) = (worker.done(), BTreeMap::new());
        let mut known = identities(&house);
        for step in 0..24 * 240 {
            sleep(MINUTE / 4).await;
            if step % 4 == 0 {
                assert_eq!(get(server, "/api/v1/gateways").await.status, 200);
            }
            let now = identities(&house);
            for (name, _) in now.iter().filter(|(name, identity)| known.get(*name) != Some(*identity)) {
                *replaced.entry(name.clone()).or_insert(0) += 1;
            }
            known = now;
        }
        let history = worker.done() - before;
        assert!((95..=97).contains(&history), "{history} writes of the history");
        assert!(
            replaced.contains_key("consumers.json") && replaced.contains_key("alerts.json"),
            "{replaced:?}"
        );
        let others: usize = replaced.values().sum();
        assert!((96..=250 - history).contains(&others), "{replaced:?}");
    };
    house.visited_recording(worker.disk(), visit).await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_program_loses_nothing_and_a_kill_at_most_15_minutes_of_the_curve() {
    let house = house();
    house.live(3 * HOUR + 7 * MINUTE).await;
    let first = samples(&house, &house.serial());
    assert_eq!(first.len(), 38, "the last slot has only a part of its time: {:?}", first.last());
    let before = produced(&house, "2026-06-21");
    // Dropped in the middle, as by a kill.
    let daemon = house.live(HOUR + 14 * MINUTE);
    tokio::time::timeout(HOUR + 10 * MINUTE, daemon).await.unwrap_err();
    let killed = samples(&house, &house.serial());
    assert!(killed.len() >= first.len() + 10, "{} after {}", killed.len(), first.len());
    house.live(HOUR).await;
    let after = samples(&house, &house.serial());
    assert!(after.iter().all(|sample| sample.seconds <= 300));
    let curve: i64 = after.iter().filter_map(|sample| sample.energy[0]).map(WattHours::whole).sum();
    let day = produced(&house, "2026-06-21");
    assert!(day > before && curve <= day, "{before} before, {curve} in the curve, {day} in the day");
    assert!(day - curve < 1_500, "only the time of the kill is missing: {}", day - curve);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_hangs_for_hours_delays_no_poll_and_loses_nothing() {
    let (log, _guard) = Log::start();
    let house = house();
    let worker = Arc::new(SdCard::default());
    let story = async {
        sleep(HOUR).await;
        worker.hang();
        let polls = house.polls();
        sleep(4 * HOUR).await;
        assert_eq!(house.polls(), polls + 480, "the grid of 30 s");
        worker.respond();
        sleep(HOUR).await;
    };
    house.live_recording(worker.disk(), story).await;
    assert_eq!(log.lines("the disk does not respond").len(), 1, "{:?}", log.lines("history"));
    let ended = log.lines("can be written again after=");
    assert!(ended.len() == 1 && ended[0].contains("after=3 h"), "{ended:?}");
    let all = samples(&house, &house.serial());
    assert_eq!(all.len(), 72, "6 hours");
    let curve: i64 = all.iter().filter_map(|sample| sample.energy[0]).map(WattHours::whole).sum();
    assert_eq!(curve, produced(&house, "2026-06-21"));
}

#[tokio::test(start_paused = true)]
async fn a_file_that_another_program_locks_for_a_while_is_written_later() {
    let (log, _guard) = Log::start();
    let house = house();
    let story = async {
        sleep(HOUR).await;
        let other = rusqlite::Connection::open(house.state().join("history.db")).unwrap();
        other.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let polls = house.polls();
        sleep(17 * MINUTE).await;
        assert_eq!(house.polls(), polls + 34);
        drop(other);
        sleep(HOUR).await;
    };
    house.live_until(story).await;
    assert_eq!(log.lines("another program has locked it").len(), 1, "{:?}", log.lines("history"));
    assert_eq!(log.lines("can be written again after=").len(), 1, "{:?}", log.lines("history"));
    assert_eq!(samples(&house, &house.serial()).len(), 28, "2 h 17 min");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_removed_or_damaged_under_the_daemon_is_begun_anew() {
    let (log, _guard) = Log::start();
    let house = house();
    let path = house.state().join("history.db");
    let story = async {
        sleep(HOUR).await;
        std::fs::remove_file(&path).unwrap();
        sleep(HOUR).await;
        assert_eq!(samples(&house, &house.serial()).len(), 12);
    };
    house.live_until(story).await;
    std::fs::write(
        &path,
        b"this is not a database; it is longer than its header would be, and says nothing\n".repeat(9),
    )
    .unwrap();
    house.live(HOUR).await;
    assert_eq!(log.lines("was damaged and is set aside").len(), 1, "{:?}", log.lines("history"));
    assert_eq!(samples(&house, &house.serial()).len(), 12);
}

#[tokio::test(start_paused = true)]
async fn without_a_history_there_is_no_file() {
    let house = house().with("[history]\nenabled = false\n");
    house.live(HOUR).await;
    assert!(!house.state().join("history.db").exists());
}
