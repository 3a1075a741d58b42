//! Tests the built program, as a user and as systemd start it: against the simulated cloud and gateway on the real clock.

mod alerts;
mod bundle;
mod cloud;
mod commands;
mod concurrency;
mod consumers;
mod disk;
mod environment;
mod health;
mod hostile_text;
mod kills;
mod panics;
mod restarts;
mod root;
mod secrets;
mod served_secrets;
mod service;
mod site;
mod special_files;
mod streams;
mod truncated_files;
mod upgrade;
mod vanished;

pub(crate) use site::{HANG, Site, text};
