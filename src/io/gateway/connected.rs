//! A connected gateway: located, identified, and its key compared with the remembered one. Before that, only `/info` is
//! requested.
//!
//! Requests are sent one at a time, a token is checked once per session, and a 401 is retried once. A token or a
//! password is bound to its gateway (see [`peer`](super::peer)), and is dropped when another serial number responds.

use std::time::Duration;

use bytes::Bytes;
use hyper::header::{AUTHORIZATION, COOKIE};
use tokio::time::Instant;

use super::Endpoint;
use super::contact::{CHECK_JWT, Contact, SHORT_RESPONSE};
use super::credentials::Credentials;
use super::digest::Digest;
use super::error::Error;
use super::http::Request;
use super::identify::Identified;
use super::info::Info;
use super::page::{Fetched, Page};
use super::peer::BoundSecret;
use super::response::Response;
use super::session::{Session, TokenVerdict};
use crate::base::reading::Serial;
use crate::base::secrets::Secret;
use crate::base::tally::Tally;
use crate::io::tls::Fingerprint;
use crate::io::token::Token;

/// The shortest interval between two attempts to check a token with pages.
const PAGE_CHECK_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// An identified gateway that may be read, one request at a time.
#[derive(Debug)]
pub struct Connected {
    contact: Contact,
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
        let (contact, verdict) = (Contact::new(gateway), TokenVerdict::default());
        Self { contact, verdict, takes_password, pages_tried: None }
    }

    /// The gateway's serial number.
    pub fn serial(&self) -> &Serial {
        &self.contact.gateway.peer.serial
    }

    /// The last response to `/info`.
    pub fn info(&self) -> &Info {
        &self.contact.gateway.info
    }

    /// When `/info` was last read.
    pub fn identified_at(&self) -> Instant {
        self.contact.gateway.seen_at
    }

    /// The gateway's address, as configured or announced.
    pub fn address(&self) -> String {
        self.contact.address()
    }

    /// The key that the gateway has proven to own. `None` over plain http, and where certificates are not checked.
    pub fn key(&self) -> Option<Fingerprint> {
        self.contact.gateway.peer.proof.key()
    }

    /// The number of requests sent so far.
    pub fn requests(&self) -> u64 {
        self.contact.gateway.connection.requests()
    }

    /// Counts the following requests for `/info` and `/auth/check_jwt` in `tally`.
    pub fn count_in(&mut self, tally: &Tally) {
        self.contact.tally = tally.clone();
    }

    /// Uses `token` for the following requests. A token that differs from the previous one begins a new session. The
    /// token of another gateway is refused, and the previous one is dropped.
    pub fn use_token(&mut self, token: &Token) -> Result<(), Error> {
        let bound = self.contact.credentials.bind(token, &self.contact.gateway);
        if let Credentials::Token(session) = &mut self.contact.credentials {
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
        self.takes_password && matches!(self.contact.credentials, Credentials::Digest(_))
    }

    /// Uses a configured user (firmware before 7) for the following requests, where [`Self::takes_password`] allows it.
    /// The default user is `envoy`, whose password is the end of the serial number.
    pub fn use_password(&mut self, user: &str, password: &Secret) {
        if let Credentials::Digest(digest) = &mut self.contact.credentials
            && self.takes_password
            && !digest.as_ref().is_some_and(|digest| digest.is_for(user, password))
        {
            *digest = Some(Digest::new(user, password));
        }
    }

    /// Reads `/info` again. Returns an error if another gateway responds; that gateway is not read any further.
    pub async fn confirm(&mut self) -> Result<(), Error> {
        self.contact.confirm().await
    }

    /// Checks whether the gateway accepts `token`, which need not be the one in use. Only [`Error::TokenRefused`] is a
    /// refusal; any other error says nothing about the token.
    pub async fn check_token(&mut self, token: &Token) -> Result<(), Error> {
        let bound = self.contact.credentials.bind(token, &self.contact.gateway)?;
        self.check(&bound).await
    }

    /// Checks a token like [`Self::check_token`]. If that says nothing about it, requests pages that every gateway shows to
    /// every role, with `token` alone. A returned page means that the token is accepted; a refused one says nothing (L3).
    pub async fn try_token(&mut self, token: &Token) -> Result<(), Error> {
        let bound = self.contact.credentials.bind(token, &self.contact.gateway)?;
        let unclear = match self.check(&bound).await {
            Err(error) if error.says_nothing_about_token() => error,
            checked => return checked,
        };
        if self.pages_tried.is_some_and(|at| at.elapsed() < PAGE_CHECK_INTERVAL) {
            return Err(unclear);
        }
        self.pages_tried = Some(Instant::now());
        if self.contact.shows_page(&bound).await? { Ok(()) } else { Err(unclear) }
    }

    /// Reads the body of a page.
    pub async fn get(&mut self, endpoint: Endpoint) -> Result<Bytes, Error> {
        self.fetch(endpoint).await?.into_body()
    }

    /// Requests a page, and returns whatever the gateway returned.
    pub async fn fetch(&mut self, endpoint: Endpoint) -> Result<Fetched, Error> {
        self.request(Request::get(endpoint.path(), endpoint.page().limit)).await
    }

    /// Requests a page of at most `limit` bytes for another program. What the gateway refuses then says nothing about the
    /// token: only the poller's own requests lead to a verdict (L2). That it accepts the token counts.
    pub async fn fetch_for_program(&mut self, path: &'static str, limit: usize) -> Result<Fetched, Error> {
        let before = self.verdict;
        let fetched = self.request(Request::get(path, limit)).await;
        if self.verdict.refused {
            self.verdict = before;
        }
        fetched
    }

    /// Returns whether a body repeats the token or the cookie in use, as an error page that shows the request does.
    pub fn is_told_in(&self, body: &[u8]) -> bool {
        let Credentials::Token(session) = &self.contact.credentials else { return false };
        [session.token(), session.cookie()].into_iter().flatten().any(|secret| secret.is_in(body))
    }

    /// Returns the last response to `/info`, once.
    pub fn take_info_page(&mut self) -> Option<Page> {
        self.contact.gateway.page.take()
    }

    /// Posts `json` to `path`, for example to start the stream of live values; returns the body of the response.
    pub async fn post(&mut self, path: &'static str, json: &str) -> Result<Bytes, Error> {
        self.request(Request::post(path, json, SHORT_RESPONSE)).await?.into_body()
    }

    async fn request(&mut self, request: Request<'_>) -> Result<Fetched, Error> {
        let path = request.path;
        let response = match &self.contact.credentials {
            Credentials::Token(_) => self.request_with_token(request).await?,
            Credentials::Digest(_) => self.contact.send_with_digest(request).await?,
            Credentials::Nothing => return Err(Error::NoToken),
        };
        Ok(Fetched::new(response, path))
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
        match &mut self.contact.credentials {
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
        let response = self.contact.send(request).await?;
        if !matches!(response.status, 401 | 403) {
            let cookie = self.contact.cookie(&response);
            self.session()?.update_cookie(cookie);
        }
        Ok(response)
    }

    /// Checks `token`, and opens its session if it is the one in use.
    async fn check(&mut self, token: &BoundSecret) -> Result<(), Error> {
        let checked = self.contact.check_jwt(token).await;
        if let Credentials::Token(session) = &mut self.contact.credentials
            && session.token() == Some(token)
        {
            match &checked {
                Ok(_) => self.verdict = TokenVerdict { accepted: true, refused: false },
                Err(Error::TokenRefused) => self.verdict.refused = true,
                Err(_) => {}
            }
            match &checked {
                Ok(cookie) if session.open(cookie.clone()) => {
                    tracing::info!(gateway = %self.contact.gateway.connection.location().address, "{CHECK_JWT} accepts the token again");
                }
                Err(Error::TokenRefused) => session.close(),
                Err(error) if error.says_nothing_about_token() => session.record_unclear(error.to_string()),
                Ok(_) | Err(_) => {}
            }
        }
        checked.map(|_cookie| ())
    }
}
