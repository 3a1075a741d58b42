//! Listeners: plain and TLS, addresses in use, and requests that break the limits.

use std::sync::Arc;
use std::time::Duration;

use enphased::app::listeners::{Error, Listeners};
use enphased::io::http::Error as ListenError;
use enphased::io::state_dir::StateDir;
use enphased::io::tls::{Check, gateway_config};
use enphased::simulator::SimulationOptions;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

use super::client::{get, ready};
use super::served;
use crate::support::house::House;

#[tokio::test(start_paused = true)]
async fn plain_and_tls_listeners_serve_the_same_and_the_key_stays() {
    let server = "\n[server]\nlisten = [\"127.0.0.1:0\", \"tls://127.0.0.1:0\", \"[::1]:0\"]\n";
    let house = House::new(SimulationOptions::default()).with(server);
    let mut certificates = Vec::new();
    for _ in 0..2 {
        let certificate = house
            .visited(async |addresses| {
                for plain in addresses.iter().filter(|listen| !listen.tls) {
                    assert_eq!(get(plain.address, "/livez").await.status, 200, "{plain}");
                }
                let tls = addresses.iter().find(|listen| listen.tls).unwrap();
                let stream = TcpStream::connect(tls.address).await.unwrap();
                let connector = TlsConnector::from(Arc::new(gateway_config(Check::Ownership).unwrap()));
                let name = ServerName::try_from("localhost").unwrap();
                let mut stream = connector.connect(name, stream).await.unwrap();
                let certificate = stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned();
                let text = "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
                stream.write_all(text.as_bytes()).await.unwrap();
                let mut reply = String::new();
                stream.read_to_string(&mut reply).await.unwrap();
                assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
                certificate
            })
            .await;
        certificates.push(certificate);
    }
    assert_eq!(certificates[0], certificates[1]);
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let house = House::new(SimulationOptions::default())
        .with(&format!("\n[server]\nlisten = [\"{}\"]\n", taken.local_addr().unwrap()));
    let state = StateDir::open(house.state()).unwrap();
    let error = Listeners::open(&house.config(), &state).await.unwrap_err();
    assert!(matches!(error, Error::Listen(ListenError::Busy { .. })), "{error:?}");
    let address = taken.local_addr().unwrap().to_string();
    assert!(error.to_string().contains(&address), "{error}");
}

#[tokio::test(start_paused = true)]
async fn requests_that_break_the_limits_end_their_connection_and_nothing_else() {
    let house = served();
    house
        .visited(async |addresses| {
            let at = addresses[0].address;
            let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: {}\r\n\r\n", "x".repeat(20_000));
            for text in [long.as_str(), "nonsense\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\0\0\0"] {
                let mut stream = TcpStream::connect(at).await.unwrap();
                stream.write_all(text.as_bytes()).await.unwrap();
                let mut reply = Vec::new();
                // A reset is as good as a refusal.
                stream.read_to_end(&mut reply).await.ok();
                let reply = String::from_utf8_lossy(&reply).into_owned();
                assert!(!reply.starts_with("HTTP/1.1 200"), "{reply}");
            }
            // Nobody may keep a connection by sending nothing, or a part of a head.
            let mut silent = Vec::new();
            for n in 0..300 {
                let Ok(mut stream) = TcpStream::connect(at).await else { break };
                let text = if n % 2 == 0 { "" } else { "GET / HT" };
                stream.write_all(text.as_bytes()).await.ok();
                silent.push(stream);
            }
            tokio::time::sleep(Duration::from_secs(60)).await;
            assert_eq!(get(at, "/livez").await.status, 200);
            drop(silent);
        })
        .await;
}

/// Whoever sends a body, a head or a message that is far too long gets an answer or loses the connection, before it was read.
#[tokio::test(start_paused = true)]
async fn what_is_far_too_long_is_not_read() {
    let house = served();
    house
        .visited(async |addresses| {
            let at = addresses[0].address;
            let head = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}", "x".repeat(1 << 20));
            let body = "POST /api/v1/gateways/1/poll HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1073741824\r\n\r\n";
            let endless = "POST /api/v1/gateways/1/poll HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
            let socket = "GET /api/v1/socket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
            // The head of a frame of 100 MB, of one that is not masked, and of one of an unknown kind.
            let frames: [&[u8]; 3] =
                [b"\x82\xff\0\0\0\0\x06\x40\0\0abcd", b"\x82\x7f\0\0\0\0\x06\x40\0\0", b"\x8f\x80abcd"];
            let mut starts: Vec<Vec<u8>> = [head.as_str(), body, endless].map(|text| text.as_bytes().to_vec()).into();
            starts.extend(frames.map(|frame| [socket.as_bytes(), frame].concat()));
            for start in starts {
                let mut stream = TcpStream::connect(at).await.unwrap();
                let (mut reading, mut writing) = stream.split();
                let sending = async {
                    let mut sent = 0_usize;
                    if writing.write_all(&start).await.is_err() {
                        return sent;
                    }
                    // A chunk of 65,535 bytes, for those that expect chunks.
                    let more = [b"FFFF\r\n".as_slice(), &vec![b'x'; 0xFFFF], b"\r\n"].concat();
                    while sent < 100_000_000 && writing.write_all(&more).await.is_ok() {
                        sent += more.len();
                    }
                    sent
                };
                let reading = async {
                    let mut reply = Vec::new();
                    reading.read_to_end(&mut reply).await.ok();
                    reply
                };
                let (sent, reply) = tokio::join!(sending, reading);
                let reply = String::from_utf8_lossy(&reply).into_owned();
                let start = String::from_utf8_lossy(&start[..start.len().min(100)]).into_owned();
                // What the buffers of the connection hold, and not more.
                assert!(sent < 20_000_000, "{sent} bytes were taken after {start}: {reply}");
                assert!(!reply.starts_with("HTTP/1.1 200"), "{start}: {reply}");
            }
            assert_eq!(get(at, "/livez").await.status, 200);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn odd_paths_lead_nowhere() {
    served()
        .visited(async |addresses| {
            let at = addresses[0].address;
            for path in [
                "/api/v1/../../etc/passwd",
                "/../api/v1/gateways",
                "/api/v1/gateways/..%2f..%2fetc/reading",
                "/api/v1/gateways/%2e%2e/reading",
                "/api%2fv1%2fgateways",
                "/api/v1/gateways/",
                "//api/v1/gateways",
                "/api/v1/gateways/%00/reading",
                "/api/v1/gateways/%ff/reading",
                "/api/v1/gateways/%c3%28/history",
                "/api/v1/gateways/%ff/nothing",
                "/API/V1/gateways",
            ] {
                let reply = get(at, path).await;
                assert_eq!(reply.status, 404, "{path}: {reply:?}");
                assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{path}");
            }
        })
        .await;
}

/// Each connection is answered, one after the other, and afterwards nothing is left of them.
#[tokio::test(start_paused = true)]
async fn ten_thousand_connections_are_served_and_leave_nothing() {
    let house = served();
    house
        .visited(async |addresses| {
            let at = addresses[0].address;
            ready(at).await;
            let mut open = std::collections::VecDeque::new();
            for n in 0..10_000 {
                let mut stream = TcpStream::connect(at).await.unwrap();
                if n % 100 == 0 {
                    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
                }
                open.push_back(stream);
                if open.len() > 100 {
                    open.pop_front();
                }
            }
            drop(open);
            let polls = house.polls();
            assert_eq!(get(at, "/livez").await.status, 200);
            tokio::time::sleep(Duration::from_secs(60)).await;
            assert!(house.polls() >= polls + 2);
            let list = get(at, "/api/v1/consumers").await.json();
            assert_eq!(list.as_array().unwrap().len(), 1, "{list}");
        })
        .await;
}

/// Listeners share the connections, so one at which nobody asks takes none from the others.
#[tokio::test(start_paused = true)]
async fn every_listener_serves_however_few_connections_there_may_be() {
    let listen = ["\"127.0.0.1:0\""; 5].join(", ");
    let server = format!("\n[server]\nlisten = [{listen}]\nmax_connections = 1\n");
    let house = House::new(SimulationOptions::default()).with(&server);
    house
        .visited(async |addresses| {
            for round in 0..3 {
                for listen in &addresses {
                    let answered = get(listen.address, "/livez");
                    let answered = tokio::time::timeout(Duration::from_secs(60), answered).await;
                    let reply =
                        answered.unwrap_or_else(|_| panic!("{listen} does not answer in round {round}"));
                    assert_eq!(reply.status, 200);
                }
            }
        })
        .await;
}
