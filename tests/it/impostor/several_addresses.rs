//! Several addresses that may lead to the gateway.

use enphased::base::reading::Serial;
use enphased::io::gateway::pinned_key::serials_at;
use enphased::io::gateway::{Location, OpenError, Target};
use enphased::io::state_dir::StateDir;

use super::{Host, OLD, OTHER, Persona, REAL, open, open_among, target};
use crate::support::scripted_gateway::{GATEWAY, REPLACED, SERIAL, Shown, fingerprint};

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
