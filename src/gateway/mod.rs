//! The gateway (Envoy, IQ Gateway): where it is, who it is, how to ask it, and what its answers look like.

pub mod address;
pub mod client;
pub mod endpoint;
pub mod error;
pub mod info;
pub mod wire;

pub use endpoint::Endpoint;
pub use error::Error;
