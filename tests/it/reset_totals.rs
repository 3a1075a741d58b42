//! Tests `gateway reset-totals` on a total that was never right, while the daemon runs.

use enphased::app::commands::Context;
use enphased::app::commands::reset_totals::{Options, reset_totals};
use enphased::base::reading::Counter;
use enphased::simulator::SimulationOptions;
use fastrand::Rng;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::house::{HOUR, House, MINUTE, one_login};

/// Returns the stored totals and the name of their file.
fn kept(house: &House) -> (std::path::PathBuf, Value) {
    let names = std::fs::read_dir(house.state()).unwrap().map(|entry| entry.unwrap().path());
    let is_it =
        |path: &std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("counters-");
    let path = names.into_iter().find(is_it).unwrap();
    let text = std::fs::read(&path).unwrap();
    (path, serde_json::from_slice(&text).unwrap())
}

fn published(house: &House, counter: &str) -> f64 {
    kept(house).1["totals"]["tracks"][counter]["published"].as_f64().unwrap()
}

/// Creates a house whose first production was a thousand times too high.
async fn house() -> House {
    let house = House::new(SimulationOptions::default());
    house.live(MINUTE).await;
    let (path, mut kept) = kept(&house);
    let track = &mut kept["totals"]["tracks"]["production"];
    let thousandfold = json!(track["published"].as_f64().unwrap() * 1000.0);
    (track["published"], track["level"]["raw"]) = (thousandfold.clone(), thousandfold);
    std::fs::write(path, kept.to_string()).unwrap();
    house
}

/// Runs the command; returns its result and output.
async fn reset(house: &House, counters: &[Counter], answer: &str) -> (bool, String) {
    let mut context =
        Context::new(house.config(), house.environment(), house.clock.clone(), Rng::with_seed(3));
    let wanted = Options { gateway: None, counters: counters.to_vec(), assume_yes: false };
    let mut out = Vec::new();
    let done = reset_totals(&mut context, wanted, &mut answer.as_bytes(), &mut out).await;
    (done.is_ok(), String::from_utf8(out).unwrap())
}

fn requests(house: &House) -> usize {
    let names = std::fs::read_dir(house.state()).unwrap().map(|entry| entry.unwrap().file_name());
    names.into_iter().filter(|name| name.to_str().unwrap().starts_with("reset-totals-")).count()
}

#[tokio::test(start_paused = true)]
async fn a_total_that_was_never_right_starts_again_at_the_operators_word() {
    let house = house().await;
    let wrong = published(&house, "production");
    let imported = published(&house, "import");
    let command = async {
        sleep(HOUR).await;
        assert!(published(&house, "production") >= wrong, "it does not go backward by itself");
        let (done, shown) = reset(&house, &[Counter::Production], "n\n").await;
        assert!(!done && requests(&house) == 0, "{shown}");
        let (done, shown) = reset(&house, &[Counter::Production], "y\n").await;
        assert!(done, "{shown}");
        assert!(shown.contains(&format!("{wrong:.0}")[..6]), "the old total is shown: {shown}");
        sleep(2 * MINUTE).await;
        let right = published(&house, "production");
        assert!(right < wrong / 900.0, "{right} after {wrong}, while the daemon runs");
        assert!(shown.contains(&format!("{right:.0}")[..5]), "the new total is shown: {shown}");
        assert_eq!(requests(&house), 0, "the request is obeyed once");
    };
    tokio::join!(house.live(2 * HOUR), command);
    let right = published(&house, "production");
    assert!(right < wrong / 900.0, "{right} at the end");
    assert!(published(&house, "import") >= imported, "the other totals go on");
    assert_eq!(house.cloud(), one_login());
}

#[tokio::test(start_paused = true)]
async fn without_a_daemon_the_next_one_obeys() {
    let house = house().await;
    let wrong = published(&house, "production");
    let (done, shown) = reset(&house, &[], "yes\n").await;
    assert!(done && requests(&house) == 1, "{shown}");
    assert!(shown.contains("consumption") && shown.contains("import"), "all are shown: {shown}");
    assert!(published(&house, "production") >= wrong, "the command itself writes no totals");
    house.live(2 * MINUTE).await;
    assert!(published(&house, "production") < wrong / 900.0);
    assert_eq!(requests(&house), 0);
}
