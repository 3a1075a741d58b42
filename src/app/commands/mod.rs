//! The commands, one file each. A command writes its output to `out`, and returns the reason if it fails.

pub mod alerts;
mod broker;
pub mod check;
pub mod config;
mod confirm;
pub mod consumer;
pub mod context;
pub mod demo;
pub mod demo_year;
pub mod discover;
pub mod domoticz;
pub mod failure;
pub mod gateway;
pub mod history;
mod opened_gateways;
pub mod read;
pub mod reset_totals;
pub mod run;
pub mod token;

use std::time::Duration;

pub use context::Context;

/// The time limit for another process that is logging in: three requests of a minute each.
const LOGIN_LOCK_TIMEOUT: Duration = Duration::from_secs(200);
