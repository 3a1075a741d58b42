//! Tests a gateway that changes its decisions, reports no time, or changes its serial number.

use std::time::Duration;

use enphased::app::poller::Reader;
use enphased::app::token_provider::Outcome;
use enphased::base::clock::Clock;
use enphased::io::token::Token;
use enphased::rules::logins::clocks::GatewayTime;
use enphased::rules::logins::decision::{Decision, Stopped};
use enphased::rules::logins::situation::Operator;
use enphased::simulator::{Answer, CloudCounts, Condition, Fault, Role, Simulation, mint_token};
use jiff::Timestamp;

use super::house::{DAY, House, MINUTE};

const PASSWORD: &str = Simulation::PASSWORD;
const CHECK_JWT: &str = "/auth/check_jwt";

fn tokens(number: u64) -> CloudCounts {
    CloudCounts {
        login_attempts: number,
        logins: number,
        token_fetches: number,
        tokens: number,
        ..CloudCounts::default()
    }
}

/// Returns `/info` without the time.
fn timeless(house: &House) -> enphased::simulator::Failure {
    let page = format!(
        "<envoy_info><device><sn>{}</sn><pn>800-00555-r03</pn><software>D8.3.5289</software><imeter>true</imeter>\
         </device><web-tokens>true</web-tokens></envoy_info>",
        house.serial()
    );
    Fault::Respond(Answer::text(200, page)).at("/info")
}

fn set_clock(house: &House, wall: Timestamp) {
    let Clock::Simulated(dial) = &house.clock else { unreachable!() };
    dial.set(wall);
}

fn reader(house: &House) -> Reader {
    house.reader(house.shared(PASSWORD), MINUTE / 2)
}

/// Polls once a minute; returns the number of readings.
async fn poll(reader: &mut Reader, times: u32) -> u32 {
    let mut readings = 0;
    for _ in 0..times {
        readings += u32::from(matches!(reader.poll().await, Ok(Some(_))));
        tokio::time::sleep(MINUTE).await;
    }
    readings
}

#[tokio::test(start_paused = true)]
async fn an_acceptance_between_two_refusals_costs_no_login_though_nothing_could_be_read() {
    for restarts in [false, true] {
        let house = House::new();
        let gateway = &house.simulation.gateways[0];
        let mut daemon = reader(&house);
        assert_eq!(poll(&mut daemon, 2).await, 2);
        tokio::time::sleep(2 * DAY).await;
        for _ in 0..4 {
            gateway.set_condition(Condition::TokensRefused);
            assert_eq!(poll(&mut daemon, 2).await, 0);
            gateway.heal();
            gateway.set_condition(Condition::PagesFail);
            if restarts {
                daemon = reader(&house);
            }
            assert_eq!(poll(&mut daemon, 8).await, 0);
            gateway.heal();
        }
        assert_eq!(house.counts(), tokens(1), "{restarts}");
        assert!(poll(&mut daemon, 3).await > 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_ahead_costs_no_login_while_the_gateway_accepts_the_token() {
    for days in [336, 366, 3 * 365, 40 * 365] {
        let house = House::new();
        reader(&house).poll().await.unwrap();
        // The first login does not hold off another.
        tokio::time::sleep(2 * DAY).await;
        house.simulation.gateways[0].fail(timeless(&house));
        set_clock(&house, house.clock.now() + days * DAY);
        for _ in 0..5 {
            let mut daemon = reader(&house);
            assert_eq!(poll(&mut daemon, 10).await, 10, "{days} days ahead");
        }
        // The clock jumps while the daemon runs, and while pages fail.
        let mut daemon = reader(&house);
        poll(&mut daemon, 2).await;
        set_clock(&house, house.clock.now() + days * DAY);
        house.simulation.gateways[0].set_condition(Condition::PagesFail);
        poll(&mut daemon, 10).await;
        assert_eq!(house.counts(), tokens(1), "{days} days ahead");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_ahead_costs_no_login_for_a_refusal_or_two_in_five_minutes() {
    let house = House::new();
    reader(&house).poll().await.unwrap();
    tokio::time::sleep(2 * DAY).await;
    let gateway = &house.simulation.gateways[0];
    gateway.fail(timeless(&house));
    set_clock(&house, house.clock.now() + 400 * DAY);
    let mut daemon = reader(&house);
    for _ in 0..5 {
        gateway.set_condition(Condition::TokensRefused);
        poll(&mut daemon, 4).await;
        gateway.heal();
        gateway.fail(timeless(&house));
        assert_eq!(poll(&mut daemon, 4).await, 4);
    }
    assert_eq!(house.counts(), tokens(1));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_over_is_replaced_where_no_time_is_told_when_it_was_refused_twice() {
    let house = House::new();
    reader(&house).poll().await.unwrap();
    house.simulation.gateways[0].fail(timeless(&house));
    tokio::time::sleep(366 * DAY).await;
    let mut daemon = reader(&house);
    assert_eq!(poll(&mut daemon, 5).await, 0);
    assert_eq!(house.counts(), tokens(1), "not before five minutes have passed");
    assert!(poll(&mut daemon, 3).await > 0);
    assert_eq!(house.counts(), tokens(2));
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_neither_accepts_nor_refuses_an_expired_token_is_no_reason_without_a_second_clock() {
    let house = House::new();
    reader(&house).poll().await.unwrap();
    tokio::time::sleep(2 * DAY).await;
    let gateway = &house.simulation.gateways[0];
    gateway.fail(Fault::Respond(Answer::html(500, "oops")).at(CHECK_JWT));
    gateway.fail(timeless(&house));
    set_clock(&house, house.clock.now() + 400 * DAY);
    let mut daemon = reader(&house);
    assert_eq!(poll(&mut daemon, 30).await, 30, "the pages take the token");
    gateway.set_condition(Condition::PagesFail);
    poll(&mut daemon, 30).await;
    assert_eq!(house.counts(), tokens(1));
}

#[tokio::test(start_paused = true)]
async fn token_files_that_somebody_replaces_by_useless_ones_cost_no_login() {
    let house = House::new();
    let mut daemon = reader(&house);
    assert_eq!(poll(&mut daemon, 2).await, 2);
    let (serial, now) = (house.serial(), house.clock.now());
    let name = |end: &str| house.state.path().join(format!("token-{serial}{end}"));
    tokio::time::sleep(2 * DAY).await;
    let expired = mint_token(serial.as_str(), Role::Owner, now - 400 * DAY, 365 * DAY);
    let backup = format!(r#"{{"current":{{"token":"{expired}","origin":"login"}},"candidate":null}}"#);
    for useless in [backup.as_str(), r#"{"current":null,"candidate":null}"#, "{}", "[]", "", "null"] {
        for end in [".json", ".copy.json"] {
            std::fs::write(name(end), useless).unwrap();
        }
        assert!(poll(&mut daemon, 12).await >= 10, "{useless}");
        let stored = std::fs::read_to_string(name(".json")).unwrap();
        assert!(!stored.contains(&expired) && stored.contains("eyJ"), "{useless}: {stored}");
    }
    assert_eq!(house.counts(), tokens(1));
    assert_eq!(poll(&mut reader(&house), 2).await, 2);
    assert_eq!(house.counts(), tokens(1));
}

#[tokio::test(start_paused = true)]
async fn serial_numbers_that_nobody_has_seen_cost_no_login_at_a_known_address() {
    let house = House::new();
    let gateway = &house.simulation.gateways[0];
    let mut daemon = reader(&house);
    assert_eq!(poll(&mut daemon, 2).await, 2);
    tokio::time::sleep(2 * DAY).await;
    let odd = [r#"{"a":1}"#, "..", "../x", "", "122300000001.copy", "99999999999999999"];
    for serial in odd.into_iter().map(str::to_owned).chain((0..20).map(|number| format!("9{number:011}"))) {
        gateway.set_condition(Condition::OtherSerial(serial.clone()));
        if serial.ends_with('7') {
            daemon = reader(&house);
        }
        assert_eq!(poll(&mut daemon, 2).await, 0, "{serial}");
        tokio::time::sleep(DAY).await;
        assert_eq!(house.counts(), tokens(1), "{serial}");
    }
    let trouble = daemon.poll().await.unwrap_err().to_string();
    assert!(trouble.contains("token refresh --gateway SERIAL"), "{trouble}");
    let names = house.state.names("token-", "").await.unwrap();
    assert_eq!(names.len(), 2, "{names:?}");
    gateway.heal();
    assert!(poll(&mut daemon, 3).await > 0, "the right one is read as before");
    assert_eq!(house.counts(), tokens(1));
}

#[tokio::test(start_paused = true)]
async fn a_replaced_gateway_gets_its_token_when_a_person_asks_for_it() {
    let house = House::new();
    let gateway = &house.simulation.gateways[0];
    let mut daemon = reader(&house);
    poll(&mut daemon, 2).await;
    tokio::time::sleep(2 * DAY).await;
    let new = "122300000777";
    gateway.set_condition(Condition::OtherSerial(new.to_owned()));
    poll(&mut daemon, 3).await;
    let (serial, gateway_time) = (new.parse().unwrap(), GatewayTime::Time(house.clock.now()));
    let mut token_provider = house.token_provider(PASSWORD);
    let decision = token_provider.consider(&serial, gateway_time, Operator::Absent).await.unwrap();
    assert_eq!(decision, Decision::Stop(Stopped::Newcomer));
    let outcome =
        token_provider.ensure_token(&serial, gateway_time, Operator::Asks, Duration::ZERO).await.unwrap();
    // The simulated account does not have it; what counts is that it was asked for, and goes on without a person.
    assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
    let asked = CloudCounts { logins: 2, login_attempts: 2, token_fetches: 2, ..tokens(1) };
    assert_eq!(house.counts(), asked);
    poll(&mut daemon, 30).await;
    let counts = house.counts();
    assert!(counts.token_fetches > 2, "{counts:?}");
    assert_eq!((counts.logins, counts.login_attempts), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_first_serial_number_is_believed_and_another_one_is_not_while_the_cloud_is_away() {
    let house = House::new();
    house.simulation.cloud.unplug();
    let gateway = &house.simulation.gateways[0];
    let mut daemon = reader(&house);
    poll(&mut daemon, 3).await;
    gateway.set_condition(Condition::OtherSerial("999900000001".to_owned()));
    poll(&mut daemon, 30).await;
    house.simulation.cloud.heal();
    poll(&mut daemon, 600).await;
    assert_eq!(
        house.counts(),
        CloudCounts::default(),
        "the first was tried for, and is the one that is waited for"
    );
    gateway.heal();
    assert!(poll(&mut daemon, 600).await > 0);
    assert_eq!(house.counts(), tokens(1));
}

/// Creates another token of this gateway, as a person imports it.
async fn bring(house: &House) -> Token {
    let text = mint_token(house.serial().as_str(), Role::Owner, house.clock.now(), 365 * DAY);
    let token = Token::decode(&text).unwrap();
    house.token_provider(PASSWORD).import(&token, MINUTE).await.unwrap();
    token
}

#[tokio::test(start_paused = true)]
async fn a_new_token_that_the_check_does_not_judge_is_used_once_a_page_accepts_it() {
    for unclear in [
        Answer::html(404, "no"),
        Answer::html(500, "no"),
        Answer::html(302, "no"),
        Answer::html(200, "Please wait"),
        Answer::json(403, "{}"),
    ] {
        let house = House::new();
        let mut daemon = reader(&house);
        assert_eq!(poll(&mut daemon, 2).await, 2);
        tokio::time::sleep(DAY).await;
        house.simulation.gateways[0].fail(Fault::Respond(unclear.clone()).at(CHECK_JWT));
        let token = bring(&house).await;
        assert_eq!(poll(&mut daemon, 2).await, 2, "{unclear:?}");
        let stored = house.token_provider(PASSWORD).tokens(&house.serial()).await.unwrap();
        assert_eq!(stored.current.unwrap().token, token, "{unclear:?}");
        assert_eq!(stored.candidate, None, "{unclear:?}");
        assert_eq!(house.counts(), tokens(1), "{unclear:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_token_that_nothing_accepts_waits_beside_the_old_one() {
    for (status, page) in
        [(401, "no"), (403, "no"), (404, "no"), (200, "<html>Please wait</html>"), (500, "no")]
    {
        let house = House::new();
        let gateway = &house.simulation.gateways[0];
        let mut daemon = reader(&house);
        assert_eq!(poll(&mut daemon, 2).await, 2);
        gateway.fail(Fault::Respond(Answer::html(404, "no")).at(CHECK_JWT));
        for path in ["/ivp/meters", "/api/v1/production", "/api/v1/production/inverters"] {
            gateway.fail(Fault::Respond(Answer::html(status, page)).at(path));
        }
        let token = bring(&house).await;
        let before = gateway.counts().paths["/ivp/meters"];
        poll(&mut daemon, 6).await;
        let stored = house.token_provider(PASSWORD).tokens(&house.serial()).await.unwrap();
        assert_eq!(stored.candidate.unwrap().token, token, "{status}");
        assert!(stored.current.is_some_and(|kept| kept.token != token), "{status}");
        let asked = gateway.counts().paths["/ivp/meters"] - before;
        assert!(asked <= 7, "{status}: {asked} requests in six polls");
        gateway.heal();
        tokio::time::sleep(DAY).await;
        poll(&mut daemon, 1).await;
        let stored = house.token_provider(PASSWORD).tokens(&house.serial()).await.unwrap();
        assert_eq!(stored.current.unwrap().token, token, "{status}: the check judges again");
        assert_eq!(house.counts(), tokens(1), "{status}");
    }
}
