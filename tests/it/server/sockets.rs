//! The beginnings and the ends of sockets.

use std::net::SocketAddr;
use std::time::Duration;

use enphased::base::secrets::Secret;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::client::{ready, request};
use super::consumers::{CLOSED, add, bearer, remove};
use super::{served, served_with};

type Socket = WebSocketStream<TcpStream>;

async fn open(at: SocketAddr, token: Option<&Secret>) -> Socket {
    let mut request = format!("ws://{at}/api/v1/socket").into_client_request().unwrap();
    if let Some(token) = token {
        let (_, value) = bearer(token).split_once(": ").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        request.headers_mut().insert("Authorization", value.parse().unwrap());
    }
    let stream = TcpStream::connect(at).await.unwrap();
    tokio_tungstenite::client_async(request, stream).await.unwrap().0
}

/// Reads to the end, and returns the last code and reason that were received.
async fn closed(socket: &mut Socket) -> Option<(u16, String)> {
    let mut frame: Option<CloseFrame> = None;
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Close(close) = message {
            frame = close;
        }
    }
    frame.map(|frame| (frame.code.into(), frame.reason.to_string()))
}

#[tokio::test(start_paused = true)]
async fn a_close_is_answered_with_its_code() {
    served()
        .visited(async |addresses| {
            let mut socket = open(addresses[0].address, None).await;
            let frame = CloseFrame { code: CloseCode::Normal, reason: "bye".into() };
            socket.send(Message::Close(Some(frame))).await.unwrap();
            assert_eq!(closed(&mut socket).await.map(|(code, _)| code), Some(1000));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_too_long_ends_the_socket_with_a_code() {
    served()
        .visited(async |addresses| {
            let mut socket = open(addresses[0].address, None).await;
            socket.send(Message::Text("x".repeat(4096).into())).await.unwrap();
            socket.send(Message::Text("x".repeat(4097).into())).await.unwrap();
            let (code, reason) = closed(&mut socket).await.unwrap();
            assert_eq!((code, reason.contains("4 KB")), (1008, true), "{reason}");
        })
        .await;
}

/// Messages that no client may send: without a mask, of an unknown kind, in pieces, not UTF-8.
const BROKEN: [&[u8]; 4] =
    [b"\x81\x02hi", b"\x83\x80\0\0\0\0", b"\x09\x80\0\0\0\0", b"\x81\x82\0\0\0\0\xff\xfe"];

#[tokio::test(start_paused = true)]
async fn a_consumer_that_breaks_the_protocol_gets_a_code() {
    served()
        .visited(async |addresses| {
            let at = addresses[0].address;
            for broken in BROKEN {
                let mut stream = TcpStream::connect(at).await.unwrap();
                let head = "GET /api/v1/socket?groups=token HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
                            Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
                stream.write_all(head.as_bytes()).await.unwrap();
                stream.write_all(broken).await.unwrap();
                let mut received = Vec::new();
                stream.read_to_end(&mut received).await.unwrap();
                let code = [0x88, 55, 0x03, 0xf0];
                let is_told = received.windows(4).any(|part| part[0] == code[0] && part[2..] == code[2..]);
                assert!(is_told, "{broken:?}: {}", received.escape_ascii());
            }
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_removed_token_and_a_stop_have_codes() {
    let house = served_with(CLOSED);
    let token = add(&house, "evcc").await;
    let mut stopped = house
        .visited(async |addresses| {
            let at = addresses[0].address;
            ready(at).await;
            let mut removed = open(at, Some(&token)).await;
            remove(&house, "evcc").await;
            let expected = (4003, "Expired or removed".to_owned());
            assert_eq!(closed(&mut removed).await, Some(expected));
            let token = add(&house, "other").await;
            tokio::time::sleep(Duration::from_secs(2)).await;
            open(at, Some(&token)).await
        })
        .await;
    assert_eq!(closed(&mut stopped).await.map(|(code, _)| code), Some(1001));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_opens_no_socket_says_what_is_missing() {
    const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    served()
        .visited(async |addresses| {
            for lines in [
                vec![],
                vec!["Upgrade: websocket", KEY],
                vec!["Upgrade: h2c", "Sec-WebSocket-Version: 13", KEY],
                vec!["Upgrade: websocket", "Sec-WebSocket-Version: 8", KEY],
                vec!["Upgrade: websocket", "Sec-WebSocket-Version: 13"],
            ] {
                let reply = request(addresses[0].address, "GET /api/v1/socket", &lines).await;
                assert_eq!(reply.status, 426, "{lines:?}");
                assert_eq!(reply.header("upgrade"), Some("websocket"), "{lines:?}");
                assert_eq!(reply.header("sec-websocket-version"), Some("13"), "{lines:?}");
                assert!(reply.json()["detail"].as_str().unwrap().contains("/api/v1/stream"), "{lines:?}");
            }
        })
        .await;
}
