//! Responses that are slow, cut off, too long, or no HTTP.

use enphased::io::gateway::{Endpoint, Error};
use tokio::net::{TcpListener, TcpSocket};

use super::{READINGS, modern, modern_client, open, target, why};
use crate::support::scripted_gateway::{CHECK, Reply, Seen, Server, ok, reply};

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::http(|_: &Seen| ok("[]")).await;
    let location = format!("Location: {}/", elsewhere.url());
    let server = Server::https(modern(move |seen| {
        (seen.path == READINGS).then(|| reply("301 Moved Permanently", &[&location], ""))
    }))
    .await;
    let error = modern_client(&server).await.get(Endpoint::MeterReadings).await.unwrap_err();
    assert!(matches!(error, Error::Moved { path: READINGS }));
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn a_busy_gateway_says_for_how_long_in_words() {
    let server = Server::https(modern(|seen| {
        let page = "<html>Service not ready, Retry After 30 seconds</html>";
        (seen.path == READINGS).then(|| reply("503 Service Unavailable", &[], page))
    }))
    .await;
    let error = modern_client(&server).await.get(Endpoint::MeterReadings).await.unwrap_err();
    assert!(
        matches!(error, Error::Busy { status: 503, retry_after: Some(wait), .. } if wait.as_secs() == 30)
    );
}

#[tokio::test]
async fn an_answer_without_end_is_refused_and_the_next_request_works() {
    let server = Server::https(modern(|seen| (seen.path == READINGS).then_some(Reply::Endless))).await;
    let mut client = modern_client(&server).await;
    let error = client.get(Endpoint::MeterReadings).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit: 65_536, .. }), "{error:?}");
    client.get(Endpoint::Inverters).await.unwrap();
}

#[tokio::test]
async fn a_length_beyond_the_limit_is_refused_before_the_body() {
    let server = Server::https(modern(|seen| {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n[";
        (seen.path == READINGS).then(|| Reply::Raw(head.to_owned()))
    }))
    .await;
    let error = modern_client(&server).await.get(Endpoint::MeterReadings).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error:?}");
}

/// Requests the readings while time advances quickly, and returns the result.
async fn readings_of_a_slow(server: &Server) -> Error {
    let mut client = modern_client(server).await;
    let reading = tokio::spawn(async move { client.get(Endpoint::MeterReadings).await });
    server.asked(READINGS).await;
    tokio::time::pause();
    reading.await.unwrap().unwrap_err()
}

#[tokio::test]
async fn a_trickling_answer_ends_after_a_minute() {
    let server = Server::https(modern(|seen| (seen.path == READINGS).then_some(Reply::Trickle))).await;
    assert_eq!(why(readings_of_a_slow(&server).await), "timed out after 60 s");
}

#[tokio::test]
async fn a_silent_gateway_ends_the_wait_and_is_not_asked_twice() {
    let server = Server::https(modern(|seen| (seen.path == READINGS).then_some(Reply::Silence))).await;
    assert_eq!(why(readings_of_a_slow(&server).await), "timed out after 45 s");
    assert_eq!(server.paths(), ["/info", CHECK, READINGS]);
}

#[tokio::test]
async fn a_host_that_never_finishes_the_handshake_is_given_ten_seconds() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = target(&format!("https://{}", listener.local_addr().unwrap()));
    let asked = tokio::spawn(async move { open(&target).await.map(drop) });
    let _silent = listener.accept().await.unwrap();
    tokio::time::pause();
    assert_eq!(why(asked.await.unwrap().unwrap_err()), "timed out after 10 s");
}

#[tokio::test]
async fn a_body_that_stops_is_cut_off() {
    let server = Server::https(modern(|seen| {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[{";
        (seen.path == READINGS).then(|| Reply::Last(head.to_owned()))
    }))
    .await;
    let error = modern_client(&server).await.get(Endpoint::MeterReadings).await.unwrap_err();
    assert!(matches!(&error, Error::Malformed { why, .. } if why == "it is cut off"), "{error:?}");
}

#[tokio::test]
async fn a_connection_that_the_gateway_closes_after_its_answer_is_not_asked_again() {
    for answer in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n[]",
        "HTTP/1.1 200 OK\r\n\r\n[]",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n[]",
    ] {
        let server = Server::https(modern(move |seen| {
            (seen.path == READINGS).then(|| Reply::Last(answer.to_owned()))
        }))
        .await;
        let mut client = modern_client(&server).await;
        for _ in 0..2 {
            assert_eq!(client.get(Endpoint::MeterReadings).await.unwrap(), "[]", "{answer}");
        }
        let asked: Vec<_> = server.seen().iter().map(|seen| seen.connection).collect();
        assert_eq!(asked, [1, 1, 1, 2], "{answer}");
        assert_eq!(client.requests(), 4, "none was tried in vain: {answer}");
    }
}

#[tokio::test]
async fn what_comes_unasked_after_an_answer_is_not_taken_for_the_next() {
    let mut readings = 0;
    let server = Server::https(modern(move |seen| {
        readings += u32::from(seen.path == READINGS);
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]";
        (seen.path == READINGS && readings == 1).then(|| Reply::Raw([answer, answer].concat()))
    }))
    .await;
    let mut client = modern_client(&server).await;
    client.get(Endpoint::MeterReadings).await.unwrap();
    client.get(Endpoint::MeterReadings).await.unwrap();
    assert_eq!(server.seen()[3].connection, 2);
    assert_eq!(client.requests(), 4, "none was tried in vain");
}

#[tokio::test]
async fn a_header_that_is_none_is_passed_over() {
    // Firmware 5 sends such on its redirects.
    let server = Server::https(modern(|seen| {
        let answer = "HTTP/1.1 200 OK\r\nno header\r\nContent-Length: 2\r\n\r\n[]";
        (seen.path == READINGS).then(|| Reply::Raw(answer.to_owned()))
    }))
    .await;
    assert_eq!(modern_client(&server).await.get(Endpoint::MeterReadings).await.unwrap(), "[]");
}

#[tokio::test]
async fn a_kept_connection_that_breaks_is_replaced_once() {
    let mut readings = 0;
    let server = Server::https(modern(move |seen| {
        readings += u32::from(seen.path == READINGS);
        (seen.path == READINGS && readings == 2).then_some(Reply::Hangup)
    }))
    .await;
    let mut client = modern_client(&server).await;
    client.get(Endpoint::MeterReadings).await.unwrap();
    client.get(Endpoint::MeterReadings).await.unwrap();
    assert_eq!(server.paths(), ["/info", CHECK, READINGS, READINGS, READINGS]);
    assert_eq!(server.seen()[4].connection, 2);
    assert_eq!(client.requests(), 5);
}

#[tokio::test]
async fn a_connection_that_keeps_breaking_is_replaced_only_once() {
    let server = Server::https(modern(|seen| (seen.path == READINGS).then_some(Reply::Hangup))).await;
    let mut client = modern_client(&server).await;
    let error = client.get(Endpoint::MeterReadings).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert_eq!(server.paths(), ["/info", CHECK, READINGS, READINGS]);
    // Now the connection is new, so it cannot be stale.
    client.get(Endpoint::MeterReadings).await.unwrap_err();
    assert_eq!(server.paths()[4..], [READINGS]);
}

#[tokio::test]
async fn nobody_there_is_said_in_plain_words() {
    // A socket that does not listen, so that no other test gets the port.
    let closed = TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = closed.local_addr().unwrap();
    let error = open(&target(&address.to_string())).await.unwrap_err();
    let shown = error.to_string().replace(&address.to_string(), "GATEWAY");
    insta::assert_snapshot!(shown, @"the gateway at GATEWAY did not respond to /info: connection refused");
}

#[tokio::test]
async fn another_device_is_called_so() {
    for page in ["<!doctype html><title>Router</title>", "{}"] {
        let server = Server::http(move |_: &Seen| ok(page)).await;
        let error = server.open().await.unwrap_err();
        assert!(error.to_string().ends_with("this is not an Enphase gateway"), "{error}");
    }
    let server = Server::http(|_: &Seen| reply("404 Not Found", &[], "")).await;
    let error = server.open().await.unwrap_err();
    let why = "the page does not exist; this is not an Enphase gateway, or it is still starting";
    assert!(error.to_string().ends_with(why), "{error}");
}
