//! Another key at the address, another firmware, or no key at all.

use enphased::io::gateway::{Endpoint, Error};

use super::{
    Home, Host, MODERN, OLD, OTHER, Persona, REAL, config_at, only_to_its_own_key, open, opened,
    seconds_later, target, watts,
};
use crate::support::scripted_gateway::{GATEWAY, REPLACED, SERIAL, Seen, Shown, fingerprint, token};

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
