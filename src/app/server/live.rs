//! `/api/v1/stream`: live values as server-sent events.

use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::{Stream, unfold};
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use super::consumer::{Consumer, visible_consumers};
use super::context::Context;
use super::feed::{Choice, Feed, Update};
use super::group::Group;
use super::problem::Problem;
use super::rendered::Message;
use crate::app::consumers::open_stream::OpenStream;
use crate::base::reading::Serial;
use crate::rules::access::consumers::Identity;

/// The path.
pub(super) const PATH: &str = "/api/v1/stream";
/// The time between two signs of life.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(30);
/// The delay after which a browser connects again.
const RETRY: Duration = Duration::from_secs(3);

/// What wakes a stream.
pub(super) enum Woken {
    Updates(Vec<Update>),
    /// It is time for a sign of life.
    Heartbeat,
    /// The server stops, or the token was removed.
    Ended,
}

/// The source of one stream.
pub(super) struct Source {
    pub(super) context: Arc<Context>,
    identity: Identity,
    feed: Feed,
    open: Arc<OpenStream>,
    wants_consumers: bool,
    beat: Instant,
}

impl Source {
    pub(super) fn new(
        context: Arc<Context>,
        identity: Identity,
        open: Arc<OpenStream>,
        choice: Choice,
        after: u64,
    ) -> Self {
        let wants_consumers = choice.has(Group::Consumers);
        let feed = Feed::new(context.latest.reader(), Arc::clone(&context.rendered), choice, after);
        // The consumers are sent at once, and with each sign of life.
        let beat = if wants_consumers { Instant::now() } else { Instant::now() + HEARTBEAT };
        Self { context, identity, feed, open, wants_consumers, beat }
    }

    /// Waits for what is next. Can be cancelled at any time.
    pub(super) async fn next(&mut self) -> Woken {
        tokio::select! {
            biased;
            () = self.context.stopped() => Woken::Ended,
            () = self.open.removed() => Woken::Ended,
            updates = self.feed.next() => Woken::Updates(updates),
            () = sleep_until(self.beat) => {
                self.beat = Instant::now() + HEARTBEAT;
                Woken::Heartbeat
            }
        }
    }

    /// Completes when the server stops, or when the token was removed.
    pub(super) async fn ended(&self) {
        tokio::select! {
            () = self.context.stopped() => {}
            () = self.open.removed() => {}
        }
    }

    /// Returns `true` if the server stops, and not only this stream ends.
    pub(super) fn is_stopping(&self) -> bool {
        self.context.is_stopping()
    }

    /// Returns what is sent as a sign of life: the time, and the consumers if they are wanted.
    pub(super) fn heartbeat(&self) -> Vec<(&'static str, Message)> {
        let consumers = self.wants_consumers.then(|| (Group::Consumers.name(), self.consumers()));
        let ping = ("ping", Message::new("ping", &json!({"time": self.context.clock.now()})));
        consumers.into_iter().chain([ping]).collect()
    }

    /// Returns the consumers that the reader of this stream may see.
    fn consumers(&self) -> Message {
        let list = || visible_consumers(&self.context, &self.identity);
        if self.identity.sees_all() {
            return self.context.rendered.consumers(Instant::now(), list);
        }
        Message::new(Group::Consumers.name(), &json!({"consumers": list()}))
    }

    /// Formats an id, which is valid for this run of the daemon only.
    pub(super) fn id(&self, number: u64) -> String {
        format!("{:08x}-{number}", self.context.run)
    }
}

/// `GET /api/v1/stream?groups=production,inverters&serial=…`
pub(super) async fn stream(
    State(context): State<Arc<Context>>,
    Extension(Consumer(identity)): Extension<Consumer>,
    Extension(open): Extension<Arc<OpenStream>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let choice = match choice(query.as_deref().unwrap_or_default()) {
        Ok(choice) => choice,
        Err(problem) => return problem.into_response(),
    };
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let after = resumed(&context, last);
    let source = Source::new(context, identity, open, choice, after);
    let headers =
        [("content-type", "text/event-stream"), ("cache-control", "no-store"), ("x-accel-buffering", "no")];
    (headers, Body::from_stream(frames(source))).into_response()
}

/// Returns the write after which a stream continues, or 0 if the id is not of this run.
pub(super) fn resumed(context: &Context, id: Option<&str>) -> u64 {
    let number = id.and_then(|id| {
        let (run, number) = id.split_once('-')?;
        (u32::from_str_radix(run, 16).ok()? == context.run).then(|| number.parse().ok())?
    });
    number.unwrap_or_default()
}

/// Parses what a stream is limited to.
pub(super) fn choice(query: &str) -> Result<Choice, Problem> {
    let mut choice = Choice::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "groups" => choice.groups = Some(groups(&value)?),
            "serial" => {
                let bad =
                    |_invalid| Problem::new(StatusCode::BAD_REQUEST, "serial: this is not a serial number");
                choice.serial = Some(Serial::parse(&value).map_err(bad)?);
            }
            _ => {}
        }
    }
    Ok(choice)
}

fn groups(names: &str) -> Result<BTreeSet<Group>, Problem> {
    let group = |name: &str| {
        Group::ALL.into_iter().find(|group| group.name() == name.trim()).ok_or_else(|| {
            let known = Group::ALL.map(Group::name).join(", ");
            Problem::new(StatusCode::BAD_REQUEST, format!("groups: the known groups are {known}"))
        })
    };
    names.split(',').filter(|name| !name.is_empty()).map(group).collect()
}

fn frames(source: Source) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let first = format!(": enphased\nretry: {}\n\n", RETRY.as_millis());
    unfold((source, VecDeque::from([Bytes::from(first)])), |(mut source, mut waiting)| async move {
        loop {
            if let Some(frame) = waiting.pop_front() {
                return Some((Ok(frame), (source, waiting)));
            }
            match source.next().await {
                Woken::Ended => return None,
                Woken::Heartbeat => {
                    waiting
                        .extend(source.heartbeat().iter().flat_map(|(name, data)| event(name, None, data)));
                }
                Woken::Updates(updates) => waiting.extend(updates.iter().flat_map(|update| {
                    event(update.group.name(), Some(&source.id(update.id)), &update.message)
                })),
            }
        }
    })
}

/// Returns an event. Its data, which are JSON without a line break, are shared by all streams.
fn event(name: &str, id: Option<&str>, message: &Message) -> [Bytes; 3] {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    let head = format!("event: {name}\n{id}data: ");
    [head.into(), message.data(), Bytes::from_static(b"\n\n")]
}
