//! An HTTP server on loopback that can be closed, opened again on the same port, and made unresponsive.

use std::future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::response::{Answer, Delivery, ResponseBody};
use super::tls::Transport;

/// The maximum size of a request body.
const LARGEST_BODY: usize = 64 * 1024;

/// A complete request.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    /// The path and query.
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Call {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    pub(super) fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    pub(super) fn bearer(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ").map(str::trim)
    }

    pub(super) fn cookie(&self, name: &str) -> Option<&str> {
        let pairs = self.header("cookie")?.split(';').filter_map(|pair| pair.trim().split_once('='));
        pairs.into_iter().find(|(found, _)| *found == name).map(|(_, value)| value)
    }
}

type Respond = dyn Fn(&Call) -> Answer + Send + Sync;

/// A listener and its connections, which end when this is dropped.
#[derive(Debug)]
pub(super) struct Server {
    address: SocketAddr,
    /// A socket that is bound to the same port and never listens, so that no other process gets the port while the server
    /// is closed.
    _reservation: TcpSocket,
    shared: Arc<Shared>,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    respond: Box<Respond>,
    listener: Mutex<Option<TcpListener>>,
    tls: Mutex<Option<TlsAcceptor>>,
    /// Accepts connections without responding.
    silent: AtomicBool,
    /// The number of times that the listener was opened. A connection from before the last time gets no response.
    opening: AtomicU64,
    connections: AtomicU64,
    handshakes: AtomicU64,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("opening", &self.opening).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

impl Server {
    /// Listens on a free port of loopback. Has to be called in a tokio runtime.
    pub(super) fn start(
        transport: Transport,
        respond: impl Fn(&Call) -> Answer + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let reservation = bound(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = reservation.local_addr()?;
        let shared = Shared {
            respond: Box::new(respond),
            listener: Mutex::new(None),
            tls: Mutex::new(transport.acceptor()?),
            silent: AtomicBool::new(false),
            opening: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            handshakes: AtomicU64::new(0),
        };
        let server = Self {
            address,
            _reservation: reservation,
            shared: Arc::new(shared),
            accepting: Mutex::new(None),
        };
        server.open()?;
        Ok(server)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the number of accepted connections and of completed TLS handshakes.
    pub(super) fn traffic(&self) -> (u64, u64) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (count(&self.shared.connections), count(&self.shared.handshakes))
    }

    /// Listens again, and drops existing connections.
    pub(super) fn open(&self) -> io::Result<()> {
        self.shut();
        let listener = bound(self.address)?.listen(1024)?;
        *lock(&self.shared.listener) = Some(listener);
        *lock(&self.accepting) = Some(tokio::spawn(accept(Arc::clone(&self.shared))));
        Ok(())
    }

    /// Listens again on the reserved port.
    #[expect(clippy::expect_used, reason = "the reservation keeps the port for this server")]
    pub(super) fn reopen(&self) {
        self.open().expect("a reserved port can be listened at");
    }

    pub(super) fn is_shut(&self) -> bool {
        lock(&self.shared.listener).is_none()
    }

    /// Refuses new connections and drops existing ones.
    pub(super) fn shut(&self) {
        self.shared.opening.fetch_add(1, Ordering::Relaxed);
        if let Some(listener) = lock(&self.shared.listener).take() {
            // Closing alone may not end it at once: a process that is being started holds a copy until it executes its program.
            rustix::net::shutdown(&listener, rustix::net::Shutdown::Read).ok();
        }
        if let Some(task) = lock(&self.accepting).take() {
            task.abort();
        }
    }

    /// Uses another key for new connections.
    #[expect(clippy::expect_used, reason = "the keys are a part of the source")]
    pub(super) fn present(&self, transport: Transport) {
        *lock(&self.shared.tls) = transport.acceptor().expect("a key that rustls accepts");
    }

    pub(super) fn set_silent(&self, silent: bool) {
        self.shared.silent.store(silent, Ordering::Relaxed);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shut();
    }
}

async fn accept(shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    let next = || {
        future::poll_fn(|context| match &*lock(&shared.listener) {
            Some(listener) => listener.poll_accept(context),
            None => Poll::Pending,
        })
    };
    loop {
        tokio::select! {
            accepted = next() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(Arc::clone(&shared), stream));
                }
                // Usually there are no file descriptors left for the moment.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(shared: Arc<Shared>, stream: TcpStream) {
    shared.connections.fetch_add(1, Ordering::Relaxed);
    if shared.silent.load(Ordering::Relaxed) {
        return future::pending().await;
    }
    // Without this, each response of several segments waits for an acknowledgement.
    drop(stream.set_nodelay(true));
    let tls = lock(&shared.tls).clone();
    match tls {
        None => serve(shared, stream).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                shared.handshakes.fetch_add(1, Ordering::Relaxed);
                serve(shared, stream).await;
            }
        }
    }
}

async fn serve(shared: Arc<Shared>, stream: impl AsyncRead + AsyncWrite + Unpin) {
    let opening = shared.opening.load(Ordering::Relaxed);
    let service = service_fn(|request| respond(Arc::clone(&shared), opening, request));
    let served =
        http1::Builder::new().auto_date_header(false).serve_connection(TokioIo::new(stream), service);
    // An error means that the client has gone, or that the response is not meant to be sent.
    drop(served.await);
}

async fn respond(
    shared: Arc<Shared>,
    opening: u64,
    request: Request<Incoming>,
) -> io::Result<Response<ResponseBody>> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, LARGEST_BODY).collect().await.map_err(io::Error::other)?.to_bytes();
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    if opening != shared.opening.load(Ordering::Relaxed) || shared.silent.load(Ordering::Relaxed) {
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    let answer = (shared.respond)(&Call { method: parts.method, target, headers: parts.headers, body });
    tokio::time::sleep(answer.delay).await;
    match answer.delivery {
        Delivery::Hung => future::pending().await,
        Delivery::Dropped => Err(io::ErrorKind::ConnectionAborted.into()),
        _ => Ok(answer.into_hyper()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[tokio::test]
    async fn a_server_listens_again_though_a_process_that_is_being_started_holds_its_socket() {
        let server = Server::start(Transport::Plain, |_call| unreachable!()).unwrap();
        let copy = lock(&server.shared.listener).as_ref().unwrap().as_fd().try_clone_to_owned().unwrap();
        server.shut();
        server.open().unwrap();
        drop(copy);
    }
}
