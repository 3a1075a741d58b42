//! A client that shows exactly what was sent and received.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// A response.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut pairs = self.head.lines().filter_map(|line| line.split_once(": "));
        pairs.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Returns the code of a refusal.
    pub(super) fn code(&self) -> Option<u64> {
        self.json()["code"].as_u64()
    }
}

/// Sends a request with these lines after its first one.
pub(super) async fn request(at: SocketAddr, first: &str, lines: &[&str]) -> Reply {
    let mut stream = TcpStream::connect(at).await.unwrap();
    send(&mut stream, first, lines).await;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Reply { status, head: head.to_owned(), body: body.to_owned() }
}

async fn send(stream: &mut TcpStream, first: &str, lines: &[&str]) {
    let host = if lines.iter().any(|line| line.starts_with("Host:")) { "" } else { "Host: localhost\r\n" };
    let lines = [lines, &["", ""]].concat().join("\r\n");
    let text = format!("{first} HTTP/1.1\r\n{host}Connection: close\r\n{lines}");
    stream.write_all(text.as_bytes()).await.unwrap();
}

pub(crate) async fn get(at: SocketAddr, path: &str) -> Reply {
    request(at, &format!("GET {path}"), &[]).await
}

/// Waits until every gateway was read.
pub(super) async fn ready(at: SocketAddr) {
    while get(at, "/readyz").await.status != 200 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// An open stream of server-sent events.
pub(super) struct Stream {
    socket: TcpStream,
    has_head: bool,
    raw: Vec<u8>,
    text: String,
    /// The number of bytes so far.
    pub(super) received: usize,
}

impl Stream {
    pub(super) async fn open(at: SocketAddr, path: &str, lines: &[&str]) -> Self {
        Self::on(TcpStream::connect(at).await.unwrap(), path, lines).await
    }

    /// Opens a stream whose system keeps as little as it can of what is not read.
    pub(super) async fn open_slow(at: SocketAddr, path: &str) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(32 * 1024).unwrap();
        Self::on(socket.connect(at).await.unwrap(), path, &[]).await
    }

    async fn on(mut stream: TcpStream, path: &str, lines: &[&str]) -> Self {
        send(&mut stream, &format!("GET {path}"), lines).await;
        Self { socket: stream, has_head: false, raw: Vec::new(), text: String::new(), received: 0 }
    }

    /// Reads at most `most` bytes of what has arrived, and drops the events in it.
    pub(super) fn take(&mut self, most: usize) {
        let mut buffer = vec![0; most];
        while let Ok(length @ 1..) = self.socket.try_read(&mut buffer) {
            self.received += length;
            self.raw.extend_from_slice(&buffer[..length]);
            if length == buffer.len() {
                break;
            }
            buffer.truncate(buffer.len() - length);
        }
        self.decode();
        if let Some(end) = self.text.rfind("\n\n") {
            self.text.drain(..end + 2);
        }
    }

    /// Returns the next event: its name, its data and its id; or `None` at the end.
    pub(super) async fn next(&mut self) -> Option<(String, Value, Option<String>)> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                let field =
                    |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                if let (Some(name), Some(data)) = (field("event: "), field("data: ")) {
                    return Some((name, serde_json::from_str(&data).unwrap(), field("id: ")));
                }
            }
            let mut buffer = vec![0; 64 * 1024];
            let length = self.socket.read(&mut buffer).await.ok()?;
            if length == 0 {
                return None;
            }
            self.received += length;
            self.raw.extend_from_slice(&buffer[..length]);
            self.decode();
        }
    }

    /// Moves what has arrived in whole chunks to the text.
    fn decode(&mut self) {
        if !self.has_head {
            let Some(end) = position(&self.raw, b"\r\n\r\n") else { return };
            let head = String::from_utf8(self.raw.drain(..end + 4).collect()).unwrap();
            assert!(head.to_ascii_lowercase().contains("transfer-encoding: chunked"), "{head}");
            self.has_head = true;
        }
        while let Some(end) = position(&self.raw, b"\r\n") {
            let size = usize::from_str_radix(std::str::from_utf8(&self.raw[..end]).unwrap(), 16).unwrap();
            let Some(chunk) = self.raw.get(end + 2..end + 4 + size) else { return };
            self.text.push_str(std::str::from_utf8(&chunk[..size]).unwrap());
            self.raw.drain(..end + 4 + size);
        }
    }
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|part| part == wanted)
}
