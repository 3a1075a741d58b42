//! Tests the connection to a gateway against a server that responds by a script and records its requests.

use std::sync::Arc;
use std::time::Duration;

use enphased::base::secrets::Secret;
use enphased::io::gateway::address::Address;
use enphased::io::gateway::pinned_key::PinnedKeys;
use enphased::io::gateway::{self, Connected, Endpoint, Error, OpenError, Target};
use enphased::io::state_dir::StateDir;
use enphased::io::tls::{self, Check};
use enphased::io::token::Token;
use jiff::Timestamp;
use rustls::HandshakeKind;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

use crate::support::scripted_gateway::{
    CHECK, GATEWAY, GATEWAY_KEY, REPLACED_KEY, Reply, SERIAL, Seen, Server, Shown, VALID, accepted, bearer,
    fingerprint, info_of, ok, reply, token, unauthorized,
};

const VERSION_1: &[u8] = include_bytes!("../../fixtures/tls/version1.pem");

const READINGS: &str = "/ivp/meters/readings";
const INVERTERS: &str = "/api/v1/production/inverters";

fn info_page(software: &str) -> Reply {
    info_of(SERIAL, software)
}

fn good() -> Token {
    token(SERIAL, "good")
}

fn target(address: &str) -> Target {
    Target { address: Some(address.parse().unwrap()), ..Target::default() }
}

/// Opens a gateway without a stored key.
pub(crate) async fn open(target: &Target) -> Result<Connected, Error> {
    let state = tempfile::tempdir().unwrap();
    let mut keys = PinnedKeys::new(StateDir::open(state.path()).unwrap());
    match gateway::open(target, &mut keys, Timestamp::UNIX_EPOCH).await {
        Ok(gateway) => Ok(gateway),
        Err(OpenError::Gateway(error)) => Err(error),
        Err(other) => panic!("{other}"),
    }
}

impl Server {
    async fn open(&self) -> Result<Connected, Error> {
        open(&target(&self.url())).await
    }
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

// ---- the session -------------------------------------------------------------------------------------------

/// Returns the script of a gateway with firmware 7 or later: sessions are numbered from 1, and only the newest is valid.
fn modern(
    mut extra: impl FnMut(&Seen) -> Option<Reply> + Send + 'static,
) -> impl FnMut(&Seen) -> Reply + Send {
    let mut sessions = 0;
    move |seen| {
        if let Some(reply) = extra(seen) {
            return reply;
        }
        match seen.path.as_str() {
            CHECK if seen.header("authorization") == bearer(&good()) && seen.header("cookie").is_empty() => {
                sessions += 1;
                accepted(&sessions.to_string())
            }
            CHECK => unauthorized(),
            "/info" => info_page("D8.3.5289"),
            _ if seen.header("cookie") == format!("sessionId={sessions}") => ok("[]"),
            _ => unauthorized(),
        }
    }
}

async fn modern_client(server: &Server) -> Connected {
    let mut client = server.open().await.unwrap();
    client.use_token(&good()).unwrap();
    client
}

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
async fn a_role_too_low_is_not_a_refused_token() {
    let server = Server::https(modern(|seen| (seen.path == INVERTERS).then(unauthorized))).await;
    let mut client = modern_client(&server).await;
    let cold = client.get(Endpoint::Inverters).await.unwrap_err();
    assert!(matches!(cold, Error::Forbidden { status: 401, path: INVERTERS }), "{cold:?}");
    assert_eq!(server.paths(), ["/info", CHECK, INVERTERS]);
    let warm = client.get(Endpoint::Inverters).await.unwrap_err();
    assert!(matches!(warm, Error::Forbidden { .. }), "{warm:?}");
    assert_eq!(server.paths()[3..], [INVERTERS, CHECK, INVERTERS]);
    // The session is still good for the other pages.
    client.get(Endpoint::MeterReadings).await.unwrap();
    assert_eq!(server.paths()[6..], [READINGS]);
}

#[tokio::test]
async fn a_403_costs_no_check() {
    let server =
        Server::https(modern(|seen| (seen.path == INVERTERS).then(|| reply("403 Forbidden", &[], "")))).await;
    let mut client = modern_client(&server).await;
    client.get(Endpoint::MeterReadings).await.unwrap();
    let error = client.get(Endpoint::Inverters).await.unwrap_err();
    assert!(matches!(error, Error::Forbidden { status: 403, .. }));
    assert_eq!(server.paths(), ["/info", CHECK, READINGS, INVERTERS]);
}

#[tokio::test]
async fn a_refused_token_asks_for_nothing_more() {
    let server = Server::https(modern(|_| None)).await;
    let mut client = modern_client(&server).await;
    client.use_token(&token(SERIAL, "bad")).unwrap();
    assert!(matches!(client.get(Endpoint::MeterReadings).await, Err(Error::TokenRefused)));
    assert_eq!(server.paths(), ["/info", CHECK]);
}

#[tokio::test]
async fn pages_are_asked_with_the_token_when_the_check_neither_accepts_nor_refuses_it() {
    for status in [
        "500 Internal Server Error",
        "502 Bad Gateway",
        "503 Service Unavailable",
        "403 Forbidden",
        "301 Moved Permanently",
        "404 Not Found",
        "418 Teapot",
        "204 No Content",
        "200 OK",
    ] {
        let body = if status.starts_with("204") { "" } else { "Invalid token" };
        let server = Server::https(modern(move |seen| match seen.path.as_str() {
            CHECK => Some(reply(status, &[], body)),
            "/info" => None,
            _ => Some(ok("[]")),
        }))
        .await;
        let mut client = modern_client(&server).await;
        client.get(Endpoint::MeterReadings).await.unwrap();
        client.get(Endpoint::Inverters).await.unwrap();
        assert_eq!(server.paths(), ["/info", CHECK, READINGS, INVERTERS], "{status}");
        assert_eq!(server.seen()[3].header("authorization"), bearer(&good()));
        let checked = client.check_token(&good()).await.unwrap_err();
        assert!(!matches!(checked, Error::TokenRefused), "{status}: {checked:?}");
    }
}

#[tokio::test]
async fn a_check_that_is_never_answered_does_not_stop_the_pages() {
    for reply in [|| Reply::Silence, || Reply::Hangup, || Reply::Trickle] {
        let server = Server::https(modern(move |seen| match seen.path.as_str() {
            CHECK => Some(reply()),
            "/info" => None,
            _ => Some(ok("[]")),
        }))
        .await;
        let mut client = modern_client(&server).await;
        let reading = tokio::spawn(async move { client.get(Endpoint::MeterReadings).await });
        server.asked(CHECK).await;
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(61)).await;
        tokio::time::resume();
        assert_eq!(reading.await.unwrap().unwrap(), "[]");
    }
}

#[tokio::test]
async fn a_token_that_was_not_judged_is_refused_as_soon_as_the_gateway_says_so() {
    let mut checks = 0;
    let server = Server::https(modern(move |seen| match seen.path.as_str() {
        CHECK => {
            checks += 1;
            Some(if checks == 1 { reply("500 Internal Server Error", &[], "") } else { unauthorized() })
        }
        _ => None,
    }))
    .await;
    let mut client = modern_client(&server).await;
    let error = client.get(Endpoint::MeterReadings).await.unwrap_err();
    assert!(matches!(error, Error::Forbidden { path: READINGS, .. }), "{error:?}");
    let error = client.get(Endpoint::MeterReadings).await.unwrap_err();
    assert!(matches!(error, Error::TokenRefused), "{error:?}");
}

#[tokio::test]
async fn many_forbidden_pages_cost_one_check_a_minute() {
    let refuses = |path: &str| ![CHECK, "/info", READINGS].contains(&path);
    let server = Server::https(modern(move |seen| refuses(&seen.path).then(unauthorized))).await;
    let mut client = modern_client(&server).await;
    client.get(Endpoint::MeterReadings).await.unwrap();
    for endpoint in [Endpoint::Inverters, Endpoint::DeviceData, Endpoint::Production, Endpoint::Inverters] {
        assert!(matches!(client.get(endpoint).await, Err(Error::Forbidden { .. })));
    }
    client.get(Endpoint::MeterReadings).await.unwrap();
    let checks = server.paths().iter().filter(|path| *path == CHECK).count();
    assert_eq!(checks, 2, "{:?}", server.paths());
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
async fn a_gateway_that_gives_no_cookie_is_not_checked_for_each_page() {
    let server = Server::https(|seen: &Seen| match seen.path.as_str() {
        "/info" => info_page("D8.3.5289"),
        CHECK => ok(VALID),
        _ => ok("[]"),
    })
    .await;
    let mut client = modern_client(&server).await;
    client.get(Endpoint::MeterReadings).await.unwrap();
    client.get(Endpoint::MeterReadings).await.unwrap();
    assert_eq!(server.paths(), ["/info", CHECK, READINGS, READINGS]);
    assert_eq!(server.seen()[3].header("cookie"), "");
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

// ---- unexpected responses ----------------------------------------------------------------------------------

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

fn why(error: Error) -> String {
    let Error::Unreachable { why, .. } = error else { panic!("{error:?}") };
    why
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
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
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

// ---- keys --------------------------------------------------------------------------------------------------

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

// ---- schemes and old firmware ------------------------------------------------------------------------------

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

/// Returns the script of firmware before 7: most pages are open, and the inverters need Digest with `password`, which the
/// server side of the crate checks. A nonce is valid for `uses` responses.
fn old(password: &'static str, uses: u32) -> impl FnMut(&Seen) -> Reply + Send {
    let (mut nonce, mut spent) = (0, uses);
    move |seen| {
        let path = seen.path.as_str();
        if path != INVERTERS {
            return if path == "/info" { info_page("D5.0.62") } else { ok("{}") };
        }
        let right = digest_auth::AuthorizationHeader::parse(seen.header("authorization")).is_ok_and(|sent| {
            let mut again = sent.clone();
            again.digest(&digest_auth::AuthContext::new("envoy", password, path));
            again.response == sent.response && sent.nonce == nonce.to_string() && sent.nc == spent + 1
        });
        if right && spent < uses {
            spent += 1;
            return ok("[]");
        }
        (nonce, spent) = (nonce + 1, 0);
        let challenge =
            format!("WWW-Authenticate: Digest qop=\"auth\", realm=\"enphaseenergy.com\", nonce=\"{nonce}\"");
        reply("401 Unauthorized", &[&challenge], "<html><h2>401 Unauthorized</h2></html>")
    }
}

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

#[tokio::test]
async fn a_secret_is_in_no_debug_output() {
    let server = Server::https(modern(|_| None)).await;
    let mut client = modern_client(&server).await;
    client.get(Endpoint::MeterReadings).await.unwrap();
    let plain = Server::http(old("hunter2", 100)).await;
    let mut old = open(&Target { has_password: true, ..target(&plain.url()) }).await.unwrap();
    old.use_password("envoy", &secret("hunter2"));
    old.get(Endpoint::Inverters).await.unwrap();
    let shown = format!("{client:?} {old:?}");
    for hidden in ["Bearer", "eyJ", "hunter2", "sessionId=1"] {
        assert!(!shown.contains(hidden), "{hidden}");
    }
}

#[test]
fn an_address_of_the_configuration_is_kept_as_it_was_written() {
    assert_eq!("envoy.local".parse::<Address>().unwrap().to_string(), "envoy.local");
}
