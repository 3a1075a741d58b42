//! The Enphase cloud: log in, fetch a token. Two requests (flow A of the protocol notes, section 1.1), made
//! only when the rules of `logins` say so, and never again by themselves.

pub mod answer;

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;

use crate::reading::Serial;
use crate::secrets::{Credentials, Secret};
use crate::tls;
use answer::{Answer, Failure};

/// What the cloud is told of us; without a user agent it answers 406 since September 2025.
const AGENT: &str = concat!("enphased/", env!("CARGO_PKG_VERSION"));

/// Far more than any answer of the cloud.
const LONGEST: usize = 256 * 1024;

/// For the connection.
const CONNECT: Duration = Duration::from_secs(10);

/// For a whole request, so that an answer that trickles ends too.
const WHOLE: Duration = Duration::from_secs(60);

/// Where the two services of the cloud are, without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Where one logs in.
    pub enlighten: String,
    /// Where tokens are made.
    pub entrez: String,
}

/// A client for one login; dropped after it, because the certificate authorities it holds take memory.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    addresses: Addresses,
}

impl Client {
    /// A client that verifies the cloud's certificates by the platform's authorities. Building it sends
    /// nothing.
    pub fn new(addresses: &Addresses) -> Result<Self, Failure> {
        // A simulated cloud on loopback shows no certificate, and its machine may have no authorities.
        let plain = [&addresses.enlighten, &addresses.entrez].iter().all(|url| url.starts_with("http://"));
        let tls = if plain { tls::empty_config() } else { tls::cloud_config() };
        let tls = tls.map_err(|error| {
            Failure::transient(format!(
                "its certificate could not be checked, because this machine's certificate authorities cannot be \
                 read ({error}); installing the package ca-certificates helps"
            ))
        })?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(AGENT)
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT)
            .timeout(WHOLE)
            .build()
            .map_err(|error| Failure::transient(reason(&error)))?;
        Ok(Self { http, addresses: addresses.clone() })
    }

    /// Logs in. Each success costs the account one of its sessions, which nothing gives back.
    pub async fn login(&self, credentials: &Credentials) -> Result<Secret, Failure> {
        let form =
            [("user[email]", &*credentials.username), ("user[password]", credentials.password.expose())];
        let url = format!("{}/login/login.json", self.addresses.enlighten);
        let request = self.http.post(url).header(ACCEPT, "application/json").form(&form);
        answer::login(&self.send(request).await?)
    }

    /// Fetches the token of the gateway `serial` on a session that is open.
    pub async fn fetch_token(
        &self,
        session: &Secret,
        serial: &Serial,
        username: &str,
    ) -> Result<Secret, Failure> {
        let body = serde_json::json!({
            "session_id": session.expose(), "serial_num": serial.as_str(), "username": username,
        });
        let url = format!("{}/tokens", self.addresses.entrez);
        let request = self.http.post(url).header(ACCEPT, "*/*").header(CONTENT_TYPE, "application/json");
        answer::token(&self.send(request.body(body.to_string())).await?)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer, Failure> {
        let failed = |error: reqwest::Error| Failure::transient(reason(&error));
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let header = |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let (retry_after, date) = (header(RETRY_AFTER), header(DATE));
        let (retry_after, date) = (retry_after.map(str::to_owned), date.map(str::to_owned));
        let is_html = says_html(response.headers());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > LONGEST {
                return Err(Failure::transient(format!("its answer was longer than {LONGEST} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, retry_after, date, is_html, body })
    }
}

fn says_html(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.to_ascii_lowercase().contains("html"))
}

/// The innermost cause, without the address, which may be long, and without anything that was sent.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause = error.source();
    while let Some(inner) = cause.and_then(std::error::Error::source) {
        cause = Some(inner);
    }
    cause.map_or_else(|| "the request could not be made".to_owned(), ToString::to_string)
}
