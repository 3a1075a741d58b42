//! The proxy of one gateway: its own pages for programs that talk to a gateway (docs/proxy.md).
//!
//! Everything is answered from memory or through the poller. No request of a program reaches the gateway as it came.

mod answer;
mod context;
mod login;
mod meter_stream;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, Request, State};
use axum::http::header::{ALLOW, HeaderValue};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;

use crate::app::consumers::open_stream::OpenStream;
use crate::app::consumers::request::{MISDIRECTED, is_misdirected};
use crate::io::http::Peer;
use crate::rules::proxy::target::Target;
use answer::plain;
pub use context::Context;

/// Returns the routes of a proxy: one for everything, because the list of pages is the only list of paths.
pub fn router(context: Context) -> Router {
    Router::new().fallback(answer).with_state(Arc::new(context))
}

async fn answer(
    State(context): State<Arc<Context>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    let (method, headers) = (request.method(), request.headers());
    if is_misdirected(headers, &context.names) {
        return context.counted("misdirected", plain(StatusCode::MISDIRECTED_REQUEST, MISDIRECTED));
    }
    let target =
        request_target(request.uri()).map_or(Target::Unknown, |raw| Target::of(method.as_str(), raw));
    match target {
        Target::Unknown => {
            let words = "the proxy has no such page; docs/proxy.md lists those that it has";
            context.counted("not_listed", plain(StatusCode::NOT_FOUND, words))
        }
        Target::WrongMethod => context.counted("not_listed", wrong_method(request.uri())),
        Target::Info => answer::info(&context).await,
        Target::CheckToken => login::check_token(&context, peer, headers).await,
        Target::Stream => stream(context, peer, headers, method).await,
        Target::Page(page) => match login::admit(&context, peer, headers, false).await {
            Ok(_) => answer::page(&context, page).await,
            Err(refused) => *refused,
        },
    }
}

async fn stream(context: Arc<Context>, peer: Peer, headers: &HeaderMap, method: &Method) -> Response {
    // A request for the head opens no stream.
    let opens = *method == Method::GET;
    match login::admit(&context, peer, headers, opens).await {
        Ok(identity) => {
            let open = opens.then(|| OpenStream::new(context.registry.clone(), identity));
            meter_stream::answer(context, open).await
        }
        Err(refused) => *refused,
    }
}

/// Returns the request target as it was sent. One in absolute form is for another server.
fn request_target(uri: &Uri) -> Option<&str> {
    let is_relative = uri.scheme().is_none() && uri.authority().is_none();
    uri.path_and_query().filter(|_| is_relative).map(axum::http::uri::PathAndQuery::as_str)
}

fn wrong_method(uri: &Uri) -> Response {
    let checks = request_target(uri) == Some(crate::rules::proxy::target::CHECK_JWT);
    let allowed = if checks { "GET, HEAD, POST" } else { "GET, HEAD" };
    let mut response =
        plain(StatusCode::METHOD_NOT_ALLOWED, "the proxy only reads; nothing is written to the gateway");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}
