//! A webhook: sends one message to an HTTP server such as ntfy, Home Assistant or Gotify.
//!
//! A message is sent once, and never retried here. Redirects are not followed, no proxy is used, and nothing is read of a
//! response but its head. The certificate is verified with the certificate authorities of this machine.

mod address;
mod error;

use std::error::Error as _;
use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use rustls::{CertificateError, Error as TlsError};
use tokio::time::timeout;

pub use address::{Address, NotAnAddress};
pub use error::Error;

use crate::base::causes::{causes, innermost};
use crate::io::retry_after::RetryAfter;
use crate::io::{resolve, tls};

/// The timeout for a whole message, from the resolution of the name to the status.
const LONGEST: Duration = Duration::from_secs(30);
const AGENT: &str = concat!("enphased/", env!("CARGO_PKG_VERSION"));

/// A message to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The content type.
    pub content_type: &'static str,
    /// Further headers. Values are ASCII.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

/// Sends `message` once. `now` is for a `Retry-After` that names a time. Returns the status of success.
pub async fn send(address: &Address, message: &Message, now: Timestamp) -> Result<u16, Error> {
    let sent = timeout(LONGEST, try_send(address, message, now)).await;
    sent.unwrap_or_else(|_late| Err(late()))
}

fn late() -> Error {
    Error::Unreachable(format!("no response within {} s", LONGEST.as_secs()))
}

async fn try_send(address: &Address, message: &Message, now: Timestamp) -> Result<u16, Error> {
    let url = address.url().ok_or_else(|| Error::Unreachable("the address is invalid".to_owned()))?;
    let addresses = addresses(&url).await?;
    // Created for each message: the certificate authorities take memory, and messages are rare.
    let client = client(&url, &addresses)?;
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(message.content_type));
    for (name, value) in &message.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(*name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    let request = client.post(url).headers(headers).body(message.body.clone());
    let response = request.send().await.map_err(|error| failure(&error))?;
    let status = response.status().as_u16();
    // Dropping the response closes the connection, however long its body is.
    Error::of_status(status, retry_after(response.headers(), now)).map_or(Ok(status), Err)
}

/// Returns the addresses of the server. With plain http, each has to be private.
async fn addresses(url: &Url) -> Result<Vec<SocketAddr>, Error> {
    let unresolved = |why: String| Error::Unreachable(format!("its name cannot be resolved ({why})"));
    let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(443));
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let found = resolve::resolve(bare, port).await.map_err(|error| unresolved(innermost(&error)))?;
    if found.is_empty() {
        return Err(unresolved("it has no address".to_owned()));
    }
    let is_plain = url.scheme() == "http";
    if is_plain && found.iter().any(|address| !address::is_private(address.ip())) {
        return Err(Error::NotEncrypted);
    }
    Ok(found)
}

/// Creates a client that connects to these addresses only, so that a name does not lead elsewhere after the check.
fn client(url: &Url, addresses: &[SocketAddr]) -> Result<Client, Error> {
    let tls = if url.scheme() == "http" {
        tls::empty_config().map_err(|error| error.to_string())
    } else {
        tls::cloud_config().map_err(|error| {
            format!(
                "the certificate authorities of this machine cannot be read ({error}); install the package \
                 ca-certificates, or correct SSL_CERT_FILE"
            )
        })
    };
    let builder = Client::builder()
        .tls_backend_preconfigured(tls.map_err(Error::Untrusted)?)
        .redirect(Policy::none())
        // A proxy from the environment would see the secret in a plain address.
        .no_proxy()
        .retry(reqwest::retry::never())
        .timeout(LONGEST)
        .resolve_to_addrs(url.host_str().unwrap_or_default(), addresses);
    builder.build().map_err(|_error| Error::Untrusted("the HTTP client cannot be created".to_owned()))
}

/// Converts an error of the client. Its own text contains the address.
fn failure(error: &reqwest::Error) -> Error {
    if error.is_timeout() {
        return late();
    }
    if let Some(why) = distrust(error) {
        return Error::Untrusted(why);
    }
    Error::Unreachable(error.source().map_or_else(|| "the message could not be sent".to_owned(), innermost))
}

/// Returns the reason that the TLS library rejected the server, without its name, which is a part of the address.
fn distrust(error: &reqwest::Error) -> Option<String> {
    let error = causes(error).find_map(|cause| cause.downcast_ref::<TlsError>())?;
    Some(match error {
        TlsError::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "its certificate is for another name".to_owned(),
        other => tls::in_words(other),
    })
}

/// Returns the delay that the server asked for.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    Some(RetryAfter::parse(text(RETRY_AFTER)?, text(DATE))?.from(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn plain_http_to_an_address_on_the_internet_is_refused_when_it_is_known() {
        let resolved = async |url: &str| addresses(&Url::parse(url).unwrap()).await;
        // As after the resolution of a name: the configuration has not seen the address.
        assert_eq!(resolved("http://93.184.216.34/x").await, Err(Error::NotEncrypted));
        assert_eq!(resolved("http://[::ffff:93.184.216.34]/x").await, Err(Error::NotEncrypted));
        assert_eq!(resolved("http://localhost:81/x").await.unwrap()[0].port(), 81);
        assert!(resolved("https://93.184.216.34/x").await.is_ok());
    }
}
