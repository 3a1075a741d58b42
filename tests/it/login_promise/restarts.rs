//! Tests daemons that are started, interrupted and started again.

use std::time::Duration;

use enphased::app::token_provider::Outcome;
use enphased::io::token::Token;
use enphased::rules::logins::Decision;
use enphased::rules::logins::clocks::GatewayTime;
use enphased::rules::logins::decision::Waiting;
use enphased::rules::logins::situation::Operator;
use enphased::simulator::{CloudCounts, Fault, LOGIN, Role, Simulation, mint_token, responses};

use super::house::{DAY, House, MINUTE};

const PASSWORD: &str = Simulation::PASSWORD;
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// The requests of one login for one token.
fn one_login() -> CloudCounts {
    CloudCounts { login_attempts: 1, logins: 1, token_fetches: 1, tokens: 1, ..CloudCounts::default() }
}

#[tokio::test(start_paused = true)]
async fn a_first_start_makes_one_login_and_thirty_restarts_make_none() {
    let house = House::new();
    house.start(PASSWORD).await.unwrap();
    assert_eq!(house.counts(), one_login());
    for _ in 0..30 {
        house.start(PASSWORD).await.unwrap();
    }
    assert_eq!(house.counts(), one_login());
}

#[tokio::test(start_paused = true)]
async fn thirty_restarts_against_too_many_sessions_make_one_attempt() {
    let house = House::new();
    house.simulation.cloud.fail(responses::too_many_sessions(200));
    for _ in 0..30 {
        house.start(PASSWORD).await.unwrap_err();
    }
    assert_eq!(house.counts(), CloudCounts { login_attempts: 1, ..CloudCounts::default() });
}

#[tokio::test(start_paused = true)]
async fn with_a_stored_token_a_start_asks_the_cloud_nothing() {
    let house = House::new();
    let text = mint_token(house.serial().as_str(), Role::Owner, house.clock.now(), YEAR);
    house.token_provider(PASSWORD).import(&Token::decode(&text).unwrap(), Duration::ZERO).await.unwrap();
    for _ in 0..5 {
        house.start(PASSWORD).await.unwrap();
    }
    assert_eq!(house.counts(), CloudCounts::default());
}

#[tokio::test(start_paused = true)]
async fn two_daemons_with_wrong_passwords_do_not_take_turns() {
    let house = House::new();
    for _ in 0..10 {
        house.start("wrong").await.unwrap_err();
        house.start("wrong too").await.unwrap_err();
        tokio::time::sleep(DAY).await;
    }
    assert_eq!(house.counts(), CloudCounts { login_attempts: 2, ..CloudCounts::default() });
}

#[tokio::test(start_paused = true)]
async fn a_login_that_is_cut_off_is_on_disk_and_not_repeated_for_a_day() {
    let house = House::new();
    house.simulation.cloud.fail(Fault::Hang.at(LOGIN).once());
    let (serial, now) = (house.serial(), GatewayTime::Time(house.clock.now()));
    let mut token_provider = house.token_provider(PASSWORD);
    let tending = token_provider.ensure_token(&serial, now, Operator::Absent, Duration::ZERO);
    tokio::time::timeout(Duration::from_secs(5), tending).await.unwrap_err();
    for _ in 0..30 {
        let mut token_provider = house.token_provider(PASSWORD);
        let outcome =
            token_provider.ensure_token(&serial, now, Operator::Absent, Duration::ZERO).await.unwrap();
        let Outcome::NothingSent(Decision::Wait { why, .. }) = outcome else { panic!("{outcome:?}") };
        assert_eq!(why, Waiting::Interrupted);
    }
    assert_eq!(house.counts().login_attempts, 1);
    tokio::time::sleep(DAY).await;
    house.start(PASSWORD).await.unwrap();
    assert_eq!(house.counts().login_attempts, 2);
}

#[tokio::test(start_paused = true)]
async fn where_nothing_can_be_written_there_is_no_login() {
    let house = House::new();
    std::fs::create_dir(house.state.path().join("login.lock")).unwrap();
    for _ in 0..5 {
        let trouble = house.start(PASSWORD).await.unwrap_err().to_string();
        assert!(trouble.contains("no login is made without a record of it on disk"), "{trouble}");
    }
    assert_eq!(house.counts(), CloudCounts::default());
}

#[tokio::test(start_paused = true)]
async fn an_imported_token_that_is_over_is_dropped_and_costs_no_login() {
    let house = House::new();
    house.start(PASSWORD).await.unwrap();
    let text = mint_token(house.serial().as_str(), Role::Owner, house.clock.now() - 2 * YEAR, YEAR);
    let old = Token::decode(&text).unwrap();
    house.token_provider(PASSWORD).import(&old, Duration::ZERO).await.unwrap();
    let mut reader = house.reader(house.shared(PASSWORD), MINUTE);
    for _ in 0..10 {
        reader.poll().await.unwrap();
        tokio::time::sleep(MINUTE).await;
    }
    let tokens = house.token_provider(PASSWORD).tokens(&house.serial()).await.unwrap();
    assert!(tokens.candidate.is_none() && tokens.current.is_some());
    assert_eq!(house.counts(), one_login());
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_wakes_in_the_past_replaces_an_expired_token_by_the_gateway_s_clock() {
    let house = House::new();
    house.start(PASSWORD).await.unwrap();
    tokio::time::sleep(YEAR + DAY).await;
    let enphased::base::clock::Clock::Simulated(dial) = &house.clock else { unreachable!() };
    dial.reboot();
    dial.set("2020-01-01T00:00:00Z".parse().unwrap());
    house.start(PASSWORD).await.unwrap();
    assert_eq!(house.counts().logins, 2);
}
