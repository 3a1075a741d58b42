//! The one connection to a gateway: kept alive, judged by its key, tried again once when it has gone stale.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

use super::Error;
use super::address::{Address, Scheme};
use super::answer::Answer;
use super::cause::{Cause, Kind};
use super::exchange::{Failure, Message, Request, exchange, in_time};
use super::stream::{self, Stream};
use crate::tls::{self, Rule, Trust};

/// To a gateway in the house it takes milliseconds; to one that restarts, for ever.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For the whole of a request: a gateway that trickles is one that hangs.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(60);

/// Where a gateway is and how it is spoken to.
#[derive(Debug)]
pub(crate) struct Connection {
    tls: Arc<ClientConfig>,
    agent: String,
    address: Address,
    trust: Trust,
    /// The rule by which the open connection has been judged.
    judged: Rule,
    /// What has been answered at an address without a scheme.
    spoken: Option<Scheme>,
    /// The connection that the last request left, which the gateway may have closed since.
    open: Option<(Scheme, Stream)>,
    requests: u64,
}

impl Connection {
    pub(crate) fn new(address: Address, trust: Trust, agent: &str) -> Result<Self, Error> {
        let tls = tls::gateway_config(&trust).map_err(|error| Error::Setup { why: error.to_string() })?;
        let (tls, agent, judged) = (Arc::new(tls), agent.to_owned(), trust.rule());
        Ok(Self { tls, agent, address, trust, judged, spoken: None, open: None, requests: 0 })
    }

    pub(crate) const fn address(&self) -> &Address {
        &self.address
    }

    pub(crate) const fn trust(&self) -> &Trust {
        &self.trust
    }

    /// How many requests have been sent, those that were tried again included.
    pub(crate) const fn requests(&self) -> u64 {
        self.requests
    }

    /// How the gateway is spoken to, as far as is known.
    pub(crate) fn scheme(&self) -> Scheme {
        self.address.scheme().or(self.spoken).unwrap_or(Scheme::Https)
    }

    /// Forgets which scheme was answered: https is tried first again.
    pub(crate) fn forget_scheme(&mut self) {
        self.spoken = None;
    }

    /// Asks in [`Self::scheme`], and in the other where this one is refused and none was written: firmware
    /// before 7 has http only, 8.3.5286 and later https only. For requests without a token.
    pub(crate) async fn find(&mut self, request: &Request<'_>) -> Result<Answer, Error> {
        let first = self.scheme();
        let refused = match self.exchange(first, request).await {
            Ok(answer) => {
                // Firmware 7 answers http with a redirect to https.
                self.spoken = (first == Scheme::Https || !answer.is_redirect()).then_some(first);
                return Ok(answer);
            }
            Err(Failure::Cause(cause)) if self.may_change(&cause) => cause,
            Err(failure) => return Err(self.told(failure, request)),
        };
        self.spoken = None;
        match self.exchange(first.other(), request).await {
            Ok(answer) if first == Scheme::Http || !answer.is_redirect() => {
                self.spoken = Some(first.other());
                Ok(answer)
            }
            Err(failure) if first == Scheme::Http => Err(self.told(failure, request)),
            _ => Err(refused.into_error(&self.address, request.path)),
        }
    }

    fn may_change(&self, cause: &Cause) -> bool {
        self.address.scheme().is_none() && matches!(cause.kind, Kind::Refused)
    }

    /// Asks in `scheme` and no other.
    pub(crate) async fn send(&mut self, scheme: Scheme, request: &Request<'_>) -> Result<Answer, Error> {
        let answer = self.exchange(scheme, request).await;
        answer.map_err(|failure| self.told(failure, request))
    }

    fn told(&self, failure: Failure, request: &Request<'_>) -> Error {
        let path = request.path;
        match failure {
            Failure::Cause(cause) if self.judged == Rule::Insecure => {
                cause.unchecked().into_error(&self.address, path)
            }
            Failure::Cause(cause) => cause.into_error(&self.address, path),
            Failure::CutOff => Error::Malformed { path, why: "it was cut off".to_owned() },
            Failure::TooLarge => Error::TooLarge { path, limit: request.limit },
            Failure::NotHttp(why) => Error::Malformed { path, why: format!("it is not HTTP ({why})") },
            Failure::Setup(why) => Error::Setup { why },
        }
    }

    /// One request; a connection that has gone stale since the last one is replaced once.
    async fn exchange(&mut self, scheme: Scheme, request: &Request<'_>) -> Result<Answer, Failure> {
        self.obey_trust();
        // To the other scheme the open one does not lead.
        self.open.take_if(|(spoken, _)| *spoken != scheme);
        let reused = self.open.is_some();
        match self.attempt(scheme, request).await {
            Err(Failure::Cause(Cause { kind: Kind::Broken, .. }) | Failure::NotHttp(_)) if reused => {
                tracing::debug!(path = request.path, "the kept connection was stale, asking on a fresh one");
                self.attempt(scheme, request).await
            }
            outcome => outcome,
        }
    }

    /// Drops the open connection where the rule has changed to one that it was not judged by.
    fn obey_trust(&mut self) {
        let rule = self.trust.rule();
        if rule == self.judged {
            return;
        }
        let same_key = matches!((&self.judged, &rule), (Rule::FirstUse, Rule::Only(key))
            if self.trust.seen().as_ref() == Some(key));
        if !same_key {
            self.open = None;
        }
        self.judged = rule;
    }

    async fn attempt(&mut self, scheme: Scheme, request: &Request<'_>) -> Result<Answer, Failure> {
        let message = request.message(&self.address.authority(scheme), &self.agent)?;
        self.requests += 1;
        // On the heap, so that it takes memory only while a gateway is asked.
        in_time(TOTAL_TIMEOUT, Box::pin(self.ask(scheme, message, request.limit))).await
    }

    /// Asks on the connection that there is, or on a new one. Dropped halfway, it leaves none.
    async fn ask(&mut self, scheme: Scheme, message: Message, limit: usize) -> Result<Answer, Failure> {
        let stream = if let Some((_, stream)) = self.open.take() {
            stream
        } else {
            let opening = stream::open(&self.address, scheme, &self.tls, CONNECT_TIMEOUT);
            let opened = in_time(CONNECT_TIMEOUT, async { opening.await.map_err(Failure::Cause) }).await;
            opened.map_err(Failure::before_connection)?
        };
        let (answer, stream) = exchange(stream, message, limit).await?;
        self.open = stream.map(|stream| (scheme, stream));
        Ok(answer)
    }
}
