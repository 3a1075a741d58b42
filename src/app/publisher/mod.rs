//! Publishes the newest values: to the broker and to standard output, independently, so that neither can delay a poll.

mod announced;
pub mod broker;
mod dedup;
mod duplicate_daemons;
mod gateway_state;
mod incoming;
mod options;
pub mod outbox;
pub mod output;
mod published;
mod removal;
mod repeats;
mod reporting;
mod roster;
mod round_robin;
pub mod stdout;
mod throttle;
mod unpublished;

pub use options::{Domoticz, Options};
