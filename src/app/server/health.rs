//! `/livez` and `/readyz`, for `curl -f`, container runtimes and monitoring. They need no token and do not count as a
//! consumer.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::context::Context;
use crate::app::latest::{Availability, Gateway};
use crate::app::status::Status;
use crate::base::reading::Serial;
use crate::output::json;
use crate::rules::readiness::{Health, judge};

pub(super) const LIVE: &str = "/livez";
pub(super) const READY: &str = "/readyz";

/// The state of everything.
#[derive(Debug, Serialize)]
struct Report {
    status: Health,
    gateways: Vec<Check>,
}

/// The state of one gateway.
#[derive(Debug, Serialize)]
struct Check {
    /// Absent if it is not known yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<Serial>,
    status: Health,
    /// The age of the newest reading in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    age_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// `GET /livez`: the program runs, and each of its tasks responds, as systemd's watchdog demands too.
pub(super) async fn live(State(context): State<Arc<Context>>) -> Response {
    let all_respond = context.heartbeats.all_respond();
    respond(if all_respond { Health::Pass } else { Health::Fail }, Vec::new())
}

/// `GET /readyz`: every gateway has a recent reading.
pub(super) async fn ready(State(context): State<Arc<Context>>) -> Response {
    let mut checks: Vec<Check> = {
        let reader = context.latest.reader();
        let snapshot = reader.borrow();
        snapshot.gateways().map(|(serial, gateway)| check(&context, serial, gateway)).collect()
    };
    let statuses = context.statuses.reader().borrow().clone();
    let configured = statuses.iter().filter(|place| place.status != Status::Removed).count();
    if checks.len() < configured {
        let trouble = statuses.iter().find_map(|place| match &place.status {
            Status::Trouble { message, .. } => Some(message.clone()),
            _ => None,
        });
        let reason = trouble.unwrap_or_else(|| "not read yet".to_owned());
        checks.push(Check { serial: None, status: Health::Fail, age_s: None, reason: Some(reason) });
    }
    let worst = checks.iter().map(|check| check.status).max().unwrap_or(Health::Fail);
    respond(worst, checks)
}

fn check(context: &Context, serial: &Serial, gateway: &Gateway) -> Check {
    let age = gateway.reading.as_ref().map(|reading| reading.at.elapsed());
    let local = context.clock.now().to_zoned(context.zone.clone()).time();
    let status = judge(age, context.interval, local);
    let reason = match gateway.availability.as_ref().map(|known| &*known.value) {
        Some(Availability::Offline(reason)) => Some(reason.clone()),
        _ if status != Health::Pass => Some("no recent reading".to_owned()),
        _ => None,
    };
    Check { serial: Some(serial.clone()), status, age_s: age.map(|age| age.as_secs()), reason }
}

fn respond(status: Health, gateways: Vec<Check>) -> Response {
    let code = if status == Health::Fail { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let headers = [(CONTENT_TYPE, "application/health+json"), (CACHE_CONTROL, "no-store")];
    (code, headers, json::one_line(&Report { status, gateways }) + "\n").into_response()
}
