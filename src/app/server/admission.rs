//! What every request passes before it is answered: the name that it is addressed to, its origin, its consumer.

use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_ORIGIN,
    CONTENT_SECURITY_POLICY, HOST, ORIGIN, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::consumer::Consumer;
use super::context::Context;
use super::problem::Problem;
use super::{health, live, refused_page, socket};
use crate::app::consumers::open_stream::OpenStream;
use crate::app::consumers::request::{self, header, program};
use crate::io::http::Peer;
use crate::rules::access::consumers::{self, Identity, Presented};
use crate::rules::access::refusal::Refusal;

/// The name of the cookie with a token.
pub(super) const COOKIE_NAME: &str = "enphased";

/// Answers a request if its consumer is admitted.
pub(super) async fn admit(
    State(context): State<Arc<Context>>,
    Extension(peer): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    // Home Assistant passes on the name that a browser knows it by.
    let through_ingress = context.settings.ingress == Some(peer.address);
    if !through_ingress && let Some(problem) = misdirected(headers, &context) {
        return problem.into_response();
    }
    let origin = header(headers, &ORIGIN).map(str::to_owned);
    let is_allowed = origin.as_ref().is_some_and(|origin| context.settings.allow_origins.contains(origin));
    if request.method() == Method::OPTIONS && is_allowed {
        return with_headers(StatusCode::NO_CONTENT.into_response(), origin.filter(|_| is_allowed));
    }
    let path = request.uri().path().to_owned();
    let response = if path == health::LIVE || path == health::READY {
        next.run(request).await
    } else {
        let wants_page = refused_page::wants_page(request.headers());
        let asked = asked(&request, peer, is_allowed || through_ingress);
        match identify(asked, &context).await {
            // What changes something needs a token that is known, in an open network too.
            Ok(Identity::Program { .. }) if request.method() == Method::POST => {
                Problem::from(Refusal::NotRecognised).into_response()
            }
            Ok(identity) => {
                if is_stream(&request) {
                    // Counts until the last clone is dropped, also if the request turns out to be wrong.
                    let open = OpenStream::new(context.registry.clone(), identity.clone());
                    request.extensions_mut().insert(Arc::new(open));
                }
                request.extensions_mut().insert(Consumer(identity));
                next.run(request).await
            }
            Err(problem) if path == "/" && wants_page => refused_page::refused(&problem),
            Err(problem) => problem.into_response(),
        }
    };
    with_headers(response, origin.filter(|_| is_allowed))
}

/// Refuses a request that is addressed to a name of somebody else.
fn misdirected(headers: &HeaderMap, context: &Context) -> Option<Problem> {
    let refused = request::is_misdirected(headers, &context.names);
    refused.then(|| Problem::new(StatusCode::MISDIRECTED_REQUEST, request::MISDIRECTED))
}

/// Returns the token of a request, and what its admission depends on.
fn asked(
    request: &Request,
    peer: Peer,
    is_allowed: bool,
) -> Result<(Option<String>, consumers::Request), Problem> {
    let (headers, path) = (request.headers(), request.uri().path());
    // A browser lets any page open a WebSocket or send a form, and the cookie of this server goes with it: SameSite keeps
    // out other machines, but not other ports of this one.
    let needs_origin = path == socket::PATH || request.method() == Method::POST;
    if needs_origin && !is_allowed && is_foreign(headers) {
        let detail =
            "this page may open no socket and change nothing: add its origin to allow_origins below [server]";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    // The link that a browser opens once.
    let in_link = (path == "/").then(|| request.uri().query().and_then(token_in_link)).flatten();
    let token = in_link.or_else(|| token(headers).map(str::to_owned));
    if request.method() == Method::POST && token.is_none() {
        return Err(Refusal::NotRecognised.into());
    }
    let asked = consumers::Request {
        address: peer.address,
        program: program(headers),
        token: Presented::Nothing,
        stream: is_stream(request),
        port: Some(peer.port),
    };
    Ok((token, asked))
}

/// Decides whether the request is answered.
async fn identify(
    asked: Result<(Option<String>, consumers::Request), Problem>,
    context: &Context,
) -> Result<Identity, Problem> {
    let (token, asked) = asked?;
    Ok(context.registry.admit(token.as_deref(), asked).await?)
}

/// Returns whether the request may open a stream. All that depends on this must agree, or streams would be counted wrongly.
fn is_stream(request: &Request) -> bool {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    is_read && [live::PATH, socket::PATH].contains(&request.uri().path())
}

/// Returns `true` if a page of another server makes the request.
fn is_foreign(headers: &HeaderMap) -> bool {
    let Some(origin) = header(headers, &ORIGIN) else { return false };
    let host = header(headers, &HOST).unwrap_or_default();
    origin.split_once("://").is_none_or(|(_, name)| !name.eq_ignore_ascii_case(host))
}

/// Returns the token of a request: in its header, otherwise in its cookie.
pub(super) fn token(headers: &HeaderMap) -> Option<&str> {
    request::bearer(headers).or_else(|| request::cookies(headers, COOKIE_NAME).next())
}

/// Returns the token in the query of a link.
pub(super) fn token_in_link(query: &str) -> Option<String> {
    let (_, token) = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "token")?;
    let is_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (!token.is_empty() && token.chars().all(is_token)).then(|| token.into_owned())
}

/// Adds the headers of every response.
fn with_headers(mut response: Response, origin: Option<String>) -> Response {
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers
        .entry(CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'self'"));
    if let Some(origin) = origin.and_then(|origin| HeaderValue::from_str(&origin).ok()) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("authorization"));
        headers.insert(VARY, HeaderValue::from_static("Origin"));
    }
    response
}
