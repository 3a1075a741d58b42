//! The requests below `/api/v1`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serialize;

use super::consumer::{Consumer, visible_consumers};
use super::context::Context;
use super::problem::Problem;
use super::rendered::Document;
use super::serial_in_path::SerialInPath;
use crate::app::latest::{Availability, CloudReport, Gateway, TokenReport};
use crate::app::requests::Request;
use crate::base::reading::{Event, Serial};
use crate::output::alerts::CurrentProblem;

/// A gateway in a list.
#[derive(Debug, Serialize)]
struct Listing {
    serial: Serial,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    firmware: Option<String>,
    available: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The time of the newest reading.
    #[serde(skip_serializing_if = "Option::is_none")]
    read_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<TokenReport>,
}

impl Listing {
    fn new(serial: &Serial, gateway: &Gateway) -> Self {
        let facts = gateway.reading.as_ref().map(|reading| &reading.value.gateway);
        let (available, reason) = match gateway.availability.as_ref().map(|known| &*known.value) {
            Some(Availability::Online) => (true, None),
            Some(Availability::Offline(reason)) => (false, Some(reason.clone())),
            None => (false, Some("not read yet".to_owned())),
        };
        Self {
            serial: serial.clone(),
            name: facts.and_then(|facts| facts.name.clone()),
            firmware: facts.map(|facts| facts.firmware.clone()),
            available,
            reason,
            read_at: gateway.reading.as_ref().map(|reading| reading.value.time),
            token: gateway.token.as_ref().map(|token| TokenReport::clone(&token.value)),
        }
    }
}

/// The state of the daemon.
#[derive(Debug, Serialize)]
struct Status {
    version: &'static str,
    started_at: Timestamp,
    time: Timestamp,
    gateways: Vec<Listing>,
    /// What each configured gateway is doing, in words.
    summary: String,
    /// The last contact with the Enphase cloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    cloud: Option<CloudReport>,
    /// Absent without a broker.
    #[serde(skip_serializing_if = "Option::is_none")]
    broker: Option<Broker>,
    /// The problems that last.
    problems: Vec<CurrentProblem>,
    /// The last events, the newest first.
    events: Vec<Event>,
}

#[derive(Debug, Serialize)]
struct Broker {
    connected: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// `GET /api/v1/gateways`
pub(super) async fn gateways(State(context): State<Arc<Context>>, headers: HeaderMap) -> Response {
    json(&headers, &listings(&context))
}

fn listings(context: &Context) -> Vec<Listing> {
    let reader = context.latest.reader();
    let snapshot = reader.borrow();
    snapshot.gateways().map(|(serial, gateway)| Listing::new(serial, gateway)).collect()
}

/// `GET /api/v1/gateways/SERIAL/reading`: the document, the same as on MQTT.
pub(super) async fn reading(
    State(context): State<Arc<Context>>,
    SerialInPath(serial): SerialInPath,
    headers: HeaderMap,
) -> Response {
    let reader = context.latest.reader();
    let snapshot = reader.borrow();
    let Some(gateway) = serial.and_then(|serial| snapshot.gateway(&serial).cloned()) else {
        return no_gateway().into_response();
    };
    let Some(reading) = gateway.fresh_reading() else {
        let reason = match gateway.availability.as_ref().map(|known| &*known.value) {
            Some(Availability::Offline(reason)) => reason.clone(),
            _ => "the gateway has not been read yet".to_owned(),
        };
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, reason).into_response();
    };
    document(&headers, context.rendered.document(reading))
}

pub(super) fn no_gateway() -> Problem {
    Problem::not_found("no gateway with this serial number is known: /api/v1/gateways lists them")
}

/// `POST /api/v1/gateways/SERIAL/poll`: reads soon, under the same rules as a message over MQTT.
pub(super) async fn poll(
    State(context): State<Arc<Context>>,
    SerialInPath(serial): SerialInPath,
) -> Response {
    let reader = context.latest.reader();
    let serial = serial.filter(|serial| reader.borrow().gateway(serial).is_some());
    let Some(serial) = serial else { return no_gateway().into_response() };
    context.requests.put(&serial, Request::Poll);
    StatusCode::ACCEPTED.into_response()
}

/// `GET /api/v1/status`
pub(super) async fn status(State(context): State<Arc<Context>>, headers: HeaderMap) -> Response {
    let reader = context.latest.reader();
    let (problem, cloud, problems) = {
        let snapshot = reader.borrow();
        let problem = snapshot.broker_trouble().map(str::to_owned);
        (problem, snapshot.cloud().cloned(), snapshot.problems().to_vec())
    };
    let mut events: Vec<Event> =
        reader.borrow().events_after(0).map(|event| Event::clone(&event.event)).collect();
    events.reverse();
    let broker = context.has_broker.then(|| Broker { connected: problem.is_none(), problem });
    json(
        &headers,
        &Status {
            version: env!("CARGO_PKG_VERSION"),
            started_at: context.started_at,
            time: context.clock.now(),
            gateways: listings(&context),
            summary: crate::app::status::line(&context.statuses.reader().borrow()),
            cloud,
            broker,
            problems,
            events,
        },
    )
}

/// `GET /api/v1/consumers`. Who has no token sees only itself.
pub(super) async fn consumers(
    State(context): State<Arc<Context>>,
    Extension(Consumer(identity)): Extension<Consumer>,
    headers: HeaderMap,
) -> Response {
    json(&headers, &visible_consumers(&context, &identity))
}

/// Answers a request for a path that does not exist.
pub(super) async fn unknown() -> Problem {
    Problem::not_found("there is nothing at this path: /openapi.json describes what there is")
}

/// Answers a request with a method that the path does not have.
pub(super) async fn wrong_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not have this method: see /openapi.json")
}

/// Answers with `value` as JSON, or with 304 if the client has it already.
pub(super) fn json<T: Serialize>(headers: &HeaderMap, value: &T) -> Response {
    document(headers, Document::new(value))
}

/// Answers with a document, or with 304 if the client has it already.
pub(super) fn document(headers: &HeaderMap, Document { body, tag }: Document) -> Response {
    let mut response = if is_known(headers, tag.as_ref()) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        (StatusCode::OK, Body::from(body)).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Some(tag) = tag {
        headers.insert(ETAG, tag);
    }
    response
}

/// Returns whether the client has what `tag` identifies. `*` stands for everything (RFC 9110, section 13.1.2).
pub(super) fn is_known(headers: &HeaderMap, tag: Option<&HeaderValue>) -> bool {
    let lists = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut known = lists.flat_map(|list| list.split(',')).map(|known| known.trim().trim_start_matches("W/"));
    tag.is_some_and(|tag| known.any(|known| known == "*" || known.as_bytes() == tag.as_bytes()))
}
