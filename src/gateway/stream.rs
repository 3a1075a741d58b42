//! An open connection to a gateway, in the clear or over TLS.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::address::{Address, Scheme};
use super::cause::Cause;
use crate::names;

/// Bytes to a gateway and back.
pub(super) type Stream = Box<dyn Bytes>;

/// What a connection is, whatever protects it.
pub(super) trait Bytes: AsyncRead + AsyncWrite + Debug + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Debug + Send + Sync + Unpin> Bytes for T {}

/// Connects to `address`. Over TLS `tls` judges the key; what it refuses is never written to. `patience` is for
/// every address that a name stands for together.
pub(super) async fn open(
    address: &Address,
    scheme: Scheme,
    tls: &Arc<ClientConfig>,
    patience: Duration,
) -> Result<Stream, Cause> {
    // As a host an IPv6 address has no brackets.
    let host = address.host().trim_start_matches('[').trim_end_matches(']');
    let tcp = connect(host, address.port(scheme), patience).await?;
    if scheme == Scheme::Http {
        return Ok(Box::new(tcp));
    }
    let name = ServerName::try_from(host.to_owned()).map_err(|_odd| Cause::unknown_name())?;
    let secured = TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await;
    secured.map(|stream| Box::new(stream) as Stream).map_err(|error| Cause::of_opening(&error))
}

/// The first of the name's addresses that answers; one that does not leaves time for the others.
async fn connect(host: &str, port: u16, patience: Duration) -> Result<TcpStream, Cause> {
    let found = names::resolve(host, port).await.map_err(|error| Cause::unresolved(&error))?;
    let share = patience / u32::try_from(found.len()).unwrap_or(u32::MAX).max(1);
    let mut failure = None;
    for address in found {
        match timeout(share, TcpStream::connect(address)).await {
            // Requests are written whole, so there is nothing to wait for.
            Ok(Ok(stream)) => {
                return stream.set_nodelay(true).map(|()| stream).map_err(|error| Cause::of_opening(&error));
            }
            Ok(Err(error)) => failure = Some(Cause::of_opening(&error)),
            Err(_elapsed) => failure = Some(Cause::timed_out(share)),
        }
    }
    Err(failure.unwrap_or_else(Cause::unknown_name))
}
