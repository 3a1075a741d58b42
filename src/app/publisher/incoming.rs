//! Messages from other clients on the subscribed topics, and what has to be sent in response.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::options::Options;
use super::throttle::Throttle;
use crate::output::topics;

/// The minimum time between two repetitions of everything after a consumer's start. The broker retains the values anyway.
const BIRTHS: Duration = Duration::from_secs(60);
/// The minimum time between two corrections of the status, and between two introductions.
const CORRECTIONS: Duration = Duration::from_secs(5);

/// The maximum number of other daemons.
pub(super) const MAX_OTHERS: usize = 16;
/// The maximum length of a client id, longer than those of any daemon.
const LONGEST: usize = 64;

/// The meaning of a message from the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Home Assistant or Domoticz has started: everything has to be sent again.
    Birth,
    /// Another client published on the status topic that this daemon is offline, which is corrected. It is not another
    /// daemon that was reported.
    DeclaredOffline,
    /// Another daemon, with this client id, publishes under the same prefix. Reported once for each.
    OtherDaemon(String),
    /// A request to the gateway at this level of the topics.
    Request(String),
    /// No meaning for this daemon.
    Nothing,
}

/// Returns the topic filters to subscribe to.
pub(super) fn subscriptions(options: &Options) -> impl Iterator<Item = String> {
    let prefix = &options.prefix;
    let requests = options.requests.as_ref().map(|_| topics::request_filter(prefix));
    let own = [topics::instance_topic(prefix), topics::status_topic(prefix)];
    own.into_iter().chain(requests).chain(options.birth_topic())
}

/// The messages to send in response to other clients.
#[derive(Debug)]
pub(super) struct Incoming {
    /// Everything, because a consumer has started.
    pub(super) births: Throttle,
    /// The status, because another client declared this daemon offline.
    pub(super) status: Throttle,
    /// The client id, because another daemon published its own.
    pub(super) instance: Throttle,
    /// Other daemons under the same prefix.
    duplicates: DuplicateDaemons,
}

impl Default for Incoming {
    fn default() -> Self {
        let correction = || Throttle::new(CORRECTIONS);
        Self {
            births: Throttle::new(BIRTHS),
            status: correction(),
            instance: correction(),
            duplicates: DuplicateDaemons::default(),
        }
    }
}

impl Incoming {
    /// Records a new connection, on which everything has to be sent.
    pub(super) fn connected(&mut self) {
        self.duplicates.connected();
        for throttle in [&mut self.births, &mut self.status, &mut self.instance] {
            throttle.settle();
        }
    }

    /// Records that messages were missed: a consumer may have started, and another client may have declared this daemon
    /// offline.
    pub(super) const fn missed(&mut self) {
        self.births.owe();
        self.status.owe();
    }

    /// Interprets a message.
    pub(super) fn incoming(
        &mut self,
        options: &Options,
        topic: &str,
        payload: &[u8],
        retained: bool,
    ) -> Meaning {
        let is_status = topic == topics::status_topic(&options.prefix);
        // The client id is published once per connection, after a response would be received: the status topic is
        // subscribed to last, and its message has arrived. (The connection may send messages before subscriptions.)
        if is_status && self.duplicates.is_introduction_due() {
            self.instance.owe();
        }
        // A retained message is older than this connection.
        if retained {
            return Meaning::Nothing;
        }
        if payload == b"online" && options.birth_topic().is_some_and(|birth| birth == topic) {
            self.births.owe();
            return Meaning::Birth;
        }
        if payload == b"offline" && is_status {
            self.status.owe();
            // Another daemon that stops declares this one offline; it was reported already.
            let is_explained = !self.duplicates.others.is_empty();
            return if is_explained { Meaning::Nothing } else { Meaning::DeclaredOffline };
        }
        if topic == topics::instance_topic(&options.prefix) {
            return self.other_daemon(payload, &options.instance);
        }
        match topics::request_target(&options.prefix, topic) {
            Some(level) if options.requests.is_some() => Meaning::Request(level.to_owned()),
            _ => Meaning::Nothing,
        }
    }

    /// Handles the client id of a daemon. If it is neither this daemon's nor known, this daemon publishes its own again.
    fn other_daemon(&mut self, payload: &[u8], own_id: &str) -> Meaning {
        let Some(client_id) = self.duplicates.add(payload, own_id) else { return Meaning::Nothing };
        self.instance.owe();
        Meaning::OtherDaemon(client_id)
    }

    /// Returns the next time at which something has to be sent without any event.
    pub(super) fn wakes(&self) -> Option<Instant> {
        [&self.births, &self.status, &self.instance].into_iter().filter_map(Throttle::wakes).min()
    }
}

/// The client ids of the other daemons that publish under the same prefix by mistake.
///
/// Each daemon publishes its client id on `<prefix>/instance` and subscribes to that topic. Retained messages are ignored,
/// because their daemon may no longer run. A daemon that receives another client id publishes its own once more.
#[derive(Debug, Default)]
struct DuplicateDaemons {
    /// `true` if this daemon has published its client id on this connection.
    introduced: bool,
    others: BTreeSet<String>,
}

impl DuplicateDaemons {
    /// Records a new connection.
    fn connected(&mut self) {
        self.introduced = false;
    }

    /// Returns `true` once per connection, when this daemon has to publish its client id.
    const fn is_introduction_due(&mut self) -> bool {
        let is_due = !self.introduced;
        self.introduced = true;
        is_due
    }

    /// Returns the client id in `payload` if it is new and not `own_id`.
    fn add(&mut self, payload: &[u8], own_id: &str) -> Option<String> {
        let id: String = String::from_utf8_lossy(payload).chars().take(LONGEST).collect();
        let id = topics::level(&id);
        let known = id.is_empty() || id == topics::level(own_id) || self.others.len() == MAX_OTHERS;
        (!known && self.others.insert(id.clone())).then_some(id)
    }
}
