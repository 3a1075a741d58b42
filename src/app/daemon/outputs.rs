//! The outputs as the configuration wants them.

use std::time::Duration;

use crate::app::config::{Config, Format, Mqtt, Stdout};
use crate::app::poller::Shared;
use crate::app::publisher::{self, pipe};
use crate::io::mqtt;
use crate::output::domoticz;
use crate::output::homeassistant::Discovery;
use crate::output::topics;

/// Home Assistant takes a value for unknown after this long, or after four intervals.
const EXPIRES: Duration = Duration::from_secs(600);

/// How readings are written to stdout.
pub fn format(stdout: &Stdout, config: &Config) -> pipe::Format {
    match stdout.format {
        Format::Text => pipe::Format::Text(config.zone.clone()),
        Format::Json => pipe::Format::Json,
        Format::Domoticz => pipe::Format::Domoticz(stdout.idx.clone()),
        Format::Influx => pipe::Format::Influx,
    }
}

/// How the broker is reached; `client_id` is ours alone there.
pub fn broker(settings: &Mqtt, client_id: &str) -> mqtt::Options {
    mqtt::Options {
        address: settings.address.clone(),
        user: settings.user.clone(),
        password: settings.password.clone(),
        certificates: settings.certificates.clone(),
        client_id: client_id.to_owned(),
        will: Some(topics::status(&settings.prefix, false)),
        burst: mqtt::WORDS,
    }
}

/// What is published by the client `client_id`.
pub fn content(settings: &Mqtt, config: &Config, shared: &Shared, client_id: &str) -> publisher::Options {
    let interval = config.gateways.iter().map(|gateway| gateway.interval).max().unwrap_or_default();
    let discovery = settings.discovery.as_ref().map(|discovery_prefix| Discovery {
        discovery_prefix: discovery_prefix.clone(),
        prefix: settings.prefix.clone(),
        expire_after: EXPIRES.max(4 * interval),
        inverters: settings.inverters,
        details: settings.details,
    });
    let domoticz = publisher::Domoticz { topic: domoticz::TOPIC.to_owned(), idx: settings.idx.clone() };
    publisher::Options {
        prefix: settings.prefix.clone(),
        topics: settings.topics,
        homeassistant: discovery,
        domoticz: (!settings.idx.is_empty()).then_some(domoticz),
        interval,
        instance: client_id.to_owned(),
        wishes: settings.commands.then(|| shared.wishes.clone()),
        state: Some(shared.state.clone()),
    }
}
