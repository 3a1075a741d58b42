//! The addresses and schemes at which a gateway is looked for.

use enphased::io::gateway::address::Address;
use enphased::io::gateway::{Endpoint, Error};
use tokio::net::TcpListener;

use super::{info_page, modern, modern_client, open, target};
use crate::support::scripted_gateway::{Seen, Server, Shown};

#[tokio::test]
async fn a_gateway_that_wants_a_token_is_not_read_over_http() {
    let server = Server::http(modern(|_| None)).await;
    let error = server.open().await.unwrap_err();
    assert!(matches!(error, Error::NotEncrypted { .. }), "{error:?}");
    let error = open(&target(&server.address.to_string())).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "it may be starting: {error:?}");
    assert!(server.seen().iter().all(|seen| seen.path == "/info" && !seen.is_secret()));
}

#[tokio::test]
async fn a_gateway_that_answers_https_alone_is_not_looked_for_over_http_for_ever() {
    let server = Server::https(modern(|_| None)).await;
    let error = open(&target(&format!("http://{}", server.address))).await.unwrap_err();
    let shown = error.to_string().replace(&server.address.to_string(), "GATEWAY");
    insta::assert_snapshot!(shown, @"the gateway at http://GATEWAY is configured with http://, but its firmware requires https: a token is never sent over http. Remove http:// from the address");
    assert_eq!(server.paths(), ["/info"]);
}

#[tokio::test]
async fn without_a_scheme_https_is_tried_first_and_http_where_it_is_refused() {
    let secure = Server::https(modern(|_| None)).await;
    assert!(open(&target(&secure.address.to_string())).await.unwrap().key().is_some());

    let plain = Server::http(|_: &Seen| info_page("D5.0.62")).await;
    let mut old = open(&target(&plain.address.to_string())).await.unwrap();
    old.confirm().await.unwrap();
    // The first connection was the refused greeting; afterwards http is known.
    let connections: Vec<_> = plain.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [2, 2]);
}

#[tokio::test]
async fn an_ipv6_address_is_asked() {
    let Ok(probe) = TcpListener::bind("[::1]:0").await else {
        println!("skipped: no IPv6 here");
        return;
    };
    drop(probe);
    let server = Server::start("[::1]:0", Shown::first(), modern(|_| None)).await;
    let mut client = modern_client(&server).await;
    client.get(Endpoint::MeterReadings).await.unwrap();
    assert_eq!(server.seen()[0].header("host"), server.address.to_string());
}

#[tokio::test]
async fn a_name_is_tried_at_each_of_its_addresses() {
    // On most machines `localhost` is [::1] too, where no server listens.
    let server = Server::https(modern(|_| None)).await;
    open(&target(&format!("localhost:{}", server.address.port()))).await.unwrap();
    assert_eq!(server.seen()[0].header("host"), format!("localhost:{}", server.address.port()));
}

#[test]
fn an_address_of_the_configuration_is_kept_as_it_was_written() {
    assert_eq!("envoy.local".parse::<Address>().unwrap().to_string(), "envoy.local");
}
