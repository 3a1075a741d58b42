//! Arbitrary bytes in place of requests to a proxy. The fuzzer sends more of them (docs/development.md).

use enphased::rules::proxy::pages;
use proptest::prelude::*;

use crate::fuzz_requests::proxy::{Proxy, SESSION, TOKEN};

/// Parts of requests, right ones and wrong ones.
const PARTS: [&[u8]; 40] = [
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"get ",
    b"CONNECT ",
    b"/ivp/",
    b"meters",
    b"/704643328",
    b"/info",
    b".xml",
    b"/auth/check_jwt",
    b"/stream/meter",
    b"/production.json",
    b"?details=1",
    b"#",
    b"..",
    b"%2f",
    b"//",
    b"http://localhost",
    b" HTTP/1.1\r\n",
    b" HTTP/1.0\r\n",
    b" HTTP/1.1\r\nHost: localhost\r\n",
    b"Host: evil\r\n",
    b"Authorization: Bearer ",
    b"Cookie: sessionId=",
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    &[TOKEN],
    &[SESSION],
    b"open",
    b"Content-Length: 1\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"Expect: 100-continue\r\n",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
    b"Connection: close\r\n",
];

/// A request that is complete, for a page or for what an attacker makes of one.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let targets: Vec<&str> = pages::all().map(|page| page.path).chain(["/stream/meter", "/info"]).collect();
    let method = prop::sample::select(vec!["GET", "HEAD", "POST", "PUT", "DELETE"]);
    let end = prop::sample::select(vec!["", "", "", "#x", "?", "/", "/1", "%00", "&x=1"]);
    let lines = prop::sample::select(vec![
        "",
        "Authorization: Bearer \u{1}\r\n",
        "Authorization: Bearer wrong\r\n",
        "Cookie: sessionId=\u{2}\r\n",
        "Cookie: sessionId=open\r\n",
        "Content-Length: 1\r\n",
    ]);
    let body = prop::sample::select(vec!["", "", ":", "\n", "x"]);
    (method, prop::sample::select(targets), end, lines, body).prop_map(
        |(method, target, end, lines, body)| {
            format!("{method} {target}{end} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n{body}").into_bytes()
        },
    )
}

fn input() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        8 => prop::sample::select(PARTS.to_vec()).prop_map(<[u8]>::to_vec),
        8 => request(),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ];
    (any::<u8>(), prop::collection::vec(part, 0..20))
        .prop_map(|(situation, parts)| [vec![situation], parts.concat()].concat())
}

#[test]
fn whatever_is_sent_the_gateway_is_asked_only_for_listed_pages_that_the_program_may_read() {
    let proxy = Proxy::start();
    let check = |situation: u8, target: &str, lines: &str, expected: &str| {
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n");
        let received = proxy.receive(&[&[situation], request.as_bytes()].concat());
        assert!(received.contains(expected), "{target} {lines}: {received}");
    };
    // A check of the check: pages are served to those who may read them, and sessions are given to those with a token.
    let (page, token) = ("/ivp/ensemble/status", "Authorization: Bearer \u{1}\r\n");
    check(0, page, "", "status of the gateway");
    check(0, "/stream/meter", "", "data: {");
    check(4, page, "", "HTTP/1.1 401");
    check(4, page, token, "status of the gateway");
    check(4, page, "Cookie: sessionId=\u{2}\r\n", "status of the gateway");
    check(4, "/auth/check_jwt", token, "sessionId=");
    proptest!(ProptestConfig::with_cases(2000), |(input in input())| { proxy.receive(&input); });
}
