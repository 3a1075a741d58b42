//! Tests that the watchdog of systemd tolerates a cloud and a gateway that are slow within their limits.

use std::time::Duration;

use enphased::app::daemon::notify::Notify;
use enphased::app::daemon::{self, Inputs};
use enphased::app::history::disks::Disks;
use enphased::io::state_dir::StateDir;
use enphased::simulator::{Answer, Fault, GatewayOptions, LOGIN, Pages, SimulationOptions, TOKENS};
use fastrand::Rng;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::support::house::{House, MINUTE};

/// The watchdog timeout of the unit.
const WATCHDOG: Duration = Duration::from_secs(180);

/// Runs a daemon for `length`; returns the longest time between two watchdog pings.
async fn longest_silence(house: &House, length: Duration) -> Duration {
    let (tell, mut told) = mpsc::unbounded_channel();
    let (_nobody, hangups) = mpsc::channel(1);
    let more_stops = mpsc::channel(1).1;
    let notify = Notify::Channel(tell, Some(WATCHDOG));
    let state = StateDir::open(house.state()).unwrap();
    let clock = house.clock.clone();
    let inputs = Inputs {
        state,
        clock,
        rng: Rng::with_seed(5),
        notify,
        hangups,
        more_stops,
        listeners: None,
        history_disks: Disks::inline(),
    };
    let listen = tokio::spawn(async move {
        let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
        while let Some(line) = told.recv().await {
            if line.starts_with("WATCHDOG") {
                longest = longest.max(last.elapsed());
                last = Instant::now();
            }
        }
        longest.max(last.elapsed())
    });
    daemon::run(house.config(), inputs, || Ok(house.config()), sleep(length)).await.unwrap();
    listen.await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_slow_cloud_and_a_slow_gateway_are_no_hang() {
    let house = House::new(SimulationOptions::default());
    let slow = Duration::from_secs(55);
    let cloud = &house.simulation.cloud;
    cloud.fail(Fault::Delay(slow).at(LOGIN));
    // The first source of tokens fails, so there are three requests.
    cloud.fail(Fault::Respond(Answer::html(404, "<html>Not found</html>").after(slow)).at(TOKENS));
    cloud.fail(Fault::Delay(slow));
    house.simulation.gateways[0].fail(Fault::Delay(Duration::from_secs(44)));
    let silence = longest_silence(&house, 20 * MINUTE).await;
    assert!(silence < WATCHDOG, "{silence:?}");
    let counts = house.cloud();
    assert_eq!(
        (counts.login_attempts, counts.logins, counts.token_fetches, counts.other_token_fetches),
        (1, 1, 1, 1)
    );
    assert_eq!(counts.tokens, 1);
}

#[tokio::test(start_paused = true)]
async fn gateways_that_wait_for_each_other_s_logins_are_no_hang() {
    let gateways = (0..6).map(|_| GatewayOptions::new(Pages::metered())).collect();
    let house = House::new(SimulationOptions { gateways, ..SimulationOptions::default() });
    house.simulation.cloud.fail(Fault::Delay(Duration::from_secs(55)));
    let silence = longest_silence(&house, 20 * MINUTE).await;
    assert!(silence < WATCHDOG, "{silence:?}");
    let counts = house.cloud();
    assert_eq!((counts.login_attempts, counts.logins, counts.token_fetches, counts.tokens), (1, 1, 6, 6));
}
