//! The settings of discovery, and the marks stored for announcements.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The default topic prefix of discovery in Home Assistant and Domoticz.
pub const PREFIX: &str = "homeassistant";

/// The name of the list of inverters in the document.
pub(super) const INVERTERS: &str = "inverters";

/// The settings of discovery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// The topic prefix of discovery messages, usually [`PREFIX`].
    pub discovery_prefix: String,
    /// The topic prefix of the state document and the availability, e.g. `enphased`.
    pub prefix: String,
    /// The time without updates after which Home Assistant shows a value as unknown; well above the poll interval.
    pub expire_after: Duration,
    /// Each inverter is announced as a device.
    pub inverters: bool,
    /// Phases and the details of inverters are enabled from the start.
    pub details: bool,
    /// There are several gateways, which need different names.
    pub several: bool,
    /// The address of the status page, which Home Assistant links on the page of the gateway.
    pub configuration_url: Option<String>,
}

/// The stored properties of an announcement, which decide later if it is still wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// The inverter, battery or dry contact, as the entry in the document's lists, e.g. `inverters/482200000001`; `None`
    /// for the gateway.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub device: Option<String>,
}

impl Discovery {
    /// Returns `true` if the announcement under `topic` is still wanted with these settings.
    pub fn wants(&self, topic: &str, mark: &Announcement) -> bool {
        let list = mark.device.as_deref().and_then(|device| device.split_once('/')).map(|(list, _)| list);
        let rest = topic.strip_prefix(&self.discovery_prefix);
        rest.is_some_and(|rest| rest.starts_with("/sensor/") || rest.starts_with("/binary_sensor/"))
            && (self.inverters || list != Some(INVERTERS))
    }
}
