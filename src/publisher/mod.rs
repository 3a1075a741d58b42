//! Sends what is on the board: to the broker and to stdout, each in its own time, so that neither can delay a
//! poll.

pub mod broker;
mod changes;
mod content;
mod leaving;
mod memory;
mod names;
pub mod outbox;
pub mod output;
mod pace;
pub mod pipe;
mod sent;

pub use content::{Domoticz, Options};
