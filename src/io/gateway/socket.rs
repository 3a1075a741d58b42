//! An open connection to a gateway, plain or over TLS.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Error as TlsError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::address::Scheme;
use super::error::Stage;
use super::io_error::IoError;
use super::location::Location;
use super::peer::Proof;
use crate::io::tls::{Check, Fingerprint};

/// A connection to a gateway.
pub(super) type Socket = Box<dyn ByteStream>;

/// The operations of a connection, plain or over TLS.
pub(super) trait ByteStream: AsyncRead + AsyncWrite + Debug + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Debug + Send + Sync + Unpin> ByteStream for T {}

/// Connects to `location`, and records in `stage` when a device there has accepted the connection. Over TLS the remote end
/// proves that it owns its key, unless `check` is [`Check::Nothing`].
pub(super) async fn open(
    location: &Location,
    scheme: Scheme,
    tls: &Arc<ClientConfig>,
    check: Check,
    stage: &mut Stage,
) -> Result<(Socket, Proof), IoError> {
    let ip = SocketAddr::new(location.ip.ip(), location.address.port(scheme));
    let tcp =
        TcpStream::connect(with_zone(ip, location.ip)).await.map_err(|error| IoError::of_opening(&error))?;
    *stage = Stage::Handshake;
    // Requests are written in one piece, so Nagle's algorithm would only delay them.
    tcp.set_nodelay(true).map_err(|error| IoError::of_opening(&error))?;
    if scheme == Scheme::Http {
        return Ok((Box::new(tcp), Proof::Clear));
    }
    let name = location.address.bare_host().to_owned();
    let name = ServerName::try_from(name).map_err(|_invalid| IoError::unknown_name())?;
    let secured = TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await;
    let secured = secured.map_err(|error| IoError::of_opening(&error))?;
    let proof = proof(secured.get_ref().1, check)?;
    Ok((Box::new(secured), proof))
}

/// Returns what a completed handshake proves.
fn proof(session: &ClientConnection, check: Check) -> Result<Proof, IoError> {
    if check == Check::Nothing {
        return Ok(Proof::Unproven);
    }
    let certificate = session.peer_certificates().and_then(<[_]>::first);
    let key = certificate.ok_or(TlsError::NoCertificatesPresented).and_then(Fingerprint::of);
    key.map(Proof::Key).map_err(|error| IoError::of_tls(&error))
}

/// Adds the interface of a link-local IPv6 address, without which it cannot be connected to.
fn with_zone(address: SocketAddr, location: SocketAddr) -> SocketAddr {
    match (address, location) {
        (SocketAddr::V6(mut address), SocketAddr::V6(location)) => {
            address.set_scope_id(location.scope_id());
            SocketAddr::V6(address)
        }
        (address, _) => address,
    }
}
