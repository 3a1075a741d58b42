//! Why no complete response was received, below the meaning of its status.

use super::address::Address;
use super::error::{Error, Stage};
use super::io_error::IoError;
use super::peer::Proof;
use super::read_limit::LimitExceeded;
use crate::io::tls::Check;

/// Why no complete response was received.
#[derive(Debug)]
pub(super) enum Failure {
    /// No response began.
    Io(IoError),
    /// The response ended before its end.
    CutOff,
    /// The response exceeds the size limit.
    TooLarge,
    /// The received bytes are not HTTP.
    NotHttp(String),
    /// The request cannot be built.
    Setup(String),
    /// Nothing was sent: the remote end does not have the proof of the recipient.
    OtherProof(Proof),
    /// Nothing was sent: the remote end has not identified itself as the recipient.
    Unidentified,
}

impl Failure {
    /// Returns whether nothing responds at the address.
    pub(super) fn is_absence(&self) -> bool {
        matches!(self, Self::Io(error) if error.stage == Stage::Connect)
    }

    /// Returns the failure for a request without a connection; opening it came to `stage`.
    pub(super) fn while_opening(self, stage: Stage) -> Self {
        match self {
            Self::Io(error) => Self::Io(error.while_opening(stage)),
            other => other,
        }
    }

    /// Returns the failure for a body that ended before its end.
    pub(super) fn of_body(error: &hyper::Error) -> Self {
        if LimitExceeded::is_in(error) { Self::TooLarge } else { Self::CutOff }
    }

    /// Returns the error for a request of `path`, with a response of at most `limit` bytes, to `address`, whose certificate
    /// was checked as `check` says.
    pub(super) fn into_error(
        self,
        address: &Address,
        check: Check,
        path: &'static str,
        limit: usize,
    ) -> Error {
        match self {
            Self::Io(error) if check == Check::Nothing => {
                error.without_certificate_check().into_error(address, path)
            }
            Self::Io(error) => error.into_error(address, path),
            Self::CutOff => Error::Malformed { path, why: "it is cut off".to_owned() },
            Self::TooLarge => Error::TooLarge { path, limit },
            Self::NotHttp(why) => Error::Malformed { path, why: format!("it is not HTTP ({why})") },
            Self::Setup(why) => Error::Setup { why },
            Self::Unidentified | Self::OtherProof(_) => {
                Error::Setup { why: "a secret must not be sent to another device".to_owned() }
            }
        }
    }
}

impl From<hyper::Error> for Failure {
    fn from(error: hyper::Error) -> Self {
        if LimitExceeded::is_in(&error) {
            Self::TooLarge
        } else if error.is_parse() {
            Self::NotHttp(error.to_string())
        } else {
            Self::Io(IoError::of_broken(&error))
        }
    }
}
