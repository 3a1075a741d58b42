//! Runs a daemon for a year with outages, updates and a changed password, and compares its log with a snapshot.

use std::cell::RefCell;
use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use enphased::app::poller::Poller;
use enphased::simulator::{Condition, Simulation, responses};
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::house::{DAY, House};

const INTERVAL: Duration = Duration::from_secs(12 * 3600);
/// The time before and after a poll that is not skipped.
const AROUND: Duration = Duration::from_secs(150);

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// The log at the default level, by thread, because each test has its own.
struct Log;

struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.0.insert_str(0, &format!("{value:?}")),
            name => write!(self.0, " {name}={value:?}").unwrap(),
        }
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let (level, target) = (event.metadata().level(), event.metadata().target());
        if *level <= Level::INFO && target.starts_with("enphased") {
            let mut words = Words(String::new());
            event.record(&mut words);
            LINES.with_borrow_mut(|lines| lines.push(format!("{level} {}", words.0)));
        }
    }
}

/// Subscribes on every thread: with a subscriber on only one, events that another thread emits first are lost.
fn listen() {
    let subscriber = tracing_subscriber::registry().with(Log);
    drop(tracing::subscriber::set_global_default(subscriber));
}

/// Runs until two and a half minutes after a poll of that day, so that one during the restart is repeated; the time between polls is skipped.
async fn until(house: &House, start: Timestamp, day: u32) {
    while house.clock.now() < start + day * DAY {
        tokio::time::advance(INTERVAL.saturating_sub(2 * AROUND)).await;
        tokio::time::sleep(2 * AROUND).await;
    }
}

/// The two polls of a day, one of them while the gateway restarts.
#[tokio::test(start_paused = true)]
async fn a_year_with_outages_an_update_and_a_changed_password_takes_two_logins() {
    let house = House::new();
    listen();
    tokio::time::sleep(Duration::from_secs(2 * 3600 + 90)).await;
    let start = house.clock.now();
    let (cloud, gateway) = (&house.simulation.cloud, &house.simulation.gateways[0]);
    let shared = house.shared(Simulation::PASSWORD);
    let token_provider = Arc::clone(&shared.token_provider);
    let place = shared.statuses.open();
    let poller = Poller::new(place, house.reader(shared, INTERVAL), Instant::now());
    let (_running, stop) = tokio::sync::oneshot::channel::<()>();
    tokio::spawn(Box::new(poller).run(async move { drop(stop.await) }));

    tokio::time::sleep(AROUND).await;
    until(&house, start, 100).await;
    gateway.set_condition(Condition::Firmware("D8.3.5433".into()));
    until(&house, start, 200).await;
    cloud.set_password(Simulation::EMAIL, "another");
    until(&house, start, 330).await;
    cloud.fail(responses::outage(503));
    until(&house, start, 340).await;
    cloud.heal();
    until(&house, start, 345).await;
    *token_provider.lock().await = house.token_provider("another");
    until(&house, start, 365).await;

    let counts = house.counts();
    assert_eq!((counts.logins, counts.token_fetches, counts.tokens, counts.other), (2, 2, 2, 0));
    // Two successes, one wrong password, and one attempt on each day of the outage in the window.
    assert!((2 + 1 + 4..=2 + 1 + 6).contains(&counts.login_attempts), "{counts:?}");
    // The token's random offset decides the days, and so how often the outage is met.
    let mut lines = LINES.take();
    assert!(lines.len() <= 25, "{lines:#?}");
    let mut told = std::collections::BTreeSet::new();
    lines.retain(|line| told.insert(line.clone()));
    let lines = lines.join("\n");
    let lines = lines.replace(&gateway.address(), "https://gateway");
    insta::assert_snapshot!(lines);
}
