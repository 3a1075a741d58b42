//! The messages for a webhook: text with a title in a header, as ntfy accepts it, or a JSON object.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::{LONGEST, Priority, line, priority, text, title};
use crate::base::reading::Serial;
use crate::io::webhook::Message;
use crate::output::json;
use crate::rules::alerts::{Announcement, Item, Kind, Notice, Problem, Severity};

/// The format of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A text with a title in a header.
    Text,
    /// A JSON object.
    Json,
}

/// The title of a test message.
const TEST_TITLE: &str = "Test of enphased";
/// The text of a test message.
const TEST_TEXT: &str = "Alerts about your solar gateway arrive here.";

/// The JSON object. `title`, `message` and `priority` are the names of Gotify, `content` is that of Discord.
#[derive(Serialize)]
struct Object<'a> {
    title: &'a str,
    message: &'a str,
    /// From 0 to 10.
    priority: u8,
    content: String,
    /// `begun`, `ended` or `test`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Kind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<Severity>,
    problems: Vec<Entry<'a>>,
}

/// One of the problems.
#[derive(Serialize)]
struct Entry<'a> {
    #[serde(flatten)]
    problem: &'a Problem,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<&'a Serial>,
    message: String,
    since: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<Timestamp>,
}

/// Creates the message for a notice.
pub fn message(notice: &Notice, format: Format, zone: &TimeZone) -> Message {
    let (title, text) = (title(notice.kind, notice.is_end), text(notice, zone));
    let priority = priority(notice.kind, notice.is_end);
    if format == Format::Text {
        let tag = if notice.is_end { "white_check_mark" } else { "warning" };
        return plain(title, &text, priority, tag);
    }
    object(&Object {
        title,
        message: &text,
        priority: number(priority),
        content: content(title, &text),
        state: if notice.is_end { "ended" } else { "begun" },
        problem: Some(notice.kind),
        severity: Some(notice.kind.severity()),
        problems: notice.items.iter().map(entry).collect(),
    })
}

/// Creates a test message.
pub fn test_message(format: Format) -> Message {
    match format {
        Format::Text => plain(TEST_TITLE, TEST_TEXT, Priority::Default, "sunny"),
        Format::Json => object(&Object {
            title: TEST_TITLE,
            message: TEST_TEXT,
            priority: number(Priority::Default),
            content: content(TEST_TITLE, TEST_TEXT),
            state: "test",
            problem: None,
            severity: None,
            problems: Vec::new(),
        }),
    }
}

fn entry(item: &Item) -> Entry<'_> {
    let ended = match item.announcement {
        Announcement::Begun => None,
        Announcement::Ended(end) => Some(end.at),
    };
    let (problem, serial) = (&item.problem, item.serial.as_ref());
    Entry { problem, serial, message: line(item, LONGEST), since: item.since, ended }
}

fn plain(title: &str, text: &str, priority: Priority, tag: &str) -> Message {
    let priority = match priority {
        Priority::Default => "default",
        Priority::High => "high",
    };
    let header = |name, value: &str| (name, value.to_owned());
    Message {
        content_type: "text/plain; charset=utf-8",
        headers: vec![header("title", title), header("priority", priority), header("tags", tag)],
        body: text.to_owned(),
    }
}

fn object(object: &Object<'_>) -> Message {
    Message { content_type: "application/json", headers: Vec::new(), body: json::one_line(object) }
}

fn content(title: &str, text: &str) -> String {
    format!("**{title}**\n{text}")
}

const fn number(priority: Priority) -> u8 {
    match priority {
        Priority::Default => 5,
        Priority::High => 8,
    }
}
