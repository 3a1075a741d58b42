//! A request to a listener of this machine, for the commands that look at the running daemon.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::Listen;
use crate::io::tls::{Check, gateway_config, in_words};

/// The maximum size of a body: the health of a thousand gateways takes a tenth of it.
const MAX_BODY: usize = 1 << 20;

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalResponse {
    /// The status.
    pub status: StatusCode,
    /// The body.
    pub body: Bytes,
}

/// The reason that there is no response.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// Nothing listens there, or it cannot be reached.
    #[error("cannot connect: {0}")]
    Unreachable(io::Error),
    /// The TLS handshake failed.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// The program that listens there does not speak HTTP, or closed the connection.
    #[error("no HTTP response came")]
    NotHttp,
    /// No response came in time.
    #[error("no response came within {} s", .0.as_secs())]
    Late(Duration),
}

/// Requests `path` from the listener at `listen`. A listener for TLS may have any key, because nothing secret is sent and the
/// connection does not leave this machine.
pub async fn get(listen: Listen, path: &str, limit: Duration) -> Result<LocalResponse, Unanswered> {
    timeout(limit, exchange(listen, path)).await.unwrap_or(Err(Unanswered::Late(limit)))
}

async fn exchange(listen: Listen, path: &str) -> Result<LocalResponse, Unanswered> {
    let address = listen.reachable();
    let stream = TcpStream::connect(address).await.map_err(Unanswered::Unreachable)?;
    // An address is a name that the server accepts, whatever its configuration is.
    let request = Request::get(path)
        .header(HOST, address.to_string())
        .header(CONNECTION, "close")
        .body(Empty::new())
        .map_err(|_invalid| Unanswered::NotHttp)?;
    if !listen.tls {
        return send(stream, request).await;
    }
    let config = gateway_config(Check::Ownership).map_err(|error| Unanswered::Tls(in_words(&error)))?;
    let stream = TlsConnector::from(Arc::new(config))
        .connect(ServerName::IpAddress(address.ip().into()), stream)
        .await
        .map_err(|error| Unanswered::Tls(error.to_string()))?;
    send(stream, request).await
}

/// Sends the request, and reads the response while the connection is driven.
pub(in crate::io) async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<Empty<Bytes>>,
) -> Result<LocalResponse, Unanswered> {
    let not_http = |_error: hyper::Error| Unanswered::NotHttp;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(not_http)?;
    let response = async {
        let response = sender.send_request(request).await.map_err(not_http)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
        let body = body.map_err(|_cut| Unanswered::NotHttp)?.to_bytes();
        Ok(LocalResponse { status, body })
    };
    tokio::pin!(connection, response);
    tokio::select! {
        biased;
        response = &mut response => response,
        // The end of the connection may be the end of the response; an error of it is one of the response too.
        _ = &mut connection => response.await,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    /// Returns what is heard from a listener that answers the first connection with `answer`.
    async fn answered(answer: &'static [u8], tls: bool) -> Result<LocalResponse, Unanswered> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listen = Listen { address: listener.local_addr().unwrap(), tls };
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 1024];
            let length = stream.read(&mut head).await.unwrap();
            stream.write_all(answer).await.unwrap();
            String::from_utf8_lossy(&head[..length]).into_owned()
        };
        let (head, response) = tokio::join!(serve, get(listen, "/readyz", LIMIT));
        assert!(tls || head.contains(&format!("host: {}\r\n", listen.address)), "{head}");
        response
    }

    #[tokio::test]
    async fn a_response_is_read_to_its_end_whether_or_not_its_length_is_known() {
        for answer in [
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nwell" as &[u8],
            b"HTTP/1.1 503 Service Unavailable\r\n\r\nwell",
        ] {
            let response = answered(answer, false).await.unwrap();
            assert_eq!((response.status.as_u16(), &*response.body), (503, b"well" as &[u8]));
        }
    }

    #[tokio::test]
    async fn what_is_not_a_response_is_an_error() {
        assert!(matches!(answered(b"220 mail ready\r\n", false).await, Err(Unanswered::NotHttp)));
        assert!(matches!(answered(b"", false).await, Err(Unanswered::NotHttp)));
        assert!(matches!(answered(b"HTTP/1.1 200 OK\r\n\r\n", true).await, Err(Unanswered::Tls(_))));
        let cut = answered(b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\nhalf", false).await;
        assert!(matches!(cut, Err(Unanswered::NotHttp)), "{cut:?}");
    }

    #[tokio::test]
    async fn a_listener_that_is_not_there_or_silent_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listen = Listen { address: listener.local_addr().unwrap(), tls: false };
        let silent = get(listen, "/readyz", Duration::from_millis(20)).await;
        assert!(matches!(silent, Err(Unanswered::Late(_))), "{silent:?}");
        drop(listener);
        assert!(matches!(get(listen, "/readyz", LIMIT).await, Err(Unanswered::Unreachable(_))));
    }
}
