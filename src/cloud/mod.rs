//! The Enphase cloud: log in, fetch a token. Two requests (flow A of the protocol notes, section 1.1), made
//! only when the rules of `logins` say so, and never again by themselves.

pub mod answer;

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::reading::Serial;
use crate::secrets::{self, Credentials, Secret};
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
        let url = format!("{}/login/login.json", self.addresses.enlighten);
        let request = self.http.post(url).header(ACCEPT, "application/json").header(CONTENT_TYPE, FORM);
        answer::login(&self.send(request.body(form(credentials))).await?)
    }

    /// Fetches the token of the gateway `serial` on a session that is open.
    pub async fn fetch_token(
        &self,
        session: &Secret,
        serial: &Serial,
        username: &str,
    ) -> Result<Secret, Failure> {
        let wish = Wish { session_id: session.expose(), serial_num: serial.as_str(), username };
        let url = format!("{}/tokens", self.addresses.entrez);
        let request = self.http.post(url).header(ACCEPT, "*/*").header(CONTENT_TYPE, "application/json");
        answer::token(&self.send(request.body(wish.body())).await?)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer, Failure> {
        let failed = |error: reqwest::Error| Failure::transient(reason(&error));
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let header = |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let (retry_after, date) = (header(RETRY_AFTER), header(DATE));
        let (retry_after, date) = (retry_after.map(str::to_owned), date.map(str::to_owned));
        let is_html = says_html(response.headers());
        // All the room at once: a body that grows leaves pieces of itself behind, and it may hold a token.
        let mut body = Zeroizing::new(Vec::with_capacity(LONGEST));
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > LONGEST {
                return Err(Failure::transient(format!("its answer was longer than {LONGEST} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, retry_after, date, is_html, body })
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

/// The form of a login, wiped when it has been sent.
fn form(credentials: &Credentials) -> Bytes {
    let password = credentials.password.expose();
    // Each byte takes three at most.
    let room = 64 + 3 * (credentials.username.len() + password.len());
    let mut form = form_urlencoded::Serializer::new(String::with_capacity(room));
    form.append_pair("user[email]", &credentials.username).append_pair("user[password]", password);
    secrets::shared(Zeroizing::new(form.finish().into_bytes()))
}

/// What a token is asked for with.
#[derive(Serialize)]
struct Wish<'a> {
    session_id: &'a str,
    serial_num: &'a str,
    username: &'a str,
}

impl Wish<'_> {
    /// Its JSON, wiped when it has been sent.
    fn body(&self) -> Bytes {
        let mut json = Zeroizing::new(Vec::with_capacity(1024));
        // A Vec can be written to, and texts can be written as JSON.
        serde_json::to_writer(&mut *json, self).ok();
        secrets::shared(json)
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
