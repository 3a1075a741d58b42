//! The words of alerts: a title, what happened, since when, and what to do. Contains no secret.

mod webhook;
mod words;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

pub use webhook::{Format, message, test_message};
pub use words::{advice, title};

use crate::base::durations::length;
use crate::base::printable::one_line;
use crate::base::reading::{Event, Serial};
use crate::rules::alerts::{Announcement, Current, Item, Kind, Notice, Problem, Severity};

/// The maximum number of problems of one notice that are described.
const DESCRIBED: usize = 5;
/// The maximum size of all descriptions in bytes. Discord accepts 2000 characters in a message, ntfy 4096 bytes.
const LONGEST: usize = 1000;

/// A problem that lasts, for programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct CurrentProblem {
    #[serde(flatten)]
    pub problem: Problem,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<Serial>,
    pub severity: Severity,
    pub title: &'static str,
    pub since: Timestamp,
    /// What happened.
    pub message: String,
    /// What to do.
    pub advice: &'static str,
}

impl From<Current> for CurrentProblem {
    fn from(current: Current) -> Self {
        let kind = current.problem.kind;
        Self {
            message: words::begun(&current.problem, &one_line(&current.what, LONGEST)),
            serial: current.serial,
            severity: kind.severity(),
            title: title(kind, false),
            since: current.since,
            advice: advice(kind),
            problem: current.problem,
        }
    }
}

/// Returns the event for an announcement.
pub fn event(item: &Item, time: Timestamp) -> Event {
    let kind = if item.is_end() { Event::PROBLEM_ENDED } else { Event::PROBLEM_BEGUN };
    let kind_of_problem = item.problem.kind;
    let title = title(kind_of_problem, item.is_end());
    Event { time, kind, message: format!("{title}: {}", line(item, LONGEST)) }
}

/// Describes one announcement without its times; the reason has at most `limit` bytes.
fn line(item: &Item, limit: usize) -> String {
    // Characters that cannot be printed become longer ones.
    let mut what = one_line(&item.what, limit).into_owned();
    what.truncate(what.floor_char_boundary(limit));
    match item.announcement {
        Announcement::Begun => words::begun(&item.problem, &what),
        Announcement::Ended(end) if end.is_gone => words::gone(&item.problem),
        Announcement::Ended(_) => words::ended(&item.problem),
    }
}

/// Describes a notice: each problem with its times, and what to do.
pub fn text(notice: &Notice, zone: &TimeZone) -> String {
    let limit = LONGEST / notice.items.len().clamp(1, DESCRIBED);
    let described = notice.items.iter().take(DESCRIBED);
    let mut lines: Vec<String> = described
        .map(|item| format!("{} ({})", capitalized(&line(item, limit)), times(item, zone)))
        .collect();
    let more = notice.items.len().saturating_sub(DESCRIBED);
    if more > 0 {
        lines.push(format!("And {more} more."));
    }
    if !notice.is_end {
        lines.push(format!("What to do: {}.", advice(notice.kind)));
    }
    lines.join("\n")
}

/// Returns a sentence with a capital letter.
fn capitalized(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Returns since when a problem is or was.
fn times(item: &Item, zone: &TimeZone) -> String {
    let local = |time: Timestamp| time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string();
    let since = local(item.since);
    match item.announcement {
        Announcement::Begun => format!("since {since}"),
        Announcement::Ended(end) => {
            let lasted = end.at.duration_since(item.since).try_into().unwrap_or_default();
            format!("from {since} to {}, {}", local(end.at), length(lasted))
        }
    }
}

/// Returns the severity of a notice: an end is no trouble.
const fn priority(kind: Kind, is_end: bool) -> Priority {
    match (is_end, kind.severity()) {
        (false, Severity::Critical) => Priority::High,
        (true, _) | (false, Severity::Warning) => Priority::Default,
    }
}

/// The priority of a message, by ntfy's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Priority {
    Default,
    High,
}

#[cfg(test)]
mod tests;
