//! `/metrics`: readings and the daemon itself, for Prometheus.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use super::context::Context;
use super::process::Usage;
use crate::app::latest::Gateway;
use crate::app::page_cache::PageCache;
use crate::base::reading::Serial;
use crate::output::metrics::{self, Families};

/// `GET /metrics`
pub(super) async fn metrics(State(context): State<Arc<Context>>) -> Response {
    let headers = [(CONTENT_TYPE, metrics::CONTENT_TYPE), (CACHE_CONTROL, "no-store")];
    (headers, families(&context).text()).into_response()
}

/// Collects all samples.
fn families(context: &Context) -> Families {
    let mut families = Families::default();
    let reader = context.latest.reader();
    let snapshot = reader.borrow();
    for (serial, known) in snapshot.gateways() {
        gateway(serial, known, &mut families);
    }
    if context.has_broker {
        let connected = f64::from(u8::from(snapshot.broker_trouble().is_none()));
        families.gauge("enphased_broker_connected", "1 while the MQTT broker is connected.", &[], connected);
    }
    events(context, &mut families);
    proxies(context, &mut families);
    consumers(context, &mut families);
    daemon(context, &mut families);
    families
}

/// Adds a gateway. The values of one that does not respond are left out; the age of its newest reading remains.
fn gateway(serial: &Serial, gateway: &Gateway, families: &mut Families) {
    let labels = [("serial", serial.as_str())];
    let available = f64::from(u8::from(gateway.is_online()));
    families.gauge("enphased_gateway_available", "1 while the gateway responds.", &labels, available);
    if let Some(reading) = &gateway.reading {
        let age = reading.at.elapsed().as_secs_f64();
        families.gauge("enphased_reading_age_seconds", "Age of the newest reading.", &labels, age);
    }
    if let Some(token) = &gateway.token {
        if let Some(expires) = token.value.expires_at {
            let seconds = expires.as_duration().as_secs_f64();
            let help = "Time at which the token expires, in seconds since 1970.";
            families.gauge("enphased_token_expiry_timestamp_seconds", help, &labels, seconds);
        }
        if let Some(next) = token.value.next_login_at {
            let help = "Time of the next planned or possible login, in seconds since 1970.";
            let seconds = next.as_duration().as_secs_f64();
            families.gauge("enphased_next_login_timestamp_seconds", help, &labels, seconds);
        }
        let labels = [("serial", serial.as_str()), ("state", token.value.state)];
        families.gauge("enphased_token_state", "State of the token as a label; always 1.", &labels, 1.0);
    }
    if let Some(reading) = gateway.fresh_reading() {
        metrics::reading::add(&reading.value, families);
    }
}

/// Adds what was counted since the start.
#[expect(clippy::cast_precision_loss, reason = "the numbers are far below 2^53")]
fn events(context: &Context, families: &mut Families) {
    for ((name, labels), count) in context.tally.all() {
        let help = match name {
            "enphased_polls_total" => "Polls by outcome: ok, or why there was no reading.",
            "enphased_page_requests_total" => "Requests of the gateway's pages by outcome.",
            "enphased_proxy_requests_total" => "Requests at the proxies by outcome.",
            "enphased_logins_total" => "Attempts at the Enphase cloud by outcome.",
            _ => "Events since the start.",
        };
        let labels: Vec<(&str, &str)> =
            labels.iter().map(|(label, value)| (*label, value.as_str())).collect();
        families.counter(name, help, &labels, count as f64);
    }
}

/// Adds the ages of the pages that proxies serve.
fn proxies(context: &Context, families: &mut Families) {
    let help = "Age of a page of the gateway, as the proxy would serve it.";
    for (serial, ages) in context.pages.iter().filter_map(PageCache::ages) {
        for (path, age) in ages {
            let labels = [("serial", serial.as_str()), ("path", path)];
            families.gauge("enphased_proxy_page_age_seconds", help, &labels, age.as_secs_f64());
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "the numbers are small")]
fn consumers(context: &Context, families: &mut Families) {
    let (active, streams, strangers) = context.registry.counts();
    let help = "Consumers with a request within the last 30 minutes.";
    families.gauge("enphased_consumers", help, &[], active as f64);
    families.gauge("enphased_streams", "Open streams of consumers.", &[], streams as f64);
    let help = "Requests of consumers since they were first seen.";
    let refused = "Refused requests: of a consumer since it was first seen, without a label since the start.";
    families.counter("enphased_consumer_refused_total", refused, &[], strangers as f64);
    for listed in context.registry.list() {
        let labels = [
            ("consumer", listed.name.as_str()),
            ("address", listed.address.as_str()),
            ("program", &listed.program),
        ];
        families.counter("enphased_consumer_requests_total", help, &labels, listed.requests as f64);
        families.counter("enphased_consumer_refused_total", refused, &labels, listed.refused as f64);
    }
}

#[expect(clippy::cast_precision_loss, reason = "the numbers are far below 2^53")]
fn daemon(context: &Context, families: &mut Families) {
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    families.gauge("enphased_build_info", "The program; always 1.", &version, 1.0);
    let started = context.started_at.as_duration().as_secs_f64();
    let help = "Start time of the process in seconds since 1970.";
    families.gauge("process_start_time_seconds", help, &[], started);
    if let Some(usage) = Usage::now() {
        let help = "Processor time of the process in seconds.";
        families.counter("process_cpu_seconds_total", help, &[], usage.cpu.as_secs_f64());
        let help = "Resident memory of the process in bytes.";
        families.gauge("process_resident_memory_bytes", help, &[], usage.resident_bytes as f64);
        families.gauge("process_open_fds", "Open file descriptors.", &[], usage.open_files as f64);
    }
}
