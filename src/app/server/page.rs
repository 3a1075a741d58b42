//! The page for people, at `/`, and its parts below `/page`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, RawQuery, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, LOCATION, REFERRER_POLICY, SET_COOKIE, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::admission::{COOKIE_NAME, token_in_link};
use super::api::{is_known, json};
use super::consumer::{Consumer, visible_consumers};
use super::context::Context;
use super::page_history::{asked, history};
use super::page_parts::{File, cloud, name, site, unknown};
use super::problem::Problem;
use super::refused_page::{HTML, refused, wants_page};
use super::rendered::Document;
use crate::app::status;
use crate::output::page::{self, House, Reader, Site, Tags, document, readers, sections};
use crate::rules::access::consumers::Identity;

/// What the page may load: its own style sheet, script and values, and the icon that is part of it. Home Assistant shows it
/// in a frame of its own origin.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// `GET /`: the page for a browser, and a list of what there is for a program. `GET /?token=…` turns a token into a cookie,
/// so that it does not stay in the address. One that is not known, as a gateway's own in an open network, goes no further.
pub(super) async fn index(
    State(context): State<Arc<Context>>,
    RawQuery(query): RawQuery,
    Extension(Consumer(identity)): Extension<Consumer>,
    headers: HeaderMap,
) -> Response {
    let query = query.unwrap_or_default();
    if let Some(token) = token_in_link(&query) {
        return with_cookie(&token, &identity);
    }
    if !wants_page(&headers) {
        return vary(json(&headers, &list()));
    }
    let asked = match asked(&query) {
        Ok(asked) => asked,
        Err(error) => return vary(refused(&Problem::new(StatusCode::BAD_REQUEST, error.to_string()))),
    };
    let house = house(&context).await;
    let history = page::history(&history(&context, asked).await);
    let readers = readers(&who(&context, &identity), house.now);
    let tags = Tags { style: &context.page.style.version, script: &context.page.script.version };
    let page = document(&house, &tags, &history, &readers);
    vary(html(&headers, Document::of(page.into_string())))
}

/// `GET /page/now`: the sections that change with each reading.
pub(super) async fn newest(State(context): State<Arc<Context>>, headers: HeaderMap) -> Response {
    html(&headers, now(&context).await)
}

/// `GET /page/history?day=2026-06-21`: the section with the history.
pub(super) async fn past(
    State(context): State<Arc<Context>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    match asked(&query.unwrap_or_default()) {
        Ok(asked) => {
            html(&headers, Document::of(page::history(&history(&context, asked).await).into_string()))
        }
        Err(error) => Problem::new(StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

/// `GET /page/readers`: the section with those who read.
pub(super) async fn reading(
    State(context): State<Arc<Context>>,
    Extension(Consumer(identity)): Extension<Consumer>,
    headers: HeaderMap,
) -> Response {
    let section = readers(&who(&context, &identity), context.clock.now());
    html(&headers, Document::of(section.into_string()))
}

/// `GET /page.css`
pub(super) async fn style(
    State(context): State<Arc<Context>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    file(&context.page.style, "text/css; charset=utf-8", query.as_deref(), &headers)
}

/// `GET /page.js`
pub(super) async fn script(
    State(context): State<Arc<Context>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    file(&context.page.script, "text/javascript; charset=utf-8", query.as_deref(), &headers)
}

fn with_cookie(token: &str, identity: &Identity) -> Response {
    // Relative, because Home Assistant shows the page below a path of its own.
    let to_clean = (StatusCode::SEE_OTHER, [(LOCATION, HeaderValue::from_static("./"))]).into_response();
    let Identity::Token(_) = identity else { return to_clean };
    let cookie = format!("{COOKIE_NAME}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age=315360000");
    let Ok(cookie) = HeaderValue::from_str(&cookie) else {
        return Problem::new(StatusCode::BAD_REQUEST, "this is not a token").into_response();
    };
    ([(SET_COOKIE, cookie)], to_clean).into_response()
}

/// Returns what there is, for programs.
fn list() -> serde_json::Value {
    json!({
        "program": "enphased",
        "version": env!("CARGO_PKG_VERSION"),
        "status": "api/v1/status",
        "gateways": "api/v1/gateways",
        "consumers": "api/v1/consumers",
        "stream": "api/v1/stream",
        "socket": "api/v1/socket",
        "metrics": "metrics",
        "health": "readyz",
        "description": "openapi.json",
    })
}

fn vary(mut response: Response) -> Response {
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
    response
}

/// Returns a part of the page, or 304 if the browser has it already.
fn html(headers: &HeaderMap, document: Document) -> Response {
    respond(headers, document, HTML, "no-cache")
}

/// Returns a file beside the page. The link to it names its version, so that it never has to be asked for again.
fn file(file: &File, kind: &'static str, query: Option<&str>, headers: &HeaderMap) -> Response {
    let is_named = query.and_then(|query| query.strip_prefix("v=")) == Some(file.version.as_str());
    let caching = if is_named { "private, max-age=31536000, immutable" } else { "no-cache" };
    respond(headers, file.document.clone(), kind, caching)
}

fn respond(
    asked: &HeaderMap,
    Document { body, tag }: Document,
    kind: &'static str,
    caching: &'static str,
) -> Response {
    let mut response = if is_known(asked, tag.as_ref()) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        (StatusCode::OK, Body::from(body)).into_response()
    };
    let headers = response.headers_mut();
    let plain: [(HeaderName, &str); 4] = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, caching),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in plain {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    if let Some(tag) = tag {
        headers.insert(ETAG, tag);
    }
    response
}

/// Renders the sections that change with each reading.
async fn now(context: &Context) -> Document {
    let written = context.latest.reader().borrow().written();
    let make = async { sections(&house(context).await).into_string() };
    context.page.now(written, make).await
}

/// Collects what the page shows.
async fn house(context: &Context) -> House {
    let now = context.clock.now();
    let date = now.to_zoned(context.zone.clone()).date();
    let statuses = context.statuses.reader().borrow().clone();
    let (mut sites, unknown, cloud, announced, broker) = {
        let reader = context.latest.reader();
        let snapshot = reader.borrow();
        let sites: Vec<Site> =
            snapshot.gateways().map(|(serial, gateway)| site(serial, gateway, context.interval)).collect();
        let broker = snapshot.broker_trouble().filter(|_| context.has_broker).map(str::to_owned);
        let announced = snapshot.problems().to_vec();
        (sites, unknown(&statuses, &snapshot), snapshot.cloud().map(cloud), announced, broker)
    };
    name(&mut sites);
    if let Some(reader) = &context.history {
        for site in &mut sites {
            site.today = context.page.today(reader, &site.serial, date).await;
        }
    }
    let summary = status::line(&statuses);
    House { now, zone: context.zone.clone(), sites, unknown, summary, cloud, announced, broker }
}

/// Returns those who read, as far as `identity` may know.
fn who(context: &Context, identity: &Identity) -> Vec<Reader> {
    let is_you = |address: &str, program: &str| match identity {
        Identity::Program { address: own, program: named } => own.to_string() == address && named == program,
        Identity::Token(_) => false,
    };
    visible_consumers(context, identity)
        .into_iter()
        .filter_map(|listed| {
            Some(Reader {
                is_you: is_you(&listed.address, &listed.program),
                is_live: listed.streams > 0,
                is_active: listed.active,
                last_seen: listed.last_seen?,
                name: listed.name,
                program: listed.program,
                address: listed.address,
            })
        })
        .collect()
}
