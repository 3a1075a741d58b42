//! Sends what is on the board: to the broker and to stdout, each in its own time, so that neither can delay a
//! poll.

pub mod broker;
mod changes;
mod complaint;
mod content;
mod incoming;
mod leaving;
mod memory;
mod names;
pub mod outbox;
pub mod output;
pub mod pipe;
mod repeats;
mod reporting;
mod roster;
mod sent;
mod throttle;
mod walk;

pub use content::{Domoticz, Options};
