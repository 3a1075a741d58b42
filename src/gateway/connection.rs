//! The one connection to a gateway: kept alive, judged by its key, tried again once when it has gone stale.

use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, redirect};
use tokio::time::Instant;

use super::Error;
use super::address::{Address, Scheme};
use super::answer::{Answer, BODY_LIMIT, Incomplete};
use super::cause::{Cause, Kind};
use crate::names;
use crate::secrets::Secret;
use crate::tls::{self, Rule, Trust};

/// To a gateway in the house it takes milliseconds; to one that restarts, for ever.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The slowest page measured took 11 s, and under load more.
const READ_TIMEOUT: Duration = Duration::from_secs(45);
/// For the whole of a request: a gateway that trickles is one that hangs.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(60);

/// What is asked of a gateway.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) json: Option<&'a str>,
    headers: HeaderMap,
}

impl<'a> Request<'a> {
    /// A page.
    pub(crate) fn get(path: &'static str) -> Self {
        Self { method: Method::GET, path, json: None, headers: HeaderMap::new() }
    }

    /// A change, as JSON.
    pub(crate) fn post(path: &'static str, json: &'a str) -> Self {
        Self { method: Method::POST, path, json: Some(json), headers: HeaderMap::new() }
    }

    /// With `value` as the header `name` instead of what was there.
    pub(crate) fn put(&mut self, name: HeaderName, value: &Secret) -> Result<(), Error> {
        let mut value = HeaderValue::from_maybe_shared(value.to_bytes()).map_err(|_text| Error::Setup {
            why: format!("the secret for the header {name} holds characters that cannot be sent"),
        })?;
        value.set_sensitive(true);
        self.headers.insert(name, value);
        Ok(())
    }
}

/// Where a gateway is and how it is spoken to.
#[derive(Debug)]
pub(crate) struct Connection {
    http: reqwest::Client,
    agent: String,
    address: Address,
    trust: Trust,
    /// The rule by which open connections have been judged.
    judged: Rule,
    /// What has been answered at an address without a scheme.
    spoken: Option<Scheme>,
    /// Whether the last request left a connection that the next one may find closed.
    warm: bool,
    requests: u64,
}

/// A request without a usable answer.
#[derive(Debug)]
enum Failure {
    /// None came.
    Cause(Cause),
    /// One began to come.
    Error(Error),
}

impl Connection {
    pub(crate) fn new(address: Address, trust: Trust, agent: &str) -> Result<Self, Error> {
        let http = http_client(&trust, agent)?;
        let (agent, judged) = (agent.to_owned(), trust.rule());
        Ok(Self { http, agent, address, trust, judged, spoken: None, warm: false, requests: 0 })
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
            Err(failure) => return Err(self.told(failure, request.path)),
        };
        self.spoken = None;
        match self.exchange(first.other(), request).await {
            Ok(answer) if first == Scheme::Http || !answer.is_redirect() => {
                self.spoken = Some(first.other());
                Ok(answer)
            }
            Err(failure) if first == Scheme::Http => Err(self.told(failure, request.path)),
            _ => Err(refused.into_error(&self.address, request.path)),
        }
    }

    fn may_change(&self, cause: &Cause) -> bool {
        self.address.scheme().is_none() && matches!(cause.kind, Kind::Refused)
    }

    /// Asks in `scheme` and no other.
    pub(crate) async fn send(&mut self, scheme: Scheme, request: &Request<'_>) -> Result<Answer, Error> {
        let answer = self.exchange(scheme, request).await;
        answer.map_err(|failure| self.told(failure, request.path))
    }

    fn told(&self, failure: Failure, path: &'static str) -> Error {
        match failure {
            Failure::Cause(cause) if self.judged == Rule::Insecure => {
                cause.unchecked().into_error(&self.address, path)
            }
            Failure::Cause(cause) => cause.into_error(&self.address, path),
            Failure::Error(error) => error,
        }
    }

    /// One request; a connection that has gone stale since the last one is replaced once.
    async fn exchange(&mut self, scheme: Scheme, request: &Request<'_>) -> Result<Answer, Failure> {
        self.obey_trust().map_err(Failure::Error)?;
        // The task that owns the connection gives it back after the body's last byte, when it gets its turn; asked
        // before that, the client would open a second one.
        tokio::task::yield_now().await;
        let reused = self.warm;
        match self.attempt(scheme, request).await {
            Err(Failure::Cause(Cause { kind: Kind::Broken, .. })) if reused => {
                tracing::debug!(path = request.path, "the kept connection was stale, asking on a fresh one");
                self.attempt(scheme, request).await
            }
            outcome => outcome,
        }
    }

    /// Drops the open connection where the rule has changed to one that it was not judged by.
    fn obey_trust(&mut self) -> Result<(), Error> {
        let rule = self.trust.rule();
        if rule == self.judged {
            return Ok(());
        }
        let same_key = matches!((&self.judged, &rule), (Rule::FirstUse, Rule::Only(key))
            if self.trust.seen().as_ref() == Some(key));
        if !same_key {
            self.http = http_client(&self.trust, &self.agent)?;
            self.warm = false;
        }
        self.judged = rule;
        Ok(())
    }

    async fn attempt(&mut self, scheme: Scheme, request: &Request<'_>) -> Result<Answer, Failure> {
        let url = self.address.url(scheme, request.path);
        let mut call = self.http.request(request.method.clone(), url).headers(request.headers.clone());
        if let Some(json) = request.json {
            call = call.header(CONTENT_TYPE, "application/json").body(json.to_owned());
        }
        self.warm = false;
        self.requests += 1;
        let started = Instant::now();
        let response =
            call.send().await.map_err(|error| Failure::Cause(Cause::of(&error, started.elapsed())))?;
        let answer = Answer::read(response)
            .await
            .map_err(|incomplete| Failure::Error(self.unread(incomplete, request.path, started)))?;
        self.warm = true;
        Ok(answer)
    }

    fn unread(&self, incomplete: Incomplete, path: &'static str, started: Instant) -> Error {
        match incomplete {
            Incomplete::TooLarge => Error::TooLarge { path, limit: BODY_LIMIT },
            Incomplete::CutOff(error) if error.is_timeout() => {
                Cause::of(&error, started.elapsed()).into_error(&self.address, path)
            }
            Incomplete::CutOff(_) => Error::Malformed { path, why: "it was cut off".to_owned() },
        }
    }
}

/// The names of gateways: `envoy.local` is one that not every system knows.
struct Names;

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // The client puts the port of the URL in.
            let found = names::resolve(name.as_str(), 0).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

fn http_client(trust: &Trust, agent: &str) -> Result<reqwest::Client, Error> {
    let setup = |why: String| Error::Setup { why };
    let tls = tls::gateway_config(trust).map_err(|error| setup(error.to_string()))?;
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(agent)
        // A gateway is in the house, wherever the environment says that the internet is.
        .no_proxy()
        .redirect(redirect::Policy::none())
        .referer(false)
        .dns_resolver(Arc::new(Names))
        .http1_only()
        // Firmware 5 has been seen to send broken headers on its redirects.
        .http1_ignore_invalid_headers_in_responses(true)
        .pool_max_idle_per_host(1)
        .pool_idle_timeout(None)
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .timeout(TOTAL_TIMEOUT)
        .build()
        .map_err(|error| setup(error.to_string()))
}
