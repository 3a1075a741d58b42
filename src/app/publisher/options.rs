//! What is published, and under which topics.

use std::time::Duration;

use crate::app::requests::Requests;
use crate::io::state_dir::StateDir;
use crate::output::domoticz::idx::Idx;
use crate::output::homeassistant::Discovery;

/// What is published, and under which topics.
#[derive(Clone, Debug)]
pub struct Options {
    /// The first level of every topic of ours.
    pub prefix: String,
    /// Whether each value has a plain topic of its own beside the document.
    pub topics: bool,
    /// Discovery for Home Assistant and for Domoticz.
    pub homeassistant: Option<Discovery>,
    /// The devices in Domoticz that are fed by their idx.
    pub domoticz: Option<Domoticz>,
    /// How far the readings of a gateway are apart: an unchanged value is sent early enough before five
    /// minutes.
    pub interval: Duration,
    /// Our client id, by which a second daemon with the same prefix is told from this one.
    pub instance: String,
    /// Where what is asked over MQTT goes; `None` where nothing may be asked.
    pub requests: Option<Requests>,
    /// Where it is remembered what was left at the broker; `None` to remember nothing.
    pub state: Option<StateDir>,
}

/// The devices in Domoticz.
#[derive(Clone, Debug)]
pub struct Domoticz {
    /// What Domoticz listens to, [`domoticz::TOPIC`] unless told otherwise.
    pub topic: String,
    /// Which value goes to which device.
    pub idx: Idx,
}

impl Options {
    /// Where Home Assistant, and Domoticz alike, says that it has come up.
    pub(super) fn birth_topic(&self) -> Option<String> {
        self.homeassistant.as_ref().map(|discovery| format!("{}/status", discovery.discovery_prefix))
    }
}
