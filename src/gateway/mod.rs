//! The gateway (Envoy, IQ Gateway): where it is, who it is, how to ask it, and what its answers look like.

pub mod address;
mod answer;
mod cause;
pub mod client;
mod connection;
mod digest;
pub mod endpoint;
pub mod error;
mod exchange;
pub mod info;
pub mod mdns;
mod measured;
mod session;
mod stream;
pub mod wire;

pub use endpoint::Endpoint;
pub use error::Error;
