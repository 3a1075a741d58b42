//! Consumers: who is admitted, who is refused with which code, and what survives a restart.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use enphased::app::commands::{Context, consumer};
use enphased::app::consumers::listed::Seen;
use enphased::app::consumers::live_list;
use enphased::app::consumers::tokens::ConsumerTokens;
use enphased::base::secrets::Secret;
use enphased::io::state_dir::StateDir;
use enphased::simulator::{GatewayOptions, Pages, SimulationOptions};
use fastrand::Rng;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::client::{Stream, get, ready, request};
use super::served_with;
use crate::support::house::House;

/// A network to which nobody in a test belongs.
pub(super) const CLOSED: &str = "open_to = [\"192.0.2.0/24\"]\n";

pub(crate) async fn add(house: &House, name: &str) -> Secret {
    let state = StateDir::open(house.state()).unwrap();
    let mut tokens = match ConsumerTokens::read(&state).await.unwrap() {
        Some(tokens) => tokens,
        None => ConsumerTokens::empty().unwrap(),
    };
    let token = tokens.add(name, None, house.clock.now()).unwrap();
    tokens.write(&state).await.unwrap();
    token
}

pub(super) async fn remove(house: &House, name: &str) {
    let state = StateDir::open(house.state()).unwrap();
    let mut tokens = ConsumerTokens::read(&state).await.unwrap().unwrap();
    assert!(tokens.remove(name, house.clock.now()));
    tokens.write(&state).await.unwrap();
}

pub(super) fn bearer(token: &Secret) -> String {
    format!("Authorization: Bearer {}", token.expose())
}

#[tokio::test(start_paused = true)]
async fn outside_the_open_networks_a_token_is_needed_and_removal_ends_its_streams() {
    let house = served_with(CLOSED);
    let token = add(&house, "evcc").await;
    house
        .visited(async |addresses| {
            let at = addresses[0].address;
            ready(at).await;
            let none = get(at, "/api/v1/gateways").await;
            assert_eq!((none.status, none.code()), (401, Some(4002)));
            assert!(none.header("www-authenticate").is_some());
            let path = "GET /api/v1/gateways";
            assert_eq!(request(at, path, &[&bearer(&token)]).await.status, 200);
            let cookie = format!("Cookie: other=1; enphased={}", token.expose());
            assert_eq!(request(at, path, &[&cookie]).await.status, 200);
            let mut stream = Stream::open(at, "/api/v1/stream", &[&bearer(&token)]).await;
            assert!(stream.next().await.is_some());
            let before = Instant::now();
            remove(&house, "evcc").await;
            while stream.next().await.is_some() {}
            assert!(before.elapsed().as_secs() <= 2, "{:?}", before.elapsed());
            let removed = request(at, path, &[&bearer(&token)]).await;
            assert_eq!((removed.status, removed.code()), (401, Some(4003)));
        })
        .await;
}

/// Opens a WebSocket with `token` and reads nothing of it.
async fn stuck_socket(at: SocketAddr, token: &Secret) -> WebSocketStream<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut request = format!("ws://{at}/api/v1/socket").into_client_request().unwrap();
    let bearer = format!("Bearer {}", token.expose());
    request.headers_mut().insert("Authorization", bearer.parse().unwrap());
    tokio_tungstenite::client_async(request, socket.connect(at).await.unwrap()).await.unwrap().0
}

async fn has_stream(at: SocketAddr, watcher: &Secret) -> bool {
    let metrics = request(at, "GET /metrics", &[&bearer(watcher)]).await;
    !metrics.body.contains("\nenphased_streams 0\n")
}

/// A socket whose reader takes nothing is given up after a while. Removal does not wait for that.
#[tokio::test(start_paused = true)]
async fn removal_ends_a_socket_whose_reader_takes_nothing() {
    let gateways = (0..6).map(|_| GatewayOptions::new(Pages::metered())).collect();
    let server = format!("\n[server]\nlisten = [\"127.0.0.1:0\"]\n{CLOSED}requests_per_minute = 6000\n");
    let house = House::new(SimulationOptions { gateways, ..SimulationOptions::default() })
        .with_gateway("interval = \"1s\"\n")
        .with(&server);
    let (watcher, slow) = (add(&house, "watcher").await, add(&house, "slow").await);
    house
        .visited(async |addresses| {
            let at = addresses[0].address;
            ready(at).await;
            let untouched = stuck_socket(at, &slow).await;
            let begun = Instant::now();
            while has_stream(at, &watcher).await {
                sleep(Duration::from_secs(1)).await;
            }
            let patience = begun.elapsed();
            drop(untouched);
            let second = stuck_socket(at, &slow).await;
            sleep(patience / 2).await;
            assert!(has_stream(at, &watcher).await);
            let before = Instant::now();
            remove(&house, "slow").await;
            while has_stream(at, &watcher).await {
                sleep(Duration::from_millis(500)).await;
            }
            assert!(before.elapsed() * 8 < patience, "{:?} of {patience:?}", before.elapsed());
            drop(second);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_added_works_without_a_restart_and_a_browser_turns_it_into_a_cookie() {
    let house = served_with(CLOSED);
    house
        .visited(async |addresses| {
            let at = addresses[0].address;
            let token = add(&house, "browser").await;
            sleep(Duration::from_secs(2)).await;
            assert_eq!(request(at, "GET /api/v1/status", &[&bearer(&token)]).await.status, 200);
            let reply = get(at, &format!("/?token={}", token.expose())).await;
            assert_eq!((reply.status, reply.header("location")), (303, Some("./")));
            let cookie = reply.header("set-cookie").unwrap();
            assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite"), "{cookie}");
            let cookie = format!("Cookie: {}", cookie.split(';').next().unwrap());
            assert_eq!(request(at, "GET /api/v1/status", &[&cookie]).await.status, 200);
            let poll = "POST /api/v1/gateways/122300000001/poll";
            assert_eq!(request(at, poll, &[]).await.status, 401);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_poll_needs_a_token_and_obeys_the_limits_of_every_poll() {
    let house = served_with("");
    let token = add(&house, "script").await;
    house
        .visited(async |addresses| {
            let at = addresses[0].address;
            ready(at).await;
            let before = house.polls();
            let poll = "POST /api/v1/gateways/122300000001/poll";
            assert_eq!(request(at, poll, &[]).await.code(), Some(4002), "even on this machine");
            let unknown = request(at, poll, &["Authorization: Bearer nonsense"]).await;
            assert_eq!(
                (unknown.status, unknown.code()),
                (401, Some(4002)),
                "a token that nobody made is none"
            );
            for _ in 0..20 {
                assert_eq!(request(at, poll, &[&bearer(&token)]).await.status, 202);
            }
            sleep(Duration::from_secs(5)).await;
            assert!(house.polls() <= before + 2, "{} polls", house.polls() - before);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn each_limit_has_its_code() {
    let limits = "max_consumers = 2\nmax_streams = 1\nrequests_per_minute = 5\n";
    served_with(limits)
        .visited(async |addresses| {
            let at = addresses[0].address;
            let from = |program: &'static str| async move {
                request(at, "GET /api/v1/gateways", &[&format!("User-Agent: {program}")]).await
            };
            assert_eq!(from("a").await.status, 200);
            assert_eq!(from("b").await.status, 200);
            let third = from("c").await;
            assert_eq!((third.status, third.code()), (429, Some(4001)));
            let mut last = from("a").await;
            for _ in 0..10 {
                last = from("a").await;
            }
            assert_eq!((last.status, last.code()), (429, Some(4004)));
            let wait: u64 = last.header("retry-after").unwrap().parse().unwrap();
            sleep(Duration::from_secs(wait)).await;
            assert_eq!(from("a").await.status, 200, "after Retry-After");
            let _open = Stream::open(at, "/api/v1/stream", &["User-Agent: b"]).await;
            sleep(Duration::from_secs(1)).await;
            let second = request(at, "GET /api/v1/stream", &["User-Agent: b"]).await;
            assert_eq!((second.status, second.code()), (429, Some(4001)));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_no_stream_after_all_is_not_counted() {
    served_with("max_streams = 1\n")
        .visited(async |addresses| {
            let at = addresses[0].address;
            for first in ["GET /api/v1/stream?groups=x", "GET /api/v1/socket", "POST /api/v1/stream"] {
                for _ in 0..3 {
                    let status = request(at, first, &["Authorization: Bearer nonsense"]).await.status;
                    assert!(status != 429, "{first}: {status}");
                }
            }
            drop(Stream::open(at, "/api/v1/stream", &[]).await);
            sleep(Duration::from_secs(40)).await;
            let list = get(at, "/api/v1/consumers").await.json();
            assert_eq!(list[0]["streams"], 0, "{list}");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_consumers_did_survives_a_restart() {
    let house = served_with("");
    for expected in [2, 4] {
        house
            .visited(async |addresses| {
                let at = addresses[0].address;
                for _ in 0..2 {
                    request(at, "GET /api/v1/gateways", &["User-Agent: evcc"]).await;
                }
                let list = get(at, "/api/v1/consumers").await.json();
                let evcc = list.as_array().unwrap().iter().find(|one| one["program"] == "evcc").unwrap();
                assert_eq!(evcc["requests"], expected);
            })
            .await;
        let seen = Seen::read(&StateDir::open(house.state()).unwrap()).await;
        assert!(seen.consumers.iter().any(|one| one.program == "evcc" && one.requests == expected));
    }
}

async fn list(house: &House) -> serde_json::Value {
    let (rng, mut out) = (Rng::with_seed(7), Vec::new());
    let mut context = Context::new(house.config(), house.environment(), house.clock.clone(), rng);
    consumer::list(&mut context, true, &mut out).await.unwrap();
    serde_json::from_slice(&out).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_command_shows_what_the_running_daemon_knows_and_afterwards_what_was_saved() {
    let house = served_with("");
    house
        .visited(async |addresses| {
            let at = addresses[0].address;
            for _ in 0..2 {
                request(at, "GET /api/v1/gateways", &["User-Agent: evcc"]).await;
            }
            let _open = Stream::open(at, "/api/v1/stream", &["User-Agent: evcc"]).await;
            while get(at, "/api/v1/consumers").await.json()[1]["streams"] != 1 {}
            let token = add(&house, "wallbox").await;
            let now = list(&house).await;
            let of = |name: &str| {
                let found = now.as_array().unwrap().iter().find(|one| one["name"] == name);
                found.unwrap_or_else(|| panic!("{name} is not in {now}")).clone()
            };
            assert_eq!((&of("evcc")["requests"], &of("evcc")["streams"]), (&3.into(), &1.into()));
            assert_eq!((&of("wallbox")["requests"], &of("wallbox")["kind"]), (&0.into(), &"token".into()));
            assert!(!now.to_string().contains(token.expose()));
            assert!(Seen::read(&StateDir::open(house.state()).unwrap()).await.consumers.is_empty());
            let socket = std::fs::metadata(house.state().join(live_list::NAME)).unwrap();
            assert_eq!(socket.permissions().mode() & 0o777, 0o600);
            let rng = Rng::with_seed(7);
            let mut context = Context::new(house.config(), house.environment(), house.clock.clone(), rng);
            consumer::rename(&mut context, "evcc", "car").await.unwrap();
            assert!(list(&house).await.to_string().contains("\"name\":\"car\""));
        })
        .await;
    let saved = list(&house).await;
    let car = saved.as_array().unwrap().iter().find(|one| one["name"] == "car").unwrap();
    assert_eq!((&car["requests"], &car["streams"]), (&3.into(), &0.into()));
}

/// Programs without a token are called by what they call themselves, so one name may lead to several.
#[tokio::test(start_paused = true)]
async fn a_name_leads_to_one_consumer_or_the_command_says_why_not() {
    let house = served_with("");
    let mut context =
        Context::new(house.config(), house.environment(), house.clock.clone(), Rng::with_seed(7));
    house
        .visited(async |addresses| {
            let path = "GET /api/v1/gateways";
            for program in ["User-Agent: evcc", "User-Agent: curl"] {
                request(addresses[0].address, path, &[program]).await;
            }
            let mut rename = async |name: &str, new: &str| {
                consumer::rename(&mut context, name, new).await.map_err(|failure| failure.message)
            };
            let several = rename("127.0.0.1", "car").await.unwrap_err();
            assert!(several.contains("2 programs are called 127.0.0.1"), "{several}");
            rename("evcc", "car").await.unwrap();
            let taken = rename("curl", "car").await.unwrap_err();
            assert!(taken.contains("a consumer called car already"), "{taken}");
            add(&house, "wallbox").await;
            let taken = rename("curl", "wallbox").await.unwrap_err();
            assert!(taken.contains("a consumer called wallbox already"), "{taken}");
            rename("curl", "curl").await.unwrap();
        })
        .await;
    let none = consumer::remove(&mut context, "car").await.unwrap_err().message;
    assert!(none.contains("car has no token that could be removed"), "{none}");
    // The name that a program gives itself is free for a token.
    consumer::add(&mut context, "curl", &mut Vec::new()).await.unwrap();
}

/// A person guesses with a program: refused, at constant memory, and the others are not disturbed.
#[tokio::test(start_paused = true)]
async fn thousands_of_wrong_tokens_are_refused_and_nobody_is_remembered_for_them() {
    let house = served_with(CLOSED);
    let token = add(&house, "evcc").await;
    house
        .visited(async |addresses| {
            let at = addresses[0].address;
            let path = "GET /api/v1/gateways";
            let mut codes = std::collections::BTreeMap::new();
            for n in 0..1000 {
                let line = format!("Authorization: Bearer wrong{n}");
                let reply = request(at, path, &[&line, &format!("User-Agent: {n}")]).await;
                *codes.entry(reply.code().unwrap()).or_insert(0) += 1;
            }
            assert_eq!(codes.into_iter().collect::<Vec<_>>(), [(4002, 10), (4004, 990)]);
            sleep(Duration::from_secs(61)).await;
            let list = request(at, "GET /api/v1/consumers", &[&bearer(&token)]).await.json();
            assert_eq!(list.as_array().unwrap().len(), 1, "{list}");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_token_counts_only_where_it_belongs() {
    let house = served_with(CLOSED);
    let (token, other) = (add(&house, "evcc").await, served_with(CLOSED));
    let foreign = add(&other, "evcc").await;
    house
        .visited(async |addresses| {
            let at = addresses[0].address;
            ready(at).await;
            for path in [
                "/api/v1/gateways",
                "/api/v1/stream",
                "/api/v1/socket",
                "/metrics",
                "/openapi.json",
                "//",
                "/x",
            ] {
                let reply = get(at, &format!("{path}?token={}", token.expose())).await;
                assert_eq!((reply.status, reply.code()), (401, Some(4002)), "{path}");
                assert!(reply.header("set-cookie").is_none(), "{path}");
            }
            let foreign = request(at, "GET /api/v1/gateways", &[&bearer(&foreign)]).await;
            assert_eq!((foreign.status, foreign.code()), (401, Some(4002)), "a token of another daemon");
            let own = house.simulation.gateways[0].serial();
            let gateway = enphased::simulator::mint_token(
                &own,
                enphased::simulator::Role::Owner,
                house.clock.now(),
                Duration::from_secs(3600),
            );
            let gateway = format!("Authorization: Bearer {gateway}");
            let refused = request(at, "GET /api/v1/gateways", &[&gateway]).await;
            assert_eq!((refused.status, refused.code()), (401, Some(4002)), "the gateway's own token");
            let anybody = get(at, "/").await;
            assert_eq!((anybody.status, anybody.code()), (401, Some(4002)));
        })
        .await;
}

/// What a browser is given is only a token of ours that is known.
#[tokio::test(start_paused = true)]
async fn a_link_with_another_token_sets_no_cookie() {
    let house = served_with("");
    let token = add(&house, "browser").await;
    house
        .visited(async |addresses| {
            let at = addresses[0].address;
            for foreign in ["nonsense", "eyJhbGciOiJFUzI1NiJ9.eyJhdWQiOiIxIn0.c2lnbmF0dXJl"] {
                let reply = get(at, &format!("/?token={foreign}")).await;
                assert_eq!(
                    (reply.status, reply.header("location")),
                    (303, Some("./")),
                    "this network is open"
                );
                assert_eq!(reply.header("set-cookie"), None, "{foreign}");
            }
            let reply = get(at, &format!("/?token={}", token.expose())).await;
            assert!(reply.status == 303 && reply.header("set-cookie").is_some());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_page_at_another_port_of_this_machine_cannot_use_the_cookie_of_a_browser() {
    let house = served_with("allow_origins = [\"http://localhost:8123\"]\n");
    let token = add(&house, "browser").await;
    house
        .visited(async |addresses| {
            let at = addresses[0].address;
            ready(at).await;
            let poll = "POST /api/v1/gateways/122300000001/poll";
            let cookie = format!("Cookie: enphased={}", token.expose());
            for (origin, status) in [
                ("http://localhost:3000", 403),
                ("null", 403),
                ("https://evil.example.com", 403),
                ("http://localhost:8123", 202),
                ("http://localhost", 202),
            ] {
                let reply = request(at, poll, &[&cookie, &format!("Origin: {origin}")]).await;
                assert_eq!(reply.status, status, "{origin}");
            }
            assert_eq!(request(at, poll, &[&cookie]).await.status, 202, "a program sends no origin");
        })
        .await;
}
