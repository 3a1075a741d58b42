//! Converts the configuration of the outputs into their options.

use std::time::Duration;

use crate::app::config::{self, Config, Format, Mqtt, Stdout};
use crate::app::poller::Shared;
use crate::app::publisher::{self, stdout};
use crate::io::http::{Listen, host_name};
use crate::io::mqtt;
use crate::output::domoticz;
use crate::output::homeassistant::Discovery;
use crate::output::topics;

/// The minimum time after which Home Assistant considers a value unknown; four poll intervals if these are longer.
const EXPIRES: Duration = Duration::from_secs(600);

/// Returns the format of standard output.
pub fn format(stdout: &Stdout, config: &Config) -> stdout::Format {
    match stdout.format {
        Format::Text => stdout::Format::Text(config.zone.clone()),
        Format::Json => stdout::Format::Json,
        Format::Domoticz => stdout::Format::Domoticz(stdout.idx.clone()),
        Format::Influx => stdout::Format::Influx,
    }
}

/// Returns the options of the connection to the broker. `client_id` has to be unique at the broker.
pub fn broker(settings: &Mqtt, client_id: &str) -> mqtt::Options {
    mqtt::Options {
        address: settings.address.clone(),
        user: settings.user.clone(),
        password: settings.password.clone(),
        certificates: settings.certificates.clone(),
        client_id: client_id.to_owned(),
        will: Some(topics::status(&settings.prefix, false)),
        burst: mqtt::BURST,
    }
}

/// Returns the address of the server for browsers in the house: that of a plain listener which others can reach.
pub(super) fn page(server: &config::Server) -> Option<String> {
    let reachable =
        |listen: &&Listen| !listen.tls && !listen.address.ip().is_loopback() && listen.address.port() != 0;
    let listen = server.listen.iter().find(reachable)?;
    let port = listen.address.port();
    if !listen.address.ip().is_unspecified() {
        return Some(format!("{listen}/"));
    }
    let host = server.host_names.first().cloned().or_else(host_name)?;
    Some(format!("http://{host}:{port}/"))
}

/// Returns the options of the publisher that connects as `client_id`.
pub fn content(settings: &Mqtt, config: &Config, shared: &Shared, client_id: &str) -> publisher::Options {
    let interval = config.longest_interval();
    let discovery = settings.discovery.as_ref().map(|discovery_prefix| Discovery {
        discovery_prefix: discovery_prefix.clone(),
        prefix: settings.prefix.clone(),
        expire_after: EXPIRES.max(4 * interval),
        inverters: settings.inverters,
        details: settings.details,
        several: config.gateways.len() > 1,
        configuration_url: config.server.as_ref().and_then(page),
    });
    let domoticz = publisher::Domoticz { topic: domoticz::TOPIC.to_owned(), idx: settings.idx.clone() };
    publisher::Options {
        prefix: settings.prefix.clone(),
        topics: settings.topics,
        homeassistant: discovery,
        domoticz: (!settings.idx.is_empty()).then_some(domoticz),
        interval,
        instance: client_id.to_owned(),
        requests: settings.commands.then(|| shared.requests.clone()),
        state: Some(shared.state.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::config::environment::Environment;

    fn page_of(listen: &str) -> Option<String> {
        let text = format!("[server]\nhost_names = [\"pi.lan\"]\nlisten = [{listen}]\n");
        page(&config::complete(&text, None, &Environment::default()).unwrap().server.unwrap())
    }

    #[test]
    fn devices_link_to_a_page_that_others_can_reach() {
        assert_eq!(page_of("\"0.0.0.0:8480\"").as_deref(), Some("http://pi.lan:8480/"));
        assert_eq!(
            page_of("\"tls://0.0.0.0:1\", \"192.168.1.5:8480\"").as_deref(),
            Some("http://192.168.1.5:8480/")
        );
        for unreachable in ["\"127.0.0.1:8480\"", "\"tls://0.0.0.0:8443\"", "\"0.0.0.0:0\""] {
            assert_eq!(page_of(unreachable), None, "{unreachable}");
        }
    }
}
