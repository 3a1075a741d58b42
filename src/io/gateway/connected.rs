//! A connected gateway: located, identified, its key judged. Nothing but `/info` is asked of a gateway before it is one.
//!
//! It has the gateway's manners: one request at a time, a token checked once per session, one more try after a 401. A
//! token or a password is bound to the gateway that it is for (see [`peer`](super::peer)), and is dropped when another
//! serial number answers.

use std::time::Duration;

use hyper::header::{AUTHORIZATION, COOKIE};
use tokio::time::Instant;

use super::answer::Answer;
use super::delivery::Undelivered;
use super::digest::Digest;
use super::exchange::Request;
use super::info::Info;
use super::page_access::Access;
use super::peer::Bound;
use super::session::{Session, Word};
use super::sight::Sighted;
use super::wire::inverters::Inverters;
use super::wire::meters::Meters;
use super::wire::production::Production;
use super::{Endpoint, Error};
use crate::base::reading::Serial;
use crate::base::secrets::Secret;
use crate::io::tls::Fingerprint;
use crate::io::token::Token;

/// Where a gateway says whether it accepts a token.
const CHECK_JWT: &str = "/auth/check_jwt";
/// How many bytes a response may have that is no page: a sentence or two.
const SHORT: usize = 16 << 10;
/// Pages are asked for to judge a token no more often than this.
const TRIED_AGAIN: Duration = Duration::from_secs(10 * 60);
/// The pages that firmware 7 and later has on every gateway and shows to every role, the shortest first.
const SHOWN_TO_ALL: [Endpoint; 3] = [Endpoint::Meters, Endpoint::Production, Endpoint::Inverters];

/// Whether `body` is one of [`SHOWN_TO_ALL`].
fn is_shown(endpoint: Endpoint, body: &[u8]) -> bool {
    match endpoint {
        Endpoint::Meters => Meters::parse(body).is_ok(),
        Endpoint::Production => Production::parse(body).is_ok(),
        Endpoint::Inverters => Inverters::parse(body).is_ok(),
        _ => false,
    }
}

/// A gateway that has named itself and may be read, one request at a time.
#[derive(Debug)]
pub struct Connected {
    sighted: Sighted,
    access: Access,
    /// What it said of the token in use since that was looked at last.
    word: Word,
    takes_password: bool,
    /// When pages were last asked for to judge a token.
    pages_tried: Option<Instant>,
}

impl Connected {
    /// Takes a gateway whose key has been judged. `takes_password` says whether a configured password may be sent to
    /// it.
    pub(super) fn new(sighted: Sighted, takes_password: bool) -> Self {
        let access = Access::to(&sighted.info, &sighted.peer);
        Self { sighted, access, word: Word::default(), takes_password, pages_tried: None }
    }

    /// The gateway's serial number.
    pub fn serial(&self) -> &Serial {
        &self.sighted.peer.serial
    }

    /// What the gateway said of itself when it was asked last.
    pub fn info(&self) -> &Info {
        &self.sighted.info
    }

    /// When it was asked last who it is.
    pub fn asked(&self) -> Instant {
        self.sighted.asked
    }

    /// The gateway's address, as it was written or announced.
    pub fn address(&self) -> String {
        self.sighted.connection.place().address.to_string()
    }

    /// The key that the gateway has proven to own; `None` over plain http, and where certificates are not checked.
    pub fn key(&self) -> Option<Fingerprint> {
        self.sighted.peer.proof.key()
    }

    /// How many requests have been sent so far.
    pub fn requests(&self) -> u64 {
        self.sighted.connection.requests()
    }

    /// Uses `token` for what follows. Another one than before begins a new session; the token of another gateway is
    /// not taken, and the one before is dropped.
    pub fn use_token(&mut self, token: &Token) -> Result<(), Error> {
        let bound = self.access.bound(token, &self.sighted);
        if let Access::Token(session) = &mut self.access {
            if session.token() != bound.as_ref().ok() {
                self.word = Word::default();
            }
            session.use_token(bound.as_ref().ok());
        }
        bound.map(|_| ())
    }

    /// What the gateway has said of the token in use since this was asked last.
    pub fn take_word(&mut self) -> Word {
        std::mem::take(&mut self.word)
    }

    /// Whether a configured password goes to this gateway: its firmware is before 7, and the password has not been
    /// another gateway's.
    pub fn takes_password(&self) -> bool {
        self.takes_password && matches!(self.access, Access::Digest(_))
    }

    /// Uses a configured user of firmware before 7 for what follows, where [`Self::takes_password`] allows it. Without
    /// one the user is `envoy`, whose password is the end of the serial number.
    pub fn use_password(&mut self, user: &str, password: &Secret) {
        if let Access::Digest(digest) = &mut self.access
            && self.takes_password
            && !digest.as_ref().is_some_and(|digest| digest.is_for(user, password))
        {
            *digest = Some(Digest::new(user, password));
        }
    }

    /// Asks the gateway again who it is. An error where that is another gateway, which then is read no more.
    pub async fn confirm(&mut self) -> Result<(), Error> {
        let needed_token = self.sighted.info.needs_token();
        let confirmed = self.sighted.confirm().await;
        if let Err(Error::Replaced { .. }) = confirmed {
            self.access = Access::Nothing;
        } else if self.sighted.info.needs_token() != needed_token {
            self.access = Access::to(&self.sighted.info, &self.sighted.peer);
        }
        confirmed
    }

    /// Asks whether the gateway accepts `token`, which need not be the one in use. [`Error::TokenRefused`] if it
    /// refuses it; any other error judges nothing.
    pub async fn check_token(&mut self, token: &Token) -> Result<(), Error> {
        let bound = self.access.bound(token, &self.sighted)?;
        self.check(&bound).await
    }

    /// As [`check_token`](Self::check_token), and where that judges nothing, the pages that every gateway shows to every
    /// token are asked for with `token` alone: one that is shown accepts it. A page's refusal judges nothing (L3).
    pub async fn try_token(&mut self, token: &Token) -> Result<(), Error> {
        let bound = self.access.bound(token, &self.sighted)?;
        let unclear = match self.check(&bound).await {
            Err(error) if error.leaves_token_unjudged() => error,
            checked => return checked,
        };
        if self.pages_tried.is_some_and(|at| at.elapsed() < TRIED_AGAIN) {
            return Err(unclear);
        }
        self.pages_tried = Some(Instant::now());
        for endpoint in SHOWN_TO_ALL {
            let mut request = Request::get(endpoint.path(), endpoint.page().limit);
            request.put(AUTHORIZATION, bound.clone());
            let answer = self.send(&request).await?;
            // A gateway that is starting shows a page for people in place of any other.
            if answer.into_body(endpoint.path()).is_ok_and(|body| is_shown(endpoint, &body)) {
                return Ok(());
            }
        }
        Err(unclear)
    }

    /// Reads the body of a page.
    pub async fn get(&mut self, endpoint: Endpoint) -> Result<Vec<u8>, Error> {
        self.ask(Request::get(endpoint.path(), endpoint.page().limit)).await
    }

    /// Sends `json` to `path`, such as what starts the stream of live values; returns the response's body.
    pub async fn post(&mut self, path: &'static str, json: &str) -> Result<Vec<u8>, Error> {
        self.ask(Request::post(path, json, SHORT)).await
    }

    async fn ask(&mut self, request: Request<'_>) -> Result<Vec<u8>, Error> {
        let path = request.path;
        let answer = match &self.access {
            Access::Token(_) => self.ask_with_token(request).await?,
            Access::Digest(_) => self.ask_with_digest(request).await?,
            Access::Nothing => return Err(Error::NoToken),
        };
        answer.into_body(path)
    }

    /// Asks this gateway, on a connection that is known to lead to it: one that proves nothing is asked first who is
    /// there.
    async fn send(&mut self, request: &Request<'_>) -> Result<Answer, Error> {
        match self.sighted.connection.send(&self.sighted.peer, request).await {
            Err(Undelivered::Unnamed) => {}
            sent => return Ok(sent?),
        }
        let needed_token = self.sighted.info.needs_token();
        self.confirm().await?;
        if self.sighted.info.needs_token() != needed_token {
            let why = "its firmware has just changed".to_owned();
            let (address, path) = (self.address(), request.path);
            return Err(Error::Unreachable { address, path, connected: false, why });
        }
        Ok(self.sighted.connection.send(&self.sighted.peer, request).await?)
    }

    /// With token and cookie. A 401 may mean that the session has ended (a restart, 10 minutes without use), so
    /// it is opened again, once; a second 401 is about the page.
    async fn ask_with_token(&mut self, mut request: Request<'_>) -> Result<Answer, Error> {
        let was_open = self.session()?.is_open();
        if !was_open {
            self.open_session().await?;
        }
        let mut answer = self.send_with_session(&mut request).await?;
        if answer.status == 401 && was_open && !self.session()?.is_vouched_for() {
            self.session()?.close();
            self.open_session().await?;
            answer = self.send_with_session(&mut request).await?;
            if answer.status == 401 {
                self.session()?.vouch();
            }
        }
        if matches!(answer.status, 200..=299)
            && let Some(why) = self.session()?.read_unjudged().map(str::to_owned)
        {
            tracing::warn!(gateway = %self.address(), "{why}; pages are read with the token all the same");
        }
        Ok(answer)
    }

    fn session(&mut self) -> Result<&mut Session, Error> {
        match &mut self.access {
            Access::Token(session) if session.token().is_some() => Ok(session),
            _ => Err(Error::NoToken),
        }
    }

    /// Asks about the token in use. Where the gateway neither accepts nor refuses it, its pages may accept it.
    async fn open_session(&mut self) -> Result<(), Error> {
        let token = self.session()?.token().cloned().ok_or(Error::NoToken)?;
        match self.check(&token).await {
            Err(error) if error.leaves_token_unjudged() => Ok(()),
            checked => checked,
        }
    }

    async fn send_with_session(&mut self, request: &mut Request<'_>) -> Result<Answer, Error> {
        let session = self.session()?;
        request.put(AUTHORIZATION, session.token().cloned().ok_or(Error::NoToken)?);
        if let Some(cookie) = session.cookie() {
            request.put(COOKIE, cookie.clone());
        }
        let answer = self.send(request).await?;
        if !matches!(answer.status, 401 | 403) {
            let cookie = self.cookie(&answer);
            self.session()?.adopt(cookie);
        }
        Ok(answer)
    }

    /// Asks about `token`; opens its session where it is the one in use.
    async fn check(&mut self, token: &Bound) -> Result<(), Error> {
        let checked = self.check_jwt(token).await;
        if let Access::Token(session) = &mut self.access
            && session.token() == Some(token)
        {
            match &checked {
                Ok(_) => self.word = Word { accepted: true, refused: false },
                Err(Error::TokenRefused) => self.word.refused = true,
                Err(_) => {}
            }
            match &checked {
                Ok(cookie) if session.open(cookie.clone()) => {
                    tracing::info!(gateway = %self.sighted.connection.place().address, "{CHECK_JWT} accepts the token again");
                }
                Err(Error::TokenRefused) => session.close(),
                Err(error) if error.leaves_token_unjudged() => session.leave_unjudged(error.to_string()),
                Ok(_) | Err(_) => {}
            }
        }
        checked.map(|_cookie| ())
    }

    /// Shows `token` alone, because a cookie would be accepted in its place; returns the new session's cookie.
    async fn check_jwt(&mut self, token: &Bound) -> Result<Option<Bound>, Error> {
        let mut request = Request::get(CHECK_JWT, SHORT);
        request.put(AUTHORIZATION, token.clone());
        let answer = self.send(&request).await?;
        if answer.status == 401 {
            return Err(Error::TokenRefused);
        }
        let (cookie, accepted) = (self.cookie(&answer), answer.says(">valid token"));
        answer.into_body(CHECK_JWT)?;
        if cookie.is_none() && !accepted {
            // A 200 of something that stands in between is no word about the token.
            let why = "it says nothing about the token".to_owned();
            return Err(Error::Malformed { path: CHECK_JWT, why });
        }
        Ok(cookie)
    }

    /// The session that `answer` opens, for this gateway alone.
    fn cookie(&self, answer: &Answer) -> Option<Bound> {
        answer.session().map(|cookie| Bound::new(cookie, &self.sighted.peer))
    }

    /// Before firmware 7: most pages are open, the others challenge once and then go on with the same nonce.
    async fn ask_with_digest(&mut self, mut request: Request<'_>) -> Result<Answer, Error> {
        let answer = self.send_with_digest(&mut request).await?;
        let Access::Digest(Some(digest)) = &mut self.access else { return Ok(answer) };
        if answer.status == 401 && answer.challenges().any(|challenge| digest.take_challenge(challenge)) {
            return self.send_with_digest(&mut request).await;
        }
        Ok(answer)
    }

    async fn send_with_digest(&mut self, request: &mut Request<'_>) -> Result<Answer, Error> {
        if let Access::Digest(Some(digest)) = &mut self.access
            && let Some(authorization) = digest.answer(&request.method, request.path, request.json)
        {
            request.put(AUTHORIZATION, Bound::new(authorization, &self.sighted.peer));
        }
        self.send(request).await
    }
}
