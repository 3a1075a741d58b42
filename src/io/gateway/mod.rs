//! The gateway (Envoy, IQ Gateway): locating, identifying and reading it, and the formats of its pages.

pub mod address;
mod address_error;
mod connected;
mod connection;
mod credentials;
mod digest;
pub mod endpoint;
pub mod error;
pub mod firmware;
mod http;
mod identify;
pub mod info;
mod io_error;
mod locate;
mod location;
pub mod mdns;
mod open;
mod open_error;
mod peer;
pub mod pinned_key;
mod read_limit;
mod recipient;
mod response;
mod session;
mod socket;
mod target;
pub mod wire;

pub use connected::Connected;
pub use endpoint::Endpoint;
pub use error::{Error, Stage};
pub use location::Location;
pub use open::{open, open_among};
pub use open_error::OpenError;
pub use peer::Proof;
pub use session::TokenVerdict;
pub use target::Target;
