//! Tests `gateway trust`, with which the operator accepts a changed key, and its requests to the gateway.

use enphased::app::commands::Context;
use enphased::app::commands::failure::{Code, Failure};
use enphased::app::commands::gateway::trust;
use enphased::app::config;
use enphased::app::config::environment::Environment;
use enphased::base::clock::Clock;
use enphased::io::gateway::pinned_key::{Known, PinnedKeys};
use enphased::io::gateway::{self, Target};
use enphased::io::state_dir::StateDir;
use enphased::io::tls::Fingerprint;
use fastrand::Rng;
use jiff::Timestamp;

use crate::support::scripted_gateway::{
    GATEWAY, REPLACED, SERIAL, Seen, Server, Shown, fingerprint, info_of,
};

const MODERN: &str = "D8.3.5289";
const OLD: &str = "D5.0.62";

async fn server(firmware: &'static str, shown: Shown) -> Server {
    Server::start("127.0.0.1:0", shown, move |_: &Seen| info_of(SERIAL, firmware)).await
}

/// Creates a state directory with the first key of the gateway.
async fn remembering() -> tempfile::TempDir {
    let state = tempfile::tempdir().unwrap();
    let key = Some(fingerprint(GATEWAY));
    let known =
        Known { key, address: "192.168.1.20".into(), since: Timestamp::UNIX_EPOCH, password_of: None };
    keys(&state).save(&SERIAL.parse().unwrap(), &known).await.unwrap();
    state
}

fn keys(state: &tempfile::TempDir) -> PinnedKeys {
    PinnedKeys::new(StateDir::open(state.path()).unwrap())
}

async fn remembered(state: &tempfile::TempDir) -> Option<Fingerprint> {
    keys(state).load(&SERIAL.parse().unwrap()).await.unwrap().unwrap().key
}

async fn asked(
    servers: &[&Server],
    state: &tempfile::TempDir,
    answer: &str,
) -> (Result<(), Failure>, String) {
    let tables = servers.iter().map(|server| format!("[[gateway]]\naddress = \"{}\"\n", server.address));
    let text = format!("state_dir = {:?}\n{}", state.path(), tables.collect::<String>());
    let environment = Environment::default();
    let config = config::complete(&text, None, &environment).unwrap();
    let mut context = Context::new(config, environment, Clock::system(), Rng::with_seed(3));
    let mut out = Vec::new();
    let done = trust(&mut context, false, &mut answer.as_bytes(), &mut out).await;
    (done, String::from_utf8(out).unwrap())
}

#[tokio::test]
async fn a_gateway_that_went_back_to_plain_http_is_read_when_its_operator_says_so() {
    let (server, state) = (server(OLD, Shown::plain()).await, remembering().await);
    let (refused, said) = asked(&[&server], &state, "n\n").await;
    assert_eq!(refused.unwrap_err().code, Code::Refused);
    assert!(
        said.contains("uses plain http, but has shown a TLS key before") && said.contains("plain http"),
        "{said}"
    );
    assert_eq!(remembered(&state).await, Some(fingerprint(GATEWAY)));
    let (accepted, said) = asked(&[&server], &state, "y\n").await;
    accepted.unwrap();
    assert!(said.contains("is now read over plain http"), "{said}");
    assert_eq!(remembered(&state).await, None);
    let (known, said) = asked(&[&server], &state, "").await;
    known.unwrap();
    assert!(said.contains("none, because it uses plain http"), "{said}");
}

#[tokio::test]
async fn a_changed_key_is_trusted_when_its_operator_says_so() {
    let (server, state) = (server(MODERN, Shown::other()).await, remembering().await);
    let (accepted, said) = asked(&[&server], &state, "yes\n").await;
    accepted.unwrap();
    for key in [GATEWAY, REPLACED].map(fingerprint) {
        assert!(said.contains(&key.to_string()), "{said}");
    }
    assert_eq!(remembered(&state).await, Some(fingerprint(REPLACED)));
    assert_eq!(server.paths(), ["/info"], "it is asked once who it is");
}

/// Damages the file, and its copy too.
fn damage(state: &tempfile::TempDir, ends: &[&str]) {
    for end in ends {
        std::fs::write(state.path().join(format!("gateway-{SERIAL}{end}")), "{\"key\":\"").unwrap();
    }
}

#[tokio::test]
async fn after_damage_another_key_is_not_taken_for_the_first() {
    for shown in [Shown::other(), Shown::first()] {
        let (server, state) = (server(MODERN, shown).await, remembering().await);
        damage(&state, &[".json", ".copy.json"]);
        for _restart in 0..2 {
            let (refused, said) = asked(&[&server], &state, "n\n").await;
            assert_eq!(refused.unwrap_err().code, Code::Refused);
            assert!(said.contains("trusted: lost, because its file is damaged"), "{said}");
            assert_eq!(keys(&state).load(&SERIAL.parse().unwrap()).await.unwrap(), None);
        }
        asked(&[&server], &state, "y\n").await.0.unwrap();
        assert!(remembered(&state).await.is_some());
    }
    let (server, state) = (server(MODERN, Shown::other()).await, remembering().await);
    damage(&state, &[".json"]);
    let (refused, said) = asked(&[&server], &state, "n\n").await;
    assert_eq!(refused.unwrap_err().code, Code::Refused);
    assert!(said.contains(&fingerprint(GATEWAY).to_string()), "the copy knows it: {said}");
    assert_eq!(remembered(&state).await, Some(fingerprint(GATEWAY)));
}

#[tokio::test]
async fn a_key_that_is_lost_is_said_where_the_gateway_is_read() {
    let (server, state) = (server(MODERN, Shown::other()).await, remembering().await);
    damage(&state, &[".json", ".copy.json"]);
    let target = Target { address: Some(server.address.to_string().parse().unwrap()), ..Target::default() };
    let opened = gateway::open(&target, &mut keys(&state), Timestamp::UNIX_EPOCH).await;
    let words = opened.unwrap_err().to_string();
    assert!(words.contains("is lost") && words.contains("enphased gateway trust"), "{words}");
    assert!(words.contains(&fingerprint(REPLACED).to_string()), "{words}");
    assert_eq!(server.paths(), ["/info"], "nothing else is sent");
}

#[tokio::test]
async fn one_gateway_that_is_away_keeps_no_other_from_being_trusted() {
    let (away, here) = (server(MODERN, Shown::first()).await, server(MODERN, Shown::other()).await);
    let state = remembering().await;
    away.stop();
    let (done, _) = asked(&[&away, &here], &state, "y\n").await;
    assert_eq!(done.unwrap_err().code, Code::TryLater);
    assert_eq!(remembered(&state).await, Some(fingerprint(REPLACED)));
}
