//! The application layer: configuration, the tasks of the daemon, the commands and the command line.

pub mod alerts;
pub mod cli;
pub mod commands;
pub mod config;
pub mod consumers;
pub mod daemon;
pub mod history;
pub mod latest;
pub mod listeners;
pub mod page_cache;
pub mod poller;
pub mod proxy;
pub mod publisher;
pub mod requests;
pub mod server;
pub mod status;
pub mod token_provider;
