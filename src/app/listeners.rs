//! The open listeners of the daemon: those of the server, and those of the proxies.
//!
//! All share one limit of connections and one key for TLS.

use std::sync::Arc;

use axum::Router;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::app::config::{Config, MAX_CONNECTIONS, Service};
use crate::io::http::certificate::{self, Certificate};
use crate::io::http::{self, Listen, Listener, host_name};
use crate::io::state_dir::StateDir;

/// The reason that a listener cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing listens at a configured address.
    #[error(transparent)]
    Listen(#[from] http::Error),
    /// There is no key for TLS.
    #[error(transparent)]
    Key(#[from] certificate::Error),
}

/// The open listeners, each with the service that answers there.
#[derive(Debug)]
pub struct Listeners {
    open: Vec<(Service, Listener)>,
    certificate: Option<Certificate>,
    max_connections: usize,
}

impl Listeners {
    /// Listens at every configured address, or at none.
    pub async fn open(config: &Config, state: &StateDir) -> Result<Self, Error> {
        let wanted: Vec<(Service, Listen)> = config.listens().collect();
        let mut open = Vec::new();
        for (service, listen) in &wanted {
            let beside_ipv4 = wanted
                .iter()
                .any(|(_, other)| other.address.is_ipv4() && other.address.port() == listen.address.port());
            let listener = Listener::open(*listen, beside_ipv4)?;
            open.push((*service, listener.with_exact_targets(*service != Service::Server)));
        }
        let uses_tls = wanted.iter().any(|(_, listen)| listen.tls);
        let certificate = if uses_tls { Some(Certificate::of(state, &names(config)).await?) } else { None };
        let max_connections = config.server.as_ref().map_or(MAX_CONNECTIONS, |server| server.max_connections);
        Ok(Self { open, certificate, max_connections })
    }

    /// Returns the addresses, with the ports that the system chose.
    pub fn addresses(&self) -> impl Iterator<Item = (Service, Listen)> {
        self.open.iter().map(|(service, listener)| (*service, listener.listen()))
    }

    /// Serves until `stop` is `true`. `router` returns the routes of each service.
    pub async fn serve(self, router: impl Fn(Service) -> Router, stop: watch::Receiver<bool>) {
        let permits = Arc::new(Semaphore::new(http::possible_connections(self.max_connections)));
        let mut tasks = JoinSet::new();
        for (service, listener) in self.open {
            let tls = match &self.certificate {
                Some(certificate) if listener.listen().tls => Some(certificate.acceptor()),
                _ => None,
            };
            let (router, permits, stop) = (router(service), Arc::clone(&permits), stop.clone());
            // The key was accepted when it was made or read.
            let Ok(tls) = tls.transpose() else { continue };
            tasks.spawn(async move { listener.serve(tls, router, permits, stop).await });
        }
        while tasks.join_next().await.is_some() {}
    }
}

/// Returns the names of this machine under which it may be asked.
pub fn names(config: &Config) -> Vec<String> {
    let configured = config.server.iter().flat_map(|server| &server.host_names).cloned();
    host_name().into_iter().chain(configured).collect()
}
