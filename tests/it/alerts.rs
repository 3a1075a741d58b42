//! Alerts in virtual time: a webhook of the test receives what a daemon delivers while gateways, the webhook itself and the
//! daemon fail.

use std::time::Duration;

use enphased::simulator::{Condition, SimulationOptions, responses};
use tokio::time::{Instant, sleep};

use crate::server::client::get;
use crate::support::house::{DAY, HOUR, House, MINUTE, one_login};
use crate::support::log::Log;
use crate::support::webhook::{Mood, Webhook};

const AWAY: &str = "No readings from the gateway";
const BACK: &str = "The gateway is responding again";

fn house(webhook: &Webhook) -> House {
    let house = House::new(SimulationOptions::default());
    house.with_gateway("interval = \"2m\"\n").with(&webhook.table())
}

/// Switches the gateway off at the simulated time `from`, and on again at `to`, both counted from the start.
async fn away(house: &House, from: Duration, to: Duration) {
    sleep(from).await;
    house.simulation.gateways[0].set_condition(Condition::Refusing);
    sleep(to.saturating_sub(from)).await;
    house.simulation.gateways[0].heal();
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_is_away_for_hours_by_day_is_announced_once_and_so_is_its_return() {
    let webhook = Webhook::open().await;
    let house = house(&webhook);
    let (log, _guard) = Log::start();
    // From 11:00 to 14:00.
    let working = async {
        away(&house, 5 * HOUR, 8 * HOUR).await;
        sleep(2 * HOUR).await;
    };
    house.live_until(working).await;
    let messages = webhook.requests();
    assert_eq!(webhook.titles(), [AWAY, BACK], "{messages:?}");
    let (begun, ended) = (&messages[0], &messages[1]);
    assert!((6 * HOUR..6 * HOUR + 10 * MINUTE).contains(&begun.after), "{begun:?}");
    assert!((8 * HOUR + 10 * MINUTE..8 * HOUR + 15 * MINUTE).contains(&ended.after), "{ended:?}");
    assert_eq!((begun.path.as_str(), begun.priority.as_str()), ("/MARK-topic-7c1d", "high"));
    assert!(
        begun.body.contains("(since 2026-06-21 11:0") && begun.body.contains("What to do: "),
        "{begun:?}"
    );
    assert!(ended.body.contains("(from 2026-06-21 11:0"), "{ended:?}");
    assert!(log.lines("MARK-").is_empty(), "{:?}", log.lines("MARK-"));
    assert_eq!(house.cloud(), one_login());
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_comes_and_goes_all_day_is_announced_at_most_once_a_day() {
    let webhook = Webhook::open().await;
    let house = house(&webhook);
    let working = async {
        for _ in 0..48 {
            away(&house, 15 * MINUTE, 105 * MINUTE).await;
        }
    };
    house.live_until(working).await;
    let titles = webhook.titles();
    let begun: Vec<Duration> =
        webhook.requests().iter().filter(|it| it.title == AWAY).map(|it| it.after).collect();
    assert!((2..=4).contains(&begun.len()), "{begun:?}");
    assert!(begun.windows(2).all(|pair| pair[1] >= pair[0] + DAY), "{begun:?}");
    let expected: Vec<&str> = [AWAY, BACK].into_iter().cycle().take(titles.len()).collect();
    assert_eq!(titles, expected, "each beginning has its end");
    assert_eq!(house.cloud(), one_login());
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_sleeps_at_night_is_not_announced() {
    let webhook = Webhook::open().await;
    let house = house(&webhook);
    let working = async {
        for _ in 0..3 {
            // The sun sets at 20:00 and rises at 6:00; the simulated day begins at 6:00.
            away(&house, 14 * HOUR, 24 * HOUR + 20 * MINUTE).await;
            tokio::time::sleep_until(next_day(&house)).await;
        }
    };
    house.live_until(working).await;
    assert_eq!(webhook.titles(), [""; 0], "{:?}", webhook.requests());
    assert_eq!(house.cloud(), one_login());
}

/// Returns the time at which the clock of the house shows 6:20.
fn next_day(house: &House) -> Instant {
    let now = house.clock.now();
    let seconds = u64::try_from(now.as_second().rem_euclid(86_400)).unwrap();
    Instant::now() + Duration::from_secs((86_400 + 6 * 3600 + 1200 - seconds) % 86_400)
}

/// Runs a house whose gateway is away from 11:00 to 14:00 with a webhook that fails in some way from 10:00 to 15:00.
/// Returns the house and what is logged.
async fn with_failing_webhook(webhook: &Webhook, mood: Mood) -> (House, Log) {
    let house = house(webhook);
    let (log, _guard) = Log::start();
    let working = async {
        sleep(4 * HOUR).await;
        webhook.set(mood);
        away(&house, HOUR, 2 * HOUR + 30 * MINUTE).await;
        let before = house.polls();
        sleep(2 * HOUR).await;
        let polls = house.polls() - before;
        assert!((59..=61).contains(&polls), "{polls} polls in two hours");
        webhook.set(Mood::Good);
        sleep(3 * HOUR).await;
    };
    house.live_until(working).await;
    assert_eq!(house.cloud(), one_login());
    (house, log)
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_fails_delays_no_poll_and_gets_the_newest_alert_when_it_is_back() {
    let moods = [
        (Mood::Status(500, &[]), "the server failed (HTTP 500)"),
        (Mood::Status(503, &[("retry-after", "60")]), "the server failed (HTTP 503)"),
        (Mood::Status(429, &[]), "no more messages for a while (HTTP 429)"),
        (Mood::Status(404, &[]), "does not know this address (HTTP 404)"),
        (Mood::Status(307, &[("location", "/MARK-elsewhere")]), "the server redirects (HTTP 307)"),
        (Mood::Hangs, "no response within 30 s"),
    ];
    for (mood, words) in moods {
        let webhook = Webhook::open().await;
        let (_house, log) = with_failing_webhook(&webhook, mood.clone()).await;
        let requests = webhook.requests();
        assert_eq!(webhook.titles(), [BACK], "{mood:?}: the end replaces the beginning: {requests:?}");
        let tried: Vec<Duration> = requests.iter().map(|it| it.after).collect();
        assert!((4..=14).contains(&tried.len()), "{mood:?}: {tried:?}");
        assert!(requests.iter().all(|it| it.path == "/MARK-topic-7c1d"), "no redirect is followed");
        let delivered = requests.last().unwrap();
        assert!(delivered.body.contains("(from 2026-06-21 11:0"), "it says since when: {delivered:?}");
        let (warned, ended) = (log.lines(" WARN "), log.lines("alerts are delivered again"));
        let about_alerts: Vec<&String> = warned.iter().filter(|line| line.contains("[alerts]")).collect();
        assert_eq!((about_alerts.len(), ended.len()), (1, 1), "{mood:?}: {warned:?} {ended:?}");
        assert!(about_alerts[0].contains(words), "{about_alerts:?}");
        assert_eq!(log.lines("MARK-"), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_hours_gets_them() {
    let webhook = Webhook::open().await;
    let (_house, _log) = with_failing_webhook(&webhook, Mood::Status(429, &[("retry-after", "12600")])).await;
    let tried: Vec<Duration> = webhook.requests().iter().map(|it| it.after).collect();
    assert_eq!(tried.len(), 2, "{tried:?}");
    assert!(tried[1] >= tried[0] + Duration::from_secs(12_600), "{tried:?}");
    assert_eq!(webhook.titles(), [BACK]);
}

#[tokio::test(start_paused = true)]
async fn a_response_without_end_is_a_success() {
    let webhook = Webhook::open().await;
    webhook.set(Mood::Endless);
    let house = house(&webhook);
    house.live_until(away(&house, 5 * HOUR, 7 * HOUR)).await;
    assert_eq!(webhook.titles(), [AWAY]);
    assert_eq!(webhook.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_restart_announces_nothing_again() {
    let webhook = Webhook::open().await;
    let house = house(&webhook);
    house.live_until(away(&house, 5 * HOUR, 6 * HOUR + 30 * MINUTE)).await;
    assert_eq!(webhook.titles(), [AWAY]);
    house.simulation.gateways[0].set_condition(Condition::Refusing);
    for _ in 0..3 {
        house.live(40 * MINUTE).await;
    }
    assert_eq!(webhook.titles(), [AWAY]);
    house.simulation.gateways[0].heal();
    house.live(15 * MINUTE).await;
    assert_eq!(webhook.titles(), [AWAY, BACK], "the end is announced by another run");
    house.live(HOUR).await;
    assert_eq!(webhook.titles().len(), 2);
    assert_eq!(house.cloud(), one_login());
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_was_not_delivered_before_a_restart_is_delivered_after_it() {
    let webhook = Webhook::open().await;
    webhook.set(Mood::Hangs);
    let house = house(&webhook);
    house.live_until(away(&house, 5 * HOUR, 7 * HOUR)).await;
    house.simulation.gateways[0].set_condition(Condition::Refusing);
    webhook.set(Mood::Good);
    house.live(10 * MINUTE).await;
    assert_eq!(webhook.titles(), [AWAY]);
    house.live(10 * MINUTE).await;
    assert_eq!(webhook.titles(), [AWAY], "once");
}

#[tokio::test(start_paused = true)]
async fn a_damaged_record_is_set_aside_and_causes_no_storm() {
    let webhook = Webhook::open().await;
    let house = house(&webhook);
    house.live_until(away(&house, 5 * HOUR, 6 * HOUR + 30 * MINUTE)).await;
    house.simulation.gateways[0].set_condition(Condition::Refusing);
    std::fs::write(house.state().join("alerts.json"), "{\"problems\": [{").unwrap();
    let (log, _guard) = Log::start();
    house.live(4 * HOUR).await;
    assert_eq!(webhook.titles(), [AWAY], "it is not announced again");
    assert!(house.state().join("alerts.json.damaged").exists());
    assert_eq!(log.lines("the record of alerts was damaged").len(), 1);
    house.live(24 * HOUR).await;
    assert_eq!(webhook.titles(), [AWAY, AWAY], "it lasts for another day");
}

#[tokio::test(start_paused = true)]
async fn a_changed_key_and_a_login_that_is_refused_are_announced_at_once() {
    let webhook = Webhook::open().await;
    let house = house(&webhook);
    let working = async {
        sleep(HOUR).await;
        house.simulation.gateways[0].set_condition(Condition::ReplacedKey);
        sleep(10 * MINUTE).await;
        house.simulation.gateways[0].heal();
        sleep(10 * MINUTE).await;
    };
    house.live_until(working).await;
    let said = webhook.requests();
    assert_eq!(
        webhook.titles(),
        ["The key of the gateway has changed", "The key of the gateway is trusted again"]
    );
    assert!(said[0].body.contains("enphased gateway trust"), "{said:?}");

    for (fault, words) in [
        (responses::wrong_credentials(), "refused this e-mail address or password"),
        (responses::too_many_sessions(200), "too many active sessions"),
    ] {
        let webhook = Webhook::open().await;
        let house = self::house(&webhook);
        house.simulation.cloud.fail(fault);
        house.live(3 * HOUR).await;
        let said = webhook.requests();
        assert_eq!(webhook.titles(), ["Login to the Enphase cloud held back"], "{said:?}");
        assert!(said[0].body.contains(words), "{said:?}");
        assert_eq!(house.cloud().login_attempts, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_state_directory_that_vanishes_is_announced_and_so_is_its_return() {
    let webhook = Webhook::open().await;
    let house = house(&webhook);
    let aside = tempfile::tempdir().unwrap();
    let aside = aside.path().join("aside");
    let working = async {
        sleep(HOUR).await;
        std::fs::rename(house.state(), &aside).unwrap();
        sleep(HOUR).await;
        assert_eq!(webhook.titles(), ["The state directory cannot be used"]);
        std::fs::rename(&aside, house.state()).unwrap();
        sleep(HOUR).await;
    };
    house.live_until(working).await;
    assert_eq!(
        webhook.titles(),
        ["The state directory cannot be used", "The state directory can be used again"]
    );
    assert_eq!(house.cloud(), one_login());
}

#[tokio::test(start_paused = true)]
async fn a_total_that_is_held_back_for_a_day_is_announced_and_so_is_its_return() {
    let webhook = Webhook::open().await;
    let house = house(&webhook);
    let working = async {
        sleep(2 * HOUR).await;
        house.simulation.gateways[0].set_condition(Condition::Zeros);
        sleep(23 * HOUR).await;
        assert_eq!(webhook.titles(), [""; 0], "{:?}", webhook.requests());
        sleep(2 * HOUR).await;
        assert_eq!(webhook.titles(), ["Lifetime total held back"], "one message for all totals");
        house.simulation.gateways[0].heal();
        sleep(HOUR).await;
    };
    house.live_until(working).await;
    let said = webhook.requests();
    assert_eq!(webhook.titles(), ["Lifetime total held back", "Lifetime total published again"]);
    assert!(said[0].body.contains("The total of production of gateway"), "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn the_server_shows_the_problems_that_last() {
    let house = House::new(SimulationOptions::default()).with("[server]\nlisten = [\"127.0.0.1:0\"]\n");
    house
        .visited(async |addresses| {
            let at = addresses[0].address;
            sleep(HOUR).await;
            assert_eq!(get(at, "/api/v1/status").await.json()["problems"], serde_json::json!([]));
            house.simulation.gateways[0].set_condition(Condition::ReplacedKey);
            sleep(10 * MINUTE).await;
            let status = get(at, "/api/v1/status").await.json();
            let problem = &status["problems"][0];
            assert_eq!(
                (&problem["problem"], &problem["severity"]),
                (&"gateway_key".into(), &"critical".into())
            );
            assert_eq!(problem["serial"].as_str(), Some(house.serial().as_str()));
            assert!(problem["message"].as_str().unwrap().contains("presented a different key"), "{problem}");
            assert!(problem["advice"].as_str().unwrap().contains("enphased gateway trust"), "{problem}");
            assert_eq!(status["events"][0]["kind"], "problem_begun", "{status}");
            house.simulation.gateways[0].heal();
            sleep(10 * MINUTE).await;
            let status = get(at, "/api/v1/status").await.json();
            assert_eq!(status["problems"], serde_json::json!([]));
            assert_eq!(status["events"][0]["kind"], "problem_ended", "{status}");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_watched_if_nobody_wants_to_know() {
    let house = House::new(SimulationOptions::default());
    house.live(HOUR).await;
    assert!(!house.state().join("alerts.json").exists());
}
