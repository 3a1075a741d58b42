//! Another serial number at the address, and the tokens and passwords of others.

use std::sync::Arc;

use enphased::base::secrets::Secret;
use enphased::io::gateway::{Endpoint, Error, Target};

use super::{Home, Host, OLD, OTHER, Persona, REAL, open, opened, seconds_later, target, watts};
use crate::support::scripted_gateway::{GATEWAY, SERIAL, Shown, bearer, fingerprint, token};

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
