//! Random histories of what a host claims.

use enphased::io::gateway::pinned_key::PinnedKeys;
use enphased::io::gateway::{Endpoint, Target};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::{Host, MODERN, OLD, OTHER, Persona, REAL, keys, open, seconds_later, target};
use crate::support::scripted_gateway::{SERIAL, Shown, bearer, token};

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
