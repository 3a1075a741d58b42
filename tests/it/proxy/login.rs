//! The login of programs at the proxy, and what it never does at the gateway and in the cloud.

use enphased::app::consumers::tokens::ConsumerTokens;
use enphased::io::http::Listen;
use enphased::io::state_dir::StateDir;
use enphased::simulator::{
    Answer, Condition, Fault, GatewayOptions, Pages, Role, SimulationOptions, mint_token,
};
use tokio::time::{Duration, Instant, sleep};
use tracing::Level;

use super::client::{Client, Reply, get, request};
use super::{PROXY, READINGS, of, polled, proxied};
use crate::server::consumers::add;
use crate::support::house::{House, one_login};
use crate::support::log::Log;

const CHECK: &str = "/auth/check_jwt";
const VALID: &str = "<!DOCTYPE html><h2>Valid token.</h2>\n";

/// A house in whose network everybody needs a token.
fn closed() -> House {
    let server = "[server]\nopen_to = [\"192.0.2.0/24\"]\n";
    House::new(SimulationOptions::default()).with_gateway(PROXY).with(server)
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

/// Returns the cookie of a session as the response sets it, with its attributes.
fn cookie(reply: &Reply) -> String {
    assert_eq!((reply.status, reply.text().as_str()), (200, VALID));
    let cookie = reply.header("set-cookie").unwrap();
    assert!(cookie.starts_with("sessionId=") && cookie.ends_with("; Path=/"), "{cookie}");
    assert!(!cookie.contains("Secure"));
    format!("Cookie: {cookie}")
}

async fn read(at: Listen, lines: &[&str]) -> u16 {
    request(at, &format!("GET {READINGS}"), lines).await.status
}

#[tokio::test(start_paused = true)]
async fn a_token_opens_a_session_whose_cookie_is_sufficient_also_after_a_restart() {
    let house = closed();
    let token = bearer(add(&house, "homebridge").await.expose());
    let mut session = String::new();
    for restarted in [false, true] {
        house
            .visited(async |addresses| {
                for at in addresses {
                    if restarted {
                        assert_eq!(read(at, &[&session]).await, 200);
                        continue;
                    }
                    assert_eq!(get(at, CHECK).await.status, 401);
                    assert_eq!(read(at, &[]).await, 401);
                    assert_eq!(read(at, &[&token]).await, 200);
                    session = cookie(&request(at, &format!("GET {CHECK}"), &[&token]).await);
                    assert_eq!(cookie(&request(at, &format!("POST {CHECK}"), &[&token]).await), session);
                    assert_eq!(cookie(&request(at, &format!("GET {CHECK}"), &[&session]).await), session);
                    assert_eq!(read(at, &[&session]).await, 200, "with the attributes of the cookie");
                    let two = session.replace("Cookie: ", "Cookie: sessionId=old; HttpOnly; ");
                    assert_eq!(read(at, &[&two]).await, 200);
                    let half = session.split_at(session.len() - 10).0.to_owned();
                    assert_eq!(read(at, &[&half]).await, 401);
                    assert_eq!(read(at, &[&session, &bearer("old")]).await, 200, "one of them is sufficient");
                }
            })
            .await;
    }
    let state = StateDir::open(house.state()).unwrap();
    let mut tokens = ConsumerTokens::read(&state).await.unwrap().unwrap();
    assert!(tokens.remove("homebridge", house.clock.now()));
    tokens.write(&state).await.unwrap();
    house
        .visited(async |addresses| {
            assert_eq!(read(addresses[0], &[&session]).await, 401);
            assert_eq!(read(addresses[0], &[&token]).await, 401);
        })
        .await;
}

/// A script adds a token and uses it in the next line, while other programs ask.
#[tokio::test(start_paused = true)]
async fn a_token_is_accepted_at_once_after_it_was_added() {
    let house = closed();
    let first = bearer(add(&house, "homebridge").await.expose());
    house
        .visited(async |addresses| {
            assert_eq!(read(addresses[0], &[&first]).await, 200);
            // The tokens are read for this one, just before another is added.
            assert_eq!(read(addresses[0], &["Authorization: Bearer wrong"]).await, 401);
            let second = bearer(add(&house, "homeassistant").await.expose());
            assert_eq!(read(addresses[0], &[&first]).await, 200);
            assert_eq!(request(addresses[0], &format!("GET {CHECK}"), &[&second]).await.status, 200);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_body_of_the_check_is_ignored_and_a_refusal_is_plain() {
    let house = closed();
    let token = bearer(add(&house, "script").await.expose());
    house
        .visited(async |addresses| {
            let mut client = Client::open(addresses[0]).await;
            let lines = [&*token, "Content-Length: 0", "Content-Type: application/x-www-form-urlencoded"];
            cookie(&client.send(&format!("POST {CHECK}"), &lines).await);
            let refused = client.send(&format!("GET {READINGS}"), &[]).await;
            assert_eq!(refused.status, 401);
            assert!(refused.header("content-type").unwrap().starts_with("text/plain"));
            assert!(refused.text().contains("enphased consumer add NAME"), "{}", refused.text());
            // /info needs no token.
            assert_eq!(client.send("GET /info", &[]).await.status, 200);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn in_an_open_network_every_token_is_accepted_and_none_is_needed() {
    let house = proxied();
    house
        .visited(async |addresses| {
            polled(&house, addresses[0]).await;
            for at in addresses {
                for lines in [&[][..], &["Authorization: Bearer whatever"], &["Cookie: sessionId=whatever"]] {
                    assert_eq!(read(at, lines).await, 200, "{lines:?}");
                    let session = cookie(&request(at, &format!("GET {CHECK}"), lines).await);
                    assert_eq!(read(at, &[&session]).await, 200);
                }
                for _ in 0..50 {
                    assert_eq!(read(at, &["Authorization: Bearer wrong"]).await, 200);
                }
            }
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_token_of_the_gateway_itself_is_neither_needed_nor_passed_on_nor_logged() {
    let (log, _guard) = Log::start_at(Level::TRACE);
    let (closed, open) = (closed(), proxied());
    for (house, expected) in [(&closed, 401), (&open, 200)] {
        let own = mint_token(
            &house.simulation.gateways[0].serial(),
            Role::Installer,
            house.clock.now(),
            Duration::from_secs(43_200),
        );
        house
            .visited(async |addresses| {
                let before = Instant::now();
                while house.polls() == 0 {
                    sleep(Duration::from_millis(100)).await;
                }
                assert!(before.elapsed() < Duration::from_secs(30));
                let checks = house.simulation.gateways[0].counts().check_jwt;
                assert_eq!(read(addresses[0], &[&bearer(&own)]).await, expected);
                assert_eq!(
                    request(addresses[0], &format!("GET {CHECK}"), &[&bearer(&own)]).await.status,
                    expected
                );
                assert_eq!(house.simulation.gateways[0].counts().check_jwt, checks);
            })
            .await;
        let signature = own.rsplit('.').next().unwrap();
        assert_eq!(log.lines(signature), Vec::<String>::new());
        assert_eq!(house.cloud(), one_login());
    }
}

/// The pages that can yield production.
const PRODUCTION: [&str; 7] = [
    READINGS,
    "/ivp/meters",
    "/api/v1/production",
    "/api/v1/production/inverters",
    "/production.json",
    "/ivp/pdm/energy",
    "/ivp/pdm/device_data",
];

/// The gateway refuses the token only while a program asks. The polls neither get it accepted nor refused: the check fails, and
/// no page yields production.
#[tokio::test(start_paused = true)]
async fn no_page_that_a_program_asks_for_leads_to_a_login() {
    let gateways = vec![GatewayOptions::new(Pages::battery())];
    let house = of(SimulationOptions { gateways, ..SimulationOptions::default() }, "interval = \"5m\"\n");
    let gateway = &house.simulation.gateways[0];
    let fail = || {
        for path in PRODUCTION.into_iter().chain([CHECK]) {
            gateway.fail(Fault::Respond(Answer::html(500, "<html></html>")).at(path));
        }
    };
    let mut refused = 0;
    house
        .visited(async |addresses| {
            polled(&house, addresses[0]).await;
            let start = Instant::now();
            fail();
            // Longer than the day in which there is no second login anyway.
            for cycle in 1..=50 {
                super::until(start, 1800 * cycle + 5).await;
                gateway.heal();
                gateway.set_condition(Condition::TokensRefused);
                let checks = gateway.counts().check_jwt;
                let asked = get(addresses[0], "/ivp/sc/pvlimit").await.status;
                assert_eq!(asked, 503, "its own trouble is never a 401");
                refused += gateway.counts().check_jwt - checks;
                gateway.heal();
                fail();
            }
        })
        .await;
    assert!(refused >= 25, "the gateway has refused the token {refused} times");
    assert_eq!(house.cloud(), one_login());
}

#[tokio::test(start_paused = true)]
async fn a_page_that_the_role_may_not_read_costs_one_check_and_is_passed_on() {
    let house = proxied();
    let gateway = &house.simulation.gateways[0];
    let mut checks = 0;
    gateway.fail(Fault::Respond(Answer::html(401, "<html>401</html>")).at("/installer/pcu_comm_check"));
    house
        .visited(async |addresses| {
            polled(&house, addresses[0]).await;
            checks = gateway.counts().check_jwt;
            for _ in 0..120 {
                let reply = get(addresses[0], "/installer/pcu_comm_check").await;
                assert_eq!((reply.status, reply.text().as_str()), (401, "<html>401</html>"));
                sleep(Duration::from_secs(1)).await;
            }
        })
        .await;
    let counts = gateway.counts();
    assert_eq!((counts.check_jwt - checks, counts.paths["/installer/pcu_comm_check"]), (1, 2));
    assert_eq!(house.cloud(), one_login());
}
