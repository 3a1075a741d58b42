//! The recipient of a request, and why a request was not sent or not answered.

use super::Error;
use super::peer::{Comparison, Peer, RemoteEnd};

/// The recipient of a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Recipient<'a> {
    /// Any device at the address.
    Anyone,
    /// A device that proves the same as this peer.
    SameProof(&'a Peer),
    /// This peer.
    Peer(&'a Peer),
}

impl Recipient<'_> {
    /// Compares the recipient with the remote end of a connection.
    pub(super) fn compare(self, remote: &RemoteEnd) -> Comparison {
        match self {
            Self::Anyone => Comparison::Same,
            Self::SameProof(peer) | Self::Peer(peer) => remote.compare(peer),
        }
    }
}

/// Why a request got no response.
#[derive(Debug)]
pub(crate) enum SendError {
    /// Nothing listens at the address, or not in the configured scheme.
    Refused(Error),
    /// Nothing was sent: the remote end has not identified itself as the peer.
    Unidentified,
    /// Anything else.
    Failed(Error),
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Refused(error) | SendError::Failed(error) => error,
            SendError::Unidentified => {
                Self::Setup { why: "the gateway did not identify itself on this connection".to_owned() }
            }
        }
    }
}
