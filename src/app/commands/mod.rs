//! The commands, one file each. A command writes what a person or a program asked for to `out`, and gives
//! back why it could not.

pub mod check;
pub mod config;
pub mod context;
pub mod demo;
pub mod discover;
pub mod domoticz;
pub mod failure;
pub mod gateway;
mod reach;
pub mod read;
pub mod reset_totals;
pub mod run;
pub mod token;

use std::time::Duration;

pub use context::Context;

/// How long a command waits for another process that is logging in: three requests of a minute each.
const PATIENCE: Duration = Duration::from_secs(200);
