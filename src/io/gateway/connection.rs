//! The one connection to a gateway: kept alive, and opened again once when it has gone stale.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::time::Instant;

use super::Error;
use super::address::{Address, Scheme};
use super::answer::Answer;
use super::cause::{Cause, Kind};
use super::delivery::{To, Undelivered};
use super::exchange::{Failure, Request, exchange, in_time};
use super::peer::{Comparison, FarEnd, Peer, Proof, Sighting};
use super::place::Place;
use super::stream::{self, Stream};
use crate::base::reading::Serial;
use crate::io::tls::{self, Check};

/// To a gateway in the house it takes milliseconds; to one that restarts, for ever.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For the whole of a request: a gateway that trickles is one that hangs.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(60);

/// Where a gateway is and how it is spoken to.
#[derive(Debug)]
pub(crate) struct Connection {
    tls: Arc<ClientConfig>,
    check: Check,
    agent: &'static str,
    place: Place,
    /// What has been answered at an address without a scheme.
    spoken: Option<Scheme>,
    /// The connection that the last request left, which the gateway may have closed since.
    open: Option<Link>,
    /// The proof of the connection that the last answer came on.
    answered: Option<Proof>,
    /// The gateway that named itself last.
    last: Option<Sighting>,
    requests: u64,
}

/// An open connection, and who is at its other end.
#[derive(Debug)]
struct Link {
    scheme: Scheme,
    far_end: FarEnd,
    stream: Stream,
}

impl Connection {
    /// For the gateway at `place`; nothing is sent yet. `agent` is the program's name and version.
    pub(crate) fn new(place: Place, check: Check, agent: &'static str) -> Result<Self, Error> {
        let tls = tls::gateway_config(check).map_err(|error| Error::Setup { why: error.to_string() })?;
        Ok(Self {
            tls: Arc::new(tls),
            check,
            agent,
            place,
            spoken: None,
            open: None,
            answered: None,
            last: None,
            requests: 0,
        })
    }

    pub(crate) const fn place(&self) -> &Place {
        &self.place
    }

    fn address(&self) -> &Address {
        &self.place.address
    }

    /// How many requests have been sent, those that were tried again included.
    pub(crate) const fn requests(&self) -> u64 {
        self.requests
    }

    /// The gateway that sent the last answer has named itself in it.
    pub(crate) fn names_itself(&mut self, serial: &Serial, now: Instant) -> Option<Peer> {
        let peer = Peer { serial: serial.clone(), proof: self.answered? };
        if let Some(link) = &mut self.open {
            link.far_end.names_itself(serial);
        }
        self.last = Some(Sighting::new(peer.clone(), now));
        Some(peer)
    }

    /// Asks whoever is there, in the written scheme or in the one that is answered.
    pub(crate) async fn find(&mut self, request: &Request<'_>) -> Result<Answer, Undelivered> {
        match self.address().scheme() {
            Some(scheme) => self.find_as_written(scheme, request).await,
            None => self.find_either_way(request).await.map_err(Undelivered::Failed),
        }
    }

    async fn find_as_written(
        &mut self,
        scheme: Scheme,
        request: &Request<'_>,
    ) -> Result<Answer, Undelivered> {
        let answer = self.exchange(scheme, request, To::Anybody).await;
        answer.map_err(|failure| {
            // A port of TLS answers plain http with an alert, which is no HTTP, or hangs up.
            let refused = match &failure {
                Failure::Cause(cause) => matches!(cause.kind, Kind::Refused | Kind::Broken),
                other => matches!(other, Failure::NotHttp(_)),
            };
            let error = self.told(failure, request);
            if refused { Undelivered::Refused(error) } else { Undelivered::Failed(error) }
        })
    }

    /// Asks over https first, and over http where https is refused: firmware before 7 has http only, 8.3.5286 and later
    /// https only.
    async fn find_either_way(&mut self, request: &Request<'_>) -> Result<Answer, Error> {
        let first = self.spoken.unwrap_or(Scheme::Https);
        let refused = match self.exchange(first, request, To::Anybody).await {
            Ok(answer) => {
                // Firmware 7 answers http with a redirect to https.
                self.spoken = (first == Scheme::Https || !answer.is_redirect()).then_some(first);
                return Ok(answer);
            }
            Err(Failure::Cause(cause)) if matches!(cause.kind, Kind::Refused) => cause,
            Err(failure) => return Err(self.told(failure, request)),
        };
        self.spoken = None;
        match self.exchange(first.other(), request, To::Anybody).await {
            Ok(answer) if first == Scheme::Http || !answer.is_redirect() => {
                self.spoken = Some(first.other());
                Ok(answer)
            }
            Err(failure) if first == Scheme::Http => Err(self.told(failure, request)),
            _ => Err(refused.into_error(self.address(), request.path)),
        }
    }

    /// Asks whoever shows what `peer` shows.
    pub(crate) async fn find_like(&mut self, peer: &Peer, request: &Request<'_>) -> Result<Answer, Error> {
        self.ask_peer(peer, request, To::LikeOf(peer)).await.map_err(Error::from)
    }

    /// Asks `peer`, and nobody else.
    pub(crate) async fn send(&mut self, peer: &Peer, request: &Request<'_>) -> Result<Answer, Undelivered> {
        self.ask_peer(peer, request, To::Peer(peer)).await
    }

    async fn ask_peer(
        &mut self,
        peer: &Peer,
        request: &Request<'_>,
        to: To<'_>,
    ) -> Result<Answer, Undelivered> {
        let scheme = if peer.proof == Proof::Clear { Scheme::Http } else { Scheme::Https };
        match self.exchange(scheme, request, to).await {
            Ok(answer) => Ok(answer),
            Err(Failure::Unnamed) => Err(Undelivered::Unnamed),
            Err(Failure::OtherProof(shown)) => Err(Undelivered::Failed(self.elsewhere(peer, shown))),
            Err(failure) => Err(Undelivered::Failed(self.told(failure, request))),
        }
    }

    /// The error for a connection that does not lead to `peer`.
    fn elsewhere(&self, peer: &Peer, shown: Proof) -> Error {
        let (address, serial) = (self.address().to_string(), peer.serial.clone());
        match (peer.proof, shown) {
            (Proof::Key(known), Proof::Key(seen)) => Error::KeyChanged { address, serial, known, seen },
            (Proof::Key(known), _) => Error::KeyMissing { address, serial, known },
            // Of what proves nothing, one is as good as the other; the scheme is the same.
            (Proof::Unproven | Proof::Clear, _) => {
                Error::Setup { why: format!("{address} is not connected as it was before") }
            }
        }
    }

    fn told(&self, failure: Failure, request: &Request<'_>) -> Error {
        let path = request.path;
        match failure {
            Failure::Cause(cause) if self.check == Check::Nothing => {
                cause.unchecked().into_error(self.address(), path)
            }
            Failure::Cause(cause) => cause.into_error(self.address(), path),
            Failure::CutOff => Error::Malformed { path, why: "it was cut off".to_owned() },
            Failure::TooLarge => Error::TooLarge { path, limit: request.limit },
            Failure::NotHttp(why) => Error::Malformed { path, why: format!("it is not HTTP ({why})") },
            Failure::Setup(why) => Error::Setup { why },
            Failure::Unnamed | Failure::OtherProof(_) => {
                Error::Setup { why: "a secret was about to be sent to somebody else".to_owned() }
            }
        }
    }

    /// One request, to `peer` or to anybody; a connection that has gone stale since the last one is replaced once.
    async fn exchange(
        &mut self,
        scheme: Scheme,
        request: &Request<'_>,
        to: To<'_>,
    ) -> Result<Answer, Failure> {
        // To the other scheme the open one does not lead.
        self.open.take_if(|link| link.scheme != scheme);
        let reused = self.open.is_some();
        match self.attempt(scheme, request, to).await {
            Err(Failure::Cause(Cause { kind: Kind::Broken, .. }) | Failure::NotHttp(_)) if reused => {
                tracing::debug!(path = request.path, "the kept connection was stale, asking on a fresh one");
                self.attempt(scheme, request, to).await
            }
            outcome => outcome,
        }
    }

    async fn attempt(
        &mut self,
        scheme: Scheme,
        request: &Request<'_>,
        to: To<'_>,
    ) -> Result<Answer, Failure> {
        // On the heap, so that it takes memory only while a gateway is asked.
        in_time(TOTAL_TIMEOUT, Box::pin(self.ask(scheme, request, to))).await
    }

    /// Asks on the connection that there is, or on a new one. Dropped halfway, it leaves none.
    async fn ask(&mut self, scheme: Scheme, request: &Request<'_>, to: To<'_>) -> Result<Answer, Failure> {
        let link = match self.open.take() {
            Some(link) => link,
            None => self.connect(scheme).await?,
        };
        let Link { far_end, stream, .. } = match (to, to.compare(&link.far_end)) {
            (_, Comparison::OtherProof(shown)) => return Err(Failure::OtherProof(shown)),
            (To::Peer(_), Comparison::Unnamed) => {
                // It is asked for its name on this very connection.
                self.open = Some(link);
                return Err(Failure::Unnamed);
            }
            _ => link,
        };
        let message = request.message(&self.address().authority(scheme), self.agent, &far_end)?;
        self.requests += 1;
        let (answer, stream) = exchange(stream, message, request.limit).await?;
        self.answered = Some(far_end.proof());
        self.open = stream.map(|stream| Link { scheme, far_end, stream });
        Ok(answer)
    }

    async fn connect(&self, scheme: Scheme) -> Result<Link, Failure> {
        let opening = stream::open(&self.place, scheme, &self.tls, self.check);
        let opening = async { opening.await.map_err(Failure::Cause) };
        let opened = in_time(CONNECT_TIMEOUT, opening).await;
        let (stream, proof) = opened.map_err(Failure::before_connection)?;
        let far_end = Sighting::far_end(self.last.as_ref(), proof, Instant::now());
        Ok(Link { scheme, far_end, stream })
    }
}
