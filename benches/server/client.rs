//! Requests of a consumer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// Returns the head and the body of the response, or `None` if nothing listens.
pub(crate) fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(head(path, "bench", "close").as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    Some(reply)
}

/// The request for `path` by a program that calls itself `agent`.
pub(crate) fn head(path: &str, agent: &str, connection: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: {agent}\r\nConnection: {connection}\r\n\r\n"
    )
}

/// A connection that is kept for many requests.
pub(crate) struct Kept(BufReader<TcpStream>);

impl Kept {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    /// Sends `request` and reads the response; returns whether it is 200.
    pub(crate) fn ask(&mut self, request: &str) -> bool {
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let (mut line, mut length, mut first) = (String::new(), 0, None);
        loop {
            line.clear();
            self.0.read_line(&mut line).unwrap();
            first.get_or_insert_with(|| line.starts_with("HTTP/1.1 200"));
            match line.to_ascii_lowercase().strip_prefix("content-length: ") {
                Some(value) => length = value.trim().parse().unwrap(),
                None if line == "\r\n" => break,
                None => {}
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        first == Some(true)
    }
}
