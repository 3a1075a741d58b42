//! Why a request got no response: the innermost cause, in plain words.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use rustls::{AlertDescription, Error as TlsError};

use super::address::Address;
use super::error::{Error, Stage};
use crate::base::causes::{causes, innermost};
use crate::io::tls;

/// The failure of a request below HTTP.
#[derive(Debug)]
pub(crate) struct IoError {
    pub(crate) kind: Kind,
    pub(crate) stage: Stage,
    why: String,
}

/// The failures by what the caller does about them.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Nothing listens at the port, or not in this scheme. The other scheme may work.
    Refused,
    /// An open connection broke. If it was used before, the gateway may have closed it in the meantime.
    Broken,
    /// The TLS library cannot check the certificate.
    Certificate,
    /// No common version, cipher or key exchange of TLS. Skipping the certificate check does not change that.
    Incompatible,
    /// Connect timeout, unknown name, no route.
    Unreachable,
    /// Read timeout on an open connection.
    ReadTimeout,
}

impl IoError {
    /// Returns the error for a connection that could not be opened.
    pub(crate) fn of_opening(error: &io::Error) -> Self {
        if let Some(tls) = find::<TlsError>(error) {
            return Self::of_tls(tls);
        }
        let kind = match error.kind() {
            // A plain HTTP server closes the connection when it receives a TLS greeting.
            io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::UnexpectedEof => Kind::Refused,
            _ => Kind::Unreachable,
        };
        let why = in_words(error.kind()).map_or_else(|| innermost(error), str::to_owned);
        Self { kind, stage: Stage::Connect, why }
    }

    /// Returns the error for an open connection that ended before a response began.
    pub(crate) fn of_broken(error: &hyper::Error) -> Self {
        if let Some(tls) = find::<TlsError>(error) {
            return Self::of_tls(tls);
        }
        let known = find::<io::Error>(error).and_then(|io| in_words(io.kind()));
        let why = known.map_or_else(|| innermost(error), str::to_owned);
        Self { kind: Kind::Broken, stage: Stage::Response, why }
    }

    /// Returns the error for a timeout of this length.
    pub(crate) fn timed_out(after: Duration) -> Self {
        let why = format!("timed out after {} s", after.as_secs());
        Self { kind: Kind::ReadTimeout, stage: Stage::Response, why }
    }

    /// Converts the error for the case that no connection could be opened, and that opening it came to `stage`.
    pub(crate) fn while_opening(self, stage: Stage) -> Self {
        match self.kind {
            Kind::ReadTimeout => Self { kind: Kind::Unreachable, stage, ..self },
            _ => Self { stage, ..self },
        }
    }

    /// Returns the error for a host name that cannot be used.
    pub(crate) fn unknown_name() -> Self {
        let why = "its host name is invalid".to_owned();
        Self { kind: Kind::Unreachable, stage: Stage::Connect, why }
    }

    /// Returns the error for a host name that cannot be resolved.
    pub(crate) fn unresolved(error: &io::Error) -> Self {
        let why = format!("cannot resolve its host name: {}", innermost(error));
        Self { kind: Kind::Unreachable, stage: Stage::Connect, why }
    }

    /// Returns the error for a failed TLS handshake or session.
    pub(crate) fn of_tls(error: &TlsError) -> Self {
        let kind = match error {
            TlsError::InvalidMessage(_) => Kind::Refused,
            TlsError::InvalidCertificate(_) => Kind::Certificate,
            TlsError::NoCertificatesPresented
            | TlsError::PeerIncompatible(_)
            | TlsError::AlertReceived(
                AlertDescription::HandshakeFailure
                | AlertDescription::ProtocolVersion
                | AlertDescription::InsufficientSecurity,
            ) => Kind::Incompatible,
            _ => Kind::Unreachable,
        };
        let why = match kind {
            Kind::Refused => "the port does not speak TLS".to_owned(),
            _ => tls::in_words(error),
        };
        Self { kind, stage: Stage::Handshake, why }
    }

    /// Converts the error for the case that certificates are not checked, so that no message suggests `tls =
    /// "insecure"`.
    pub(crate) fn without_certificate_check(self) -> Self {
        match self.kind {
            Kind::Certificate => Self { kind: Kind::Unreachable, ..self },
            _ => self,
        }
    }

    /// Returns the error for a request of `path` at `address`.
    pub(crate) fn into_error(self, address: &Address, path: &'static str) -> Error {
        let Self { kind, stage, why } = self;
        let address = address.to_string();
        match kind {
            Kind::Certificate => Error::Certificate { address, why },
            Kind::Incompatible => Error::Incompatible { address, why },
            Kind::Broken | Kind::ReadTimeout | Kind::Refused | Kind::Unreachable => {
                Error::Unreachable { address, path, stage, why }
            }
        }
    }
}

fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    causes(error).filter_map(|error| error.downcast_ref()).last()
}

fn in_words(kind: io::ErrorKind) -> Option<&'static str> {
    Some(match kind {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::ConnectionReset => "the connection was reset",
        io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => {
            "the connection was closed"
        }
        io::ErrorKind::HostUnreachable => "the host is unreachable",
        io::ErrorKind::NetworkUnreachable => "the network is unreachable",
        _ => return None,
    })
}
