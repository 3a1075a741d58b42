//! A connected gateway: located, identified, and its key compared with the remembered one. Before that, only `/info` is
//! requested.
//!
//! Requests are sent one at a time, a token is checked once per session, and a 401 is retried once. A token or a
//! password is bound to its gateway (see [`peer`](super::peer)), and is dropped when another serial number responds.

use std::time::Duration;

use hyper::header::{AUTHORIZATION, COOKIE};
use tokio::time::Instant;

use super::Endpoint;
use super::credentials::Credentials;
use super::digest::Digest;
use super::error::{Error, Stage};
use super::http::Request;
use super::identify::Identified;
use super::info::Info;
use super::peer::BoundSecret;
use super::recipient::SendError;
use super::response::Response;
use super::session::{Session, TokenVerdict};
use super::wire::inverters::Inverters;
use super::wire::meters::Meters;
use super::wire::production::Production;
use crate::base::reading::Serial;
use crate::base::secrets::Secret;
use crate::io::tls::Fingerprint;
use crate::io::token::Token;

/// The page that returns whether the gateway accepts a token.
const CHECK_JWT: &str = "/auth/check_jwt";
/// The size limit in bytes of a response that is not a page. Such a response has a sentence or two.
const SHORT_RESPONSE: usize = 16 << 10;
/// The shortest interval between two attempts to check a token with pages.
const PAGE_CHECK_INTERVAL: Duration = Duration::from_secs(10 * 60);
/// The pages that every gateway with firmware 7 and later shows to every role, the shortest first.
const PAGES_FOR_ALL: [Endpoint; 3] = [Endpoint::Meters, Endpoint::Production, Endpoint::Inverters];

/// Returns whether `body` is this one of [`PAGES_FOR_ALL`].
fn is_page(endpoint: Endpoint, body: &[u8]) -> bool {
    match endpoint {
        Endpoint::Meters => Meters::parse(body).is_ok(),
        Endpoint::Production => Production::parse(body).is_ok(),
        Endpoint::Inverters => Inverters::parse(body).is_ok(),
        _ => false,
    }
}

/// An identified gateway that may be read, one request at a time.
#[derive(Debug)]
pub struct Connected {
    gateway: Identified,
    credentials: Credentials,
    /// The responses about the token in use since the last call of [`Self::take_token_verdict`].
    verdict: TokenVerdict,
    takes_password: bool,
    /// When a token was last checked with pages.
    pages_tried: Option<Instant>,
}

impl Connected {
    /// Creates a connected gateway from one whose key has been checked. `takes_password` is whether a configured
    /// password may be sent to it.
    pub(super) fn new(gateway: Identified, takes_password: bool) -> Self {
        let credentials = Credentials::needed_by(&gateway.info, &gateway.peer);
        Self { gateway, credentials, verdict: TokenVerdict::default(), takes_password, pages_tried: None }
    }

    /// The gateway's serial number.
    pub fn serial(&self) -> &Serial {
        &self.gateway.peer.serial
    }

    /// The last response to `/info`.
    pub fn info(&self) -> &Info {
        &self.gateway.info
    }

    /// When `/info` was last read.
    pub fn identified_at(&self) -> Instant {
        self.gateway.seen_at
    }

    /// The gateway's address, as configured or announced.
    pub fn address(&self) -> String {
        self.gateway.connection.location().address.to_string()
    }

    /// The key that the gateway has proven to own. `None` over plain http, and where certificates are not checked.
    pub fn key(&self) -> Option<Fingerprint> {
        self.gateway.peer.proof.key()
    }

    /// The number of requests sent so far.
    pub fn requests(&self) -> u64 {
        self.gateway.connection.requests()
    }

    /// Uses `token` for the following requests. A token that differs from the previous one begins a new session. The
    /// token of another gateway is refused, and the previous one is dropped.
    pub fn use_token(&mut self, token: &Token) -> Result<(), Error> {
        let bound = self.credentials.bind(token, &self.gateway);
        if let Credentials::Token(session) = &mut self.credentials {
            if session.token() != bound.as_ref().ok() {
                self.verdict = TokenVerdict::default();
            }
            session.use_token(bound.as_ref().ok());
        }
        bound.map(|_| ())
    }

    /// Returns and clears the responses about the token in use.
    pub fn take_token_verdict(&mut self) -> TokenVerdict {
        std::mem::take(&mut self.verdict)
    }

    /// Returns whether a configured password may be sent to this gateway: its firmware is before 7, and the password
    /// has not been sent to another gateway.
    pub fn takes_password(&self) -> bool {
        self.takes_password && matches!(self.credentials, Credentials::Digest(_))
    }

    /// Uses a configured user (firmware before 7) for the following requests, where [`Self::takes_password`] allows it.
    /// The default user is `envoy`, whose password is the end of the serial number.
    pub fn use_password(&mut self, user: &str, password: &Secret) {
        if let Credentials::Digest(digest) = &mut self.credentials
            && self.takes_password
            && !digest.as_ref().is_some_and(|digest| digest.is_for(user, password))
        {
            *digest = Some(Digest::new(user, password));
        }
    }

    /// Reads `/info` again. Returns an error if another gateway responds; that gateway is not read any further.
    pub async fn confirm(&mut self) -> Result<(), Error> {
        let needed_token = self.gateway.info.needs_token();
        let confirmed = self.gateway.confirm().await;
        if let Err(Error::Replaced { .. }) = confirmed {
            self.credentials = Credentials::Nothing;
        } else if self.gateway.info.needs_token() != needed_token {
            self.credentials = Credentials::needed_by(&self.gateway.info, &self.gateway.peer);
        }
        confirmed
    }

    /// Checks whether the gateway accepts `token`, which need not be the one in use. Only [`Error::TokenRefused`] is a
    /// refusal; any other error says nothing about the token.
    pub async fn check_token(&mut self, token: &Token) -> Result<(), Error> {
        let bound = self.credentials.bind(token, &self.gateway)?;
        self.check(&bound).await
    }

    /// Checks a token like [`check_token`](Self::check_token). If that says nothing about the token, requests pages
    /// that every gateway shows to every role, with `token` alone. A returned page means that the token is accepted; a
    /// refused page says nothing (L3).
    pub async fn try_token(&mut self, token: &Token) -> Result<(), Error> {
        let bound = self.credentials.bind(token, &self.gateway)?;
        let unclear = match self.check(&bound).await {
            Err(error) if error.says_nothing_about_token() => error,
            checked => return checked,
        };
        if self.pages_tried.is_some_and(|at| at.elapsed() < PAGE_CHECK_INTERVAL) {
            return Err(unclear);
        }
        self.pages_tried = Some(Instant::now());
        for endpoint in PAGES_FOR_ALL {
            let mut request = Request::get(endpoint.path(), endpoint.page().limit);
            request.put(AUTHORIZATION, bound.clone());
            let response = self.send(&request).await?;
            // A gateway that is starting returns an HTML page in place of any other.
            if response.into_body(endpoint.path()).is_ok_and(|body| is_page(endpoint, &body)) {
                return Ok(());
            }
        }
        Err(unclear)
    }

    /// Reads the body of a page.
    pub async fn get(&mut self, endpoint: Endpoint) -> Result<Vec<u8>, Error> {
        self.request(Request::get(endpoint.path(), endpoint.page().limit)).await
    }

    /// Posts `json` to `path`, for example to start the stream of live values; returns the body of the response.
    pub async fn post(&mut self, path: &'static str, json: &str) -> Result<Vec<u8>, Error> {
        self.request(Request::post(path, json, SHORT_RESPONSE)).await
    }

    async fn request(&mut self, request: Request<'_>) -> Result<Vec<u8>, Error> {
        let path = request.path;
        let response = match &self.credentials {
            Credentials::Token(_) => self.request_with_token(request).await?,
            Credentials::Digest(_) => self.request_with_digest(request).await?,
            Credentials::Nothing => return Err(Error::NoToken),
        };
        response.into_body(path)
    }

    /// Sends a request to this gateway. If the connection does not prove that it leads there, `/info` is read first.
    async fn send(&mut self, request: &Request<'_>) -> Result<Response, Error> {
        match self.gateway.connection.send(&self.gateway.peer, request).await {
            Err(SendError::Unidentified) => {}
            sent => return Ok(sent?),
        }
        let needed_token = self.gateway.info.needs_token();
        self.confirm().await?;
        if self.gateway.info.needs_token() != needed_token {
            let why = "the firmware has just changed".to_owned();
            let (address, path) = (self.address(), request.path);
            return Err(Error::Unreachable { address, path, stage: Stage::Handshake, why });
        }
        Ok(self.gateway.connection.send(&self.gateway.peer, request).await?)
    }

    /// Sends a request with token and cookie. A 401 may mean that the session has ended (a restart, 10 minutes without
    /// use), so the session is opened again, once. A second 401 is attributed to the page.
    async fn request_with_token(&mut self, mut request: Request<'_>) -> Result<Response, Error> {
        let was_open = self.session()?.is_open();
        if !was_open {
            self.open_session().await?;
        }
        let mut response = self.send_with_session(&mut request).await?;
        if response.status == 401 && was_open && !self.session()?.attributes_401_to_page() {
            self.session()?.close();
            self.open_session().await?;
            response = self.send_with_session(&mut request).await?;
            if response.status == 401 {
                self.session()?.record_page_refusal();
            }
        }
        if matches!(response.status, 200..=299)
            && let Some(why) = self.session()?.record_read().map(str::to_owned)
        {
            tracing::warn!(gateway = %self.address(), "{why}; reading pages with the token anyway");
        }
        Ok(response)
    }

    fn session(&mut self) -> Result<&mut Session, Error> {
        match &mut self.credentials {
            Credentials::Token(session) if session.token().is_some() => Ok(session),
            _ => Err(Error::NoToken),
        }
    }

    /// Checks the token in use. If the gateway neither accepts nor refuses it, its pages may still accept it.
    async fn open_session(&mut self) -> Result<(), Error> {
        let token = self.session()?.token().cloned().ok_or(Error::NoToken)?;
        match self.check(&token).await {
            Err(error) if error.says_nothing_about_token() => Ok(()),
            checked => checked,
        }
    }

    async fn send_with_session(&mut self, request: &mut Request<'_>) -> Result<Response, Error> {
        let session = self.session()?;
        request.put(AUTHORIZATION, session.token().cloned().ok_or(Error::NoToken)?);
        if let Some(cookie) = session.cookie() {
            request.put(COOKIE, cookie.clone());
        }
        let response = self.send(request).await?;
        if !matches!(response.status, 401 | 403) {
            let cookie = self.cookie(&response);
            self.session()?.update_cookie(cookie);
        }
        Ok(response)
    }

    /// Checks `token`, and opens its session if it is the one in use.
    async fn check(&mut self, token: &BoundSecret) -> Result<(), Error> {
        let checked = self.check_jwt(token).await;
        if let Credentials::Token(session) = &mut self.credentials
            && session.token() == Some(token)
        {
            match &checked {
                Ok(_) => self.verdict = TokenVerdict { accepted: true, refused: false },
                Err(Error::TokenRefused) => self.verdict.refused = true,
                Err(_) => {}
            }
            match &checked {
                Ok(cookie) if session.open(cookie.clone()) => {
                    tracing::info!(gateway = %self.gateway.connection.location().address, "{CHECK_JWT} accepts the token again");
                }
                Err(Error::TokenRefused) => session.close(),
                Err(error) if error.says_nothing_about_token() => session.record_unclear(error.to_string()),
                Ok(_) | Err(_) => {}
            }
        }
        checked.map(|_cookie| ())
    }

    /// Sends `token` without a cookie, which would be accepted in its place; returns the cookie of the new session.
    async fn check_jwt(&mut self, token: &BoundSecret) -> Result<Option<BoundSecret>, Error> {
        let mut request = Request::get(CHECK_JWT, SHORT_RESPONSE);
        request.put(AUTHORIZATION, token.clone());
        let response = self.send(&request).await?;
        if response.status == 401 {
            return Err(Error::TokenRefused);
        }
        let (cookie, accepted) = (self.cookie(&response), response.body_contains(">valid token"));
        response.into_body(CHECK_JWT)?;
        if cookie.is_none() && !accepted {
            // A 200 from a device in between, such as a proxy, says nothing about the token.
            let why = "it says nothing about the token".to_owned();
            return Err(Error::Malformed { path: CHECK_JWT, why });
        }
        Ok(cookie)
    }

    /// Returns the session cookie in `response`, bound to this gateway.
    fn cookie(&self, response: &Response) -> Option<BoundSecret> {
        response.session().map(|cookie| BoundSecret::new(cookie, &self.gateway.peer))
    }

    /// Sends a request to firmware before 7. Most pages are open; the others send one challenge, whose nonce is used
    /// again.
    async fn request_with_digest(&mut self, mut request: Request<'_>) -> Result<Response, Error> {
        let response = self.send_with_digest(&mut request).await?;
        let Credentials::Digest(Some(digest)) = &mut self.credentials else { return Ok(response) };
        if response.status == 401 && response.challenges().any(|challenge| digest.take_challenge(challenge)) {
            return self.send_with_digest(&mut request).await;
        }
        Ok(response)
    }

    async fn send_with_digest(&mut self, request: &mut Request<'_>) -> Result<Response, Error> {
        if let Credentials::Digest(Some(digest)) = &mut self.credentials
            && let Some(authorization) = digest.authorization(&request.method, request.path, request.json)
        {
            request.put(AUTHORIZATION, BoundSecret::new(authorization, &self.gateway.peer));
        }
        self.send(request).await
    }
}
