//! `/stream/meter`: live values of the meters as server-sent events, from the pages that are read anyway.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{Stream, unfold};
use tokio::sync::watch;
use tokio::time::Instant;

use super::answer::{self, guard};
use super::context::Context;
use crate::app::consumers::open_stream::OpenStream;
use crate::io::gateway::Endpoint;
use crate::output::meter_stream;
use crate::rules::proxy::pages::Page;

/// The age beyond which values are not sent, unless the poll interval is long.
const LONGEST_AGE: Duration = Duration::from_secs(60);

/// The source of one stream.
struct Source {
    context: Arc<Context>,
    open: OpenStream,
    changes: watch::Receiver<()>,
    /// The list of meters, which hardly changes.
    meters: Bytes,
    /// When the values arrived that were sent last.
    sent: Option<Instant>,
}

impl Source {
    /// Waits for the next values. Returns `None` when the stream has to end.
    async fn next(&mut self) -> Option<String> {
        loop {
            self.changes.mark_unchanged();
            if let Some(values) = self.values() {
                return Some(values);
            }
            tokio::select! {
                biased;
                () = self.context.stopped() => return None,
                () = self.open.removed() => return None,
                changed = self.changes.changed() => changed.ok()?,
            }
        }
    }

    /// Returns the values that arrived since the last call.
    fn values(&mut self) -> Option<String> {
        let pages = &self.context.pages;
        if let Some((meters, _)) = pages.newest(Page::from(Endpoint::Meters)) {
            self.meters = meters.body;
        }
        let (readings, at) = pages.newest(Page::from(Endpoint::MeterReadings))?;
        let is_new = self.sent.is_none_or(|sent| at > sent);
        let is_fresh = at.elapsed() <= LONGEST_AGE.max(2 * self.context.interval);
        if !is_new || !is_fresh {
            return None;
        }
        self.sent = Some(at);
        meter_stream::values(&self.meters, &readings.body)
    }
}

/// Answers with a stream, or only with its head if `open` is absent. Without meters there is none.
pub(super) async fn answer(context: Arc<Context>, open: Option<OpenStream>) -> Response {
    let mut pages = Vec::new();
    for endpoint in [Endpoint::Meters, Endpoint::MeterReadings] {
        match answer::page_of_gateway(&context, Page::from(endpoint)).await {
            Ok(page) => pages.push(page.body),
            Err(response) => return *response,
        }
    }
    let [meters, readings] = pages.as_slice() else { return answer::no_stream(&context) };
    if meter_stream::values(meters, readings).is_none() {
        return answer::no_stream(&context);
    }
    let Some(open) = open else { return with_head(&context, Body::empty()) };
    let changes = context.pages.changes();
    let source = Source { context: Arc::clone(&context), open, changes, meters: meters.clone(), sent: None };
    with_head(&context, Body::from_stream(events(source)))
}

fn with_head(context: &Context, body: Body) -> Response {
    let mut response = body.into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    guard(response.headers_mut());
    context.counted("stream", response)
}

/// Each piece is one event, without comments between them: some programs parse the pieces as they arrive.
fn events(source: Source) -> impl Stream<Item = Result<Bytes, Infallible>> {
    unfold(source, |mut source| async move {
        let values = source.next().await?;
        Some((Ok(Bytes::from(format!("data: {values}\r\n\r\n"))), source))
    })
}
