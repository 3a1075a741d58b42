//! An open connection to a gateway, in the clear or over TLS.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Error as TlsError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::address::Scheme;
use super::cause::Cause;
use super::peer::Proof;
use super::place::Place;
use crate::io::tls::{Check, Fingerprint};

/// Bytes to a gateway and back.
pub(super) type Stream = Box<dyn Bytes>;

/// What a connection is, whatever protects it.
pub(super) trait Bytes: AsyncRead + AsyncWrite + Debug + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Debug + Send + Sync + Unpin> Bytes for T {}

/// Connects to `place`; over TLS the other end has proven then that it owns its key, unless `tls` checks nothing.
pub(super) async fn open(
    place: &Place,
    scheme: Scheme,
    tls: &Arc<ClientConfig>,
    check: Check,
) -> Result<(Stream, Proof), Cause> {
    let ip = SocketAddr::new(place.ip.ip(), place.address.port(scheme));
    let tcp = TcpStream::connect(with_zone(ip, place.ip)).await.map_err(|error| Cause::of_opening(&error))?;
    // Requests are written whole, so there is nothing to wait for.
    tcp.set_nodelay(true).map_err(|error| Cause::of_opening(&error))?;
    if scheme == Scheme::Http {
        return Ok((Box::new(tcp), Proof::Clear));
    }
    let name = place.address.bare_host().to_owned();
    let name = ServerName::try_from(name).map_err(|_odd| Cause::unknown_name())?;
    let secured = TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await;
    let secured = secured.map_err(|error| Cause::of_opening(&error))?;
    let proof = proof(secured.get_ref().1, check)?;
    Ok((Box::new(secured), proof))
}

/// What a finished handshake proves.
fn proof(session: &ClientConnection, check: Check) -> Result<Proof, Cause> {
    if check == Check::Nothing {
        return Ok(Proof::Unproven);
    }
    let certificate = session.peer_certificates().and_then(<[_]>::first);
    let key = certificate.ok_or(TlsError::NoCertificatesPresented).and_then(Fingerprint::of);
    key.map(Proof::Key).map_err(|error| Cause::of_tls(&error))
}

/// A link-local IPv6 address is nothing without its interface.
fn with_zone(address: SocketAddr, place: SocketAddr) -> SocketAddr {
    match (address, place) {
        (SocketAddr::V6(mut address), SocketAddr::V6(place)) => {
            address.set_scope_id(place.scope_id());
            SocketAddr::V6(address)
        }
        (address, _) => address,
    }
}
