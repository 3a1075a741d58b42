//! The options of publishing.

use std::time::Duration;

use crate::app::requests::Requests;
use crate::io::state_dir::StateDir;
use crate::output::domoticz::idx::Idx;
use crate::output::homeassistant::{self, Discovery};

/// The options of publishing: the values, topics and formats.
#[derive(Clone, Debug)]
pub struct Options {
    /// The first level of every topic of this daemon.
    pub prefix: String,
    /// `true` to publish each value under its own plain topic, in addition to the document.
    pub topics: bool,
    /// Discovery for Home Assistant and Domoticz.
    pub homeassistant: Option<Discovery>,
    /// The devices in Domoticz that are updated by their idx.
    pub domoticz: Option<Domoticz>,
    /// The time between two readings of a gateway. It determines when an unchanged value is repeated, within five minutes.
    pub interval: Duration,
    /// The client ID of this daemon, which distinguishes it from a second daemon with the same prefix.
    pub instance: String,
    /// The receiver of requests over MQTT, or `None` if they are disabled.
    pub requests: Option<Requests>,
    /// The state directory for the record of announced topics, or `None` to keep no record.
    pub state: Option<StateDir>,
}

/// The devices in Domoticz.
#[derive(Clone, Debug)]
pub struct Domoticz {
    /// The topic that Domoticz subscribes to, [`TOPIC`](crate::output::domoticz::TOPIC) by default.
    pub topic: String,
    /// The device of each value.
    pub idx: Idx,
}

impl Options {
    /// Returns the topic on which Home Assistant and Domoticz report that they have started. Domoticz does so if it uses
    /// discovery, even if not for this daemon.
    pub(super) fn birth_topic(&self) -> Option<String> {
        let discovery = self.homeassistant.as_ref().map(|discovery| discovery.discovery_prefix.as_str());
        let prefix = discovery.or_else(|| self.domoticz.as_ref().map(|_| homeassistant::PREFIX))?;
        Some(format!("{prefix}/status"))
    }
}
