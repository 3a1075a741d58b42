//! Tests a production meter that measures nothing while the inverters report kilowatts: the daemon reports it once, and
//! `check` shows it.

use enphased::app::commands::Context;
use enphased::app::commands::check::check;
use enphased::simulator::{Condition, SimulationOptions};
use fastrand::Rng;
use serde_json::Value;

use crate::support::house::{HOUR, House};

/// Returns the time since which the stored state reports the meter as blind.
fn reported(house: &House) -> Value {
    let names = std::fs::read_dir(house.state()).unwrap().map(|entry| entry.unwrap().path());
    let is_it =
        |path: &std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("counters-");
    let text = std::fs::read(names.into_iter().find(is_it).unwrap()).unwrap();
    serde_json::from_slice::<Value>(&text).unwrap()["production_meter"]["reported"].clone()
}

async fn checked(house: &House) -> String {
    let mut context =
        Context::new(house.config(), house.environment(), house.clock.clone(), Rng::with_seed(3));
    let mut out = Vec::new();
    // The result does not matter, because there is no broker.
    drop(check(&mut context, &mut out).await);
    String::from_utf8(out).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_meter_that_sees_nothing_is_reported_and_check_says_what_to_look_at() {
    let house = House::new(SimulationOptions::default());
    house.live(4 * HOUR).await;
    assert_eq!(reported(&house), Value::Null, "a sound meter");
    let words = checked(&house).await;
    assert!(words.contains("pages") && !words.contains("production meter shows"), "{words}");

    house.simulation.gateways[0].set_condition(Condition::BlindMeter);
    house.live(2 * HOUR).await;
    let since = reported(&house);
    assert_ne!(since, Value::Null);
    let words = checked(&house).await;
    assert!(words.contains("the production meter shows 0 W and the inverters report"), "{words}");
    assert!(words.contains("its arrow"), "{words}");
    house.live(2 * HOUR).await;
    assert_eq!(reported(&house), since, "a restart does not report it again");

    house.simulation.gateways[0].heal();
    house.live(2 * HOUR).await;
    assert_eq!(reported(&house), Value::Null, "it sees again");
}
