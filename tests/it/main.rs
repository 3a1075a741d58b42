//! The integration tests, in one crate so that everything is linked only once.

#![allow(
    clippy::unwrap_used,
    clippy::unnecessary_debug_formatting,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test reports an error by failing"
)]

use std::ffi::OsString;

mod alerts;
mod binary;
mod blind_meter;
mod broker_outages;
mod daemon;
mod damaged_pages;
mod discovery;
mod docs;
mod domoticz;
mod estimates;
mod failing_pages;
mod fuzz_corpus;
#[path = "../fuzz/requests/mod.rs"]
mod fuzz_requests;
mod gateway_absence;
mod gateway_client;
mod gateway_trust;
mod hanging_disk;
mod history;
mod history_kills;
mod homeassistant;
mod hostile_broker;
mod hostile_gateway;
mod impossible_values;
mod impostor;
mod layers;
mod login_promise;
mod mosquitto;
mod mqtt_requests;
mod proxy;
mod recordings;
mod refresh_prompt;
mod refresh_terminal;
mod release;
mod reload;
mod reset_totals;
mod restarts;
mod server;
mod simulator;
mod support;
mod token_report;
mod watchdog;

/// Returns the path of the built program, or of `$ENPHASED_PROGRAM`, which tests/cross sets to builds for other processors.
fn program() -> OsString {
    std::env::var_os("ENPHASED_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_enphased").into())
}
