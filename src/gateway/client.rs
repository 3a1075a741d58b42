//! Requests to one gateway, with its manners: one at a time, a token checked once per session, one more try
//! after a 401, no password or token where it does not belong.

use hyper::header::{AUTHORIZATION, COOKIE};

use super::address::{Address, Scheme};
use super::answer::Answer;
use super::connection::Connection;
use super::digest::Digest;
use super::exchange::Request;
use super::info::{self, Info};
use super::session::Session;
use super::{Endpoint, Error};
use crate::secrets::Secret;
use crate::tls::Trust;

/// Where a gateway says whether it accepts a token.
const CHECK_JWT: &str = "/auth/check_jwt";
/// How many bytes a response may have that is no page: a sentence or two.
const SHORT: usize = 16 << 10;

/// A gateway, asked one question at a time.
#[derive(Debug)]
pub struct Client {
    connection: Connection,
    session: Session,
    digest: Option<Digest>,
    /// Whether the gateway wants a token, once it has said who it is.
    needs_token: Option<bool>,
}

impl Client {
    /// For the gateway at `address`, whose key is judged by `trust`; `agent` is the program's name and version.
    /// Nothing is sent yet.
    pub fn new(address: Address, trust: Trust, agent: &str) -> Result<Self, Error> {
        let connection = Connection::new(address, trust, agent)?;
        Ok(Self { connection, session: Session::default(), digest: None, needs_token: None })
    }

    /// Which key may be shown, and which one was. A rule set here holds from the next request on.
    pub fn trust(&self) -> &Trust {
        self.connection.trust()
    }

    /// How many requests have been sent so far.
    pub fn requests(&self) -> u64 {
        self.connection.requests()
    }

    /// The token for what follows, none before firmware 7. Another one than before begins a new session.
    pub fn use_token(&mut self, token: Option<&Secret>) {
        self.session.use_token(token);
    }

    /// The user for firmware before 7. Without one it is `envoy`, whose password is the end of the serial number
    /// that [`Self::info`] has given.
    pub fn use_digest(&mut self, user: &str, password: &Secret) {
        self.digest = Some(Digest::new(user, password));
    }

    /// Who the gateway is: cheap, open to anybody, and sent without token and cookie.
    pub async fn info(&mut self) -> Result<Info, Error> {
        let path = info::PATH;
        let odd = |why| Error::Malformed { path, why };
        let answer =
            self.connection.find(&Request::get(path, info::LIMIT)).await.map_err(|error| match error {
                // A router's or a printer's page for people.
                Error::TooLarge { .. } => odd(info::NO_GATEWAY.to_owned()),
                other => other,
            })?;
        let page = answer.into_body(path).map_err(|error| match error {
            Error::Missing { .. } | Error::Forbidden { .. } => odd(info::NO_PAGE.to_owned()),
            other => other,
        })?;
        let info = Info::parse(&page).map_err(odd)?;
        self.needs_token = Some(info.needs_token());
        if info.needs_token() {
            // It answered in the clear, perhaps while it starts; a token only ever goes over https.
            self.connection.forget_scheme();
        } else if self.digest.is_none() {
            self.digest = Digest::standard(info.serial.as_str());
        }
        Ok(info)
    }

    /// Asks whether the gateway accepts `token`, which need not be the one in use. [`Error::TokenRefused`] if it
    /// refuses it; any other error judges nothing.
    pub async fn check_token(&mut self, token: &Secret) -> Result<(), Error> {
        let checked = self.check_jwt(token).await;
        if self.session.token() == Some(token) {
            match &checked {
                Ok(cookie) if self.session.open(cookie.clone()) => {
                    tracing::info!(gateway = %self.connection.address(), "{CHECK_JWT} accepts the token again");
                }
                Err(Error::TokenRefused) => self.session.close(),
                Err(error) if error.leaves_token_unjudged() => {
                    self.session.leave_unjudged(error.to_string());
                }
                Ok(_) | Err(_) => {}
            }
        }
        checked.map(|_cookie| ())
    }

    /// The body of a page.
    pub async fn get(&mut self, endpoint: Endpoint) -> Result<Vec<u8>, Error> {
        self.ask(Request::get(endpoint.path(), endpoint.limit())).await
    }

    /// Sends `json` to `path`, such as what starts the stream of live values; gives the answer's body.
    pub async fn post(&mut self, path: &'static str, json: &str) -> Result<Vec<u8>, Error> {
        self.ask(Request::post(path, json, SHORT)).await
    }

    async fn ask(&mut self, request: Request<'_>) -> Result<Vec<u8>, Error> {
        let path = request.path;
        let answer = if self.session.token().is_some() {
            self.ask_with_token(request).await?
        } else if self.needs_token == Some(true) {
            return Err(Error::NoToken);
        } else {
            self.ask_with_digest(request).await?
        };
        answer.into_body(path)
    }

    /// With token and cookie. A 401 may mean that the session has ended (a restart, 10 minutes without use), so
    /// it is opened again, once; a second 401 is about the page.
    async fn ask_with_token(&mut self, mut request: Request<'_>) -> Result<Answer, Error> {
        let was_open = self.session.is_open();
        if !was_open {
            self.open_session().await?;
        }
        let mut answer = self.send_with_session(&mut request).await?;
        if answer.status == 401 && was_open && !self.session.is_vouched_for() {
            self.session.close();
            self.open_session().await?;
            answer = self.send_with_session(&mut request).await?;
            if answer.status == 401 {
                self.session.vouch();
            }
        }
        if matches!(answer.status, 200..=299)
            && let Some(why) = self.session.read_unjudged()
        {
            let gateway = self.connection.address();
            tracing::warn!(%gateway, "{why}; pages are read with the token all the same");
        }
        Ok(answer)
    }

    /// Asks about the token in use. Where the gateway neither accepts nor refuses it, its pages may accept it.
    async fn open_session(&mut self) -> Result<(), Error> {
        let token = self.session.token().cloned().ok_or(Error::NoToken)?;
        match self.check_token(&token).await {
            Err(error) if error.leaves_token_unjudged() => Ok(()),
            checked => checked,
        }
    }

    async fn send_with_session(&mut self, request: &mut Request<'_>) -> Result<Answer, Error> {
        let scheme = self.encrypted()?;
        request.put(AUTHORIZATION, &bearer(self.session.token().ok_or(Error::NoToken)?))?;
        if let Some(cookie) = self.session.cookie() {
            request.put(COOKIE, cookie)?;
        }
        let answer = self.connection.send(scheme, request).await?;
        if !matches!(answer.status, 401 | 403) {
            self.session.adopt(answer.session());
        }
        Ok(answer)
    }

    /// Shows `token` alone, because a cookie would be accepted in its place; gives the new session's cookie.
    async fn check_jwt(&mut self, token: &Secret) -> Result<Option<Secret>, Error> {
        let scheme = self.encrypted()?;
        let mut request = Request::get(CHECK_JWT, SHORT);
        request.put(AUTHORIZATION, &bearer(token))?;
        let answer = self.connection.send(scheme, &request).await?;
        if answer.status == 401 {
            return Err(Error::TokenRefused);
        }
        let (cookie, accepted) = (answer.session(), answer.says(">valid token"));
        answer.into_body(CHECK_JWT)?;
        if cookie.is_none() && !accepted {
            // A 200 of something that stands in between is no word about the token.
            let why = "it says nothing about the token".to_owned();
            return Err(Error::Malformed { path: CHECK_JWT, why });
        }
        Ok(cookie)
    }

    /// The only scheme that ever carries a token.
    fn encrypted(&self) -> Result<Scheme, Error> {
        let address = self.connection.address();
        match address.scheme() {
            Some(Scheme::Http) => Err(Error::NotEncrypted { address: address.to_string() }),
            Some(Scheme::Https) | None => Ok(Scheme::Https),
        }
    }

    /// Before firmware 7: most pages are open, the others challenge once and then go on with the same nonce.
    async fn ask_with_digest(&mut self, mut request: Request<'_>) -> Result<Answer, Error> {
        let answer = self.send_with_digest(&mut request).await?;
        if answer.status != 401 {
            return Ok(answer);
        }
        let challenged = match &mut self.digest {
            Some(digest) => answer.challenges().any(|challenge| digest.take_challenge(challenge)),
            None => false,
        };
        match (challenged, self.needs_token) {
            (true, _) => self.send_with_digest(&mut request).await,
            // Nobody knows yet that this one wants a token.
            (false, None) => Err(Error::NoToken),
            (false, Some(_)) => Ok(answer),
        }
    }

    async fn send_with_digest(&mut self, request: &mut Request<'_>) -> Result<Answer, Error> {
        let digest = self.digest.as_mut();
        match digest.and_then(|digest| digest.answer(&request.method, request.path, request.json)) {
            Some(authorization) => {
                request.put(AUTHORIZATION, &authorization)?;
                self.connection.send(self.connection.scheme(), request).await
            }
            None => self.connection.find(request).await,
        }
    }
}

fn bearer(token: &Secret) -> Secret {
    Secret::new(["Bearer ", token.expose()].concat())
}
