//! Two tables for one gateway, however its place is spelt. It would be polled twice, on two connections.

use std::net::IpAddr;

use super::Gateway;
use crate::io::gateway::address::{Address, Scheme};

/// Whether two tables name the same gateway for certain. That two names lead to one shows only when it is asked.
pub(super) fn is_same(one: &Gateway, other: &Gateway) -> bool {
    let serials = one.serial.as_ref().zip(other.serial.as_ref());
    if serials.is_some_and(|(a, b)| a.as_str().eq_ignore_ascii_case(b.as_str())) {
        return true;
    }
    match (&one.address, &other.address) {
        (Some(a), Some(b)) => host(a) == host(b) && meet(a, b),
        (None, None) => one.serial.is_none() && other.serial.is_none(),
        _ => false,
    }
}

/// The host in one spelling.
fn host(address: &Address) -> String {
    let name = address.host().trim_end_matches('.').to_ascii_lowercase();
    let ip = name.trim_matches(['[', ']']).parse::<IpAddr>();
    ip.map_or(name, |ip| ip.to_canonical().to_string())
}

/// Whether both lead to the same port. A gateway listens at 443 and 80, and is one gateway at both; other ports of one
/// host may be forwarded to several.
fn meet(one: &Address, other: &Address) -> bool {
    let (a, b) = (ports(one), ports(other));
    let usual = |ports: &[u16]| ports.iter().all(|port| [443, 80].contains(port));
    (usual(&a) && usual(&b)) || a.iter().any(|port| b.contains(port))
}

fn ports(address: &Address) -> Vec<u16> {
    let schemes = address.scheme().map_or_else(|| vec![Scheme::Https, Scheme::Http], |scheme| vec![scheme]);
    schemes.into_iter().map(|scheme| address.port(scheme)).collect()
}

#[cfg(test)]
mod tests {
    use crate::app::config;
    use crate::app::config::environment::Environment;

    /// What is wrong with tables of these lines, if anything.
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
}
