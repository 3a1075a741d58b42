//! The connection to a gateway: kept alive, and opened again once when it has become stale.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::time::Instant;

use super::Error;
use super::address::{Address, Scheme};
use super::error::Stage;
use super::failure::Failure;
use super::http::{Request, exchange, in_time};
use super::io_error::{IoError, Kind};
use super::location::Location;
use super::peer::{Comparison, LastSeen, Peer, Proof, RemoteEnd};
use super::recipient::{Recipient, SendError};
use super::response::Response;
use super::socket::{self, Socket};
use crate::base::reading::Serial;
use crate::io::tls::{self, Check};

/// Connecting takes milliseconds within a house, and never completes while a gateway restarts.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The limit for a whole request. A gateway that sends a byte now and then counts as one that does not respond.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(60);

/// The connection to the gateway at one location.
#[derive(Debug)]
pub(crate) struct Connection {
    tls: Arc<ClientConfig>,
    check: Check,
    agent: &'static str,
    location: Location,
    /// The scheme that worked, for an address without one.
    working_scheme: Option<Scheme>,
    /// The connection of the last request, which the gateway may have closed since.
    open: Option<Link>,
    /// The proof of the connection on which the last response arrived.
    last_proof: Option<Proof>,
    /// The gateway that identified itself last.
    last_seen: Option<LastSeen>,
    requests: u64,
}

/// An open connection and its remote end.
#[derive(Debug)]
struct Link {
    scheme: Scheme,
    remote: RemoteEnd,
    stream: Socket,
}

impl Connection {
    /// Creates the connection for the gateway at `location`, and sends nothing yet. `agent` is the program's name and
    /// version.
    pub(crate) fn new(location: Location, check: Check, agent: &'static str) -> Result<Self, Error> {
        let tls = tls::gateway_config(check).map_err(|error| Error::Setup { why: error.to_string() })?;
        Ok(Self {
            tls: Arc::new(tls),
            check,
            agent,
            location,
            working_scheme: None,
            open: None,
            last_proof: None,
            last_seen: None,
            requests: 0,
        })
    }

    pub(crate) const fn location(&self) -> &Location {
        &self.location
    }

    fn address(&self) -> &Address {
        &self.location.address
    }

    /// The number of requests sent, including retries.
    pub(crate) const fn requests(&self) -> u64 {
        self.requests
    }

    /// Records that the last response identified the gateway as `serial`.
    pub(crate) fn identified_as(&mut self, serial: &Serial, now: Instant) -> Option<Peer> {
        let peer = Peer { serial: serial.clone(), proof: self.last_proof? };
        if let Some(link) = &mut self.open {
            link.remote.identified_as(serial);
        }
        self.last_seen = Some(LastSeen::new(peer.clone(), now));
        Some(peer)
    }

    /// Sends a request to any device at the address, in the configured scheme or in the one that works.
    pub(crate) async fn request_anyone(&mut self, request: &Request<'_>) -> Result<Response, SendError> {
        match self.address().scheme() {
            Some(scheme) => self.request_in_scheme(scheme, request).await,
            None => self.request_in_either_scheme(request).await.map_err(SendError::Failed),
        }
    }

    async fn request_in_scheme(
        &mut self,
        scheme: Scheme,
        request: &Request<'_>,
    ) -> Result<Response, SendError> {
        let response = self.exchange(scheme, request, Recipient::Anyone).await;
        response.map_err(|failure| {
            // A TLS port responds to plain http with an alert, which is not HTTP, or closes the connection.
            let refused = match &failure {
                Failure::Io(error) => matches!(error.kind, Kind::Refused | Kind::Broken),
                other => matches!(other, Failure::NotHttp(_)),
            };
            let error = self.to_error(failure, request);
            if refused { SendError::Refused(error) } else { SendError::Failed(error) }
        })
    }

    /// Tries https first, then http if https is refused: firmware before 7 has http only, 8.3.5286 and later https
    /// only.
    async fn request_in_either_scheme(&mut self, request: &Request<'_>) -> Result<Response, Error> {
        let first = self.working_scheme.unwrap_or(Scheme::Https);
        let refused = match self.exchange(first, request, Recipient::Anyone).await {
            Ok(response) => {
                // Firmware 7 redirects http to https.
                self.working_scheme = (first == Scheme::Https || !response.is_redirect()).then_some(first);
                return Ok(response);
            }
            Err(Failure::Io(error)) if matches!(error.kind, Kind::Refused) => error,
            Err(failure) => return Err(self.to_error(failure, request)),
        };
        self.working_scheme = None;
        match self.exchange(first.other(), request, Recipient::Anyone).await {
            Ok(response) if first == Scheme::Http || !response.is_redirect() => {
                self.working_scheme = Some(first.other());
                Ok(response)
            }
            Err(failure) if first == Scheme::Http => Err(self.to_error(failure, request)),
            Err(failure) if failure.is_absence() => Err(refused.into_error(self.address(), request.path)),
            // The first error explains more, but a device is there.
            _ => Err(refused.while_opening(Stage::Handshake).into_error(self.address(), request.path)),
        }
    }

    /// Sends a request to a device that proves the same as `peer`.
    pub(crate) async fn request_same_proof(
        &mut self,
        peer: &Peer,
        request: &Request<'_>,
    ) -> Result<Response, Error> {
        self.request_peer(peer, request, Recipient::SameProof(peer)).await.map_err(Error::from)
    }

    /// Sends a request to `peer` only.
    pub(crate) async fn send(&mut self, peer: &Peer, request: &Request<'_>) -> Result<Response, SendError> {
        self.request_peer(peer, request, Recipient::Peer(peer)).await
    }

    async fn request_peer(
        &mut self,
        peer: &Peer,
        request: &Request<'_>,
        recipient: Recipient<'_>,
    ) -> Result<Response, SendError> {
        let scheme = if peer.proof == Proof::Clear { Scheme::Http } else { Scheme::Https };
        match self.exchange(scheme, request, recipient).await {
            Ok(response) => Ok(response),
            Err(Failure::Unidentified) => Err(SendError::Unidentified),
            Err(Failure::OtherProof(shown)) => Err(SendError::Failed(self.other_proof_error(peer, shown))),
            Err(failure) => Err(SendError::Failed(self.to_error(failure, request))),
        }
    }

    /// Returns the error for a connection that does not lead to `peer`.
    fn other_proof_error(&self, peer: &Peer, shown: Proof) -> Error {
        let (address, serial) = (self.address().to_string(), peer.serial.clone());
        match (peer.proof, shown) {
            (Proof::Key(known), Proof::Key(seen)) => Error::KeyChanged { address, serial, known, seen },
            (Proof::Key(known), _) => Error::KeyMissing { address, serial, known },
            // Neither proves anything, and the scheme is the same.
            (Proof::Unproven | Proof::Clear, _) => {
                Error::Setup { why: format!("the connection to {address} is not as it was before") }
            }
        }
    }

    fn to_error(&self, failure: Failure, request: &Request<'_>) -> Error {
        failure.into_error(self.address(), self.check, request.path, request.limit)
    }

    /// Sends one request. A connection that has become stale since the last request is replaced once.
    async fn exchange(
        &mut self,
        scheme: Scheme,
        request: &Request<'_>,
        recipient: Recipient<'_>,
    ) -> Result<Response, Failure> {
        // An open connection serves only its own scheme.
        self.open.take_if(|link| link.scheme != scheme);
        let reused = self.open.is_some();
        match self.attempt(scheme, request, recipient).await {
            Err(Failure::Io(IoError { kind: Kind::Broken, .. }) | Failure::NotHttp(_)) if reused => {
                tracing::debug!(path = request.path, "the idle connection was stale; retrying on a new one");
                self.attempt(scheme, request, recipient).await
            }
            outcome => outcome,
        }
    }

    async fn attempt(
        &mut self,
        scheme: Scheme,
        request: &Request<'_>,
        recipient: Recipient<'_>,
    ) -> Result<Response, Failure> {
        // On the heap, so that it takes memory only during a request.
        in_time(TOTAL_TIMEOUT, Box::pin(self.send_once(scheme, request, recipient))).await
    }

    /// Sends the request on the open connection, or on a new one. If dropped halfway, no connection stays open.
    async fn send_once(
        &mut self,
        scheme: Scheme,
        request: &Request<'_>,
        recipient: Recipient<'_>,
    ) -> Result<Response, Failure> {
        let link = match self.open.take() {
            Some(link) => link,
            None => self.connect(scheme).await?,
        };
        let Link { remote, stream, .. } = match (recipient, recipient.compare(&link.remote)) {
            (_, Comparison::OtherProof(shown)) => return Err(Failure::OtherProof(shown)),
            (Recipient::Peer(_), Comparison::Unidentified) => {
                // The caller reads `/info` on this connection.
                self.open = Some(link);
                return Err(Failure::Unidentified);
            }
            _ => link,
        };
        let message = request.message(&self.address().authority(scheme), self.agent, &remote)?;
        self.requests += 1;
        let (response, stream) = exchange(stream, message, request.limit).await?;
        self.last_proof = Some(remote.proof());
        self.open = stream.map(|stream| Link { scheme, remote, stream });
        Ok(response)
    }

    async fn connect(&self, scheme: Scheme) -> Result<Link, Failure> {
        let mut stage = Stage::Connect;
        let opening = socket::open(&self.location, scheme, &self.tls, self.check, &mut stage);
        let opening = async { opening.await.map_err(Failure::Io) };
        let opened = in_time(CONNECT_TIMEOUT, opening).await;
        let (stream, proof) = opened.map_err(|failure| failure.while_opening(stage))?;
        let remote = LastSeen::remote_end(self.last_seen.as_ref(), proof, Instant::now());
        Ok(Link { scheme, remote, stream })
    }
}
