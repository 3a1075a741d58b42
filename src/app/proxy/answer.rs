//! Responses: the gateway's own, with their age, and those of the proxy in plain text.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{
    AGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use tokio::time::Instant;

use super::context::Context;
use crate::app::page_cache::Answer;
use crate::io::gateway::Page as GatewayPage;
use crate::rules::proxy::info::with_serial;
use crate::rules::proxy::pages::Page;

/// The time after which a program should ask again for a page that is not available.
const RETRY: u64 = 5;

/// Answers with a page.
pub(super) async fn page(context: &Context, page: Page) -> Response {
    let start = Instant::now();
    match context.pages.page(page).await {
        Answer::Response(response, age) => {
            let outcome = if age <= start.elapsed() {
                "requested"
            } else if age <= page.period(context.interval) || response.status >= 400 {
                "cached"
            } else {
                "stale"
            };
            context.counted(outcome, of_gateway(response, age))
        }
        Answer::Unavailable => context.counted("unavailable", unavailable()),
    }
}

/// Returns a page for what is made of several, or the response to its request if it is not there.
pub(super) async fn page_of_gateway(context: &Context, page: Page) -> Result<GatewayPage, Box<Response>> {
    match context.pages.page(page).await {
        Answer::Response(response, _) if response.status == 200 => Ok(response),
        Answer::Response(response, age) => {
            Err(Box::new(context.counted("cached", of_gateway(response, age))))
        }
        Answer::Unavailable => Err(Box::new(context.counted("unavailable", unavailable()))),
    }
}

/// Answers a request for a stream of a gateway without meters.
pub(super) fn no_stream(context: &Context) -> Response {
    context.counted("unavailable", plain(StatusCode::NOT_FOUND, "this gateway has no meters"))
}

/// Answers with `/info`.
pub(super) async fn info(context: &Context) -> Response {
    match context.pages.info().await {
        Answer::Response(mut response, age) => {
            if let Some(serial) = &context.serial {
                response.body = with_serial(&response.body, serial).into();
            }
            context.counted("info", of_gateway(response, age))
        }
        Answer::Unavailable => context.counted("unavailable", unavailable()),
    }
}

/// Returns a response of the gateway.
fn of_gateway(response: GatewayPage, age: Duration) -> Response {
    let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut answer = Response::new(Body::from(response.body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.extend(response.content_type.map(|value| (CONTENT_TYPE, value)));
    headers.extend(response.content_encoding.map(|value| (CONTENT_ENCODING, value)));
    headers.insert(AGE, HeaderValue::from(age.as_secs()));
    guard(headers);
    answer
}

fn unavailable() -> Response {
    let mut answer = plain(StatusCode::SERVICE_UNAVAILABLE, "the gateway does not respond; try again later");
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY));
    answer
}

/// Returns a response of the proxy itself.
pub(super) fn plain(status: StatusCode, words: &str) -> Response {
    let mut answer = Response::new(Body::from(format!("{words}\n")));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    guard(answer.headers_mut());
    answer
}

/// Adds the headers that keep a browser from taking a page of the gateway for one of this machine.
pub(super) fn guard(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox");
    headers.insert(CONTENT_SECURITY_POLICY, policy);
}
