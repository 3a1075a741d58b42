//! The session with a gateway that requires a token.

use enphased::io::gateway::{Endpoint, Error};

use super::{INVERTERS, READINGS, good, modern, modern_client};
use crate::support::scripted_gateway::{CHECK, SERIAL, Server, accepted, bearer, reply, token, unauthorized};

#[tokio::test]
async fn one_check_opens_a_session_that_all_pages_use_on_one_connection() {
    let server = Server::https(modern(|_| None)).await;
    let mut client = modern_client(&server).await;
    for _ in 0..3 {
        assert_eq!(client.get(Endpoint::MeterReadings).await.unwrap(), "[]");
        assert_eq!(client.get(Endpoint::Inverters).await.unwrap(), "[]");
    }
    let seen = server.seen();
    assert_eq!(server.paths()[..3], ["/info", CHECK, READINGS]);
    assert_eq!(seen.len(), 1 + 1 + 6);
    assert_eq!(client.requests(), 8);
    assert!(seen.iter().all(|seen| seen.connection == 1));
    assert_eq!((seen[0].header("authorization"), seen[0].header("cookie")), ("", ""));
    assert_eq!((seen[1].header("authorization"), seen[1].header("cookie")), (bearer(&good()).as_str(), ""));
    for seen in &seen[2..] {
        assert_eq!(
            (seen.header("authorization"), seen.header("cookie")),
            (bearer(&good()).as_str(), "sessionId=1")
        );
        assert_eq!(seen.header("user-agent"), concat!("enphased/", env!("CARGO_PKG_VERSION")));
    }
}

#[tokio::test]
async fn a_session_that_has_ended_is_opened_again_once() {
    let mut readings = 0;
    let server = Server::https(modern(move |seen| {
        readings += u32::from(seen.path == READINGS);
        (seen.path == READINGS && readings == 2).then(unauthorized)
    }))
    .await;
    let mut client = modern_client(&server).await;
    client.get(Endpoint::MeterReadings).await.unwrap();
    client.get(Endpoint::MeterReadings).await.unwrap();
    assert_eq!(server.paths(), ["/info", CHECK, READINGS, READINGS, CHECK, READINGS]);
    assert_eq!(server.seen()[5].header("cookie"), "sessionId=2");
}

#[tokio::test]
async fn a_new_token_can_be_checked_without_being_adopted() {
    let server = Server::https(modern(|seen| {
        (seen.path == CHECK && seen.header("authorization") == bearer(&token(SERIAL, "next")))
            .then(|| accepted("next"))
    }))
    .await;
    let mut client = modern_client(&server).await;
    client.get(Endpoint::MeterReadings).await.unwrap();
    client.check_token(&token(SERIAL, "next")).await.unwrap();
    assert!(matches!(client.check_token(&token(SERIAL, "bad")).await, Err(Error::TokenRefused)));
    client.get(Endpoint::MeterReadings).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen[3].header("cookie"), "", "a cookie would be accepted in the token's place");
    assert_eq!(
        (seen[5].header("authorization"), seen[5].header("cookie")),
        (bearer(&good()).as_str(), "sessionId=1")
    );
}

#[tokio::test]
async fn checking_the_token_in_use_opens_its_session() {
    let server = Server::https(modern(|_| None)).await;
    let mut client = modern_client(&server).await;
    client.check_token(&good()).await.unwrap();
    client.get(Endpoint::MeterReadings).await.unwrap();
    assert_eq!(server.paths(), ["/info", CHECK, READINGS]);
}

#[tokio::test]
async fn a_cookie_that_comes_with_a_page_is_adopted() {
    let server = Server::https(modern(|seen| {
        (seen.path == INVERTERS).then(|| reply("200 OK", &["Set-Cookie: sessionid=page; path=/"], "[]"))
    }))
    .await;
    let mut client = modern_client(&server).await;
    client.get(Endpoint::Inverters).await.unwrap();
    client.get(Endpoint::Inverters).await.unwrap();
    assert_eq!(server.seen()[3].header("cookie"), "sessionid=page");
    assert_eq!(server.paths(), ["/info", CHECK, INVERTERS, INVERTERS]);
}

#[tokio::test]
async fn without_a_token_nothing_but_info_is_asked_of_a_gateway_that_wants_one() {
    let server = Server::https(modern(|_| None)).await;
    let mut client = server.open().await.unwrap();
    assert!(matches!(client.get(Endpoint::MeterReadings).await, Err(Error::NoToken)));
    assert_eq!(server.paths(), ["/info"]);
}

#[tokio::test]
async fn the_stream_of_live_values_is_started_by_a_post_in_the_same_session() {
    let server = Server::https(modern(|_| None)).await;
    let mut client = modern_client(&server).await;
    client.post("/ivp/livedata/stream", r#"{"enable": 1}"#).await.unwrap();
    let seen = server.seen().pop().unwrap();
    assert_eq!((seen.method.as_str(), seen.body.as_str()), ("POST", r#"{"enable": 1}"#));
    assert_eq!(seen.header("content-type"), "application/json");
    assert_eq!(seen.header("cookie"), "sessionId=1");
}
