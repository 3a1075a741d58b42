//! The built program, as a user and as systemd start it: against the simulated cloud and gateway on the real
//! clock.

mod at_once;
mod bundle;
mod cloud;
mod commands;
mod cuts;
mod disk;
mod hostile;
mod kills;
mod odd_files;
mod panics;
mod restarts;
mod root;
mod secrets;
mod service;
mod site;
mod streams;
mod vanished;

pub(crate) use site::{HANG, Site, text};
