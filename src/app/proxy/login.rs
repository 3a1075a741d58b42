//! The login of a program: as at a gateway, a token opens a session, and afterwards the cookie is sufficient.
//!
//! Nothing of it reaches the gateway. A token of the gateway itself is neither needed nor passed on.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::answer::{guard, plain};
use super::context::Context;
use crate::app::consumers::request::{bearer, cookies, program};
use crate::io::http::Peer;
use crate::rules::access::consumers::{Identity, Presented, Request};
use crate::rules::access::refusal::Refusal;

/// The name of the cookie. Some programs look for exactly this one.
const COOKIE: &str = "sessionId";
/// The session of programs that need no token.
const OPEN: &str = "open";
/// The body with which a gateway accepts a token. Some programs compare all of it.
const VALID: &str = "<!DOCTYPE html><h2>Valid token.</h2>\n";

/// Decides whether a request is answered. `stream` is whether it opens a stream.
pub(super) async fn admit(
    context: &Context,
    peer: Peer,
    headers: &HeaderMap,
    stream: bool,
) -> Result<Identity, Box<Response>> {
    let request = Request {
        address: peer.address,
        program: program(headers),
        token: Presented::Nothing,
        stream,
        port: Some(peer.port),
    };
    let sessions: Vec<&str> = cookies(headers, COOKIE).filter(|session| *session != OPEN).collect();
    let admitted = context.registry.admit_with(bearer(headers), &sessions, request).await;
    admitted.map_err(|refusal| Box::new(context.counted("refused", refused(&refusal))))
}

/// Answers whether a token is accepted, and opens a session.
pub(super) async fn check_token(context: &Context, peer: Peer, headers: &HeaderMap) -> Response {
    let identity = match admit(context, peer, headers, false).await {
        Ok(identity) => identity,
        Err(refused) => return *refused,
    };
    let session = context.registry.session(&identity);
    // No `Secure`: programs that read a plain address would not send it back.
    let cookie = format!("{COOKIE}={}; Path=/", session.as_deref().unwrap_or(OPEN));
    let mut response = Response::new(Body::from(VALID));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        headers.insert(SET_COOKIE, cookie);
    }
    guard(headers);
    context.counted("token_checked", response)
}

fn refused(refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::FORBIDDEN);
    let mut response = plain(status, &refusal.to_string());
    if let Some(after) = refusal.retry_after() {
        // Rounded up, so that a repetition at that time is accepted.
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(after.as_secs() + 1));
    }
    response
}
