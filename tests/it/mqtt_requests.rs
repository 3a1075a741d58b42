//! Tests requests over MQTT: in virtual time against the simulator's counters, and through a real broker.

use std::path::Path;
use std::time::Duration;

use enphased::app::latest::Availability;
use enphased::app::poller::Shared;
use enphased::app::requests::Request;
use enphased::base::clock::Clock;
use enphased::base::reading::Serial;
use enphased::simulator::{
    Condition, Fault, GatewayOptions, LOGIN, Pages, Simulation, SimulationOptions, responses,
};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::mosquitto::{LOOK, Mosquitto, PATIENCE, Watcher, program};
use crate::support::house::{HOUR, House, MINUTE, one_login};

/// A house with only pollers, so that no socket to a broker disturbs the virtual time.
struct Asked {
    house: House,
    shared: Shared,
    serial: Serial,
    _poller: JoinHandle<Option<Serial>>,
}

impl Asked {
    async fn new() -> Self {
        Self::of(SimulationOptions::default()).await
    }

    async fn of(options: SimulationOptions) -> Self {
        let house = House::new(options);
        let (shared, poller) = house.start_poller();
        let serial = house.serial();
        let asked = Self { house, shared, serial, _poller: poller };
        sleep(Duration::from_secs(10)).await;
        asked
    }

    /// Returns the events so far that respond to a request, each with its kind and message.
    fn answers(&self) -> Vec<(String, String)> {
        let reader = self.shared.latest.reader();
        let snapshot = reader.borrow();
        let events = snapshot.events_after(0).map(|told| &told.event);
        let answers = events.filter(|event| event.kind.starts_with("asked_"));
        answers.map(|event| (event.kind.to_owned(), event.message.clone())).collect()
    }

    fn request(&self, request: Request) {
        self.shared.requests.put(&self.serial, request);
    }

    /// Sends the request every tenth of a second.
    async fn insist(&self, request: Request, length: Duration) {
        for _ in 0..length.as_millis() / 100 {
            self.request(request);
            sleep(Duration::from_millis(100)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_poll_is_made_when_it_is_asked_for_and_the_grid_stays() {
    let asked = Asked::new().await;
    assert_eq!(asked.house.polls(), 1);
    asked.request(Request::Poll);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(asked.house.polls(), 2);
    assert_eq!(asked.answers(), [("asked_poll".to_owned(), "done: the gateway was polled".to_owned())]);
    sleep(Duration::from_secs(20)).await;
    assert_eq!(asked.house.polls(), 3, "the next of its own at 30 s");
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_wishes_does_not_hammer_the_gateway() {
    let asked = Asked::new().await;
    let before = asked.house.polls();
    asked.insist(Request::Poll, HOUR / 6).await;
    let polls = asked.house.polls() - before;
    assert!((100..=121).contains(&polls), "{polls} polls in 10 minutes: not closer than 5 s");
    let told = asked.answers();
    assert!(
        told.len() <= 64 && told.iter().any(|(_, words)| words.contains("possible again in")),
        "{told:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_is_away_or_busy_is_not_asked_more_often_by_wishes() {
    let asked = Asked::new().await;
    let gateway = &asked.house.simulation.gateways[0];
    gateway.fail(Fault::Respond(answers_busy()));
    sleep(MINUTE).await;
    let before = gateway.counts().requests;
    asked.insist(Request::Poll, 8 * MINUTE).await;
    assert_eq!(gateway.counts().requests, before, "it has asked to be left alone for ten minutes");
    assert!(asked.answers().iter().any(|(_, words)| words.contains("asked clients to back off")));
    gateway.heal();
    gateway.set_condition(Condition::Refusing);
    sleep(HOUR / 2).await;
    gateway.heal();
    sleep(HOUR / 2).await;
    let before = asked.house.polls();
    sleep(MINUTE).await;
    assert_eq!(asked.house.polls() - before, 2, "all is as before");
}

#[tokio::test(start_paused = true)]
async fn a_gateway_without_tokens_is_known_by_name_while_it_is_away() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/5.0.62_metered");
    let gateways = vec![GatewayOptions::new(Pages::from_directory(&pages).unwrap())];
    let asked = Asked::of(SimulationOptions { gateways, ..SimulationOptions::default() }).await;
    asked.house.simulation.gateways[0].set_condition(Condition::Refusing);
    sleep(10 * MINUTE).await;
    let reader = asked.shared.latest.reader();
    let availability = reader.borrow().gateway(&asked.serial).unwrap().availability.clone();
    assert!(matches!(&*availability.unwrap().value, Availability::Offline(_)));
    asked.request(Request::RefreshToken);
    sleep(10 * MINUTE).await;
    assert_eq!(asked.answers()[0].0, "asked_refresh_token", "and it can be asked");
}

fn answers_busy() -> enphased::simulator::Answer {
    enphased::simulator::Answer::empty(503).header("Retry-After", "600")
}

#[tokio::test(start_paused = true)]
async fn a_token_is_looked_at_and_not_fetched_again_while_it_is_good() {
    let asked = Asked::new().await;
    asked.insist(Request::RefreshToken, HOUR).await;
    assert_eq!(asked.house.cloud(), one_login());
    let (kind, words) = asked.answers().remove(0);
    assert_eq!(kind, "asked_refresh_token");
    assert!(words.contains("by the rules for automatic attempts: the token is valid until"), "{words}");
}

#[tokio::test(start_paused = true)]
async fn no_hold_off_is_shortened_by_asking() {
    let house = House::new(SimulationOptions::default());
    house.simulation.cloud.fail(responses::too_many_sessions(200).at(LOGIN));
    let (shared, _poller) = house.start_poller();
    let serial = house.serial();
    // Between the polls, which check the token too.
    for _ in 0..23 * 60 {
        sleep(MINUTE * 17 / 60).await;
        shared.requests.put(&serial, Request::RefreshToken);
        sleep(MINUTE * 43 / 60).await;
    }
    assert_eq!(house.cloud().login_attempts, 1, "24 hours are 24 hours");
    let reader = shared.latest.reader();
    let snapshot = reader.borrow();
    let told = snapshot.events_after(0).any(|told| told.event.message.contains("too many active sessions"));
    assert!(told, "and the answer says why");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_understood_is_answered_and_does_nothing() {
    let asked = Asked::new().await;
    let before = asked.house.simulation.gateways[0].counts().requests;
    for _ in 0..1000 {
        asked.request(Request::Unknown);
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(asked.house.simulation.gateways[0].counts().requests, before);
    let told = asked.answers();
    assert!(told.len() <= 2, "{told:?}");
    assert_eq!(told[0].0, "asked_unknown");
}

#[tokio::test]
async fn a_gateway_is_asked_through_a_real_broker_but_never_by_a_kept_message() {
    let broker = Mosquitto::anybody().await;
    let simulation = Simulation::start(&Clock::system(), SimulationOptions::default()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let serial = simulation.gateways[0].serial();
    let (set, event) = (format!("enphased/{serial}/set"), format!("enphased/{serial}/event"));
    let mut watcher = Watcher::new(&broker);
    // A retained message would repeat the request at each connect.
    let kept = rumqttc::PublishOptions::at_least_once().retain(true);
    watcher.client.publish(set.as_str(), "poll", kept).await.unwrap();
    crate::mosquitto::kept(&broker, &set, "poll").await;

    let mut command = program(&broker, &simulation, &dir, &["run"]);
    let file = dir.path().join("config.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("interval = \"1s\"", "interval = \"1h\"") + "commands = true\n")
        .unwrap();
    let _daemon = command.spawn().unwrap();
    let document = format!("enphased/{serial}/reading");
    watcher.until(&document, "production").await;

    watcher.say(&set, "{\"do\":\"everything\"}").await;
    watcher.until(&event, "asked_unknown").await;
    assert!(!format!("{:?}", watcher.topics.borrow()).contains("asked_poll"), "the kept message did nothing");
    let first = watcher.count(&document);
    let asks = async {
        while watcher.count(&document) == first {
            watcher.say(&set, "poll").await;
            sleep(10 * LOOK).await;
        }
    };
    timeout(PATIENCE, asks).await.expect("the poll that was asked for");
    watcher.until(&event, "asked_poll").await;
    let asks = async {
        while !format!("{:?}", watcher.topics.borrow()[&event]).contains("the token is valid until") {
            watcher.say(&set, "refresh_token").await;
            sleep(10 * LOOK).await;
        }
    };
    timeout(PATIENCE, asks).await.expect("the look at the token");
    assert_eq!(simulation.cloud.counts().logins, 1);
}
