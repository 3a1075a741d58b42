//! Attacks: programs that try to cause a login, a request outside the list or too many of them, and a gateway that tells
//! secrets.

use std::collections::BTreeSet;

use enphased::rules::proxy::pages;
use enphased::simulator::{Answer, Condition, Fault, SimulationOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep, timeout};

use super::client::{Client, get};
use super::{READINGS, of, polled, proxied};
use crate::support::house::one_login;

/// What a gateway was asked while it was in `condition` for 20 minutes: requests, and checks of the token. Programs that
/// ask for every page every five seconds are there or not.
async fn asked(condition: Condition, programs: bool) -> (u64, u64) {
    let house = proxied();
    let gateway = &house.simulation.gateways[0];
    let passes = condition != Condition::TokensRefused;
    let counts = house
        .visited(async |addresses| {
            polled(&house, addresses[0]).await;
            gateway.set_condition(condition.clone());
            let before = gateway.counts();
            let begun = Instant::now();
            let mut set = JoinSet::new();
            for page in pages::all().filter(|_| programs) {
                let at = addresses[0];
                set.spawn(async move {
                    let mut client = Client::open(at).await;
                    while begun.elapsed() < Duration::from_secs(1190) {
                        let reply = client.send(&format!("GET {}", page.path), &[]).await;
                        assert!(reply.status != 401 || passes, "our own trouble is no 401: {}", page.path);
                        sleep(Duration::from_secs(5)).await;
                    }
                });
            }
            while let Some(ended) = set.join_next().await {
                ended.unwrap();
            }
            sleep(Duration::from_secs(1200).saturating_sub(begun.elapsed())).await;
            let after = gateway.counts();
            let checks = |counts: &enphased::simulator::GatewayCounts| {
                counts.paths.get("/auth/check_jwt").copied().unwrap_or_default()
            };
            (after.requests - before.requests, checks(&after) - checks(&before))
        })
        .await;
    if condition != Condition::TokensRefused {
        assert_eq!(house.cloud(), one_login(), "{condition:?} {programs}");
    }
    assert!(house.cloud().logins <= 1 && house.cloud().login_attempts <= 1, "{condition:?} {programs}");
    counts
}

#[tokio::test(start_paused = true)]
async fn no_failure_of_the_gateway_makes_programs_cause_a_login_or_a_storm() {
    for condition in [
        Condition::TokensRefused,
        Condition::DataRefused,
        Condition::PagesFail,
        Condition::Refusing,
        Condition::Silent,
        Condition::ReplacedKey,
    ] {
        let (alone, checks_alone) = asked(condition.clone(), false).await;
        let (asked, checks) = asked(condition.clone(), true).await;
        let reads = matches!(condition, Condition::DataRefused | Condition::PagesFail);
        // A gateway that responds is asked for each page once a minute at most; others are left alone.
        let more = if reads { 22 * u64::try_from(pages::all().count()).unwrap() } else { 5 };
        assert!(asked <= alone + more, "{condition:?}: {asked} requests, and {alone} without programs");
        assert!(checks <= checks_alone + 25, "{condition:?}: {checks} checks, and {checks_alone}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_repeats_the_token_or_the_cookie_is_not_passed_on() {
    let house = proxied();
    let gateway = &house.simulation.gateways[0];
    house
        .visited(async |addresses| {
            polled(&house, addresses[0]).await;
            let token =
                house.simulation.cloud.secrets().into_iter().rfind(|secret| secret.starts_with("eyJ"));
            let token = token.unwrap();
            for status in [200, 401, 404, 500] {
                for cookies in [false, true] {
                    // After a 401 there is another session.
                    let secrets = if cookies { gateway.sessions() } else { vec![token.clone()] };
                    if cookies && status == 401 {
                        continue;
                    }
                    assert!(!secrets.is_empty());
                    let body = format!("{{\"denied\": \"{}\"}}", secrets.join(" "));
                    for path in [READINGS, "/ivp/ensemble/status", "/home"] {
                        gateway.fail(Fault::Respond(Answer::json(status, body.clone())).at(path));
                    }
                    sleep(Duration::from_secs(3600)).await;
                    for path in [READINGS, "/ivp/ensemble/status", "/home"] {
                        let reply = get(addresses[0], path).await;
                        let tells = secrets.iter().any(|secret| reply.text().contains(secret));
                        assert!(!tells, "{path} {status}: {}", reply.text());
                        assert_eq!(reply.status, 503, "{path} {status}");
                    }
                    gateway.heal();
                }
            }
            sleep(Duration::from_secs(3700)).await;
            assert_eq!(get(addresses[0], READINGS).await.status, 200);
        })
        .await;
}

/// Requests that a lenient server would take for others.
const RAW: &[&str] = &[
    "CONNECT /ivp/meters HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "CONNECT 192.168.1.20:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /ivp/peb/reboot HTTP/1.0\r\n\r\n",
    "GET  /ivp/meters#x HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET\t/ivp/meters HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "\r\n\r\nGET /ivp/meters/1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "GET /ivp/meters/1\r\n\r\n",
    "POST /auth/check_jwt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /ivp/meters/2 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "POST /auth/check_jwt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 60\r\n\r\nGET /ivp/meters/3 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "POST /auth/check_jwt HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5;x=\"\n\r\nGET /ivp/meters/4 HTTP/1.1\r\n\r\n",
    "GET /info HTTP/1.1\r\nHost: localhost\r\nContent-Length: 30\r\n\r\nPUT /ivp/ss/gen_mode HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /ivp/meters HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
    "GET /stream/meter HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "POST /ivp/ensemble/relay HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n",
    "GET /ivp/meters HTTP/1.1\r\nHost: localhost\r\nX-Original-URL: /installer/upgrade\r\nX-HTTP-Method-Override: PUT\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n",
    "GET /ivp/meters HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-0\r\nIf-None-Match: *\r\n\r\n",
    "GET /ivp/meters/5 HTTP/1.1\r\nHost: localhost\r\n\r\nGET /admin HTTP/1.1\r\nHost: localhost\r\n\r\nDELETE /ivp/meters HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /ivp/meters HTTP/1.1\r\nHost: localhost\r\nHost: evil.example.com\r\n\r\n",
    "GET /ivp/meters HTTP/1.1\r\nHost : localhost\r\n\r\n",
    "GET /ivp/meters HTTP/1.1\nHost: localhost\n\n",
];

#[tokio::test(start_paused = true)]
async fn whatever_a_connection_sends_only_listed_pages_are_read() {
    let house = of(SimulationOptions::default(), "");
    house
        .visited(async |addresses| {
            polled(&house, addresses[0]).await;
            for text in RAW {
                let mut stream = TcpStream::connect(addresses[0].address).await.unwrap();
                stream.write_all(text.as_bytes()).await.unwrap();
                let mut reply = Vec::new();
                // A connection that waits for more is closed after ten seconds; a stream goes on.
                timeout(Duration::from_secs(20), stream.read_to_end(&mut reply)).await.ok();
                let reply = String::from_utf8_lossy(&reply).into_owned();
                assert!(reply.is_empty() || reply.starts_with("HTTP/1."), "{text}: {reply}");
                assert!(!reply.contains("HTTP/1.1 101") && !reply.contains("HTTP/1.1 5"), "{text}: {reply}");
            }
            assert_eq!(get(addresses[0], READINGS).await.status, 200);
        })
        .await;
    let listed: BTreeSet<&str> =
        pages::all().map(|page| page.path).chain(["/info", "/auth/check_jwt"]).collect();
    for path in house.simulation.gateways[0].counts().paths.keys() {
        assert!(listed.contains(path.as_str()), "{path}");
    }
    assert_eq!(house.cloud(), one_login());
}
