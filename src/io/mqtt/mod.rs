//! The connection to the broker: MQTT 3.1.1 with `rumqttc`, which only this folder uses.

pub mod address;
pub mod certificates;
pub mod connection;
pub mod error;
mod flood_control;
pub mod options;
mod outgoing;
pub mod session;

pub use address::{Address, AddressError};
pub use connection::keep_connected;
pub use error::Error;
pub use flood_control::{BURST, Flood};
pub use options::{MAX_MESSAGE, Options};
pub use session::{BrokerEvent, Command, Session};
