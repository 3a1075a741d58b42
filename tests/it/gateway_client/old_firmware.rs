//! Firmware before 7, which requires Digest for some pages.

use enphased::io::gateway::{Endpoint, Error, Target};

use super::{INVERTERS, old, open, secret, target};
use crate::support::scripted_gateway::Server;

#[tokio::test]
async fn digest_is_answered_once_and_then_goes_on_with_the_same_nonce() {
    let server = Server::http(old("123456", 100)).await;
    let mut client = server.open().await.unwrap();
    for _ in 0..3 {
        client.get(Endpoint::Inverters).await.unwrap();
    }
    assert_eq!(server.paths(), ["/info", INVERTERS, INVERTERS, INVERTERS, INVERTERS]);
}

#[tokio::test]
async fn a_nonce_that_is_used_up_is_replaced_within_the_request() {
    let server = Server::http(old("123456", 1)).await;
    let mut client = server.open().await.unwrap();
    client.get(Endpoint::Inverters).await.unwrap();
    client.get(Endpoint::Inverters).await.unwrap();
    assert_eq!(server.paths().len(), 1 + 2 + 2);
}

#[tokio::test]
async fn a_wrong_digest_password_is_not_tried_again_within_the_request() {
    let server = Server::http(old("secret", 100)).await;
    let mut client = open(&Target { has_password: true, ..target(&server.url()) }).await.unwrap();
    let error = client.get(Endpoint::Inverters).await.unwrap_err();
    assert!(matches!(error, Error::Forbidden { status: 401, .. }), "{error:?}");
    assert_eq!(server.paths(), ["/info", INVERTERS, INVERTERS]);

    client.use_password("envoy", &secret("secret"));
    client.get(Endpoint::Inverters).await.unwrap();
}

#[tokio::test]
async fn the_open_pages_of_old_firmware_need_nothing() {
    let server = Server::http(old("123456", 100)).await;
    let mut client = server.open().await.unwrap();
    client.get(Endpoint::Production).await.unwrap();
    assert!(server.seen().iter().all(|seen| seen.header("authorization").is_empty()));
}
