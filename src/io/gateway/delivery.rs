//! Whom a request is for, and why it was not delivered.

use super::Error;
use super::peer::{Comparison, FarEnd, Peer};

/// Whom a request is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum To<'a> {
    /// Whoever is there.
    Anybody,
    /// Whoever shows what this peer shows.
    LikeOf(&'a Peer),
    /// This peer.
    Peer(&'a Peer),
}

impl To<'_> {
    /// Compares who is at the other end of a connection with whom the request is for.
    pub(super) fn compare(self, far_end: &FarEnd) -> Comparison {
        match self {
            Self::Anybody => Comparison::Same,
            Self::LikeOf(peer) | Self::Peer(peer) => far_end.compare(peer),
        }
    }
}

/// Why no answer came to a request.
#[derive(Debug)]
pub(crate) enum Undelivered {
    /// Nobody listens there, or not in the scheme that was written.
    Refused(Error),
    /// Nothing was sent: the other end has not named itself as the peer.
    Unnamed,
    /// Anything else.
    Failed(Error),
}

impl From<Undelivered> for Error {
    fn from(undelivered: Undelivered) -> Self {
        match undelivered {
            Undelivered::Refused(error) | Undelivered::Failed(error) => error,
            Undelivered::Unnamed => Self::Setup { why: "the gateway does not say who it is".to_owned() },
        }
    }
}
