//! An open stream of a consumer, as its registry counts it.

use super::registry::Registry;
use crate::rules::access::consumers::Identity;

/// An open stream, which ends with its value.
#[derive(Debug)]
pub struct OpenStream {
    registry: Registry,
    identity: Identity,
}

impl OpenStream {
    /// Creates the guard of a stream that was admitted.
    pub const fn new(registry: Registry, identity: Identity) -> Self {
        Self { registry, identity }
    }

    /// Completes when the stream has to end because its token was removed.
    pub async fn removed(&self) {
        self.registry.removed(&self.identity).await;
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.registry.stream_ended(&self.identity);
    }
}
