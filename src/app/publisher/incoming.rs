//! What others say on the topics that are listened to, and what is owed for it.

use std::time::Duration;

use tokio::time::Instant;

use super::content::Options;
use super::names::Names;
use super::throttle::Throttle;
use crate::output::topics;

/// How often everything is sent again because a consumer came up. What is retained it has anyway.
const BIRTHS: Duration = Duration::from_secs(60);
/// How often our status is put right, and our name is said.
const ANSWERS: Duration = Duration::from_secs(5);

/// What a message from the broker meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Home Assistant or Domoticz has come up: everything is owed again.
    Birth,
    /// Somebody else has declared us offline under our own topic; that is put right.
    Denied,
    /// Another daemon publishes under our prefix, known to the broker by this client id; told once of each.
    Twin(String),
    /// Something is asked of the gateway at this level of the topics.
    Asked(String),
    /// None of ours.
    Nothing,
}

/// What is owed for what was heard.
#[derive(Debug)]
pub(super) struct Incoming {
    /// Everything, because a consumer came up.
    pub(super) births: Throttle,
    /// Our status, because somebody else declared us offline.
    pub(super) status: Throttle,
    /// Our name, because another daemon said its own.
    pub(super) instance: Throttle,
    /// Other daemons under our prefix.
    names: Names,
}

impl Default for Incoming {
    fn default() -> Self {
        let answers = || Throttle::new(ANSWERS);
        Self {
            births: Throttle::new(BIRTHS),
            status: answers(),
            instance: answers(),
            names: Names::default(),
        }
    }
}

impl Incoming {
    /// There is a new connection, on which everything is owed.
    pub(super) fn connected(&mut self) {
        self.names.connected();
        for throttle in [&mut self.births, &mut self.status, &mut self.instance] {
            throttle.settle();
        }
    }

    /// Messages from the broker were missed: a consumer may have come up, and somebody may have declared us offline.
    pub(super) const fn missed(&mut self) {
        self.births.owe();
        self.status.owe();
    }

    /// A message has come in.
    pub(super) fn incoming(
        &mut self,
        options: &Options,
        topic: &str,
        payload: &[u8],
        retained: bool,
    ) -> Meaning {
        let is_status = topic == topics::status_topic(&options.prefix);
        // Our name is said once per connection, and not before it is certain that an answer would be heard: the status
        // has come back to us, which was subscribed to after the names. (The connection may send what is published before
        // what is subscribed to.)
        if is_status && self.names.introduces() {
            self.instance.owe();
        }
        // What the broker had kept is older than this connection.
        if retained {
            return Meaning::Nothing;
        }
        if payload == b"online" && options.birth_topic().is_some_and(|birth| birth == topic) {
            self.births.owe();
            return Meaning::Birth;
        }
        if payload == b"offline" && is_status {
            self.status.owe();
            return Meaning::Denied;
        }
        if topic == topics::instance_topic(&options.prefix) {
            return self.twin(payload, &options.instance);
        }
        let asked = topics::request_target(&options.prefix, topic).filter(|_| options.wishes.is_some());
        asked.map_or(Meaning::Nothing, |level| Meaning::Asked(level.to_owned()))
    }

    /// A daemon has said its name: our own echo, one that is known, or another, which is told ours in turn.
    fn twin(&mut self, payload: &[u8], ours: &str) -> Meaning {
        let Some(name) = self.names.heard(payload, ours) else { return Meaning::Nothing };
        self.instance.owe();
        Meaning::Twin(name)
    }

    /// When something is owed by time alone.
    pub(super) fn wakes(&self) -> Option<Instant> {
        [&self.births, &self.status, &self.instance].into_iter().filter_map(Throttle::wakes).min()
    }
}
