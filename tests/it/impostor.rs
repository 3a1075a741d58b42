//! Tests a host that takes a gateway's place: another key, another serial number, another firmware, another scheme. It
//! records its requests, which must never contain a token, session or password of the gateway.

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
use enphased::base::reading::{Reading, Serial};
use enphased::base::secrets::Secret;
use enphased::io::gateway::address::Address;
use enphased::io::gateway::pinned_key::{PinnedKeys, serials_at};
use enphased::io::gateway::{self, Connected, Endpoint, Error, Location, OpenError, Target};
use enphased::io::state_dir::StateDir;
use enphased::io::token::store::{self, Origin, Tokens};
use fastrand::Rng;
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::support::scripted_gateway::{
    CHECK, GATEWAY, REPLACED, Reply, SERIAL, Seen, Server, Shown, accepted, bearer, fingerprint, info_of, ok,
    reply, token, unauthorized,
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

// ---- another key at the address ----------------------------------------------------------------------------

#[tokio::test]
async fn another_host_at_the_address_gets_no_token_whatever_it_says_it_is() {
    for serial in [SERIAL, OTHER] {
        for firmware in [OLD, MODERN] {
            for shown in [Shown::other(), Shown::plain()] {
                let host = Host::start(REAL, Shown::first()).await;
                let (home, impostor) = (Home::at(&host).await, Persona { serial, firmware, watts: 66_666 });
                let mut reader = home.reader();
                assert_eq!(watts(&mut reader).await.unwrap(), (SERIAL.to_owned(), 1000.0));
                host.becomes(impostor, shown.clone());
                for _ in 0..4 {
                    let read = watts(&mut reader).await;
                    assert_ne!(read.ok().map(|(serial, _)| serial).as_deref(), Some(SERIAL));
                }
                // After a restart as well.
                let read = watts(&mut home.reader()).await;
                assert_ne!(read.ok().map(|(serial, _)| serial).as_deref(), Some(SERIAL));
                only_to_its_own_key(&host.secrets().into_iter().filter(is_bearer).collect::<Vec<_>>());
                // The real gateway returns, and is read with its token as before.
                host.becomes(REAL, Shown::first());
                let mut last = watts(&mut reader).await;
                for _ in 0..2 {
                    last = watts(&mut reader).await;
                }
                assert_eq!(last.unwrap(), (SERIAL.to_owned(), 1000.0), "{serial} {firmware}");
                only_to_its_own_key(&host.secrets().into_iter().filter(is_bearer).collect::<Vec<_>>());
            }
        }
    }
}

/// Returns whether a request contains a token or its session. A Digest response is derived from the serial number.
fn is_bearer(seen: &Seen) -> bool {
    !seen.header("cookie").is_empty() || !seen.header("authorization").starts_with("Digest ")
}

#[tokio::test]
async fn a_key_that_changes_between_two_requests_gets_none_of_them() {
    let host = Host::start(REAL, Shown::first()).await;
    let mut gateway = opened(&host).await;
    gateway.get(Endpoint::Production).await.unwrap();
    host.becomes(REAL, Shown::other());
    let before = host.server.seen().len();
    for _ in 0..2 {
        let error = gateway.get(Endpoint::Production).await.unwrap_err();
        let Error::KeyChanged { known, seen, serial, .. } = error else { panic!("{error:?}") };
        assert_eq!((known, seen), (fingerprint(GATEWAY), fingerprint(REPLACED)));
        assert_eq!(serial.as_str(), SERIAL);
    }
    assert!(matches!(gateway.confirm().await, Err(Error::KeyChanged { .. })));
    assert!(matches!(gateway.check_token(&token(SERIAL, "a")).await, Err(Error::KeyChanged { .. })));
    assert_eq!(host.server.seen().len(), before, "nothing at all is asked of another key");
}

#[tokio::test]
async fn another_serial_of_the_same_key_ends_the_session() {
    let host = Host::start(REAL, Shown::first()).await;
    let mut gateway = opened(&host).await;
    gateway.get(Endpoint::Production).await.unwrap();
    let before = host.secrets().len();
    *host.persona.lock().unwrap() = Persona { serial: OTHER, ..REAL };
    let error = gateway.confirm().await.unwrap_err();
    assert!(error.to_string().contains("changed from 122300123456 to 122300999999"), "{error}");
    gateway.get(Endpoint::Production).await.unwrap_err();
    gateway.use_token(&token(SERIAL, "a")).unwrap_err();
    gateway.check_token(&token(OTHER, "a")).await.unwrap_err();
    assert_eq!(host.secrets().len(), before);
}

#[tokio::test]
async fn a_firmware_without_tokens_is_sent_none() {
    let host = Host::start(REAL, Shown::first()).await;
    let mut gateway = opened(&host).await;
    gateway.get(Endpoint::Production).await.unwrap();
    let before = host.secrets().len();
    *host.persona.lock().unwrap() = Persona { firmware: OLD, ..REAL };
    gateway.confirm().await.unwrap();
    let refused = gateway.use_token(&token(SERIAL, "a")).unwrap_err();
    assert!(matches!(refused, Error::TokenUnwanted { .. }), "{refused:?}");
    gateway.get(Endpoint::Production).await.unwrap();
    assert_eq!(host.secrets().len(), before);
}

#[tokio::test]
async fn a_firmware_that_begins_to_want_a_token_over_http_is_sent_none() {
    let host = Host::start(Persona { firmware: OLD, ..REAL }, Shown::plain()).await;
    let mut gateway = open(&target(&host), &tempfile::tempdir().unwrap()).await.unwrap();
    host.becomes(REAL, Shown::plain());
    seconds_later().await;
    gateway.confirm().await.unwrap_err();
    gateway.use_token(&token(SERIAL, "a")).unwrap_err();
    gateway.get(Endpoint::Production).await.unwrap_err();
    gateway.check_token(&token(SERIAL, "a")).await.unwrap_err();
    assert!(host.secrets().is_empty());
}

#[tokio::test]
async fn the_token_of_another_gateway_is_not_taken() {
    let host = Host::start(REAL, Shown::first()).await;
    let mut gateway = opened(&host).await;
    let refused = gateway.use_token(&token(OTHER, "a")).unwrap_err();
    assert!(matches!(refused, Error::ForeignToken { .. }), "{refused:?}");
    assert!(matches!(gateway.get(Endpoint::Production).await, Err(Error::NoToken)));
    assert!(matches!(gateway.check_token(&token(OTHER, "a")).await, Err(Error::ForeignToken { .. })));
    assert!(host.secrets().is_empty());
}

#[tokio::test]
async fn where_any_certificate_is_accepted_the_token_still_goes_to_its_serial_alone() {
    let host = Host::start(REAL, Shown::first()).await;
    let insecure = Target { insecure: true, ..target(&host) };
    let mut gateway = open(&insecure, &tempfile::tempdir().unwrap()).await.unwrap();
    gateway.use_token(&token(SERIAL, "a")).unwrap();
    gateway.get(Endpoint::Production).await.unwrap();
    // The same gateway with another key: it is asked who it is before anything else.
    host.becomes(REAL, Shown::other());
    gateway.get(Endpoint::Production).await.unwrap();
    let before = host.secrets().len();
    host.becomes(Persona { serial: OTHER, ..REAL }, Shown::other());
    // Connections that prove nothing are taken for the one before only for a moment.
    seconds_later().await;
    let error = gateway.get(Endpoint::Production).await.unwrap_err();
    assert!(matches!(error, Error::Replaced { .. }), "{error:?}");
    assert_eq!(host.secrets().len(), before);
}

// ---- names that lead to another token ----------------------------------------------------------------------

#[tokio::test]
async fn no_serial_leads_to_the_file_of_another_gateways_token() {
    for serial in ["122300123456.copy", "../token-122300123456", "122300123456.json", "..", ""] {
        let serial: &'static str = serial;
        let host = Host::start(Persona { serial, ..REAL }, Shown::other()).await;
        let home = Home::at(&host).await;
        let before = home.directory().names("", "").await.unwrap();
        let said = watts(&mut home.reader()).await.unwrap_err();
        assert!(said.contains(&host.address().to_string()) && said.contains("serial number"), "{said}");
        assert!(host.secrets().is_empty());
        assert_eq!(
            home.directory().names("", "").await.unwrap(),
            before,
            "nothing is written about {serial:?}"
        );
    }
}

#[tokio::test]
async fn a_token_that_lies_in_the_file_of_another_serial_is_not_sent() {
    let host = Host::start(Persona { serial: OTHER, ..REAL }, Shown::other()).await;
    let home = Home::at(&host).await;
    let file = |serial: &str| home.state.path().join(format!("token-{serial}.json"));
    std::fs::copy(file(SERIAL), file(OTHER)).unwrap();
    watts(&mut home.reader()).await.unwrap_err();
    assert!(host.secrets().is_empty());
}

// ---- two gateways ------------------------------------------------------------------------------------------

/// Checks that a login for one gateway does not delay reading the token of the other.
#[tokio::test]
async fn a_login_under_way_for_one_gateway_gives_its_token_to_no_other() {
    let (one, two) = (Host::start(REAL, Shown::first()).await, Host::start(REAL, Shown::first()).await);
    two.becomes(Persona { serial: OTHER, ..REAL }, Shown::other());
    let tables = [&one, &two].map(|host| format!("[[gateway]]\naddress = \"{}\"\n", host.address()));
    let home = Home::new(&tables.concat()).await;
    home.store(OTHER).await;
    let (mut first, mut second) = (home.reader_of(0), home.reader_of(1));
    assert_eq!(watts(&mut first).await.unwrap().0, SERIAL);
    assert_eq!(watts(&mut second).await.unwrap().0, OTHER);
    // The addresses are swapped, and another process holds the login lock.
    let login = Arc::clone(&home.shared.token_provider).lock_owned().await;
    one.becomes(Persona { serial: OTHER, ..REAL }, Shown::other());
    two.becomes(REAL, Shown::first());
    assert!(watts(&mut first).await.unwrap_err().contains("a different key"));
    let before = one.server.seen().len();
    let answered = async {
        while one.server.seen().len() == before {
            tokio::task::yield_now().await;
        }
        drop(login);
    };
    drop(tokio::join!(watts(&mut first), answered));
    for _ in 0..3 {
        watts(&mut first).await.ok();
        watts(&mut second).await.ok();
    }
    assert_eq!(watts(&mut first).await.unwrap().0, OTHER);
    assert_eq!(watts(&mut second).await.unwrap().0, SERIAL);
    for seen in one.secrets().into_iter().chain(two.secrets()) {
        let serial = if seen.key == Some(fingerprint(GATEWAY)) { SERIAL } else { OTHER };
        assert_eq!(seen.header("authorization"), bearer(&token(serial, "a")), "{}", seen.path);
    }
}

// ---- a key that was shown before ---------------------------------------------------------------------------

#[tokio::test]
async fn a_gateway_that_has_shown_a_key_is_not_read_without_it() {
    let host = Host::start(REAL, Shown::first()).await;
    let home = Home::at(&host).await;
    watts(&mut home.reader()).await.unwrap();
    host.becomes(Persona { firmware: OLD, watts: 66_666, ..REAL }, Shown::plain());
    let mut reader = home.reader();
    for _ in 0..3 {
        let said = watts(&mut reader).await.unwrap_err();
        assert!(said.contains("plain http") && said.contains("enphased gateway trust"), "{said}");
        assert!(said.contains(&fingerprint(GATEWAY).to_string()), "{said}");
    }
    // Not even where plain http is configured.
    let home = Home { config: config_at(&format!("http://{}", host.address()), &home), ..home };
    let said = watts(&mut home.reader()).await.unwrap_err();
    assert!(said.contains("enphased gateway trust"), "{said}");
}

fn config_at(address: &str, home: &Home) -> Config {
    let text = format!("state_dir = {:?}\n[[gateway]]\naddress = {address:?}", home.state.path());
    config::complete(&text, None, &Environment::default()).unwrap()
}

// ---- several addresses -------------------------------------------------------------------------------------

#[tokio::test]
async fn of_several_places_the_one_with_the_remembered_key_is_read() {
    let state = tempfile::tempdir().unwrap();
    let real = Host::start(REAL, Shown::first()).await;
    open(&target(&real), &state).await.unwrap();
    let spoofers = [
        Host::start(REAL, Shown::other()).await,
        Host::start(Persona { firmware: OLD, ..REAL }, Shown::plain()).await,
        Host::start(Persona { serial: OTHER, ..REAL }, Shown::other()).await,
    ];
    let mut places: Vec<Location> = spoofers.iter().map(Host::place).collect();
    places.push(real.place());
    let gateway = open_among(&places, &Target::default(), &state).await.unwrap();
    assert_eq!((gateway.address(), gateway.key()), (real.address().to_string(), Some(fingerprint(GATEWAY))));
    assert!(spoofers.iter().all(|host| host.secrets().is_empty()));
}

#[tokio::test]
async fn two_keys_for_one_serial_at_first_contact_are_refused_with_both_named() {
    let (one, two) = (Host::start(REAL, Shown::first()).await, Host::start(REAL, Shown::other()).await);
    for places in [[one.place(), two.place()], [two.place(), one.place()]] {
        let state = tempfile::tempdir().unwrap();
        let refused = open_among(&places, &Target::default(), &state).await.unwrap_err();
        assert!(matches!(refused, OpenError::SeveralKeys { .. }), "{refused:?}");
        let said = refused.to_string();
        for named in [one.address().to_string(), two.address().to_string()] {
            assert!(said.contains(&named), "{said}");
        }
        for key in [GATEWAY, REPLACED].map(fingerprint) {
            assert!(said.contains(&key.to_string()), "{said}");
        }
        assert!(said.contains("address ="), "{said}");
        assert_eq!(StateDir::open(state.path()).unwrap().names("", "").await.unwrap(), Vec::<String>::new());
    }
    assert!(one.secrets().is_empty() && two.secrets().is_empty());
}

#[tokio::test]
async fn one_gateway_at_two_places_is_one_gateway() {
    let (one, two) = (Host::start(REAL, Shown::first()).await, Host::start(REAL, Shown::first()).await);
    let state = tempfile::tempdir().unwrap();
    let gateway = open_among(&[one.place(), two.place()], &Target::default(), &state).await.unwrap();
    assert_eq!(gateway.address(), one.address().to_string());
    let directory = StateDir::open(state.path()).unwrap();
    assert_eq!(
        serials_at(&directory, &one.address().to_string()).await.unwrap(),
        [SERIAL.parse::<Serial>().unwrap()]
    );
    assert_eq!(serials_at(&directory, &two.address().to_string()).await.unwrap(), []);
}

#[tokio::test]
async fn each_place_is_tried_and_named_when_none_answers() {
    let gone = || async {
        let host = Host::start(REAL, Shown::first()).await;
        host.place()
    };
    let (one, two) = (gone().await, gone().await);
    let state = tempfile::tempdir().unwrap();
    let error = open_among(&[one.clone(), two.clone()], &Target::default(), &state).await.unwrap_err();
    let said = error.to_string();
    assert!(said.contains(&one.to_string()) && said.contains(&two.to_string()), "{said}");
    assert!(said.contains("connection refused"), "{said}");
    let real = Host::start(REAL, Shown::first()).await;
    let gateway = open_among(&[one, two, real.place()], &Target::default(), &state).await.unwrap();
    assert_eq!(gateway.address(), real.address().to_string());
}

// ---- a replaced gateway ------------------------------------------------------------------------------------

#[tokio::test]
async fn a_replaced_gateway_is_called_so() {
    let old = Persona { firmware: OLD, ..REAL };
    let host = Host::start(old, Shown::plain()).await;
    let home = Home::at(&host).await;
    let mut reader = home.reader();
    assert_eq!(watts(&mut reader).await.unwrap().0, SERIAL);
    let mut latest = home.shared.latest.reader();
    host.becomes(Persona { serial: OTHER, watts: 7, ..old }, Shown::plain());
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(60)).await;
    tokio::time::resume();
    let said = watts(&mut reader).await.unwrap_err();
    assert!(said.contains(&format!("changed from {SERIAL} to {OTHER}")), "{said}");
    assert_eq!(watts(&mut reader).await.unwrap(), (OTHER.to_owned(), 7.0));
    let snapshot = latest.borrow_and_update();
    let events: Vec<String> = snapshot
        .events_after(0)
        .map(|told| format!("{} {}: {}", told.serial.as_ref().unwrap(), told.event.kind, told.event.message))
        .collect();
    let replaced = format!(
        "{OTHER} gateway_replaced: the gateway at {} was replaced: its serial number is now {OTHER}, and was {SERIAL}",
        host.address()
    );
    assert_eq!(events, [replaced]);
}

#[tokio::test]
async fn a_host_that_is_another_gateway_each_time_is_not_read_as_each() {
    const SERIALS: [&str; 12] = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"];
    let old = Persona { firmware: OLD, ..REAL };
    let host = Host::start(old, Shown::plain()).await;
    let home = Home::at(&host).await;
    let mut reader = home.reader();
    watts(&mut reader).await.unwrap();
    let mut said = String::new();
    for serial in SERIALS {
        host.becomes(Persona { serial, ..old }, Shown::plain());
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(3600)).await;
        tokio::time::resume();
        // It is asked who it is, and read as that one or not.
        for _ in 0..2 {
            said = watts(&mut reader).await.err().unwrap_or(said);
        }
    }
    assert!(said.contains("changed its serial number again, from 2 to 12;"), "{said}");
    let latest = home.shared.latest.reader();
    assert!(latest.borrow().gateways().count() <= 3);
    // The last one that was read is read again as soon as it is there again, and so is the first.
    for (serial, watts_of_it) in [("2", 7), (SERIAL, 8)] {
        host.becomes(Persona { serial, watts: watts_of_it, ..old }, Shown::plain());
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(3600)).await;
        tokio::time::resume();
        watts(&mut reader).await.ok();
        assert_eq!(watts(&mut reader).await.unwrap(), (serial.to_owned(), f64::from(watts_of_it)));
    }
}

// ---- passwords of firmware before 7 ------------------------------------------------------------------------

#[tokio::test]
async fn a_configured_password_goes_to_no_other_serial() {
    let old = Persona { firmware: OLD, ..REAL };
    let host = Host::start(old, Shown::plain()).await;
    let state = tempfile::tempdir().unwrap();
    let with_password = Target { has_password: true, ..target(&host) };
    let password = Secret::new("hunter2".to_owned());
    let mut gateway = open(&with_password, &state).await.unwrap();
    gateway.use_password("installer", &password);
    gateway.get(Endpoint::Inverters).await.unwrap();
    assert!(host.secrets().iter().all(|seen| seen.header("authorization").contains("installer")));
    let before = host.secrets().len();
    assert!(before > 0);

    host.becomes(Persona { serial: OTHER, ..old }, Shown::plain());
    seconds_later().await;
    gateway.get(Endpoint::Inverters).await.unwrap_err();
    let mut gateway = open(&with_password, &state).await.unwrap();
    assert!(!gateway.takes_password());
    gateway.use_password("installer", &password);
    gateway.get(Endpoint::Inverters).await.unwrap();
    let sent = host.secrets();
    assert!(
        sent[before..].iter().all(|seen| !seen.header("authorization").contains("installer")),
        "{sent:?}"
    );

    // A person who names the serial number means it.
    let serial = Some(OTHER.parse().unwrap());
    let gateway = open(&Target { serial, ..with_password }, &state).await.unwrap();
    assert!(gateway.takes_password());
}

// ---- random histories --------------------------------------------------------------------------------------

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Another host takes the address, with this key (or none), serial number and firmware.
    Becomes(Option<bool>, bool, bool),
    /// The host changes its identity on existing connections.
    Renamed(bool, bool),
    Cut,
    /// The gateway is located again.
    Open,
    Confirm,
    UseToken(bool),
    CheckToken(bool),
    Get,
    Later,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => any::<(Option<bool>, bool, bool)>().prop_map(|(key, own, new)| Step::Becomes(key, own, new)),
        1 => any::<(bool, bool)>().prop_map(|(own, new)| Step::Renamed(own, new)),
        1 => Just(Step::Cut),
        2 => Just(Step::Open),
        2 => Just(Step::Confirm),
        3 => any::<bool>().prop_map(Step::UseToken),
        1 => any::<bool>().prop_map(Step::CheckToken),
        4 => Just(Step::Get),
        1 => Just(Step::Later),
    ];
    proptest::collection::vec(step, 1..30)
}

const fn named(own: bool) -> &'static str {
    if own { SERIAL } else { OTHER }
}

const fn persona(own: bool, new: bool) -> Persona {
    Persona { serial: named(own), firmware: if new { MODERN } else { OLD }, watts: 1 }
}

/// The time for which a host without TLS is believed.
async fn seconds_later() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(5)).await;
    tokio::time::resume();
}

async fn walk(steps: Vec<Step>, insecure: bool) -> Result<(), TestCaseError> {
    let host = Host::start(REAL, Shown::first()).await;
    let state = tempfile::tempdir().unwrap();
    let target = Target { insecure, ..target(&host) };
    let mut gateway = open(&target, &state).await.ok();
    for step in steps {
        match (step, &mut gateway) {
            (Step::Becomes(key, own, new), _) => {
                let shown = match key {
                    Some(true) => Shown::first(),
                    Some(false) => Shown::other(),
                    None => Shown::plain(),
                };
                host.becomes(persona(own, new), shown);
                seconds_later().await;
            }
            (Step::Renamed(own, new), _) => *host.persona.lock().unwrap() = persona(own, new),
            (Step::Cut, _) => host.server.cut(),
            (Step::Later, _) => seconds_later().await,
            (Step::Open, gateway) => *gateway = open(&target, &state).await.ok(),
            (Step::Confirm, Some(gateway)) => drop(gateway.confirm().await),
            (Step::UseToken(own), Some(gateway)) => drop(gateway.use_token(&token(named(own), "a"))),
            (Step::CheckToken(own), Some(gateway)) => {
                drop(gateway.check_token(&token(named(own), "a")).await);
            }
            (Step::Get, Some(gateway)) => drop(gateway.get(Endpoint::Production).await),
            (_, None) => {}
        }
    }
    judge(&host, &keys(&state), insecure).await
}

/// Checks the requests that the host received.
async fn judge(host: &Host, remembered: &PinnedKeys, insecure: bool) -> Result<(), TestCaseError> {
    let (mut told, said) = (None, host.said.lock().unwrap().clone());
    for (seen, persona) in host.server.seen().into_iter().zip(said) {
        if seen.path == "/info" {
            prop_assert!(!seen.is_secret());
            // A key tells one host from another; without one, any is taken at its newest word.
            told = Some(persona);
            continue;
        }
        let shown = seen.header("authorization");
        let cookie = seen.header("cookie");
        if shown.starts_with("Bearer ") || !cookie.is_empty() {
            let told = told.unwrap();
            prop_assert_eq!(shown, bearer(&token(told.serial, "a")), "{}", seen.path);
            prop_assert_eq!(told.firmware, MODERN);
            prop_assert!(seen.key.is_some(), "a token went over plain http");
            let known = remembered.load(&told.serial.parse().unwrap()).await.unwrap().unwrap();
            prop_assert!(insecure || seen.key == known.key, "{:?} {known:?}", seen.key);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_token_goes_only_to_its_serial_with_its_key_whatever_happens(steps in steps(), insecure: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(walk(steps, insecure))?;
    }
}

// ---- helpers -----------------------------------------------------------------------------------------------

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
