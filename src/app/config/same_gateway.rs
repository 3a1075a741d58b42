//! Detects two tables for one gateway, however its address is spelt. It would be polled twice, on two connections.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Gateway;
use crate::io::gateway::address::{Address, Scheme};

/// A property that only tables for the same gateway share. Two host names may still lead to one gateway, which is only
/// known when it responds.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Property {
    Serial(String),
    Port(String, u16),
    /// Ports 443 and 80, at which one gateway listens. Other ports of a host may be forwarded to several gateways.
    UsualPorts(String),
    /// Any gateway that announces itself.
    Any,
}

/// Returns each table that names the same gateway as an earlier one, with the first of those. Looks at each table once.
pub(super) fn duplicates(gateways: &[Gateway]) -> Vec<(&Gateway, &Gateway)> {
    let mut first_with: BTreeMap<Property, usize> = BTreeMap::new();
    let mut duplicates = Vec::new();
    for (place, gateway) in gateways.iter().enumerate() {
        let properties = properties(gateway);
        let first = properties
            .iter()
            .filter_map(|property| first_with.get(property))
            .min()
            .and_then(|place| gateways.get(*place));
        duplicates.extend(first.map(|first| (first, gateway)));
        for property in properties {
            first_with.entry(property).or_insert(place);
        }
    }
    duplicates
}

fn properties(gateway: &Gateway) -> Vec<Property> {
    let serial = gateway.serial.as_ref().map(|serial| Property::Serial(serial.as_str().to_ascii_lowercase()));
    let mut properties: Vec<Property> = serial.into_iter().collect();
    if let Some(address) = &gateway.address {
        let (host, ports) = (host(address), ports(address));
        if ports.iter().all(|port| [443, 80].contains(port)) {
            properties.push(Property::UsualPorts(host.clone()));
        }
        properties.extend(ports.into_iter().map(|port| Property::Port(host.clone(), port)));
    } else if properties.is_empty() {
        properties.push(Property::Any);
    }
    properties
}

/// Returns the host in a normalised spelling.
fn host(address: &Address) -> String {
    let name = address.host().trim_end_matches('.').to_ascii_lowercase();
    let ip = name.trim_matches(['[', ']']).parse::<IpAddr>();
    ip.map_or(name, |ip| ip.to_canonical().to_string())
}

fn ports(address: &Address) -> Vec<u16> {
    let schemes = address.scheme().map_or_else(|| vec![Scheme::Https, Scheme::Http], |scheme| vec![scheme]);
    schemes.into_iter().map(|scheme| address.port(scheme)).collect()
}

#[cfg(test)]
mod tests {
    use crate::app::config;
    use crate::app::config::environment::Environment;

    /// Returns the problem with two tables of these lines.
    fn problem(tables: [&str; 2]) -> Option<String> {
        let text = format!("[[gateway]]\n{}\n[[gateway]]\n{}\n", tables[0], tables[1]);
        let error = config::complete(&text, None, &Environment::default()).err()?;
        Some(error.problems().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    fn at(place: &str) -> String {
        format!("address = {place:?}")
    }

    #[test]
    fn one_gateway_in_two_spellings_is_refused_with_both() {
        for (one, other) in [
            ("192.168.1.20", "192.168.1.20"),
            ("192.168.1.20", "https://192.168.1.20"),
            ("192.168.1.20", "192.168.1.20:443"),
            ("192.168.1.20", "http://192.168.1.20"),
            ("http://192.168.1.20", "https://192.168.1.20"),
            ("envoy.local", "Envoy.Local."),
            ("envoy.local:8443", "https://envoy.local:8443"),
            ("[fd00::20]", "https://[fd00:0::0:20]:443"),
            ("[::ffff:192.168.1.20]", "192.168.1.20"),
        ] {
            let problem = problem([&at(one), &at(other)]).unwrap_or_else(|| panic!("{one} and {other}"));
            assert!(problem.contains("two [[gateway]] tables name the same gateway"), "{problem}");
        }
        assert_eq!(
            problem(["address = \"envoy\"\nserial = \"122300000001\"", "serial = \"122300000001\""]).unwrap(),
            "gateway: two [[gateway]] tables name the same gateway: the gateway at envoy (serial 122300000001), and the \
             gateway with serial 122300000001; remove one of them"
        );
        assert!(problem(["", "interval = \"5s\""]).is_some(), "both are any that announces itself");
    }

    #[test]
    fn different_gateways_are_two() {
        for (one, other) in [
            ("192.168.1.20", "192.168.1.21"),
            ("192.168.1.20:8443", "192.168.1.20:8444"),
            ("http://envoy.local:8080", "envoy.local"),
            ("envoy.local", "envoy-2.local"),
        ] {
            assert_eq!(problem([&at(one), &at(other)]), None, "{one} and {other}");
        }
        assert_eq!(problem(["serial = \"122300000001\"", "serial = \"122300000002\""]), None);
        assert_eq!(problem([&at("envoy.local"), "serial = \"122300000002\""]), None);
    }

    #[test]
    fn thousands_of_tables_are_checked_at_once() {
        let tables = |number: u32| -> String {
            let place = |place: u32| format!("10.{}.{}.{}", place >> 16, (place >> 8) & 255, place & 255);
            let table = |number| ["[[gateway]]\naddress = \"", &place(number), "\"\n"].concat();
            (0..number).map(table).collect()
        };
        // Each with each would be 200 million pairs.
        let text = tables(20_000);
        let config = config::complete(&text, None, &Environment::default()).unwrap();
        assert_eq!(config.gateways.len(), 20_000);
        let error = config::complete(&(text + &tables(1)), None, &Environment::default()).unwrap_err();
        assert_eq!(error.problems().len(), 1);
    }
}
