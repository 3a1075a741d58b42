//! Tests of the responses to messages of other clients.

use super::*;

#[test]
fn a_client_that_declares_this_daemon_offline_is_corrected() {
    let (_board, snapshot, mut outbox) = bench(options());
    let now = Instant::now();
    outbox.connected();
    sent(&mut outbox, &snapshot, now);
    assert_eq!(outbox.incoming("e/status", b"online", true), Meaning::Nothing);
    assert_eq!(
        sent(&mut outbox, &snapshot, now),
        ["e/instance us"],
        "our own, come back: it is heard here now"
    );
    assert_eq!(outbox.incoming("e/status", b"online", false), Meaning::Nothing);
    assert_eq!(outbox.incoming("e/status", b"offline", true), Meaning::Nothing);
    assert_eq!(outbox.incoming("e/status", b"offline", false), Meaning::DeclaredOffline);
    assert_eq!(sent(&mut outbox, &snapshot, now), ["e/status online"]);
}

#[test]
fn another_daemon_is_reported_once_and_receives_our_client_id() {
    let (_board, snapshot, mut outbox) = bench(options());
    let now = Instant::now();
    outbox.connected();
    sent(&mut outbox, &snapshot, now);
    assert_eq!(
        outbox.incoming("e/instance", b"them", true),
        Meaning::Nothing,
        "a retained message may be old"
    );
    assert_eq!(outbox.incoming("e/instance", b"us", false), Meaning::Nothing, "our own message");
    assert_eq!(outbox.incoming("e/instance", b"", false), Meaning::Nothing);
    assert_eq!(outbox.incoming("e/instance", b"them", false), Meaning::OtherDaemon("them".to_owned()));
    assert_eq!(sent(&mut outbox, &snapshot, now), ["e/instance us"]);
    assert_eq!(outbox.incoming("e/instance", b"them", false), Meaning::Nothing, "no ping-pong");
    let told = (0..1000)
        .filter(|n| outbox.incoming("e/instance", format!("them{n}").as_bytes(), false) != Meaning::Nothing);
    assert!(told.count() < crate::app::publisher::incoming::MAX_OTHERS);
    assert_eq!(
        outbox.incoming("e/status", b"offline", false),
        Meaning::Nothing,
        "one of them has stopped; it was reported"
    );
    assert_eq!(sent(&mut outbox, &snapshot, now + Duration::from_secs(60))[0], "e/status online");
}

#[test]
fn requests_are_accepted_only_if_enabled_and_not_retained() {
    let (_board, snapshot, mut outbox) = bench(options());
    outbox.connected();
    assert!(!sent(&mut outbox, &snapshot, Instant::now()).contains(&"? e/+/set".to_owned()));
    assert_eq!(outbox.incoming("e/1/set", b"poll", false), Meaning::Nothing);
    let requests = Some(crate::app::requests::Requests::new());
    let (_board, snapshot, mut outbox) = bench(Options { requests, ..options() });
    outbox.connected();
    assert!(sent(&mut outbox, &snapshot, Instant::now()).contains(&"? e/+/set".to_owned()));
    assert_eq!(outbox.incoming("e/1/set", b"poll", true), Meaning::Nothing);
    assert_eq!(outbox.incoming("e/1/set", b"poll", false), Meaning::Request("1".to_owned()));
}

#[test]
fn repeated_offline_messages_are_corrected_at_intervals_and_after_the_last() {
    let (_board, snapshot, mut outbox) = bench(options());
    let start = Instant::now();
    outbox.connected();
    sent(&mut outbox, &snapshot, start);
    let mut answers = 0;
    for millisecond in 0..60_000 {
        outbox.incoming("e/status", b"offline", false);
        outbox.incoming("e/instance", format!("them{millisecond}").as_bytes(), false);
        answers += sent(&mut outbox, &snapshot, start + Duration::from_millis(millisecond)).len();
        assert_eq!(outbox.begun.len(), 0);
    }
    assert!((2..=2 * 13).contains(&answers), "{answers} answers in a minute");
    let last = drained(&mut outbox, &snapshot, start + Duration::from_secs(60));
    assert_eq!(last.last().unwrap().1.topic, "e/status");
    assert_eq!(last.last().unwrap().1.payload, "online");
}
