//! Arbitrary bytes in place of requests. The fuzzer sends more of them (docs/development.md).

use std::time::Duration;

use proptest::prelude::*;

use crate::fuzz_requests::server::Server;

/// Parts of requests, right ones and wrong ones.
const PARTS: [&[u8]; 40] = [
    b"GET ", b"POST ", b"HEAD ", b"OPTIONS ", b"DELETE ", b"\x16\x03\x01 ", b"/", b"/api/v1/", b"gateways", b"/122300000001/",
    b"reading", b"poll", b"status", b"consumers", b"stream", b"socket", b"/metrics", b"/livez", b"/readyz", b"/openapi.json",
    b"?token=", b"?groups=production,", b"&serial=", b"..", b"%2e%2e%2f", b"%00", b"%ff", b" HTTP/1.1\r\n", b" HTTP/1.0\r\n",
    b"Host: localhost\r\n", b"Host: evil\r\n", b"Authorization: Bearer ", b"Cookie: enphased=", b"Origin: http://a\r\n",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    b"Content-Length: 99999999999\r\n", b"Transfer-Encoding: chunked\r\n", b"Last-Event-ID: 00000001-1\r\n", b"If-None-Match: *\r\n",
    b"\r\n",
];

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        8 => prop::sample::select(PARTS.to_vec()).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ];
    prop::collection::vec(part, 0..30).prop_map(|parts| parts.concat())
}

#[test]
fn whatever_is_sent_the_response_is_one() {
    let server = Server::start();
    // A check of the check: a request is answered.
    server.receive(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
    proptest!(ProptestConfig::with_cases(2000), |(data in bytes())| { server.receive(&data); });
}

#[test]
fn a_task_that_hangs_is_seen_by_whoever_asks_for_life() {
    const LIVEZ: &[u8] = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let server = Server::start();
    server.heartbeats.set(vec![server.heartbeat()]);
    server.wait(Duration::from_secs(230));
    assert!(server.receive(LIVEZ).starts_with("HTTP/1.1 200"));
    server.wait(Duration::from_secs(20));
    let hanging = server.receive(LIVEZ);
    assert!(hanging.starts_with("HTTP/1.1 503") && hanging.contains("\"fail\""), "{hanging}");
    server.heartbeats.set(Vec::new());
    assert!(server.receive(LIVEZ).starts_with("HTTP/1.1 200"));
}
