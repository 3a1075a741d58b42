//! What the program reads from outside, each as a function of arbitrary bytes that must neither panic nor hang, and whose
//! results must hold what the document promises. The fuzzer calls these, and a test replays what it has found.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each fuzz target uses one of these, and the test that replays them is private"
)]

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;

use enphased::app::config::secret::{Account, SecretSource};
use enphased::app::config::{self, environment::Environment};
use enphased::app::latest::Latest;
use enphased::app::publisher::{self, outbox::Outbox};
use enphased::app::token_provider::{Settings, TokenProvider};
use enphased::base::clock::Clock;
use enphased::base::reading::{Reading, Serial};
use enphased::base::secrets::{Credentials, Secret};
use enphased::io::cloud::{self, Addresses};
use enphased::io::gateway::firmware::Firmware;
use enphased::io::gateway::info::Info;
use enphased::io::gateway::pinned_key::PinnedKeys;
use enphased::io::gateway::{self, Endpoint, Target};
use enphased::io::mqtt::Command;
use enphased::io::state_dir::StateDir;
use enphased::io::token::{Token, store};
use enphased::output::homeassistant::{self, Discovery};
use enphased::output::influx;
use enphased::output::json;
use enphased::output::text;
use enphased::output::topics;
use enphased::rules::counters::{Guard, GuardState};
use enphased::rules::logins::clocks::GatewayTime;
use enphased::rules::logins::situation::Operator;
use enphased::rules::sources::{Cycle, Options, Sources};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;

/// A gateway before firmware 7, which is read without a token.
const INFO: &str =
    "<envoy_info><device><sn>122300000000</sn><software>D5.0.62</software></device></envoy_info>";

/// Between one page and the next in an input.
const SEPARATOR: &[u8] = b"\n---\n";

/// The gateway's page about itself.
pub fn info(data: &[u8]) {
    drop(Info::parse(data));
}

/// The pages of one gateway in the order in which they are asked for, twice around, and everything that is made of them.
pub fn pages(data: &[u8]) {
    let mut pages = split(data).into_iter().cycle();
    let mut guard = Guard::new(GuardState::default());
    let start = Instant::now();
    let mut sources = Sources::new(info_page(), Options { live_data: true, ..Options::default() }, start);
    for cycle in 0..2 {
        let now = start + Duration::from_secs(cycle * 3600);
        sources.begin_cycle(now);
        while let Some(endpoint) = sources.next(now) {
            let page = pages.next().unwrap_or_default();
            sources.take(endpoint, Ok(page), now);
        }
        if let Cycle::Reading(mut reading) = sources.cycle(time(cycle)) {
            guard.apply(&mut reading, &TimeZone::UTC, now);
            outputs(&reading);
        }
    }
}

/// Everything that is made of a reading; its numbers are all finite.
fn outputs(reading: &Reading) {
    let mut document = String::new();
    json::write(reading, &mut document);
    assert!(!document.contains("null"), "a value that is not there is left out: {document}");
    influx::write(reading, &mut document);
    drop(topics::document("enphased", reading, None));
    drop(topics::values("enphased", reading, |_, _| true));
    let discovery = Discovery {
        discovery_prefix: "homeassistant".to_owned(),
        prefix: "enphased".to_owned(),
        expire_after: Duration::from_secs(600),
        inverters: true,
        details: true,
        several: false,
        configuration_url: None,
    };
    drop(homeassistant::discovery(reading, &discovery));
    let style = text::Style { width: 80, colour: false, now: time(0), zone: TimeZone::UTC };
    drop(text::table(reading, &style));
    drop(text::status(reading));
}

/// The bytes that a host sends in a gateway's place: to `/info`, and, after a good `/info`, to a page.
pub fn gateway(data: &[u8]) {
    let good = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{INFO}", INFO.len());
    for info in [data, good.as_bytes()] {
        with_host(info, data, async |host| {
            let address = format!("http://{host}").parse().ok();
            let target = Target { address, ..Target::default() };
            let state = DIRECTORY.with_borrow(|directory| StateDir::open(directory.path()));
            let mut keys = PinnedKeys::new(state.expect("a directory of our own"));
            if let Ok(mut gateway) = gateway::open(&target, &mut keys, time(0)).await {
                drop(gateway.get(Endpoint::Production).await);
            }
        });
    }
}

/// The bytes that a host sends in the cloud's place, to a login and to a token request.
pub fn cloud(data: &[u8]) {
    with_host(data, data, async |host| {
        let url = format!("http://{host}");
        let client =
            cloud::Client::new(&Addresses { enlighten: url.clone(), entrez: url }).expect("a client");
        let secret = |text: &str| Secret::new(text.to_owned());
        let credentials =
            Credentials { username: "owner@example.com".to_owned(), password: secret("password") };
        drop(client.login(&credentials).await);
        if let Ok(token) = client.fetch_token(&secret("session"), &serial(), "owner@example.com").await {
            drop(Token::decode(token.expose()));
        }
    });
}

/// A configuration file.
pub fn configuration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    drop(config::complete(text, None, &Environment::default()));
}

/// The state files of the gateway.
const STATE_FILES: [&str; 8] = [
    "token-122300000000.json",
    "token-122300000000.copy.json",
    "counters-122300000000.json",
    "logins.json",
    "announced-122300000000.json",
    "gateway-122300000000.json",
    "gateway-122300000000.copy.json",
    "forgotten-122300000000.json",
];

/// A state file: the first byte says which.
pub fn state(data: &[u8]) {
    let Some((which, bytes)) = data.split_first() else { return };
    DIRECTORY.with_borrow(|directory| {
        let state = StateDir::open(directory.path()).expect("a directory of our own");
        let name = STATE_FILES[usize::from(*which) % STATE_FILES.len()];
        std::fs::write(directory.path().join(name), bytes).expect("a disk with room");
        RUNTIME.with(|runtime| {
            runtime.block_on(async {
                drop(store::load(&state, &serial()).await);
                enphased::app::poller::counter_file::CounterFile::new(&serial()).load(&state).await;
                logins(&state).await;
                announced(&state).await;
                known_keys(&state, name, bytes).await;
                for name in state.names("", "").await.expect("a directory of our own") {
                    state.remove(&name).await.expect("a file of our own");
                }
            });
        });
    });
}

/// The record of logins, and what is decided by it. A second look finds what the first has made of a damaged one.
async fn logins(state: &StateDir) {
    let settings = Settings {
        cloud: Addresses {
            enlighten: "http://127.0.0.1:9".to_owned(),
            entrez: "http://127.0.0.1:9".to_owned(),
        },
        account: Account {
            username: Some("owner@example.com".to_owned()),
            password: Some(SecretSource::Given(Secret::new("password".to_owned()))),
        },
        renew_short_tokens: true,
        several_gateways: false,
    };
    let clock = Clock::simulated(time(0));
    let mut token_provider = TokenProvider::new(state.clone(), clock, settings, fastrand::Rng::with_seed(1));
    for gateway_time in [
        GatewayTime::NoResponse,
        GatewayTime::NoTime,
        GatewayTime::Time(time(1)),
        GatewayTime::Time(Timestamp::MAX),
    ] {
        for operator in [Operator::Absent, Operator::Asks, Operator::Insists] {
            let decided = token_provider.consider(&serial(), gateway_time, operator).await;
            drop(decided.map(|decision| decision.to_string()));
        }
    }
}

/// What was announced at the broker: all of it leaves, and each topic is one.
async fn announced(state: &StateDir) {
    let options = publisher::Options {
        prefix: "other".to_owned(),
        topics: false,
        homeassistant: None,
        domoticz: None,
        interval: Duration::from_secs(30),
        instance: "us".to_owned(),
        requests: None,
        state: None,
    };
    let (latest, start) = (Latest::new(), Instant::now());
    let mut outbox = Outbox::new(options, start);
    outbox.recall(state).await;
    outbox.connected();
    let reader = latest.reader();
    for second in 0..10 {
        while let Some(order) = outbox.next(&reader.borrow(), start + Duration::from_secs(second)) {
            if let Command::Publish(message) = order {
                assert!(topics::is_topic(&message.topic), "{:?}", message.topic);
            }
        }
    }
}

/// A remembered key: a damaged file never means that none was known.
async fn known_keys(state: &StateDir, name: &str, bytes: &[u8]) {
    let keys = PinnedKeys::new(state.clone());
    let known = keys.load(&serial()).await.expect("a disk that can be read");
    let is_there = name == STATE_FILES[5];
    assert!(known.is_some() || !is_there || keys.is_lost(&serial()).await, "{bytes:?} is as no file");
}

fn split(data: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = data;
    while let Some(at) = rest.windows(SEPARATOR.len()).position(|window| window == SEPARATOR) {
        parts.push(&rest[..at]);
        rest = &rest[at + SEPARATOR.len()..];
    }
    parts.push(rest);
    parts
}

fn serial() -> Serial {
    Serial::parse("122300000000").expect("a serial number")
}

fn time(hours: u64) -> Timestamp {
    let seconds = 1_763_634_000 + i64::try_from(hours).expect("a small number") * 3600;
    Timestamp::from_second(seconds).expect("a time of this century")
}

fn info_page() -> Info {
    Info {
        serial: serial(),
        firmware: Firmware::new(8, 3, 5289),
        software: "D8.3.5289".to_owned(),
        part_number: None,
        metered_model: Some(true),
        time: Some(time(0)),
        web_tokens: Some(true),
    }
}

thread_local! {
    static RUNTIME: tokio::runtime::Runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    static DIRECTORY: RefCell<tempfile::TempDir> = RefCell::new(directory());
}

/// In memory where there is such a place: the fuzzer writes thousands of files a second.
fn directory() -> tempfile::TempDir {
    let memory = PathBuf::from("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a temporary directory")
}

/// Runs `ask` against a host that responds to `/info` with `info` and to everything else with `response`, and closes.
fn with_host(info: &[u8], response: &[u8], ask: impl AsyncFnOnce(std::net::SocketAddr)) {
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let host = listener.local_addr().expect("its address");
            let serve = async {
                loop {
                    let Ok((mut stream, _)) = listener.accept().await else { continue };
                    let mut request = [0; 4096];
                    let length = stream.read(&mut request).await.unwrap_or_default();
                    let asks_who = request[..length].starts_with(b"GET /info ");
                    drop(stream.write_all(if asks_who { info } else { response }).await);
                }
            };
            tokio::select! {
                () = serve => {}
                () = ask(host) => {}
            }
        });
    });
}
