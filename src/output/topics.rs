//! The MQTT topics: status, availability, the document, one topic for each value, events, the state of the token.
//!
//! | topic | payload | retained |
//! |---|---|---|
//! | `<prefix>/status` | `online` or `offline`; the last will | yes |
//! | `<prefix>/<serial>/availability` | `online` or `offline`, for the gateway | yes |
//! | `<prefix>/<serial>/reading` | the document | yes |
//! | `<prefix>/<serial>/production/power_w` and so on | one value | yes |
//! | `<prefix>/<serial>/phases/L1/grid/import_wh`, `…/inverters/<serial>/power_w` | one value | yes |
//! | `<prefix>/<serial>/token` | expiry and state, no secret | yes |
//! | `<prefix>/<serial>/problems` | the problems that last | yes |
//! | `<prefix>/<serial>/event`, `<prefix>/event` | an event of the gateway, of the daemon | no |
//! | `<prefix>/<serial>/set` | a request: `poll` or `refresh_token` | must not be |
//! | `<prefix>/instance` | the client id of the daemon, which reveals a second daemon | yes |
//!
//! The topics of the values follow the structure of the document, so that only one list of fields is needed.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::base::message::Message;
use crate::base::printable::is_printable;
use crate::base::reading::{Event, Reading, Serial};
use crate::output::json::{self, List};

/// Creates the message about the daemon's connection. With `online` false it is the last will.
pub fn status(prefix: &str, online: bool) -> Message {
    Message::announcement(status_topic(prefix), word(online))
}

/// Creates the message about the gateway's availability.
pub fn availability(prefix: &str, serial: &Serial, online: bool) -> Message {
    Message::announcement(availability_topic(prefix, serial), word(online))
}

/// Creates the message for an event. It is not retained, so that it is never mistaken for a new one.
///
/// Without a gateway it is about the daemon.
pub fn event(prefix: &str, serial: Option<&Serial>, event: &Event) -> Message {
    let base = serial.map_or_else(|| prefix.to_owned(), |serial| base(prefix, serial));
    Message::once(format!("{base}/event"), json::one_line(event))
}

/// Creates the message with the problems that last and affect the gateway.
pub fn problems<T: Serialize>(prefix: &str, serial: &Serial, problems: &[T]) -> Message {
    /// The number comes first, for consumers that need only that.
    #[derive(Serialize)]
    struct List<'a, T> {
        count: usize,
        problems: &'a [T],
    }
    let list = List { count: problems.len(), problems };
    Message::announcement(problems_topic(prefix, serial), json::one_line(&list))
}

/// Creates the message about the state of the token, which contains no secret.
pub fn token<T: Serialize>(prefix: &str, serial: &Serial, state: &T) -> Message {
    Message::announcement(token_topic(prefix, serial), json::one_line(state))
}

/// Creates the message with the document, extended by the `entities` of discovery.
pub fn document(prefix: &str, reading: &Reading, entities: Option<&Map<String, Value>>) -> Message {
    /// The reading's fields come first, in their order.
    #[derive(Serialize)]
    struct Document<'a> {
        #[serde(flatten)]
        reading: &'a Reading,
        #[serde(skip_serializing_if = "Option::is_none")]
        entities: Option<&'a Map<String, Value>>,
    }
    let topic = reading_topic(prefix, &reading.gateway.serial);
    Message::state(topic, json::one_line(&Document { reading, entities }))
}

/// Creates a message for each value of the reading for which `wanted` returns `true`, given topic and payload.
///
/// Numbers have no exponent. At most polls most values are unchanged, so no messages are created for them.
pub fn values(prefix: &str, reading: &Reading, wanted: impl FnMut(&str, &str) -> bool) -> Vec<Message> {
    let mut walk = Walk { topic: base(prefix, &reading.gateway.serial), wanted, messages: Vec::new() };
    walk.branch(&json::tree(reading), None);
    walk.messages
}

/// Creates the message with the `id` of this process, which reveals a second daemon.
pub fn instance(prefix: &str, id: &str) -> Message {
    Message::announcement(instance_topic(prefix), id.to_owned())
}

/// Returns the topic filter for requests.
pub fn request_filter(prefix: &str) -> String {
    format!("{prefix}/+/set")
}

/// Returns the level with the serial number in `topic`, if it is a topic for requests.
pub fn request_target<'a>(prefix: &str, topic: &'a str) -> Option<&'a str> {
    let level = topic.strip_prefix(prefix)?.strip_prefix('/')?.strip_suffix("/set")?;
    (!level.is_empty() && !level.contains('/')).then_some(level)
}

/// Returns the topic of [`instance`].
pub fn instance_topic(prefix: &str) -> String {
    format!("{prefix}/instance")
}

/// Returns the topic of [`status`].
pub fn status_topic(prefix: &str) -> String {
    format!("{prefix}/status")
}

/// Returns the topic of [`availability`].
pub fn availability_topic(prefix: &str, serial: &Serial) -> String {
    format!("{}/availability", base(prefix, serial))
}

/// Returns the topic of [`token`].
pub fn token_topic(prefix: &str, serial: &Serial) -> String {
    format!("{}/token", base(prefix, serial))
}

/// Returns the topic of [`problems`].
pub fn problems_topic(prefix: &str, serial: &Serial) -> String {
    format!("{}/problems", base(prefix, serial))
}

/// Returns the topic of [`document`].
pub fn reading_topic(prefix: &str, serial: &Serial) -> String {
    format!("{}/reading", base(prefix, serial))
}

/// Converts `text` to one level of a topic, by replacing separators, wildcards and other special characters.
pub fn level(text: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
    text.chars().map(keep).collect()
}

/// Returns `true` if `text` is a valid topic to publish to, or the beginning of one.
///
/// Brokers close the connection after control characters and wildcards.
pub fn is_topic(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| is_printable(c) && !matches!(c, '+' | '#'))
}

fn base(prefix: &str, serial: &Serial) -> String {
    format!("{prefix}/{}", level(serial.as_str()))
}

fn word(online: bool) -> String {
    if online { "online" } else { "offline" }.to_owned()
}

/// A traversal of the document.
struct Walk<W> {
    /// The topic of the current branch.
    topic: String,
    wanted: W,
    messages: Vec<Message>,
}

impl<W: FnMut(&str, &str) -> bool> Walk<W> {
    /// Visits all fields except `key`, which is in the topic already.
    fn branch(&mut self, fields: &Map<String, Value>, key: Option<&str>) {
        for (field, value) in fields.iter().filter(|(field, _)| Some(field.as_str()) != key) {
            self.below(field, |walk| match value {
                Value::Object(inner) => walk.branch(inner, None),
                Value::Array(entries) => {
                    if let Some(list) = List::of(field) {
                        walk.named_entries(list, entries);
                    }
                }
                Value::String(text) => walk.value(text),
                Value::Bool(true) => walk.value("true"),
                Value::Bool(false) => walk.value("false"),
                Value::Number(number) => walk.value(&plain(number)),
                Value::Null => {}
            });
        }
    }

    /// Visits the entries of a list, each under its key.
    fn named_entries(&mut self, list: &List, entries: &[Value]) {
        for entry in entries.iter().filter_map(Value::as_object) {
            let name = entry.get(list.key).and_then(Value::as_str).filter(|name| !name.is_empty());
            if let Some(name) = name {
                self.below(&level(name), |walk| walk.branch(entry, Some(list.key)));
            }
        }
    }

    /// Visits one level below the current branch.
    fn below(&mut self, level: &str, walk: impl FnOnce(&mut Self)) {
        let here = self.topic.len();
        self.topic.extend(["/", level]);
        walk(self);
        self.topic.truncate(here);
    }

    fn value(&mut self, payload: &str) {
        if (self.wanted)(&self.topic, payload) {
            self.messages.push(Message::state(self.topic.clone(), payload.to_owned()));
        }
    }
}

/// Formats a number without an exponent and without a trailing `.0`.
fn plain(number: &serde_json::Number) -> String {
    match number.as_f64() {
        Some(value) if number.is_f64() => value.to_string(),
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::base::message::Qos;
    use crate::base::test_readings;

    fn all(_topic: &str, _payload: &str) -> bool {
        true
    }

    fn shown(messages: &[Message]) -> String {
        let line = |message: &Message| format!("{} {}", message.topic, message.payload);
        messages.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_gateway_without_meters_has_the_topics_of_what_it_measures() {
        insta::assert_snapshot!(shown(&values("enphased", &test_readings::bare(), all)), @r"
        enphased/122300000001/gateway/firmware 7.6.175
        enphased/122300000001/gateway/metered false
        enphased/122300000001/gateway/serial 122300000001
        enphased/122300000001/inverters/482200000001/max_power_w 291
        enphased/122300000001/inverters/482200000001/power_w 245
        enphased/122300000001/inverters/482200000001/reported_at 2026-11-20T11:11:00Z
        enphased/122300000001/inverters/482200000002/max_power_w 291
        enphased/122300000001/inverters/482200000002/power_w 238
        enphased/122300000001/inverters/482200000002/reported_at 2026-11-20T11:05:00Z
        enphased/122300000001/production/energy_wh 812345
        enphased/122300000001/production/measured_at 2026-11-20T11:14:02Z
        enphased/122300000001/production/power_w 483
        enphased/122300000001/production/source inverters
        enphased/122300000001/schema 1
        enphased/122300000001/time 2026-11-20T11:19:31Z
        ");
    }

    #[test]
    fn a_value_of_every_kind_has_its_topic() {
        let messages = values("home/solar", &test_readings::full(), all);
        let all = shown(&messages);
        for line in [
            "home/solar/122300000000/production/energy_wh 4545926",
            "home/solar/122300000000/phases/L1/grid/import_wh 1515308",
            "home/solar/122300000000/batteries/492200000002/kind acb",
            "home/solar/122300000000/dry_contacts/NC1/state open",
            "home/solar/122300000000/tariff/charge_from_grid false",
            "home/solar/122300000000/storage/measured_at 2026-11-20T11:09:00Z",
        ] {
            assert!(all.contains(line), "{line} in\n{all}");
        }
        assert!(messages.iter().all(|message| message.retain && message.qos == Qos::AtMostOnce));
    }

    #[test]
    fn only_what_is_wanted_is_made() {
        let wanted = |topic: &str, payload: &str| topic.ends_with("/source") && payload == "inverters";
        let messages = values("enphased", &test_readings::bare(), wanted);
        assert_eq!(shown(&messages), "enphased/122300000001/production/source inverters");
    }

    #[test]
    fn no_value_takes_the_topic_of_something_else() {
        let serial = Serial::parse("122300000000").unwrap();
        let event_sample = Event { time: test_readings::at("11:00:00"), kind: "x", message: String::new() };
        let reading = test_readings::full();
        let mut topics: Vec<String> =
            values("enphased", &reading, all).into_iter().map(|message| message.topic).collect();
        topics.extend([
            document("enphased", &reading, None).topic,
            availability("enphased", &serial, true).topic,
            event("enphased", Some(&serial), &event_sample).topic,
            token("enphased", &serial, &1).topic,
            "enphased/122300000000/set".to_owned(),
        ]);
        let distinct: BTreeSet<&String> = topics.iter().collect();
        assert_eq!(distinct.len(), topics.len());
    }

    #[test]
    fn what_is_asked_of_a_gateway_is_known_by_its_topic() {
        assert_eq!(request_target("home/solar", "home/solar/1223/set"), Some("1223"));
        for other in
            ["home/solar/set", "home/solar//set", "home/solar/1/2/set", "home/solar/1223/sets", "x/1223/set"]
        {
            assert_eq!(request_target("home/solar", other), None, "{other}");
        }
    }

    #[test]
    fn status_and_availability_are_kept_and_sure() {
        let offline = status("enphased", false);
        assert_eq!((offline.topic.as_str(), offline.payload.as_str()), ("enphased/status", "offline"));
        assert_eq!((offline.retain, offline.qos), (true, Qos::AtLeastOnce));
        let online = availability("enphased", &Serial::parse("1223").unwrap(), true);
        assert_eq!(
            (online.topic.as_str(), online.payload.as_str()),
            ("enphased/1223/availability", "online")
        );
    }

    #[test]
    fn an_event_is_not_kept() {
        let time = test_readings::at("11:00:00");
        let news = Event { time, kind: "firmware_changed", message: "8.2 became 8.3".to_owned() };
        let message = event("enphased", Serial::parse("1223").ok().as_ref(), &news);
        assert!(!message.retain);
        insta::assert_snapshot!(message.payload, @r#"{"time":"2026-11-20T11:00:00Z","kind":"firmware_changed","message":"8.2 became 8.3"}"#);
    }

    #[test]
    fn the_document_is_the_reading_until_discovery_adds_to_it() {
        let reading = test_readings::full();
        assert_eq!(document("enphased", &reading, None).payload, json::one_line(&reading));
        let entities = Map::from_iter([("grid_power".to_owned(), Value::from(1))]);
        let payload = document("enphased", &reading, Some(&entities)).payload;
        assert!(payload.starts_with(r#"{"schema":1,"time""#));
        assert!(payload.ends_with(r#","entities":{"grid_power":1}}"#));
    }

    proptest! {
        #[test]
        fn topics_are_lawful_and_numbers_plain(reading in test_readings::any(), odd in "\\PC{1,8}") {
            let mut reading = reading;
            reading.dry_contacts[0].id = odd;
            for message in values("enphased", &reading, all) {
                prop_assert!(!message.topic.contains(['+', '#', ' ', '\0']), "{}", message.topic);
                prop_assert!(!message.topic.contains("//"));
                if message.topic.ends_with("power_w") {
                    prop_assert!(!message.payload.contains(['e', 'E', 'N', 'i']), "{}", message.payload);
                }
            }
        }
    }
}
