//! `/api/v1/gateways/SERIAL/history`: what the daemon has recorded, piece by piece. The file is read on a thread of its own.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::{Stream, unfold};

use super::api::no_gateway;
use super::context::Context;
use super::problem::Problem;
use super::serial_in_path::SerialInPath;
use crate::app::history::query::{Query, Report, Words};
use crate::app::history::reader::HistoryReader;
use crate::base::reading::Serial;
use crate::io::history::Error;
use crate::output::history::Format;

/// `GET /api/v1/gateways/SERIAL/history?from=2026-06-01&to=2026-06-30&step=day&of=site&format=json`
pub(super) async fn history(
    State(context): State<Arc<Context>>,
    SerialInPath(serial): SerialInPath,
    RawQuery(query): RawQuery,
) -> Response {
    answer(&context, serial, &query.unwrap_or_default()).await.unwrap_or_else(IntoResponse::into_response)
}

async fn answer(context: &Context, serial: Option<Serial>, query: &str) -> Result<Response, Problem> {
    let Some(reader) = context.history.clone() else {
        return Err(Problem::not_found("the history is switched off: see [history] in the configuration"));
    };
    let serial = serial.ok_or_else(no_gateway)?;
    let (query, format) = parse(context, query)?;
    check_gateway(context, &reader, &serial).await?;
    let report = Report::new(reader.file.clone(), serial, &query, format, &context.zone);
    let kind =
        if format == Format::Csv { "text/csv; charset=utf-8; header=present" } else { "application/json" };
    let headers = [("content-type", kind), ("cache-control", "no-cache")];
    let (report, first) = reader.next(report).await.map_err(|error| unavailable(&error))?;
    let (report, second) = reader.next(report).await.map_err(|error| unavailable(&error))?;
    let first = first.unwrap_or_default();
    let body = match second {
        Some(second) => Body::from_stream(pieces(reader, report, [first, second])),
        None => Body::from(first),
    };
    Ok((headers, body).into_response())
}

/// Finds the gateway among those that are read now, and those that were.
async fn check_gateway(context: &Context, reader: &HistoryReader, serial: &Serial) -> Result<(), Problem> {
    if context.latest.reader().borrow().gateway(serial).is_some() {
        return Ok(());
    }
    match reader.knows(serial).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(no_gateway()),
        Err(error) => Err(unavailable(&error)),
    }
}

fn unavailable(error: &Error) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("the history cannot be read: {error}"))
}

fn parse(context: &Context, query: &str) -> Result<(Query, Format), Problem> {
    let bad = |words: String| Problem::new(StatusCode::BAD_REQUEST, words);
    let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    let word = |name: &str| pairs.iter().rev().find(|(known, _)| known == name).map(|(_, value)| &**value);
    let format = match word("format") {
        None | Some("json") => Format::Json,
        Some("csv") => Format::Csv,
        Some(_) => return Err(bad("format: write json or csv".to_owned())),
    };
    let words = Words { from: word("from"), to: word("to"), step: word("step"), of: word("of") };
    let today = context.clock.now().to_zoned(context.zone.clone()).date();
    let query = Query::parse(&words, today).map_err(|invalid| bad(invalid.to_string()))?;
    Ok((query, format))
}

/// The first two pieces, and those after them. After an error the response is cut, which the client notices.
fn pieces(
    reader: HistoryReader,
    report: Report,
    first: [String; 2],
) -> impl Stream<Item = Result<Bytes, io::Error>> {
    unfold((reader, Some(report), first.into_iter()), |(reader, report, mut first)| async move {
        if let Some(first_piece) = first.next() {
            return Some((Ok(Bytes::from(first_piece)), (reader, report, first)));
        }
        match reader.next(report?).await {
            Ok((report, piece)) => piece.map(|piece| (Ok(Bytes::from(piece)), (reader, Some(report), first))),
            Err(error) => {
                tracing::debug!("{error}; a response with the history is cut");
                Some((Err(io::ErrorKind::UnexpectedEof.into()), (reader, None, first)))
            }
        }
    })
}
