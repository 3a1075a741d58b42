//! Why a request got no answer: the innermost cause, in plain words.

use std::error::Error as StdError;
use std::io;
use std::iter::successors;
use std::time::Duration;

use rustls::{AlertDescription, Error as TlsError};

use super::Error;
use super::address::Address;
use crate::io::tls;

/// What ended a request below HTTP.
#[derive(Debug)]
pub(crate) struct Cause {
    pub(crate) kind: Kind,
    why: String,
}

/// The causes by what is done about them.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Nobody listens there, or not in this scheme: the other may be answered.
    Refused,
    /// An open connection broke: if it was used before, the gateway may have closed it meanwhile.
    Broken,
    /// The TLS library cannot check the certificate.
    Certificate,
    /// No version, cipher or key exchange of TLS in common; to check no certificate does not change that.
    Incompatible,
    /// No connection in time, an unknown name, no route.
    Unreachable,
    /// An open connection on which nothing came in time.
    Silent,
}

impl Cause {
    /// Of a connection that could not be opened.
    pub(crate) fn of_opening(error: &io::Error) -> Self {
        if let Some(tls) = find::<TlsError>(error) {
            return Self::of_tls(tls);
        }
        let kind = match error.kind() {
            // A program that speaks plain HTTP hangs up on a TLS greeting.
            io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::UnexpectedEof => Kind::Refused,
            _ => Kind::Unreachable,
        };
        let why = in_words(error.kind()).map_or_else(|| innermost(error), str::to_owned);
        Self { kind, why }
    }

    /// Of an open connection that ended before an answer began.
    pub(crate) fn of_broken(error: &hyper::Error) -> Self {
        if let Some(tls) = find::<TlsError>(error) {
            return Self::of_tls(tls);
        }
        let known = find::<io::Error>(error).and_then(|io| in_words(io.kind()));
        Self { kind: Kind::Broken, why: known.map_or_else(|| innermost(error), str::to_owned) }
    }

    /// Nothing came for this long.
    pub(crate) fn timed_out(after: Duration) -> Self {
        Self { kind: Kind::Silent, why: format!("timed out after {} s", after.as_secs()) }
    }

    /// The same before a connection was open.
    pub(crate) fn before_connection(self) -> Self {
        match self.kind {
            Kind::Silent => Self { kind: Kind::Unreachable, ..self },
            _ => self,
        }
    }

    /// The name of the host leads to no address.
    pub(crate) fn unknown_name() -> Self {
        Self { kind: Kind::Unreachable, why: "its name leads to no address".to_owned() }
    }

    /// The name of the host cannot be looked up: nobody knows it, or nobody answers who might.
    pub(crate) fn unresolved(error: &io::Error) -> Self {
        Self { kind: Kind::Unreachable, why: format!("its name cannot be resolved: {}", innermost(error)) }
    }

    /// Of a TLS handshake or session.
    pub(crate) fn of_tls(error: &TlsError) -> Self {
        let why = tls::in_words(error);
        match error {
            TlsError::InvalidMessage(_) => {
                Self { kind: Kind::Refused, why: "it does not speak TLS there".to_owned() }
            }
            TlsError::InvalidCertificate(_) => Self { kind: Kind::Certificate, why },
            TlsError::NoCertificatesPresented
            | TlsError::PeerIncompatible(_)
            | TlsError::AlertReceived(
                AlertDescription::HandshakeFailure
                | AlertDescription::ProtocolVersion
                | AlertDescription::InsufficientSecurity,
            ) => Self { kind: Kind::Incompatible, why },
            _ => Self { kind: Kind::Unreachable, why },
        }
    }

    /// The same where certificates are not checked anyway, so that nobody is told not to check them.
    pub(crate) fn unchecked(self) -> Self {
        match self.kind {
            Kind::Certificate => Self { kind: Kind::Unreachable, ..self },
            _ => self,
        }
    }

    /// The error for a request of `path` at `address`.
    pub(crate) fn into_error(self, address: &Address, path: &'static str) -> Error {
        let (address, why) = (address.to_string(), self.why);
        match self.kind {
            Kind::Certificate => Error::Certificate { address, why },
            Kind::Incompatible => Error::Incompatible { address, why },
            Kind::Broken | Kind::Silent => Error::Unreachable { address, path, connected: true, why },
            Kind::Refused | Kind::Unreachable => Error::Unreachable { address, path, connected: false, why },
        }
    }
}

/// The error and what caused it, outermost first.
fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    successors(Some(error), |error| within(*error))
}

/// What is inside `error`. An I/O error names as its source what caused the one inside it, and so would hide
/// that one.
fn within<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>() {
        Some(io) => io.get_ref().map(|inner| inner as &(dyn StdError + 'static)),
        None => error.source(),
    }
}

fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    chain(error).filter_map(|error| error.downcast_ref()).last()
}

fn innermost(error: &(dyn StdError + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

fn in_words(kind: io::ErrorKind) -> Option<&'static str> {
    Some(match kind {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::ConnectionReset => "the connection was reset",
        io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => {
            "it closed the connection"
        }
        io::ErrorKind::HostUnreachable => "the host is unreachable",
        io::ErrorKind::NetworkUnreachable => "the network is unreachable",
        _ => return None,
    })
}
