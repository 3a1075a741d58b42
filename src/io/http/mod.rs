//! The HTTP server: listeners, TLS with a key of this daemon's own, and the limits of a connection.
//!
//! A listener passes each request to a service, which decides about the response.

pub mod certificate;
mod connection_limit;
mod exact_targets;
mod host_name;
pub mod listen;
pub mod listener;
pub mod local_request;
mod progress;

pub use certificate::Certificate;
pub use connection_limit::possible_connections;
pub use host_name::host_name;
pub use listen::Listen;
pub use listener::{Client, Error, Listener, Peer, Slot, serve_requests};
