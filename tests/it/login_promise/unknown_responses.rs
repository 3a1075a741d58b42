//! Tests unknown responses of the cloud, and responses that never arrive.

use std::time::Duration;

use enphased::app::token_provider::Outcome;
use enphased::rules::logins::Decision;
use enphased::rules::logins::clocks::GatewayTime;
use enphased::rules::logins::decision::Waiting;
use enphased::rules::logins::situation::Operator;
use enphased::simulator::{
    Answer, CloudCounts, ENTREZ_AUTH_TOKEN, Fault, LOGIN, Simulation, TOKENS, responses,
};

use super::house::{DAY, House};

const PASSWORD: &str = Simulation::PASSWORD;

fn counted(logins: u64, token_fetches: u64, other_token_fetches: u64, tokens: u64) -> CloudCounts {
    CloudCounts {
        login_attempts: logins,
        logins,
        token_fetches,
        other_token_fetches,
        tokens,
        ..CloudCounts::default()
    }
}

#[tokio::test(start_paused = true)]
async fn where_a_token_is_not_found_any_more_the_other_way_has_it_on_the_same_login() {
    for fault in [responses::not_found(), responses::unknown_success(), responses::error_text()] {
        let house = House::new();
        house.simulation.cloud.fail(fault.at(TOKENS));
        house.start(PASSWORD).await.unwrap();
        assert_eq!(house.counts(), counted(1, 1, 1, 1));
        house.start(PASSWORD).await.unwrap();
        assert_eq!(house.counts(), counted(1, 1, 1, 1), "the token is stored as any other");
    }
}

#[tokio::test(start_paused = true)]
async fn outages_and_refusals_do_not_lead_to_the_other_way() {
    for fault in [
        responses::outage(503),
        responses::forbidden(),
        responses::login_wall(),
        responses::empty(),
        Fault::Reset,
    ] {
        let house = House::new();
        house.simulation.cloud.fail(fault.clone().at(TOKENS));
        house.start(PASSWORD).await.unwrap_err();
        assert_eq!(house.counts().other_token_fetches, 0, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn when_both_ways_fail_both_are_tried_again_later_on_the_same_login() {
    let house = House::new();
    house.simulation.cloud.fail(responses::not_found().at(TOKENS));
    house.simulation.cloud.fail(responses::unknown_success().at(ENTREZ_AUTH_TOKEN));
    let serial = house.serial();
    let told = house.start(PASSWORD).await.unwrap_err().to_string();
    assert_eq!(house.counts(), counted(1, 1, 1, 0));
    for _ in 0..20 {
        house.start(PASSWORD).await.unwrap_err();
    }
    assert_eq!(house.counts(), counted(1, 1, 1, 0), "the hold-off survives restarts: {told}");
    tokio::time::sleep(Duration::from_secs(6 * 60)).await;
    let gateway_time = GatewayTime::Time(house.clock.now());
    let outcome = house
        .token_provider(PASSWORD)
        .ensure_token(&serial, gateway_time, Operator::Absent, Duration::ZERO)
        .await
        .unwrap();
    let Outcome::Failed { failure, .. } = outcome else { panic!("{outcome:?}") };
    insta::assert_snapshot!(failure, @"unexpected response (HTTP 200: application/json, 40 bytes, {data: {hint: text}, status: text})");
    assert_eq!(house.counts(), counted(1, 2, 2, 0));
    house.simulation.cloud.heal();
    tokio::time::sleep(Duration::from_secs(12 * 60)).await;
    house.start(PASSWORD).await.unwrap();
    assert_eq!(house.counts(), counted(1, 3, 2, 1));
}

/// Starts again whenever the rules allow it, for `length`.
async fn insist(house: &House, length: Duration) {
    let end = house.clock.now() + length;
    while house.clock.now() < end {
        house.start(PASSWORD).await.ok();
        tokio::time::sleep(Duration::from_secs(15 * 60)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn logins_whose_answers_are_lost_open_no_more_than_three_sessions_a_day() {
    for fault in [Fault::Reset, Fault::Hang, Fault::Truncated] {
        let house = House::new();
        house.simulation.cloud.fail(fault.clone().at(LOGIN));
        insist(&house, Duration::from_secs(23 * 3600)).await;
        let counts = house.counts();
        assert_eq!(
            (counts.login_attempts, counts.logins),
            (3, 3),
            "{fault:?}: each opened one and nobody knows"
        );
        let gateway_time = GatewayTime::Time(house.clock.now());
        let decision = house
            .token_provider(PASSWORD)
            .consider(&house.serial(), gateway_time, Operator::Absent)
            .await
            .unwrap();
        assert!(matches!(decision, Decision::Wait { why: Waiting::ThriceUnclear, .. }), "{decision:?}");
        house.simulation.cloud.heal();
        house.simulation.cloud.end_sessions();
        insist(&house, Duration::from_secs(2 * 3600)).await;
        assert_eq!(house.counts().tokens, 1, "{fault:?}: it recovers a day later");
    }
}

#[tokio::test(start_paused = true)]
async fn logins_that_fail_and_set_a_session_s_cookie_open_no_more_than_three_a_day() {
    let page = Answer::html(503, "<html><body><h1>We'll be back soon</h1></body></html>");
    for answer in [Answer::empty(200), Answer::empty(302), page, Answer::json(404, "{}")] {
        let house = House::new();
        house.simulation.cloud.fail(Fault::Respond(answer.cookie("_enlighten_4_session", "5e55")).at(LOGIN));
        insist(&house, Duration::from_secs(23 * 3600)).await;
        assert_eq!(house.counts(), CloudCounts { login_attempts: 3, ..CloudCounts::default() });
        house.simulation.cloud.heal();
        insist(&house, Duration::from_secs(2 * 3600)).await;
        assert_eq!(house.counts().tokens, 1, "it recovers a day later");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_s_number_in_another_form_is_no_second_factor() {
    let said =
        |id: &str| Fault::Respond(Answer::json(200, format!(r#"{{"message":"success","session_id":{id}}}"#)));
    let house = House::new();
    house.simulation.cloud.fail(said("123456").at(LOGIN));
    house.start(PASSWORD).await.unwrap_err();
    assert_eq!(
        house.counts(),
        CloudCounts { login_attempts: 1, token_fetches: 1, ..CloudCounts::default() },
        "the number is a session to fetch a token on"
    );
    for id in ["true", "{}", "[7]", "1.5"] {
        let house = House::new();
        house.simulation.cloud.fail(said(id).at(LOGIN));
        insist(&house, Duration::from_secs(23 * 3600)).await;
        assert_eq!(house.counts(), CloudCounts { login_attempts: 3, ..CloudCounts::default() }, "{id}");
        house.simulation.cloud.heal();
        insist(&house, Duration::from_secs(2 * 3600)).await;
        assert_eq!(house.counts().tokens, 1, "{id}: nothing stops for ever");
    }
}

#[tokio::test(start_paused = true)]
async fn a_login_that_finds_no_connection_opens_nothing_and_is_tried_on() {
    let house = House::new();
    house.simulation.cloud.unplug();
    insist(&house, DAY).await;
    let record = house.token_provider(PASSWORD).record(&house.serial(), &house.clocks()).await.unwrap();
    assert!(record.attempts.len() >= 9, "{:?}", record.attempts);
    assert!(
        record.attempts.iter().all(|attempt| !attempt.may_have_opened_session()),
        "{:?}",
        record.attempts
    );
    house.simulation.cloud.heal();
    insist(&house, Duration::from_secs(7 * 3600)).await;
    assert_eq!(house.counts(), counted(1, 1, 0, 1));
}
