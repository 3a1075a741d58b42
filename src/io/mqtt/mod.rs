//! The broker: MQTT 3.1.1 by `rumqttc`, which only this folder knows.

pub mod address;
pub mod certificates;
pub mod connection;
pub mod error;
mod inflow;
pub mod options;
mod outgoing;
pub mod session;

pub use address::Address;
pub use connection::keep_connected;
pub use error::Error;
pub use inflow::{Flood, WORDS};
pub use options::{LARGEST, Options};
pub use session::{Happened, Order, Session};
