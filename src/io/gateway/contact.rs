//! The contact with an identified gateway: its credentials are dropped as soon as another one responds.

use hyper::header::AUTHORIZATION;

use super::Endpoint;
use super::credentials::Credentials;
use super::error::{Error, Stage};
use super::http::Request;
use super::identify::Identified;
use super::info;
use super::peer::BoundSecret;
use super::recipient::SendError;
use super::response::Response;
use super::wire::inverters::Inverters;
use super::wire::meters::Meters;
use super::wire::production::Production;
use crate::base::tally::Tally;

/// The page that returns whether the gateway accepts a token.
pub(super) const CHECK_JWT: &str = "/auth/check_jwt";
/// The size limit in bytes of a response that is not a page. Such a response has a sentence or two.
pub(super) const SHORT_RESPONSE: usize = 16 << 10;
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

/// Returns the outcome of a request as a word for metrics.
pub(super) fn outcome<T>(result: &Result<T, Error>) -> &'static str {
    result.as_ref().map_or_else(Error::kind, |_| "ok")
}

/// An identified gateway and the credentials for it.
#[derive(Debug)]
pub(super) struct Contact {
    pub(super) gateway: Identified,
    pub(super) credentials: Credentials,
    /// Counts the requests for `/info` and [`CHECK_JWT`].
    pub(super) tally: Tally,
}

impl Contact {
    pub(super) fn new(gateway: Identified) -> Self {
        let credentials = Credentials::needed_by(&gateway.info, &gateway.peer);
        Self { gateway, credentials, tally: Tally::default() }
    }

    /// Returns the gateway's address, as configured or announced.
    pub(super) fn address(&self) -> String {
        self.gateway.connection.location().address.to_string()
    }

    /// Reads `/info` again. Returns an error if another gateway responds; that gateway is not read any further.
    pub(super) async fn confirm(&mut self) -> Result<(), Error> {
        let needed_token = self.gateway.info.needs_token();
        let confirmed = self.gateway.confirm().await;
        self.tally.count_request(info::PATH, outcome(&confirmed));
        if let Err(Error::Replaced { .. }) = confirmed {
            self.credentials = Credentials::Nothing;
        } else if self.gateway.info.needs_token() != needed_token {
            self.credentials = Credentials::needed_by(&self.gateway.info, &self.gateway.peer);
        }
        confirmed
    }

    /// Sends a request to this gateway. If the connection does not prove that it leads there, `/info` is read first.
    pub(super) async fn send(&mut self, request: &Request<'_>) -> Result<Response, Error> {
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

    /// Sends a request to firmware before 7. Most pages are open; the others send one challenge, whose nonce is used
    /// again.
    pub(super) async fn send_with_digest(&mut self, mut request: Request<'_>) -> Result<Response, Error> {
        let response = self.send_authorized(&mut request).await?;
        let Credentials::Digest(Some(digest)) = &mut self.credentials else { return Ok(response) };
        if response.status == 401 && response.challenges().any(|challenge| digest.take_challenge(challenge)) {
            return self.send_authorized(&mut request).await;
        }
        Ok(response)
    }

    async fn send_authorized(&mut self, request: &mut Request<'_>) -> Result<Response, Error> {
        if let Credentials::Digest(Some(digest)) = &mut self.credentials
            && let Some(authorization) = digest.authorization(&request.method, request.path, request.json)
        {
            request.put(AUTHORIZATION, BoundSecret::new(authorization, &self.gateway.peer));
        }
        self.send(request).await
    }

    /// Sends `token` without a cookie, which would be accepted in its place; returns the cookie of the new session.
    pub(super) async fn check_jwt(&mut self, token: &BoundSecret) -> Result<Option<BoundSecret>, Error> {
        let checked = self.ask_check_jwt(token).await;
        self.tally.count_request(CHECK_JWT, outcome(&checked));
        checked
    }

    async fn ask_check_jwt(&mut self, token: &BoundSecret) -> Result<Option<BoundSecret>, Error> {
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
    pub(super) fn cookie(&self, response: &Response) -> Option<BoundSecret> {
        response.session().map(|cookie| BoundSecret::new(cookie, &self.gateway.peer))
    }

    /// Requests pages that every gateway shows to every role, with `token` alone. Returns whether one was shown.
    pub(super) async fn shows_page(&mut self, token: &BoundSecret) -> Result<bool, Error> {
        for endpoint in PAGES_FOR_ALL {
            let mut request = Request::get(endpoint.path(), endpoint.page().limit);
            request.put(AUTHORIZATION, token.clone());
            let response = self.send(&request).await?;
            // A gateway that is starting returns an HTML page in place of any other.
            if response.into_body(endpoint.path()).is_ok_and(|body| is_page(endpoint, &body)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
