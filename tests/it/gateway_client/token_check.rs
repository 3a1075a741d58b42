//! What a gateway says about a token, and what a check of it costs.

use std::time::Duration;

use enphased::io::gateway::{Endpoint, Error};

use super::{INVERTERS, READINGS, good, info_page, modern, modern_client};
use crate::support::scripted_gateway::{
    CHECK, Reply, SERIAL, Seen, Server, VALID, bearer, ok, reply, token, unauthorized,
};

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
