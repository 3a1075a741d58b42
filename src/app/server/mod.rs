//! The HTTP server: status, live values, metrics and health for every program in the house (docs/server.md).
//!
//! Handlers read `latest` and never wait for a gateway, so however many consumers ask, the gateway is not asked more often.

mod admission;
mod api;
mod context;
pub mod feed;
mod health;
pub mod listed;
mod live;
mod metrics;
mod openapi;
mod problem;
mod process;
pub mod registry;
mod socket;
pub mod tokens;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::app::config;
use crate::io::http::certificate::{self, Certificate};
use crate::io::http::listener::MAX_CONNECTIONS;
use crate::io::http::{self, Listener};
use crate::io::state_dir::StateDir;
pub use context::{Context, host_name};

/// The reason that the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing listens at a configured address.
    #[error(transparent)]
    Listen(#[from] http::Error),
    /// There is no key for TLS.
    #[error(transparent)]
    Key(#[from] certificate::Error),
}

/// The open listeners of the server.
#[derive(Debug)]
pub struct Listeners {
    settings: config::Server,
    open: Vec<Listener>,
    certificate: Option<Certificate>,
}

impl Listeners {
    /// Listens at every configured address, or at none.
    pub async fn open(settings: &config::Server, state: &StateDir) -> Result<Self, Error> {
        let mut open = Vec::new();
        for listen in &settings.listen {
            let beside_ipv4 = settings
                .listen
                .iter()
                .any(|other| other.address.is_ipv4() && other.address.port() == listen.address.port());
            open.push(Listener::open(*listen, beside_ipv4)?);
        }
        let uses_tls = settings.listen.iter().any(|listen| listen.tls);
        let names: Vec<String> = host_name().into_iter().chain(settings.host_names.clone()).collect();
        let certificate = if uses_tls { Some(Certificate::of(state, &names).await?) } else { None };
        Ok(Self { settings: settings.clone(), open, certificate })
    }

    /// Returns the settings that these listeners were opened for.
    pub const fn settings(&self) -> &config::Server {
        &self.settings
    }

    /// Returns the addresses, with the ports that the system chose.
    pub fn addresses(&self) -> impl Iterator<Item = http::Listen> {
        self.open.iter().map(Listener::listen)
    }

    /// Serves until `stop` is `true`, and remembers the consumers then.
    pub async fn serve(self, context: Context, stop: watch::Receiver<bool>) {
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let registry = context.registry.clone();
        let router = router(context);
        let mut tasks = JoinSet::new();
        for listener in self.open {
            let tls = self.certificate.as_ref().filter(|_| listener.listen().tls).map(Certificate::acceptor);
            let (router, permits, stop) = (router.clone(), Arc::clone(&permits), stop.clone());
            // The key was accepted when it was made or read.
            let Ok(tls) = tls.transpose() else { continue };
            tasks.spawn(async move { listener.serve(tls, router, permits, stop).await });
        }
        let served = async { while tasks.join_next().await.is_some() {} };
        tokio::select! {
            () = served => {}
            () = registry.keep() => {}
        }
        registry.save().await;
    }
}

/// Returns the routes.
fn router(context: Context) -> Router {
    let context = Arc::new(context);
    Router::new()
        .route("/", get(api::index))
        .route("/api/v1/gateways", get(api::gateways))
        .route("/api/v1/gateways/{serial}/reading", get(api::reading))
        .route("/api/v1/gateways/{serial}/poll", post(api::poll))
        .route("/api/v1/status", get(api::status))
        .route("/api/v1/consumers", get(api::consumers))
        .route(live::PATH, get(live::stream))
        .route(socket::PATH, get(socket::socket))
        .route("/metrics", get(metrics::metrics))
        .route("/openapi.json", get(openapi::openapi))
        .route(health::LIVE, get(health::live))
        .route(health::READY, get(health::ready))
        .fallback(api::unknown)
        .method_not_allowed_fallback(api::wrong_method)
        .layer(from_fn_with_state(Arc::clone(&context), admission::admit))
        .with_state(context)
}
