//! A client that keeps its connection and shows exactly what was received, plain or over TLS.

use std::sync::Arc;

use enphased::io::http::Listen;
use enphased::io::tls::{Check, gateway_config};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    head: Vec<String>,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut pairs = self.head.iter().filter_map(|line| line.split_once(": "));
        pairs.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(super) fn age(&self) -> u64 {
        self.header("age").unwrap_or_else(|| panic!("{self:?}")).parse().unwrap()
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A connection to a proxy.
pub(super) struct Client(BufStream<Box<dyn Socket>>);

impl Client {
    pub(super) async fn open(at: Listen) -> Self {
        let stream = TcpStream::connect(at.address).await.unwrap();
        if !at.tls {
            return Self(BufStream::new(Box::new(stream)));
        }
        let connector = TlsConnector::from(Arc::new(gateway_config(Check::Ownership).unwrap()));
        let name = ServerName::try_from("localhost").unwrap();
        Self(BufStream::new(Box::new(connector.connect(name, stream).await.unwrap())))
    }

    /// Sends a request with these lines after its first one, and returns the response.
    pub(super) async fn send(&mut self, first: &str, lines: &[&str]) -> Reply {
        self.begin(first, lines).await;
        let (status, head) = self.head().await;
        let mut reply = Reply { status, head, body: Vec::new() };
        if !first.starts_with("HEAD") {
            let length = reply.header("content-length").unwrap_or_else(|| panic!("{reply:?}"));
            reply.body = vec![0; length.parse().unwrap()];
            self.0.read_exact(&mut reply.body).await.unwrap();
        }
        reply
    }

    pub(super) async fn begin(&mut self, first: &str, lines: &[&str]) {
        let lines = [lines, &["", ""]].concat().join("\r\n");
        self.0.write_all(format!("{first} HTTP/1.1\r\nHost: localhost\r\n{lines}").as_bytes()).await.unwrap();
        self.0.flush().await.unwrap();
    }

    pub(super) async fn head(&mut self) -> (u16, Vec<String>) {
        let first = self.line().await.expect("the connection has ended");
        let status = first.split(' ').nth(1).unwrap_or_else(|| panic!("{first}")).parse().unwrap();
        let mut head = Vec::new();
        loop {
            let line = self.line().await.unwrap();
            if line.is_empty() {
                return (status, head);
            }
            head.push(line);
        }
    }

    /// Returns the next line, or `None` at the end.
    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).await.ok()?;
        (read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// Returns the next chunk of a response, or `None` at the end.
    pub(super) async fn chunk(&mut self) -> Option<String> {
        let length = usize::from_str_radix(&self.line().await?, 16).unwrap();
        let mut chunk = vec![0; length];
        self.0.read_exact(&mut chunk).await.ok()?;
        self.line().await?;
        (length > 0).then(|| String::from_utf8(chunk).unwrap())
    }
}

pub(super) async fn get(at: Listen, path: &str) -> Reply {
    request(at, &format!("GET {path}"), &[]).await
}

pub(super) async fn request(at: Listen, first: &str, lines: &[&str]) -> Reply {
    Client::open(at).await.send(first, lines).await
}
