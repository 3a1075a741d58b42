//! The key that a gateway shows.

use std::sync::Arc;

use enphased::io::gateway::{Endpoint, Error, Target};
use enphased::io::tls::{self, Check};
use rustls::HandshakeKind;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{modern, modern_client, open, target};
use crate::support::scripted_gateway::{GATEWAY, GATEWAY_KEY, REPLACED_KEY, Server, Shown, fingerprint};

const VERSION_1: &[u8] = include_bytes!("../../../fixtures/tls/version1.pem");

#[tokio::test]
async fn the_key_of_a_gateway_is_known_and_the_connection_stays() {
    let server = Server::https(modern(|_| None)).await;
    let mut client = modern_client(&server).await;
    assert_eq!(client.key(), Some(fingerprint(GATEWAY)));
    client.get(Endpoint::MeterReadings).await.unwrap();
    assert!(server.seen().iter().all(|seen| seen.connection == 1), "the connection is still good");
}

#[tokio::test]
async fn every_handshake_is_a_full_one_that_shows_the_key() {
    let server = Server::https(modern(|_| None)).await;
    let connector = TlsConnector::from(Arc::new(tls::gateway_config(Check::Ownership).unwrap()));
    let connect = || async {
        let stream = TcpStream::connect(server.address).await.unwrap();
        connector.connect(ServerName::from(server.address.ip()), stream).await
    };
    for _ in 0..2 {
        let mut stream = connect().await.unwrap();
        stream.write_all(b"GET /info HTTP/1.1\r\n\r\n").await.unwrap();
        // Reading takes the tickets that would resume the session.
        stream.read_u8().await.unwrap();
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
    }
}

#[tokio::test]
async fn a_certificate_that_cannot_be_checked_needs_the_last_resort() {
    let old = Shown::tls(VERSION_1, GATEWAY_KEY);
    let server = Server::start("127.0.0.1:0", old, modern(|_| None)).await;
    let error = server.open().await.unwrap_err();
    assert!(matches!(error, Error::Certificate { .. }), "{error:?}");
    let shown = error.to_string().replace(&server.address.to_string(), "GATEWAY");
    insta::assert_snapshot!(shown, @r#"cannot check the certificate of the gateway at https://GATEWAY (it uses X.509 version 1, which is no longer supported). If an update of the gateway does not help, set tls = "insecure" for it in the configuration"#);
    assert!(server.seen().is_empty());

    let insecure = open(&Target { insecure: true, ..target(&server.url()) }).await.unwrap();
    assert_eq!(insecure.key(), None);
}

#[tokio::test]
async fn a_key_that_is_shown_must_also_be_owned() {
    // The remembered certificate, without its private key.
    let thief = Shown::tls(GATEWAY, REPLACED_KEY);
    let server = Server::start("127.0.0.1:0", thief, modern(|_| None)).await;
    let error = server.open().await.unwrap_err();
    let Error::Certificate { why, .. } = error else { panic!("{error:?}") };
    assert_eq!(why, "it does not prove ownership of its key, or the key is too short");
    assert!(server.seen().is_empty());
}
