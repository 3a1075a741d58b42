//! Tests the publisher against a real mosquitto on a free port of loopback.

mod broker;
mod built_program;
mod connection;
mod outages;
mod publishing;
mod tls;
mod watcher;

use std::time::Duration;

pub(crate) use broker::Mosquitto;
pub(crate) use built_program::program;
pub(crate) use connection::set_password;
pub(crate) use outages::MEMORY;
pub(crate) use publishing::{Daemon, content, discovery, options, reading};
pub(crate) use watcher::{Watcher, kept};

/// A time limit that only a failing test reaches.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The time between two checks of something that has to be polled.
pub(crate) const LOOK: Duration = Duration::from_millis(20);

pub(crate) const SERIAL: &str = "122300000001";

pub(crate) const STATUS: &str = "enphased/status";
pub(crate) const AVAILABILITY: &str = "enphased/122300000001/availability";
pub(crate) const READING: &str = "enphased/122300000001/reading";
pub(crate) const POWER: &str = "enphased/122300000001/production/power_w";
