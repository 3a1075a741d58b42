//! What is announced, and where; and what is remembered of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The topic under which Home Assistant and Domoticz look for discovery unless told otherwise.
pub const PREFIX: &str = "homeassistant";

/// The list of the inverters in the document.
pub(super) const INVERTERS: &str = "inverters";

/// What is announced, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// Where discovery messages go, usually [`PREFIX`].
    pub discovery_prefix: String,
    /// Where the state document and the availability are, e.g. `enphased`.
    pub prefix: String,
    /// After how much silence Home Assistant takes a value for unknown; well above the poll interval.
    pub expire_after: Duration,
    /// Whether each inverter is a device.
    pub inverters: bool,
    /// Whether phases and what serves diagnosis are there too.
    pub details: bool,
}

/// What is remembered of an announcement, to know later whether it is still wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The inverter or battery that it belongs to, as the entry in the document's lists, e.g.
    /// `inverters/482200000001`; none for the gateway's own.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub device: Option<String>,
    /// Whether it was there only because details were wanted.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub detail: bool,
}

impl Discovery {
    /// Whether an announcement under `topic` is one that could be made now.
    pub fn wants(&self, topic: &str, mark: &Mark) -> bool {
        let list = mark.device.as_deref().and_then(|device| device.split_once('/')).map(|(list, _)| list);
        topic.strip_prefix(&self.discovery_prefix).is_some_and(|rest| rest.starts_with("/sensor/"))
            && (self.details || !mark.detail)
            && (self.inverters || list != Some(INVERTERS))
    }
}
