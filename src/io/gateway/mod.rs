//! The gateway (Envoy, IQ Gateway): where it is, who it is, how to ask it, and what its answers look like.

pub mod address;
mod address_error;
mod answer;
mod cause;
mod connected;
mod connection;
mod delivery;
mod digest;
pub mod endpoint;
pub mod error;
mod exchange;
pub mod firmware;
pub mod info;
mod locate;
pub mod mdns;
mod measured;
mod open;
mod open_error;
mod page_access;
mod peer;
pub mod pinned_key;
mod place;
mod session;
mod sight;
mod stream;
mod target;
pub mod wire;

pub use connected::Connected;
pub use endpoint::Endpoint;
pub use error::Error;
pub use open::{open, open_among};
pub use open_error::OpenError;
pub use peer::Proof;
pub use place::Place;
pub use session::Word;
pub use target::Target;
