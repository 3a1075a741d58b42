//! Tests a host that takes a gateway's place: another key, another serial number, another firmware, another scheme. It
//! records its requests, which must never contain a token, session or password of the gateway.

mod histories;
mod other_key;
mod other_serial;
mod replaced;
mod several_addresses;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use enphased::app::config::environment::Environment;
use enphased::app::config::{self, Config};
use enphased::app::daemon;
use enphased::app::poller::{Reader, Shared};
use enphased::app::token_provider::ending::Ending;
use enphased::base::clock::Clock;
use enphased::base::heartbeat::Heartbeat;
use enphased::base::reading::Reading;
use enphased::io::gateway::address::Address;
use enphased::io::gateway::pinned_key::PinnedKeys;
use enphased::io::gateway::{self, Connected, Location, OpenError, Target};
use enphased::io::state_dir::StateDir;
use enphased::io::token::store::{self, Origin, Tokens};
use fastrand::Rng;
use jiff::Timestamp;

use crate::support::scripted_gateway::{
    CHECK, GATEWAY, Reply, SERIAL, Seen, Server, Shown, accepted, bearer, fingerprint, info_of, ok, reply,
    token, unauthorized,
};

const OTHER: &str = "122300999999";
const MODERN: &str = "D8.3.5289";
const OLD: &str = "D5.0.62";
const PRODUCTION: &str = "/api/v1/production";

/// The identity that a host claims.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Persona {
    serial: &'static str,
    firmware: &'static str,
    watts: u32,
}

const REAL: Persona = Persona { serial: SERIAL, firmware: MODERN, watts: 1000 };

/// A host whose persona may change.
struct Host {
    server: Server,
    persona: Arc<Mutex<Persona>>,
    /// The persona at each request, in order.
    said: Arc<Mutex<Vec<Persona>>>,
}

impl Host {
    async fn start(persona: Persona, shown: Shown) -> Self {
        Self::start_at("127.0.0.1:0", persona, shown).await
    }

    async fn start_at(bind: &str, persona: Persona, shown: Shown) -> Self {
        let persona = Arc::new(Mutex::new(persona));
        let said: Arc<Mutex<Vec<Persona>>> = Arc::default();
        let (now, log) = (Arc::clone(&persona), Arc::clone(&said));
        let script = move |seen: &Seen| {
            let persona = *now.lock().unwrap();
            log.lock().unwrap().push(persona);
            answer(seen, persona)
        };
        Self { server: Server::start(bind, shown, script).await, persona, said }
    }

    /// Replaces the host at the same address.
    fn becomes(&self, persona: Persona, shown: Shown) {
        *self.persona.lock().unwrap() = persona;
        self.server.becomes(shown);
    }

    /// Returns the requests with a token, a cookie or a password.
    fn secrets(&self) -> Vec<Seen> {
        self.server.seen().into_iter().filter(Seen::is_secret).collect()
    }

    fn address(&self) -> SocketAddr {
        self.server.address
    }

    fn place(&self) -> Location {
        Location { address: self.address().to_string().parse().unwrap(), ip: self.address() }
    }
}

/// Accepts any token and any password, as an impostor does.
fn answer(seen: &Seen, persona: Persona) -> Reply {
    let shows_something = seen.is_secret();
    match seen.path.as_str() {
        "/info" => info_of(persona.serial, persona.firmware),
        CHECK if shows_something => accepted("1"),
        PRODUCTION if shows_something || persona.firmware == OLD => {
            ok(&format!(r#"{{"wattHoursLifetime":5000000,"wattsNow":{}}}"#, persona.watts))
        }
        PRODUCTION | "/api/v1/production/inverters" if !shows_something => challenge(),
        "/api/v1/production/inverters" => ok("[]"),
        _ if shows_something || persona.firmware == OLD => reply("404 Not Found", &[], ""),
        _ => unauthorized(),
    }
}

fn challenge() -> Reply {
    let digest = "WWW-Authenticate: Digest qop=\"auth\", realm=\"enphaseenergy.com\", nonce=\"1\"";
    reply("401 Unauthorized", &[digest], "<html><h2>401 Unauthorized</h2></html>")
}

/// The state directory and the program around it.
struct Home {
    state: tempfile::TempDir,
    shared: Shared,
    config: Config,
}

impl Home {
    /// Creates a home with the configuration `gateways` and a token for the real gateway.
    async fn new(gateways: &str) -> Self {
        let state = tempfile::tempdir().unwrap();
        let text = format!("state_dir = {:?}\n{gateways}", state.path());
        let config = config::complete(&text, None, &Environment::default()).unwrap();
        let directory = StateDir::open(state.path()).unwrap();
        let clock = Clock::simulated("2026-07-29T13:47:30Z".parse().unwrap());
        let shared = daemon::shared(&config, &directory, &clock, Rng::with_seed(4), &Ending::default());
        let home = Self { state, shared, config };
        home.store(SERIAL).await;
        home
    }

    async fn at(host: &Host) -> Self {
        Self::new(&format!("[[gateway]]\naddress = \"{}\"", host.address())).await
    }

    fn directory(&self) -> StateDir {
        StateDir::open(self.state.path()).unwrap()
    }

    /// Stores a token of `serial` that the gateway has accepted.
    async fn store(&self, serial: &str) {
        let mut tokens = Tokens::default();
        tokens.arrived(token(serial, "a"), Origin::Import, Timestamp::UNIX_EPOCH);
        tokens.promote(Timestamp::UNIX_EPOCH);
        store::save(&self.directory(), &serial.parse().unwrap(), &tokens).await.unwrap();
    }

    /// Creates the reader of a daemon, as after a restart.
    fn reader(&self) -> Reader {
        self.reader_of(0)
    }

    fn reader_of(&self, place: usize) -> Reader {
        Reader::new(self.config.gateways[place].clone(), self.shared.clone(), Heartbeat::new())
    }
}

async fn watts(reader: &mut Reader) -> Result<(String, f64), String> {
    let reading = reader.poll().await.map_err(|trouble| trouble.to_string())?;
    let Reading { gateway, production, .. } = reading.expect("something is due");
    Ok((gateway.serial.to_string(), production.unwrap().power_w.unwrap().value()))
}

/// Checks that every secret was sent only to the gateway's own key.
fn only_to_its_own_key(secrets: &[Seen]) {
    assert!(!secrets.is_empty());
    for seen in secrets {
        assert_eq!(seen.key, Some(fingerprint(GATEWAY)), "{} {}", seen.path, seen.header("authorization"));
        assert_eq!(seen.header("authorization"), bearer(&token(SERIAL, "a")));
    }
}

fn config_at(address: &str, home: &Home) -> Config {
    let text = format!("state_dir = {:?}\n[[gateway]]\naddress = {address:?}", home.state.path());
    config::complete(&text, None, &Environment::default()).unwrap()
}

/// The time for which a host without TLS is believed.
async fn seconds_later() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(5)).await;
    tokio::time::resume();
}

fn target(host: &Host) -> Target {
    let address: Address = host.address().to_string().parse().unwrap();
    Target { address: Some(address), ..Target::default() }
}

fn keys(state: &tempfile::TempDir) -> PinnedKeys {
    PinnedKeys::new(StateDir::open(state.path()).unwrap())
}

async fn open(target: &Target, state: &tempfile::TempDir) -> Result<Connected, OpenError> {
    gateway::open(target, &mut keys(state), Timestamp::UNIX_EPOCH).await
}

async fn open_among(
    places: &[Location],
    target: &Target,
    state: &tempfile::TempDir,
) -> Result<Connected, OpenError> {
    gateway::open_among(places, target, &mut keys(state), Timestamp::UNIX_EPOCH).await
}

/// Opens the gateway with its token in use.
async fn opened(host: &Host) -> Connected {
    let mut gateway = open(&target(host), &tempfile::tempdir().unwrap()).await.unwrap();
    gateway.use_token(&token(SERIAL, "a")).unwrap();
    gateway
}
