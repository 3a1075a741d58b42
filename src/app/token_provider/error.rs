//! The error of a token provider.

use crate::app::config::secret::UnreadableSecret;
use crate::io::state_dir;

/// The reason why no decision or request was possible.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The state directory is not usable, and a login requires it (L4).
    #[error("{0}; no login is made without a record of it on disk")]
    State(#[from] state_dir::Error),
    /// The password is unreadable.
    #[error(transparent)]
    Password(#[from] UnreadableSecret),
    /// Another process holds the lock.
    #[error("another enphased process is contacting the cloud; try again in a minute")]
    Busy,
}
