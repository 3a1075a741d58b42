//! Tests hostile clients of the broker, and a server that is not a broker: readings continue, the daemon stops when it
//! should, and the log stays short.

use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use enphased::app::latest::Latest;
use enphased::app::publisher;
use enphased::app::requests::Requests;
use enphased::base::clock::Clock;
use enphased::simulator::{Simulation, SimulationOptions};
use rumqttc::{AsyncClient, MqttOptions, PublishOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::mosquitto::{
    Daemon, LOOK, Mosquitto, PATIENCE, STATUS, Watcher, content, discovery, kept, options, program,
};

/// Publishes `count` messages on one topic after the other, as fast as the broker accepts them.
async fn flood(broker: &Mosquitto, topics: &[(String, &str)], count: usize) {
    let mut options = MqttOptions::new(format!("flood{}", fastrand::u32(..)), ("localhost", broker.open));
    options.set_max_request_batch(100);
    let (client, mut events) = AsyncClient::builder(options).capacity(1000).build();
    let driver: JoinHandle<()> = tokio::spawn(async move { while events.poll().await.is_ok() {} });
    for number in 0..count {
        let (topic, payload) = &topics[number % topics.len()];
        let payload = payload.replace("NUMBER", &number.to_string());
        client.publish(topic.as_str(), payload, PublishOptions::at_most_once()).await.unwrap();
    }
    client.publish("flood/end", "1", PublishOptions::at_least_once().retain(true)).await.unwrap();
    kept(broker, "flood/end", "1").await;
    driver.abort();
}

#[tokio::test]
async fn a_flood_of_everything_that_is_listened_to_costs_a_few_lines_and_messages() {
    let broker = Mosquitto::anybody().await;
    let simulation = Simulation::start(&Clock::system(), SimulationOptions::default()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let log = fs::File::create(dir.path().join("log")).unwrap();
    let mut command = program(&broker, &simulation, &dir, &["run"]);
    let mut daemon = command.stderr(Stdio::from(log)).spawn().unwrap();
    let serial = simulation.gateways[0].serial();
    let (document, status) = (format!("enphased/{serial}/reading"), STATUS.to_owned());
    kept(&broker, &document, "power_w").await;
    let mut live = Watcher::new(&broker);
    live.until(&status, "online").await;

    let topics = [
        ("homeassistant/status".to_owned(), "online"),
        (status.clone(), "offline"),
        ("enphased/instance".to_owned(), "themNUMBER"),
        (format!("enphased/{serial}/set"), "poll"),
        (format!("enphased/{serial}/set"), "refresh_token"),
        (format!("enphased/{serial}/set"), "NUMBER"),
    ];
    flood(&broker, &topics, 60_000).await;

    let so_far = live.count(&document);
    let more = |topics: &BTreeMap<String, Vec<String>>| topics[&document].len() >= so_far + 3;
    assert!(timeout(PATIENCE, live.topics.wait_for(more)).await.is_ok(), "readings continue");
    let ours = live.topics.borrow().get(&status).unwrap().iter().filter(|word| *word == "online").count();
    assert!(ours < 30, "{ours} answers to those who declare it offline");
    let pid = daemon.id().unwrap().to_string();
    assert!(Command::new("kill").arg(&pid).status().await.unwrap().success());
    let ended = timeout(PATIENCE, daemon.wait()).await.expect("it ends").unwrap();
    assert!(ended.success());
    let log = fs::read_to_string(dir.path().join("log")).unwrap();
    assert!(log.contains("It ignores incoming messages for a while"), "{log}");
    assert!(log.lines().count() < 40, "{} lines: {log}", log.lines().count());
}

/// Reads the next packet and returns its type and content; `None` at the end.
async fn packet(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let kind = stream.read_u8().await.ok()?;
    let (mut length, mut shift) = (0, 0);
    loop {
        let byte = usize::from(stream.read_u8().await.ok()?);
        length |= (byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((kind & 0xf0, body))
}

#[tokio::test]
async fn a_message_that_is_far_too_long_ends_the_listening_and_not_the_publishing() {
    const SUBSCRIBE: u8 = 0x80;
    const PUBLISH: u8 = 0x30;
    const LAST: &str = "enphased/122300000001/time";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ours = options(format!("mqtt://{}", listener.local_addr().unwrap()).parse().unwrap());
    let with_all = publisher::Options { homeassistant: Some(discovery()), ..content(&ours) };
    let daemon = Daemon::of(ours, with_all, Latest::new());
    daemon.read(1.5);
    // Retained messages come with each subscription to their topics: here 200 MB.
    let mut kinds = Vec::new();
    for connection in 1..=2 {
        let (mut stream, _) = listener.accept().await.unwrap();
        kinds.clear();
        while let Some((kind, body)) = packet(&mut stream).await {
            kinds.push(kind);
            match kind {
                0x10 => stream.write_all(&[0x20, 2, 0, 0]).await.unwrap(),
                SUBSCRIBE => {
                    stream.write_all(&[0x90, 3, body[0], body[1], 0]).await.unwrap();
                    stream.write_all(&[0x31, 0xff, 0xff, 0xff, 0x5f, 0, 1, b'x']).await.unwrap();
                }
                // The last of what is sent; subscriptions go before it.
                PUBLISH if connection == 2 && body[2..].starts_with(LAST.as_bytes()) => break,
                _ => {}
            }
        }
    }
    assert!(kinds.contains(&PUBLISH) && !kinds.contains(&SUBSCRIBE), "{kinds:x?}");
    daemon.stop().await;
}

/// Accepts every connection like a broker, and then sends `packet` forever. Counts connections and bytes.
async fn sends(packet: Vec<u8>) -> (u16, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (connections, bytes) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, sent) = (Arc::clone(&connections), Arc::clone(&bytes));
    let many = packet.repeat(65_536 / packet.len());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            let (sent, many) = (Arc::clone(&sent), many.clone());
            tokio::spawn(async move {
                // The greeting: a head, its length, and so many bytes.
                let length = stream.read_u16().await? & 0xff;
                stream.read_exact(&mut vec![0; length.into()]).await?;
                stream.write_all(&[0x20, 2, 0, 0]).await?;
                let (mut reading, mut writing) = stream.split();
                let writer = async {
                    loop {
                        writing.write_all(&many).await?;
                        sent.fetch_add(many.len(), Ordering::SeqCst);
                    }
                };
                let reader = async {
                    let mut nothing = [0; 4096];
                    while reading.read(&mut nothing).await? > 0 {}
                    Ok(())
                };
                let ended: std::io::Result<()> = tokio::select! { it = writer => it, it = reader => it };
                ended
            });
        }
    });
    (port, connections, bytes)
}

#[tokio::test]
async fn a_broker_that_sends_without_end_is_left_after_a_while() {
    let publish = |topic: &str, payload: &[u8]| {
        let length = u8::try_from(2 + topic.len() + payload.len()).unwrap();
        let head = [0x30, length, 0, u8::try_from(topic.len()).unwrap()];
        [&head[..], topic.as_bytes(), payload].concat()
    };
    for packet in [publish("enphased/status", b"offline"), vec![0xd0, 0]] {
        let (port, connections, bytes) = sends(packet.clone()).await;
        let ours = options(format!("mqtt://127.0.0.1:{port}").parse().unwrap());
        let requests = Some(Requests::new());
        let with_all = publisher::Options { homeassistant: Some(discovery()), requests, ..content(&ours) };
        let daemon = Daemon::of(ours, with_all, Latest::new());
        daemon.read(1.5);
        let trouble = daemon.trouble().await;
        assert!(trouble.contains("floods this program"), "{trouble}");
        assert_eq!(connections.load(Ordering::SeqCst), 1, "it was not left for another reason before");
        // What the sockets hold is sent and never read.
        let sent = bytes.load(Ordering::SeqCst);
        assert!(sent < 64 << 20, "{sent} bytes of {packet:?}");
        let again = async {
            while connections.load(Ordering::SeqCst) < 2 {
                sleep(LOOK).await;
            }
        };
        assert!(timeout(PATIENCE, again).await.is_ok(), "it is tried again");
        daemon.stop().await;
    }
}
