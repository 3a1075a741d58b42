//! The broker: MQTT 3.1.1 by `rumqttc`, which only this folder knows.

pub mod address;
pub mod certificates;
pub mod connection;
pub mod error;
pub mod options;

pub use address::Address;
pub use connection::{Happened, Order, Session, keep_connected};
pub use error::Error;
pub use options::Options;
