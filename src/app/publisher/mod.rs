//! Publishes the newest values: to the broker and to standard output, independently, so that neither can delay a poll.

mod alert;
mod announced;
mod announced_entities;
mod announced_files;
mod announcer;
pub mod broker;
mod dedup;
mod gateway_topics;
mod gateways;
mod incoming;
mod options;
pub mod outbox;
pub mod output;
mod repeats;
mod reporting;
mod roster;
pub mod stdout;
mod throttle;
mod unpublished;

pub use options::{Domoticz, Options};
