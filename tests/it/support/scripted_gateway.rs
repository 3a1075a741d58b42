//! A gateway or an impostor that responds by a script and records its requests.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use enphased::io::tls::{self, Fingerprint};
use enphased::io::token::Token;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

pub(crate) const GATEWAY: &[u8] = include_bytes!("../../../fixtures/tls/gateway.pem");
pub(crate) const GATEWAY_KEY: &[u8] = include_bytes!("../../../fixtures/tls/gateway.key");
pub(crate) const REPLACED: &[u8] = include_bytes!("../../../fixtures/tls/replaced.pem");
pub(crate) const REPLACED_KEY: &[u8] = include_bytes!("../../../fixtures/tls/replaced.key");

/// The default serial number of the gateway.
pub(crate) const SERIAL: &str = "122300123456";
pub(crate) const CHECK: &str = "/auth/check_jwt";
pub(crate) const VALID: &str = "<!DOCTYPE html><h2>Valid token.</h2>\n";

/// A received request.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The number of the connection, from 1.
    pub(crate) connection: usize,
    /// The key of the server; `None` over plain http.
    pub(crate) key: Option<Fingerprint>,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Returns whether the request contains credentials.
    pub(crate) fn is_secret(&self) -> bool {
        !self.header("authorization").is_empty() || !self.header("cookie").is_empty()
    }
}

pub(crate) enum Reply {
    /// Written unchanged; the connection stays open.
    Raw(String),
    /// Written unchanged; the connection is closed.
    Last(String),
    /// No response; the connection is closed.
    Hangup,
    /// The headers, then one byte per second.
    Trickle,
    /// The headers, then data for as long as the client reads.
    Endless,
    /// No response.
    Silence,
}

pub(crate) fn reply(status: &str, headers: &[&str], body: &str) -> Reply {
    let mut text = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    Reply::Raw(text + "\r\n" + body)
}

pub(crate) fn ok(body: &str) -> Reply {
    reply("200 OK", &[], body)
}

pub(crate) fn unauthorized() -> Reply {
    reply(
        "401 Unauthorized",
        &["Content-Type: text/html"],
        "<html><title>401 Authorization Required</title></html>",
    )
}

pub(crate) fn accepted(cookie: &str) -> Reply {
    reply("200 OK", &[&format!("Set-Cookie: sessionId={cookie}; Secure; HttpOnly; path=/")], VALID)
}

pub(crate) fn info_of(serial: &str, software: &str) -> Reply {
    ok(&format!(
        "<envoy_info><time>1785332850</time><device><sn>{serial}</sn><software>{software}</software></device>\
         </envoy_info>"
    ))
}

/// The certificate for new connections.
#[derive(Clone)]
pub(crate) struct Shown {
    tls: Option<TlsAcceptor>,
    key: Option<Fingerprint>,
}

impl Shown {
    pub(crate) fn plain() -> Self {
        Self { tls: None, key: None }
    }

    /// The key of the gateway.
    pub(crate) fn first() -> Self {
        Self::tls(GATEWAY, GATEWAY_KEY)
    }

    /// Another key.
    pub(crate) fn other() -> Self {
        Self::tls(REPLACED, REPLACED_KEY)
    }

    pub(crate) fn tls(certificate: &[u8], key: &[u8]) -> Self {
        let shown = CertificateDer::from_pem_slice(certificate).unwrap();
        Self { tls: Some(acceptor(certificate, key)), key: Fingerprint::of(&shown).ok() }
    }
}

type Script = Arc<Mutex<dyn FnMut(&Seen) -> Reply + Send>>;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    scheme: &'static str,
    seen: Arc<Mutex<Vec<Seen>>>,
    shown: Arc<Mutex<Shown>>,
    connections: Arc<Mutex<Vec<AbortHandle>>>,
    accepting: AbortHandle,
    /// A socket that is bound to the same port and never listens, so that no other test gets the port after the end.
    _reservation: TcpSocket,
}

impl Server {
    pub(crate) async fn http(script: impl FnMut(&Seen) -> Reply + Send + 'static) -> Self {
        Self::start("127.0.0.1:0", Shown::plain(), script).await
    }

    pub(crate) async fn https(script: impl FnMut(&Seen) -> Reply + Send + 'static) -> Self {
        Self::start("127.0.0.1:0", Shown::first(), script).await
    }

    pub(crate) async fn start(
        bind: &str,
        shown: Shown,
        script: impl FnMut(&Seen) -> Reply + Send + 'static,
    ) -> Self {
        let reservation = bound(bind.parse().unwrap());
        let address = reservation.local_addr().unwrap();
        let listener = TcpListener::bind(address).await.unwrap();
        let scheme = if shown.tls.is_some() { "https" } else { "http" };
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let connections: Arc<Mutex<Vec<AbortHandle>>> = Arc::default();
        let shown = Arc::new(Mutex::new(shown));
        let script: Script = Arc::new(Mutex::new(script));
        let (now_shown, log, open) = (Arc::clone(&shown), Arc::clone(&seen), Arc::clone(&connections));
        let accepting = tokio::spawn(async move {
            for connection in 1.. {
                let (stream, _) = listener.accept().await.unwrap();
                let (shown, script, seen) =
                    (now_shown.lock().unwrap().clone(), Arc::clone(&script), Arc::clone(&log));
                let served = tokio::spawn(async move {
                    let from = (connection, shown.key);
                    match shown.tls {
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, from, script, seen).await;
                            }
                        }
                        None => serve(stream, from, script, seen).await,
                    }
                });
                open.lock().unwrap().push(served.abort_handle());
            }
        });
        let accepting = accepting.abort_handle();
        Self { address, scheme, seen, shown, connections, accepting, _reservation: reservation }
    }

    /// With the scheme that was spoken at the start.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.path).collect()
    }

    /// Waits until `path` has been requested.
    pub(crate) async fn asked(&self, path: &str) {
        while !self.paths().iter().any(|seen| seen == path) {
            tokio::task::yield_now().await;
        }
    }

    /// Uses another certificate, and drops existing connections.
    pub(crate) fn becomes(&self, shown: Shown) {
        *self.shown.lock().unwrap() = shown;
        self.cut();
    }

    /// Stops listening, and drops existing connections.
    pub(crate) fn stop(&self) {
        self.accepting.abort();
        self.cut();
    }

    /// Drops existing connections.
    pub(crate) fn cut(&self) {
        for connection in self.connections.lock().unwrap().drain(..) {
            connection.abort();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn bound(address: SocketAddr) -> TcpSocket {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    (connection, key): (usize, Option<Fingerprint>),
    script: Script,
    seen: Arc<Mutex<Vec<Seen>>>,
) {
    while let Some(request) = read_request(&mut stream, connection, key).await {
        seen.lock().unwrap().push(request.clone());
        let reply = (script.lock().unwrap())(&request);
        if !write_reply(&mut stream, reply).await {
            break;
        }
    }
    stream.shutdown().await.ok();
}

/// Writes a reply; returns whether the connection stays open.
async fn write_reply<S: AsyncWrite + Unpin>(stream: &mut S, reply: Reply) -> bool {
    match reply {
        Reply::Raw(text) => stream.write_all(text.as_bytes()).await.is_ok() && stream.flush().await.is_ok(),
        Reply::Last(text) => {
            stream.write_all(text.as_bytes()).await.unwrap();
            false
        }
        Reply::Hangup => false,
        Reply::Silence => std::future::pending().await,
        Reply::Trickle => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").await.unwrap();
            while stream.write_all(b" ").await.is_ok() {
                stream.flush().await.ok();
                // Virtual time would run ahead of a kernel that delivers late; a blocking task holds it.
                tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(1))).await.unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            false
        }
        Reply::Endless => {
            let piece = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
            while stream.write_all(piece.as_bytes()).await.is_ok() {}
            false
        }
    }
}

/// Reads a request; returns `None` at the end, and for a TLS greeting on a plain port.
async fn read_request<S: AsyncRead + Unpin>(
    stream: &mut S,
    connection: usize,
    key: Option<Fingerprint>,
) -> Option<Seen> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
        if head[0] == 0x16 {
            return None;
        }
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    Some(Seen { connection, key, method, path, headers, body: String::from_utf8(body).unwrap() })
}

#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

fn acceptor(certificate: &[u8], key: &[u8]) -> TlsAcceptor {
    let key = PrivateKeyDer::from_pem_slice(key).unwrap();
    let signer = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
    // Not `with_single_cert`, which refuses version 1.
    let certified = CertifiedKey::new(vec![CertificateDer::from_pem_slice(certificate).unwrap()], signer);
    let config = rustls::ServerConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Always(Arc::new(certified))));
    TlsAcceptor::from(Arc::new(config))
}

pub(crate) fn fingerprint(pem: &[u8]) -> Fingerprint {
    Fingerprint::of(&CertificateDer::from_pem_slice(pem).unwrap()).unwrap()
}

/// Creates a token of `serial`. Tokens with different `id`s are different.
pub(crate) fn token(serial: &str, id: &str) -> Token {
    let claims = format!(
        r#"{{"aud":"{serial}","iss":"Entrez","enphaseUser":"owner","exp":1795170000,"iat":1763634000,"jti":"{id}"}}"#
    );
    let parts = [r#"{"alg":"ES256"}"#, &claims, "signature"].map(|part| BASE64.encode(part));
    Token::decode(&parts.join(".")).unwrap()
}

/// Returns the authorization header for `token`.
pub(crate) fn bearer(token: &Token) -> String {
    format!("Bearer {}", token.secret.expose())
}
