//! Tests the daemon in a simulated house in virtual time: its requests to the gateway, and that nothing makes it contact
//! the cloud twice.

use std::fs;

use enphased::simulator::{
    Answer, CloudCounts, Condition, Fault, GatewayOptions, LOGIN, Pages, SimulationOptions, TOKENS,
};
use jiff::SignedDuration;

use crate::support::house::{DAY, HOUR, House, MINUTE, one_login, refusals};

fn metered() -> House {
    House::new(SimulationOptions::default())
}

#[tokio::test(start_paused = true)]
async fn a_day_costs_one_login_one_handshake_and_a_request_or_two_a_poll() {
    let house = metered();
    let told = house.live(DAY).await;
    assert_eq!(house.cloud(), one_login());
    let gateway = house.simulation.gateways[0].counts();
    assert_eq!(gateway.handshakes, 1);
    // Once for the new token, once for the cookie.
    assert!(gateway.check_jwt <= 2, "{gateway:?}");
    assert_eq!(gateway.without_credentials, 0);
    let asked = |path: &str| gateway.paths.get(path).copied().unwrap_or_default();
    assert_eq!(asked("/ivp/meters/readings"), 2880);
    assert!((24..=27).contains(&asked("/info")), "{gateway:?}");
    assert!(asked("/ivp/pdm/device_data") <= 289, "inverters report every five minutes: {gateway:?}");
    assert_eq!(asked("/production.json"), 0, "the slow page is not needed");
    assert!(gateway.requests < 2880 * 3 / 2, "{gateway:?}");
    assert_eq!(told[0], "READY=1");
    assert_eq!(told.last().map(String::as_str), Some("STOPPING=1"));
    let fed = told.iter().filter(|line| *line == "WATCHDOG=1").count();
    assert!(fed >= 24 * 60 / 3, "fed {fed} times");
    assert!(told.iter().any(|line| line.starts_with("STATUS=") && line.contains("from the sun")), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn restarts_with_a_stored_token_ask_the_cloud_nothing() {
    let house = metered();
    house.live(MINUTE).await;
    for _ in 0..5 {
        house.live(MINUTE).await;
    }
    assert_eq!(house.cloud(), one_login());
    assert_eq!(house.polls(), 6 * 2);
}

/// Tries everything that L3 lists, and more. None of it is a reason to contact the cloud.
#[tokio::test(start_paused = true)]
async fn an_unwell_gateway_costs_no_login() {
    let faults = [
        Fault::Hang,
        Fault::Reset,
        Fault::Truncated,
        Fault::Huge,
        Fault::Busy,
        Fault::Redirect,
        Fault::Html,
        Fault::Respond(Answer::html(500, "oops")),
        Fault::Respond(Answer::html(502, "oops")),
        Fault::Respond(Answer::html(504, "oops")),
        Fault::Respond(Answer::html(404, "oops")),
        Fault::Respond(Answer::json(200, "{")),
        Fault::Respond(Answer::empty(200)),
    ];
    let house = metered();
    house.live(MINUTE).await;
    let gateway = &house.simulation.gateways[0];
    for fault in faults {
        gateway.fail(fault.clone());
        house.live(HOUR).await;
        gateway.heal();
        assert_eq!(house.cloud(), one_login(), "{fault:?}");
    }
    for status in [401, 403] {
        gateway.fail(Fault::Respond(Answer::html(status, "no")).at("/ivp/meters/readings"));
        house.live(HOUR).await;
        gateway.heal();
        assert_eq!(house.cloud(), one_login(), "{status} at one page");
    }
    let before = house.polls();
    house.live(10 * MINUTE).await;
    assert_eq!(house.polls(), before + 20, "it is read again as soon as it is well");
}

/// Checks that a gateway which neither accepts nor refuses the token is read, and causes no login.
#[tokio::test(start_paused = true)]
async fn a_gateway_that_does_not_judge_the_token_is_read() {
    for answer in [
        Answer::html(404, "no"),
        Answer::html(403, "no"),
        Answer::html(500, "no"),
        Answer::html(302, "no"),
        Answer::html(200, "Please wait"),
        Answer::empty(200),
    ] {
        let house = metered();
        house.live(MINUTE).await;
        let before = house.polls();
        house.simulation.gateways[0].fail(Fault::Respond(answer.clone()).at("/auth/check_jwt"));
        house.live(HOUR).await;
        assert_eq!(house.polls(), before + 120, "{answer:?}");
        assert_eq!(house.cloud(), one_login(), "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_is_gone_changed_or_confused_costs_no_login() {
    let conditions = [
        Condition::Refusing,
        Condition::Silent,
        Condition::ReplacedKey,
        Condition::DataRefused,
        Condition::Zeros,
        Condition::ClockOff(SignedDuration::from_hours(-50_000)),
        Condition::Firmware("D8.3.5433".to_owned()),
    ];
    for condition in conditions {
        let house = metered();
        house.live(MINUTE).await;
        house.simulation.gateways[0].set_condition(condition.clone());
        house.live(2 * HOUR).await;
        house.live(2 * HOUR).await;
        assert_eq!(house.cloud(), one_login(), "{condition:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_with_another_key_is_told_nothing() {
    let house = metered();
    house.live(MINUTE).await;
    let gateway = &house.simulation.gateways[0];
    gateway.set_condition(Condition::ReplacedKey);
    let before = gateway.counts();
    house.live(HOUR).await;
    let after = gateway.counts();
    let asked = after.requests - before.requests;
    let info = after.paths["/info"] - before.paths["/info"];
    assert_eq!(asked, info, "nothing but /info is asked");
    assert_eq!(after.check_jwt, before.check_jwt);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_the_gateway_refuses_is_replaced_a_day_after_the_last_login() {
    let house = metered();
    house.live(MINUTE).await;
    let gateway = &house.simulation.gateways[0];
    gateway.revoke_tokens();
    house.live(23 * HOUR).await;
    assert_eq!(house.cloud(), one_login(), "one login a day is the most");
    house.live(2 * HOUR).await;
    assert_eq!(
        house.cloud(),
        CloudCounts { login_attempts: 2, logins: 2, token_fetches: 2, tokens: 2, other: 0, ..one_login() }
    );
    let before = house.polls();
    house.live(10 * MINUTE).await;
    assert_eq!(house.polls(), before + 20);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_refuses_every_token_costs_three_logins_a_month() {
    let house = metered().with("interval = \"10m\"\n");
    house.live(MINUTE).await;
    house.simulation.gateways[0].set_condition(Condition::TokensRefused);
    house.live(29 * DAY).await;
    assert_eq!(house.cloud().login_attempts, 3);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_refuses_once_costs_no_login() {
    let house = metered();
    house.live(MINUTE).await;
    let gateway = &house.simulation.gateways[0];
    house.live(2 * DAY).await;
    for _ in 0..5 {
        gateway.set_condition(Condition::TokensRefused);
        house.live(2 * MINUTE).await;
        gateway.heal();
        house.live(20 * MINUTE).await;
    }
    assert_eq!(house.cloud(), one_login());
}

#[tokio::test(start_paused = true)]
async fn each_refusal_of_the_cloud_has_its_hold_off_across_restarts() {
    for (name, fault, in_23_hours, in_49_hours) in refusals() {
        let house = metered().with("interval = \"5m\"\n");
        house.simulation.cloud.fail(fault.at(LOGIN));
        for _ in 0..23 {
            house.live(HOUR).await;
        }
        let first = house.cloud();
        for _ in 0..26 {
            house.live(HOUR).await;
        }
        let second = house.cloud();
        assert!(in_23_hours.contains(&first.login_attempts), "{name}: {first:?}");
        assert!(in_49_hours.contains(&second.login_attempts), "{name}: {second:?}");
        assert_eq!((second.logins, second.token_fetches), (0, 0), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_against_a_full_account_makes_one_login() {
    let house = metered();
    house
        .simulation
        .cloud
        .fail(Fault::Respond(Answer::json(401, r#"{"message":"Too many active sessions.."}"#)));
    for _ in 0..30 {
        house.live(5 * MINUTE).await;
    }
    assert_eq!(house.cloud().login_attempts, 1);
}

#[tokio::test(start_paused = true)]
async fn when_only_the_token_fails_only_the_token_is_asked_for_again() {
    let house = metered();
    house.simulation.cloud.fail(Fault::Respond(Answer::html(403, "Forbidden")).at(TOKENS));
    house.live(HOUR).await;
    house.live(HOUR).await;
    let failing = house.cloud();
    assert_eq!((failing.login_attempts, failing.logins, failing.tokens), (1, 1, 0));
    assert!((4..=5).contains(&failing.token_fetches), "after 0, 5, 15, 35 and 75 minutes: {failing:?}");
    house.simulation.cloud.heal();
    house.live(3 * HOUR).await;
    let healed = house.cloud();
    assert_eq!((healed.login_attempts, healed.tokens), (1, 1));
    assert!(house.polls() > 0);
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_hangs_or_drops_us_is_asked_by_the_hold_offs() {
    for fault in [Fault::Hang, Fault::Reset, Fault::Trickle, Fault::Huge, Fault::Redirect] {
        let house = metered().with("interval = \"5m\"\n");
        house.simulation.cloud.fail(fault.clone().at(LOGIN));
        house.live(2 * HOUR).await;
        let asked = house.cloud().login_attempts;
        assert!(asked <= 5, "{fault:?}: {asked} attempts in 2 hours");
        assert!(asked >= 1, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_is_late_after_a_power_cut_is_waited_for() {
    let house = metered();
    house.simulation.gateways[0].set_condition(Condition::Refusing);
    let told = house.live(10 * MINUTE).await;
    assert_eq!(told[0], "READY=1", "ready although nothing answers");
    assert!(told.iter().any(|line| line.contains("did not respond")), "{told:?}");
    assert_eq!(house.cloud(), CloudCounts::default(), "no login while the gateway is away");
    house.simulation.gateways[0].heal();
    house.live(MINUTE).await;
    assert_eq!(house.cloud(), one_login());
    assert!(house.polls() > 0);
}

#[tokio::test(start_paused = true)]
async fn without_a_record_there_is_no_login_and_readings_go_on() {
    let house = metered();
    // A directory in the record's place can neither be read as a record nor replaced by one.
    fs::create_dir(house.state().join("logins.json")).unwrap();
    house.live(HOUR).await;
    assert_eq!(house.cloud(), CloudCounts::default());
    fs::remove_dir(house.state().join("logins.json")).unwrap();
    house.live(MINUTE).await;
    assert_eq!(house.cloud(), one_login());
    fs::remove_file(house.state().join("logins.json")).unwrap();
    fs::create_dir(house.state().join("logins.json")).unwrap();
    let before = house.polls();
    house.live(HOUR).await;
    assert_eq!(house.polls(), before + 120, "the stored token is used");
    assert_eq!(house.cloud(), one_login());
}

#[tokio::test(start_paused = true)]
async fn a_damaged_record_or_token_costs_no_login() {
    let house = metered();
    house.live(MINUTE).await;
    let serial = house.simulation.gateways[0].serial();
    for name in ["logins.json".to_owned(), format!("token-{serial}.json"), format!("gateway-{serial}.json")] {
        fs::write(house.state().join(&name), "{\"half").unwrap();
        house.live(HOUR).await;
        assert_eq!(house.cloud(), one_login(), "{name}");
    }
    assert!(house.polls() > 300);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_tried_once_and_the_right_one_as_soon_as_it_is_there() {
    let mut house = metered().with_password("wrong");
    house.live(DAY).await;
    house.live(DAY).await;
    assert_eq!(house.cloud().login_attempts, 1);
    house = house.with_password(enphased::simulator::Simulation::PASSWORD);
    house.live(MINUTE).await;
    assert_eq!(house.cloud().logins, 1);
    assert_eq!(house.cloud().login_attempts, 2);
}

#[tokio::test(start_paused = true)]
async fn several_gateways_share_one_login() {
    let gateways = (0..4).map(|_| GatewayOptions::new(Pages::metered())).collect();
    let house = House::new(SimulationOptions { gateways, ..SimulationOptions::default() });
    house.live(5 * MINUTE).await;
    let cloud = house.cloud();
    assert_eq!((cloud.login_attempts, cloud.logins, cloud.tokens), (1, 1, 4));
    for gateway in &house.simulation.gateways {
        assert!(gateway.counts().paths["/ivp/meters/readings"] >= 9, "{:?}", gateway.counts());
    }
}

#[tokio::test(start_paused = true)]
async fn one_dead_gateway_delays_no_other() {
    let gateways = (0..3).map(|_| GatewayOptions::new(Pages::metered())).collect();
    let house = House::new(SimulationOptions { gateways, ..SimulationOptions::default() });
    house.live(MINUTE).await;
    house.simulation.gateways[1].set_condition(Condition::Silent);
    let before: Vec<u64> =
        house.simulation.gateways.iter().map(|one| one.counts().paths["/ivp/meters/readings"]).collect();
    house.live(HOUR).await;
    for place in [0, 2] {
        let polls = house.simulation.gateways[place].counts().paths["/ivp/meters/readings"];
        assert_eq!(polls, before[place] + 120, "gateway {place}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_without_meters_is_read_too() {
    let gateways = vec![GatewayOptions::new(Pages::non_metered())];
    let house = House::new(SimulationOptions { gateways, ..SimulationOptions::default() });
    let told = house.live(6 * HOUR).await;
    assert_eq!(house.cloud(), one_login());
    let counts = house.simulation.gateways[0].counts();
    assert_eq!(counts.paths["/api/v1/production"], 720);
    assert_eq!(counts.paths.get("/production.json"), None, "{counts:?}");
    assert!(told.iter().any(|line| line.contains("from the sun")), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_does_not_say_who_it_is_is_read_all_the_same() {
    let house = metered();
    house.live(MINUTE).await;
    let before = house.polls();
    let gateway = &house.simulation.gateways[0];
    let spoil = async {
        tokio::time::sleep(10 * MINUTE).await;
        gateway.fail(Fault::Respond(Answer::html(500, "oops")).at("/info"));
        std::future::pending::<()>().await;
    };
    tokio::select! { _ = house.live(4 * HOUR) => {}, () = spoil => {} }
    assert_eq!(house.polls(), before + 480);
    assert_eq!(house.cloud(), one_login());
}

#[tokio::test(start_paused = true)]
async fn a_damaged_token_on_a_disk_that_cannot_be_written_to_is_read_from_its_copy() {
    let house = metered();
    house.live(MINUTE).await;
    let token = house.state().join(format!("token-{}.json", house.simulation.gateways[0].serial()));
    // A directory in its place can neither be read as a token nor replaced by one.
    fs::remove_file(&token).unwrap();
    fs::create_dir(&token).unwrap();
    let before = house.polls();
    house.live(10 * MINUTE).await;
    assert_eq!(house.polls(), before + 20);
    assert_eq!(house.cloud(), one_login());
}
