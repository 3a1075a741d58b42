//! Publishes the newest values: to the broker and to standard output, independently, so that neither can delay a poll.

pub mod broker;
mod changes;
mod content;
mod duplicate_daemons;
mod gateway_state;
mod incoming;
mod memory;
pub mod outbox;
pub mod output;
mod removal;
mod repeats;
mod reporting;
mod roster;
mod round_robin;
pub mod stdout;
mod throttle;
mod unpublished;

pub use content::{Domoticz, Options};
