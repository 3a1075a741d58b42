//! A listening socket, and the connections that it accepts.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::exact_targets::ExactTargets;
use super::listen::Listen;
use super::progress::Progress;

/// The maximum size of the head of a request in bytes.
const LONGEST_HEAD: usize = 8 * 1024;
/// The time limit for a handshake, and for the head of a request. An idle connection is closed after it too.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The time that connections get to end at a stop.
const GRACE: Duration = Duration::from_millis(500);
/// The delay after a failure to accept a connection: usually there are no file descriptors left for the moment.
const ACCEPT_DELAY: Duration = Duration::from_millis(500);
/// The number of connections that the kernel keeps until they are accepted.
const BACKLOG: u32 = 128;
/// The size in bytes of the kernel's buffer for what is sent on a connection. By default it grows to megabytes, in which an
/// hour of values would queue up for a slow reader.
const SEND_BUFFER: u32 = 32 * 1024;

/// The client of a connection, as an extension of each request.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The client's address. An IPv4 address is given as such, even if the listener is for IPv6.
    pub address: IpAddr,
    /// The port of the listener.
    pub port: u16,
}

/// The share of a connection in the maximum number of connections, as an extension of each request. What outlives the
/// requests of its connection, such as a WebSocket, keeps it.
#[derive(Clone, Debug)]
pub struct Slot(
    #[expect(dead_code, reason = "it counts as long as it is not dropped")] Option<Arc<OwnedSemaphorePermit>>,
);

/// The reason that nothing listens at an address.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another program listens there, or the address does not exist (yet). A later attempt may succeed.
    #[error("cannot listen at {listen}: {source}; stop the other program, or choose another address")]
    Busy {
        /// The address.
        listen: Listen,
        /// The reason.
        source: io::Error,
    },
    /// The system does not permit it, which a person has to change.
    #[error(
        "cannot listen at {listen}: {source}; ports below 1024 need a permission that the service does not have: choose \
         another port"
    )]
    Forbidden {
        /// The address.
        listen: Listen,
        /// The reason.
        source: io::Error,
    },
}

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    listen: Listen,
    socket: TcpListener,
    exact_targets: bool,
}

impl Listener {
    /// Listens at `listen`. `only_ipv6` keeps an IPv6 socket from taking the port for IPv4 too.
    pub fn open(listen: Listen, only_ipv6: bool) -> Result<Self, Error> {
        let opened = match listen.address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        };
        let opened = opened.and_then(|socket| {
            socket.set_reuseaddr(true)?;
            if listen.address.is_ipv6() {
                rustix::net::sockopt::set_ipv6_v6only(&socket, only_ipv6)?;
            }
            // Connections inherit it.
            socket.set_send_buffer_size(SEND_BUFFER)?;
            socket.bind(listen.address)?;
            socket.listen(BACKLOG)
        });
        let socket = opened.map_err(|source| match source.kind() {
            ErrorKind::PermissionDenied => Error::Forbidden { listen, source },
            _ => Error::Busy { listen, source },
        })?;
        let address = socket.local_addr().unwrap_or(listen.address);
        Ok(Self { listen: Listen { address, ..listen }, socket, exact_targets: false })
    }

    /// Keeps the library from cutting off the fragment of a request target, so that another target is not taken for a page.
    #[must_use]
    pub fn with_exact_targets(self, exact: bool) -> Self {
        Self { exact_targets: exact, ..self }
    }

    /// Returns the address, with the port that the system chose if none was given.
    pub const fn listen(&self) -> Listen {
        self.listen
    }

    /// Serves connections until `stop` is `true`. `tls` is needed if the address is one for TLS.
    pub async fn serve(
        &self,
        tls: Option<TlsAcceptor>,
        router: Router,
        permits: Arc<Semaphore>,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut connections = JoinSet::new();
        let stopped = stop.clone();
        let mut ended = pin!(async move { drop(stop.wait_for(|stop| *stop).await) });
        // Listeners share the permits, so one that waits for a connection must not hold any.
        let mut waiting: Option<(TcpStream, SocketAddr)> = None;
        loop {
            tokio::select! {
                biased;
                () = &mut ended => break,
                Some(_) = connections.join_next() => {}
                Ok(permit) = Arc::clone(&permits).acquire_owned(), if waiting.is_some() => {
                    let Some((stream, peer)) = waiting.take() else { continue };
                    let peer = Peer { address: peer.ip().to_canonical(), port: self.listen.address.port() };
                    let client =
                        Client { peer, slot: Slot(Some(Arc::new(permit))), exact_targets: self.exact_targets };
                    connections.spawn(serve_connection(stream, client, tls.clone(), router.clone(), stopped.clone()));
                }
                accepted = self.socket.accept(), if waiting.is_none() => match accepted {
                    Ok(accepted) => waiting = Some(accepted),
                    Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                    Err(error) => {
                        tracing::debug!(%error, listen = %self.listen, "cannot accept a connection");
                        sleep(ACCEPT_DELAY).await;
                    }
                }
            }
        }
        let all = async { while connections.join_next().await.is_some() {} };
        // Those that remain are dropped.
        timeout(GRACE, all).await.ok();
    }
}

/// The client of a connection.
#[derive(Debug)]
pub struct Client {
    peer: Peer,
    slot: Slot,
    exact_targets: bool,
}

impl Client {
    /// Creates a client whose connection does not count.
    pub const fn new(peer: Peer) -> Self {
        Self { peer, slot: Slot(None), exact_targets: false }
    }

    /// Keeps the library from cutting off the fragment of a request target (see [`Listener::with_exact_targets`]).
    #[must_use]
    pub fn with_exact_targets(self) -> Self {
        Self { exact_targets: true, ..self }
    }
}

async fn serve_connection(
    stream: TcpStream,
    client: Client,
    tls: Option<TlsAcceptor>,
    router: Router,
    stop: watch::Receiver<bool>,
) {
    // Without this, each response of several segments waits for an acknowledgement.
    stream.set_nodelay(true).ok();
    let stream = Progress::new(stream);
    match tls {
        None => serve_requests(stream, client, router, stop).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = timeout(REQUEST_TIMEOUT, tls.accept(stream)).await {
                serve_requests(stream, client, router, stop).await;
            }
        }
    }
}

/// Serves the requests that arrive on `stream` until it is closed, or `stop` is `true`.
pub async fn serve_requests(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    client: Client,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    let stream = ExactTargets::new(stream, client.exact_targets);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(client.peer);
        request.extensions_mut().insert(client.slot.clone());
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIMEOUT)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
    tokio::select! {
        // An error means that the client has gone, or did not keep to the protocol. It gets no response then.
        _ = connection.as_mut() => return,
        () = stopped => connection.as_mut().graceful_shutdown(),
    }
    connection.await.ok();
}
