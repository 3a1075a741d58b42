//! Readings as they are sent: made once, however many consumers take them, and shared by all that have not been sent yet.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::HeaderValue;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use ring::digest::{SHA256, digest};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::group::Group;
use crate::app::consumers::listed::Listed;
use crate::app::latest::Numbered;
use crate::base::reading::{Reading, Serial};
use crate::output::json;

/// The bytes of a hash that identify a document.
const TAG_BYTES: usize = 12;
/// The maximum number of gateways whose readings are kept. With more, some are made again.
const GATEWAYS: usize = 32;
/// The time for which a list of the consumers is sent to whoever wants it. It names all of them, so without a shared list
/// the memory for streams would grow with the square of their number.
const LIST_AGE: Duration = Duration::from_secs(1);

/// The text of a response.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) body: Bytes,
    /// The value of `ETag`; `None` does not happen.
    pub(super) tag: Option<HeaderValue>,
}

impl Document {
    pub(super) fn new<T: Serialize>(value: &T) -> Self {
        // With a line break, for people who look at it in a terminal.
        Self::of(json::one_line(value) + "\n")
    }

    /// Identifies a text by its hash.
    pub(super) fn of(body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let hash = digest(&SHA256, &body);
        let hash = hash.as_ref().get(..TAG_BYTES).unwrap_or_default();
        let tag = HeaderValue::from_str(&format!("\"{}\"", URL_SAFE_NO_PAD.encode(hash))).ok();
        Self { body, tag }
    }
}

/// A value of a stream. Clones share its text.
#[derive(Clone, Debug)]
pub struct Message {
    /// `{"group":…,"data":…}`
    text: Bytes,
    /// The position of the data.
    data: usize,
}

impl Message {
    /// Creates the message of the group `name`.
    pub fn new<T: Serialize>(name: &str, data: &T) -> Self {
        let mut text = format!("{{\"group\":\"{name}\",\"data\":");
        let start = text.len();
        text.push_str(&json::one_line(data));
        text.push('}');
        Self { text: text.into(), data: start }
    }

    /// Returns the group and the data, in JSON.
    pub fn text(&self) -> Bytes {
        self.text.clone()
    }

    /// Returns the data, in JSON.
    pub fn data(&self) -> Bytes {
        self.text.slice(self.data..self.text.len().saturating_sub(1))
    }
}

/// What was made of the newest readings.
#[derive(Debug, Default)]
pub struct Rendered {
    documents: Newest<Document>,
    parts: Newest<Arc<[(Group, Message)]>>,
    consumers: Mutex<Option<(Instant, Message)>>,
}

impl Rendered {
    /// Returns the document of a reading.
    pub(super) fn document(&self, reading: &Numbered<Reading>) -> Document {
        self.documents.get(reading, Document::new)
    }

    /// Returns the groups of a reading.
    pub(super) fn parts(&self, reading: &Numbered<Reading>) -> Arc<[(Group, Message)]> {
        self.parts.get(reading, |reading| parts(reading).into())
    }

    /// Returns the consumers as they are now, or were at most a second ago. `list` is asked for at most once a second.
    pub(super) fn consumers(&self, now: Instant, list: impl FnOnce() -> Vec<Listed>) -> Message {
        let mut known = self.consumers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made, message)) = &*known
            && now.saturating_duration_since(*made) < LIST_AGE
        {
            return message.clone();
        }
        let message = Message::new(Group::Consumers.name(), &json!({"consumers": list()}));
        *known = Some((now, message.clone()));
        message
    }
}

/// What was made of the newest reading of each gateway, with the number of its write.
#[derive(Debug)]
struct Newest<T>(Mutex<BTreeMap<Serial, (u64, T)>>);

impl<T> Default for Newest<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Newest<T> {
    fn get(&self, reading: &Numbered<Reading>, make: impl FnOnce(&Reading) -> T) -> T {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let serial = &reading.value.gateway.serial;
        if let Some((number, made)) = known.get(serial)
            && *number == reading.number
        {
            return made.clone();
        }
        let value = make(&reading.value);
        if known.len() >= GATEWAYS && !known.contains_key(serial) {
            known.clear();
        }
        known.insert(serial.clone(), (reading.number, value.clone()));
        value
    }
}

/// Splits the document into the groups of a stream.
fn parts(reading: &Reading) -> Vec<(Group, Message)> {
    let mut fields = json::tree(reading);
    let serial = Value::from(reading.gateway.serial.as_str());
    let time = fields.get("time").cloned().unwrap_or_default();
    let mut list = |group: Group| {
        let entries = fields.remove(group.name())?;
        let data: Map<String, Value> = [
            ("serial".to_owned(), serial.clone()),
            ("time".to_owned(), time.clone()),
            (group.name().to_owned(), entries),
        ]
        .into_iter()
        .collect();
        Some((group, Message::new(group.name(), &data)))
    };
    let (inverters, batteries) = (list(Group::Inverters), list(Group::Batteries));
    let site = (Group::Production, Message::new(Group::Production.name(), &fields));
    [Some(site), inverters, batteries].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::test_readings;

    fn reading(serial: &str, number: u64) -> Numbered<Reading> {
        let mut reading = test_readings::full();
        reading.gateway.serial = Serial::parse(serial).unwrap();
        Numbered { number, at: Instant::now(), value: Arc::new(reading) }
    }

    #[test]
    fn a_reading_is_made_once_and_a_new_one_replaces_it() {
        let rendered = Rendered::default();
        let first = rendered.document(&reading("1", 1));
        let again = rendered.document(&reading("1", 1));
        assert_eq!(first.body.as_ptr(), again.body.as_ptr(), "the same bytes");
        let mut other = test_readings::bare();
        other.gateway.serial = Serial::parse("1").unwrap();
        let next = Numbered { number: 2, at: Instant::now(), value: Arc::new(other) };
        assert_ne!(rendered.document(&next).tag, first.tag);
        assert_eq!(rendered.documents.0.lock().unwrap().len(), 1);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let rendered = Rendered::default();
        for serial in 1..=5 * u64::try_from(GATEWAYS).unwrap() {
            rendered.parts(&reading(&serial.to_string(), serial));
            assert!(rendered.parts.0.lock().unwrap().len() <= GATEWAYS);
        }
    }

    #[test]
    fn a_list_of_the_consumers_is_shared_for_a_second() {
        let rendered = Rendered::default();
        let start = Instant::now();
        let named = |name: &str| vec![Listed::unseen(name)];
        let first = rendered.consumers(start, || named("evcc"));
        let shared = rendered.consumers(start + LIST_AGE / 2, || named("other"));
        assert_eq!(first.text().as_ptr(), shared.text().as_ptr(), "the same bytes");
        let next = rendered.consumers(start + LIST_AGE, || named("other"));
        let list: Value = serde_json::from_slice(&next.data()).unwrap();
        assert_eq!(list["consumers"][0]["name"], "other");
    }

    #[test]
    fn a_message_is_json_and_contains_its_data() {
        for (group, message) in parts(&test_readings::full()) {
            let whole: Value = serde_json::from_slice(&message.text()).unwrap();
            let data: Value = serde_json::from_slice(&message.data()).unwrap();
            assert_eq!((&whole["group"], &whole["data"]), (&group.name().into(), &data));
        }
    }
}
