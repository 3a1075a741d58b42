//! The Supervisor of Home Assistant OS, which knows the broker that other add-ons may use.
//!
//! <https://developers.home-assistant.io/docs/api/supervisor/endpoints#service>

use std::time::Duration;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONNECTION, HOST};
use hyper::{Request, StatusCode};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::http::local_request::{Unanswered, send};
use crate::base::secrets::Secret;

/// The address of the Supervisor in the network of add-ons.
pub const ADDRESS: &str = "supervisor:80";
/// The page with the broker.
const MQTT: &str = "/services/mqtt";
/// The time limit for a response.
const LIMIT: Duration = Duration::from_secs(10);

/// The reason that the Supervisor could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Supervisor did not respond.
    #[error("the Supervisor of Home Assistant does not answer at {address}: {source}")]
    Unanswered {
        /// The address of the Supervisor.
        address: String,
        /// The underlying error.
        source: Unanswered,
    },
    /// The Supervisor refused the token, or failed.
    #[error("the Supervisor of Home Assistant returned HTTP {0} for the broker; look into its log")]
    Status(u16),
}

/// Asks the Supervisor at `address` for the broker. Returns its response, or `None` if it offers none.
pub async fn mqtt_service(address: &str, token: &Secret) -> Result<Option<Bytes>, Error> {
    let unanswered = |source| Error::Unanswered { address: address.to_owned(), source };
    let asked = timeout(LIMIT, ask(address, token)).await.unwrap_or(Err(Unanswered::Late(LIMIT)));
    let response = asked.map_err(unanswered)?;
    match response.status {
        StatusCode::OK => Ok(Some(response.body)),
        // No broker is installed.
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => Ok(None),
        other => Err(Error::Status(other.as_u16())),
    }
}

async fn ask(address: &str, token: &Secret) -> Result<super::http::local_request::LocalResponse, Unanswered> {
    let stream = TcpStream::connect(address).await.map_err(Unanswered::Unreachable)?;
    let request = Request::get(MQTT)
        .header(HOST, address)
        .header(AUTHORIZATION, format!("Bearer {}", token.expose()))
        .header(CONNECTION, "close")
        .body(Empty::new())
        .map_err(|_invalid| Unanswered::NotHttp)?;
    send(stream, request).await
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Returns what a Supervisor that answers with `answer` says of the broker, and the request that it received.
    async fn answered(answer: &'static str) -> (Result<Option<Bytes>, Error>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 1024];
            let length = stream.read(&mut head).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&head[..length]).into_owned()
        };
        let token = Secret::new("supervisor token".to_owned());
        let (head, response) = tokio::join!(serve, mqtt_service(&address, &token));
        (response, head)
    }

    #[tokio::test]
    async fn the_broker_is_asked_for_with_the_token() {
        let (response, head) = answered("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
        assert_eq!(response.unwrap().as_deref(), Some(b"{}" as &[u8]));
        assert!(head.starts_with("GET /services/mqtt HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("authorization: Bearer supervisor token\r\n"), "{head}");
    }

    #[tokio::test]
    async fn without_a_broker_there_is_none_and_a_failure_is_an_error_without_the_token() {
        let none = answered("HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}").await.0;
        assert!(matches!(none, Ok(None)), "{none:?}");
        for answer in ["HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", ""] {
            let error = answered(answer).await.0.unwrap_err().to_string();
            assert!(error.contains("the Supervisor") && !error.contains("token"), "{error}");
        }
    }
}
