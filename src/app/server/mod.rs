//! The HTTP server: the page, status, live values, metrics and health for every program in the house (docs/server.md).
//!
//! Handlers read `latest` and never wait for a gateway, so however many consumers ask, the gateway is not asked more often.

mod admission;
mod api;
mod consumer;
mod context;
pub mod feed;
pub mod group;
mod health;
mod history;
mod live;
mod metrics;
mod openapi;
mod page;
mod page_history;
mod page_parts;
mod problem;
mod process;
mod refused_page;
pub mod rendered;
mod serial_in_path;
mod socket;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

pub use context::Context;
pub use page_parts::PageParts;

/// Returns the routes of the server.
pub fn router(context: Context) -> Router {
    let context = Arc::new(context);
    Router::new()
        .route("/", get(page::index))
        .route("/page.css", get(page::style))
        .route("/page.js", get(page::script))
        .route("/page/now", get(page::newest))
        .route("/page/history", get(page::past))
        .route("/page/readers", get(page::reading))
        .route("/api/v1/gateways", get(api::gateways))
        .route("/api/v1/gateways/{serial}/reading", get(api::reading))
        .route("/api/v1/gateways/{serial}/history", get(history::history))
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
