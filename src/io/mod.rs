//! A module for each external thing: files and streams, the state directory, host names, TLS, tokens, the cloud, the
//! gateway, the history, the broker, the HTTP server, a webhook. None of them decides when something happens.

pub mod cloud;
pub mod files;
pub mod gateway;
pub mod history;
pub mod http;
pub mod mqtt;
pub mod resolve;
pub mod retry_after;
pub mod state_dir;
pub mod streams;
pub mod supervisor;
pub mod tls;
pub mod token;
pub mod webhook;
