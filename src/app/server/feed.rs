//! The values of a stream: first the newest of everything, then changes.
//!
//! A feed holds no values. It remembers which writes it has passed on, and takes the next ones from the snapshot when its
//! reader is ready. So nothing queues up for a slow reader, who misses what lay between.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;
use tokio::sync::watch;

use super::group::Group;
use super::rendered::{Message, Rendered};
use crate::app::latest::{Availability, Gateway, Numbered, Snapshot};
use crate::base::reading::Serial;

/// What a stream is limited to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// The groups; `None` for all.
    pub groups: Option<BTreeSet<Group>>,
    /// The gateway; `None` for all.
    pub serial: Option<Serial>,
}

impl Choice {
    /// Returns `true` if `group` is wanted.
    pub fn has(&self, group: Group) -> bool {
        self.groups.as_ref().is_none_or(|groups| groups.contains(&group))
    }

    fn is_about(&self, serial: &Serial) -> bool {
        self.serial.as_ref().is_none_or(|wanted| wanted == serial)
    }
}

/// Values of one group and one gateway.
#[derive(Clone, Debug)]
pub struct Update {
    /// The group.
    pub group: Group,
    /// The number of the write up to which everything was passed on, from which a stream can be resumed.
    pub id: u64,
    /// The values.
    pub message: Message,
}

/// The state of one stream.
#[derive(Debug)]
pub struct Feed {
    reader: watch::Receiver<Snapshot>,
    rendered: Arc<Rendered>,
    choice: Choice,
    /// All writes up to this one were passed on.
    done: u64,
    /// The gateways up to this write were passed on in the current pass.
    passed: u64,
}

impl Feed {
    /// Creates a feed of the writes after `after`; 0 is before the first.
    pub const fn new(
        reader: watch::Receiver<Snapshot>,
        rendered: Arc<Rendered>,
        choice: Choice,
        after: u64,
    ) -> Self {
        Self { reader, rendered, choice, done: after, passed: after }
    }

    /// Waits for the next updates. Can be cancelled at any time.
    pub async fn next(&mut self) -> Vec<Update> {
        loop {
            let updates = self.now();
            if !updates.is_empty() {
                return updates;
            }
            if self.reader.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Returns the updates of the next gateway that has any, and after the last one the events.
    fn now(&mut self) -> Vec<Update> {
        let snapshot = self.reader.borrow_and_update();
        let mut updates = Vec::new();
        for (serial, gateway) in snapshot.gateways_after(self.passed) {
            self.passed = gateway.written();
            updates = of_gateway(&self.choice, &self.rendered, self.done, serial, gateway);
            if !updates.is_empty() {
                break;
            }
        }
        if snapshot.gateways_after(self.passed).next().is_none() {
            updates.extend(events(&self.choice, self.done, &snapshot));
            self.done = snapshot.written();
            self.passed = self.done;
        }
        let id = self.done;
        updates.into_iter().map(|(group, message)| Update { group, id, message }).collect()
    }
}

/// Returns the values of a gateway that were written after `done`.
fn of_gateway(
    choice: &Choice,
    rendered: &Rendered,
    done: u64,
    serial: &Serial,
    gateway: &Gateway,
) -> Vec<(Group, Message)> {
    if !choice.is_about(serial) {
        return Vec::new();
    }
    let mut updates = Vec::new();
    if let Some(availability) = newer(gateway.availability.as_ref(), done) {
        let reason = match availability {
            Availability::Online => None,
            Availability::Offline(reason) => Some(reason),
        };
        let data = json!({"serial": serial, "available": reason.is_none(), "reason": reason});
        updates.push(update(Group::Gateways, &data));
    }
    // The last reading of a gateway that does not respond would look like a new one.
    if let Some(reading) = gateway.fresh_reading().filter(|reading| reading.number > done) {
        updates.extend_from_slice(&rendered.parts(reading));
    }
    if let Some(token) = newer(gateway.token.as_ref(), done) {
        updates.push(update(Group::Token, &json!({"serial": serial, "token": token})));
    }
    updates.retain(|(group, _)| choice.has(*group));
    updates
}

fn update(group: Group, data: &serde_json::Value) -> (Group, Message) {
    (group, Message::new(group.name(), data))
}

fn newer<T>(known: Option<&Numbered<T>>, done: u64) -> Option<&T> {
    known.filter(|known| known.number > done).map(|known| &*known.value)
}

/// Returns the events after `done`. A stream that begins gets only the newest one.
fn events(choice: &Choice, done: u64, snapshot: &Snapshot) -> Vec<(Group, Message)> {
    if !choice.has(Group::Events) {
        return Vec::new();
    }
    let is_wanted = |serial: Option<&Serial>| serial.is_none_or(|serial| choice.is_about(serial));
    let wanted = snapshot.events_after(done).filter(|event| is_wanted(event.serial.as_ref()));
    let updates =
        wanted.map(|event| update(Group::Events, &json!({"serial": event.serial, "event": *event.event})));
    if done == 0 { updates.last().into_iter().collect() } else { updates.collect() }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::app::latest::Latest;
    use crate::base::reading::{Event, Reading};
    use crate::base::test_readings;

    fn begin(latest: &Latest, choice: Choice, after: u64) -> Feed {
        Feed::new(latest.reader(), Arc::default(), choice, after)
    }

    fn reading(serial: &str) -> Reading {
        let mut reading = test_readings::full();
        reading.gateway.serial = Serial::parse(serial).unwrap();
        reading
    }

    async fn all_now(feed: &mut Feed) -> Vec<String> {
        let mut names = Vec::new();
        while let Ok(updates) = tokio::time::timeout(std::time::Duration::from_millis(1), feed.next()).await {
            names.extend(updates.iter().map(|update| {
                let data: Value = serde_json::from_slice(&update.message.data()).unwrap();
                let serial = data.get("serial").or_else(|| data.pointer("/gateway/serial"));
                format!("{} {}", update.group.name(), serial.and_then(Value::as_str).unwrap_or_default())
            }));
        }
        names
    }

    fn event(kind: &'static str) -> Event {
        Event { time: jiff::Timestamp::UNIX_EPOCH, kind, message: String::new() }
    }

    #[tokio::test(start_paused = true)]
    async fn first_the_newest_of_everything_and_then_changes() {
        let latest = Latest::new();
        let serial = Serial::parse("1").unwrap();
        for _ in 0..3 {
            latest.put_reading(reading("1"));
            latest.put_event(&serial, event("old"));
        }
        let mut feed = begin(&latest, Choice::default(), 0);
        let first = ["gateways 1", "production 1", "inverters 1", "batteries 1", "events 1"];
        assert_eq!(all_now(&mut feed).await, first);
        assert_eq!(all_now(&mut feed).await, [""; 0]);
        latest.put_availability(&serial, Availability::Offline("no response".to_owned()));
        assert_eq!(all_now(&mut feed).await, ["gateways 1"]);
        for kind in ["a", "b"] {
            latest.put_event(&serial, event(kind));
        }
        assert_eq!(all_now(&mut feed).await, ["events 1", "events 1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_gets_the_newest_and_misses_what_lay_between() {
        let latest = Latest::new();
        for serial in ["1", "2"] {
            latest.put_reading(reading(serial));
        }
        let choice = Choice { groups: Some([Group::Production].into()), serial: None };
        let mut feed = begin(&latest, choice, 0);
        let first = feed.next().await;
        assert_eq!(first.len(), 1);
        for _ in 0..50 {
            latest.put_reading(reading("1"));
            latest.put_reading(reading("2"));
        }
        // What was not passed on yet, and what was written again.
        assert_eq!(all_now(&mut feed).await, ["production 1", "production 2"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_resumed_stream_has_no_gap_in_the_newest_values() {
        let latest = Latest::new();
        latest.put_reading(reading("1"));
        let mut feed = begin(&latest, Choice::default(), 0);
        let id = feed.next().await.last().unwrap().id;
        latest.put_reading(reading("2"));
        let mut resumed = begin(&latest, Choice::default(), id);
        let names = all_now(&mut resumed).await;
        assert!(names.contains(&"production 2".to_owned()), "{names:?}");
        assert!(!names.contains(&"production 1".to_owned()), "{names:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_reading_of_a_gateway_that_does_not_respond_is_not_sent() {
        let latest = Latest::new();
        latest.put_reading(reading("1"));
        let serial = Serial::parse("1").unwrap();
        latest.put_availability(&serial, Availability::Offline("no response".to_owned()));
        let mut feed = begin(&latest, Choice::default(), 0);
        assert_eq!(all_now(&mut feed).await, ["gateways 1"]);
        latest.put_reading(reading("1"));
        let again = ["gateways 1", "production 1", "inverters 1", "batteries 1"];
        assert_eq!(all_now(&mut feed).await, again);
    }

    #[tokio::test(start_paused = true)]
    async fn a_choice_limits_groups_and_gateways() {
        let latest = Latest::new();
        for serial in ["1", "2"] {
            latest.put_reading(reading(serial));
        }
        let groups = Some([Group::Gateways, Group::Inverters].into());
        let choice = Choice { groups, serial: Some(Serial::parse("2").unwrap()) };
        let mut feed = begin(&latest, choice, 0);
        assert_eq!(all_now(&mut feed).await, ["gateways 2", "inverters 2"]);
    }
}
