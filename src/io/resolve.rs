//! Resolves host names, with the system's resolver and, for `.local`, by mDNS.
//!
//! A static program (musl) cannot use the other name services of a machine, such as Avahi. On many Raspberry Pis only
//! Avahi resolves `envoy.local`, so this program also sends an mDNS query of its own.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use mdns_sd::{HostnameResolutionEvent, IfKind, ScopedIp, ServiceDaemon};
use tokio::net::lookup_host;
use tokio::time::{Instant, timeout_at};

/// The time to wait for responses. A running device responds within one second.
const TIMEOUT: Duration = Duration::from_secs(3);
/// The time to wait for further responses after the first. Any device can send the first one.
const FURTHER_RESPONSES: Duration = Duration::from_millis(500);

/// The maximum number of addresses of one name. Any device may respond to the query.
const MAX_ADDRESSES: usize = 16;

/// Returns the addresses of `host`, a name or an IP address, each with `port`. Addresses from mDNS have IPv4 first.
pub async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let known = lookup_host((host, port)).await.map(Vec::from_iter);
    if known.as_ref().is_ok_and(|addresses| !addresses.is_empty()) {
        return known;
    }
    let Some(name) = local_name(host) else { return known };
    match resolve_by_mdns(&name, None).await {
        Ok(found) if !found.is_empty() => {
            Ok(found.into_iter().map(|address| at_port(address, port)).collect())
        }
        Ok(_) => known,
        Err(error) => {
            tracing::debug!(%error, "mDNS is not available to resolve a name");
            known
        }
    }
}

/// Returns the name in the form of mDNS, if it ends in `.local` (RFC 6762, section 3).
fn local_name(host: &str) -> Option<String> {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    let label = name.strip_suffix(".local")?;
    (!label.is_empty()).then(|| format!("{name}."))
}

/// Queries all interfaces, or those of one kind, and returns the usable addresses of the first responses.
async fn resolve_by_mdns(name: &str, only: Option<IfKind>) -> Result<Vec<SocketAddr>, mdns_sd::Error> {
    let daemon = ServiceDaemon::new()?;
    if let Some(only) = only {
        daemon.disable_interface(IfKind::All)?;
        daemon.enable_interface(only)?;
    }
    let events = daemon.resolve_hostname(name, None)?;
    let mut deadline = Instant::now() + TIMEOUT;
    let mut found = Vec::new();
    while let Ok(Ok(event)) = timeout_at(deadline, events.recv_async()).await {
        if let HostnameResolutionEvent::AddressesFound(_, addresses) = event {
            merge(&mut found, usable(&addresses));
            if !found.is_empty() {
                deadline = deadline.min(Instant::now() + FURTHER_RESPONSES);
            }
        }
    }
    // The daemon also stops by itself, so an error here changes nothing.
    daemon.shutdown().ok();
    Ok(found)
}

fn merge(found: &mut Vec<SocketAddr>, more: Vec<SocketAddr>) {
    for address in more {
        if found.len() < MAX_ADDRESSES && !found.contains(&address) {
            found.push(address);
        }
    }
    found.sort_unstable_by_key(by_preference);
}

fn at_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

/// Returns the addresses that can be connected to, each with port 0. IPv4 comes first, because all gateways listen
/// there. Link-local addresses come last: a gateway also announces one for its unused Ethernet port. A link-local IPv6
/// address without its interface is not usable.
pub(crate) fn usable(addresses: &HashSet<ScopedIp>) -> Vec<SocketAddr> {
    let mut usable: Vec<SocketAddr> = addresses.iter().filter_map(with_interface).collect();
    usable.sort_unstable_by_key(by_preference);
    usable
}

/// The sort key for the order in which addresses are tried.
pub(crate) fn by_preference(address: &SocketAddr) -> (bool, SocketAddr) {
    (is_link_local(address.ip()), *address)
}

/// Returns whether an address is valid only on one network segment.
pub(crate) fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

fn with_interface(address: &ScopedIp) -> Option<SocketAddr> {
    let ip = address.to_ip_addr();
    if ip.is_unspecified() || ip.is_multicast() {
        return None;
    }
    match (ip, address) {
        (IpAddr::V6(ip), ScopedIp::V6(scoped)) if ip.is_unicast_link_local() => {
            let interface = scoped.scope_id().index;
            (interface != 0).then(|| SocketAddrV6::new(ip, 0, 0, interface).into())
        }
        (IpAddr::V6(ip), _) if ip.is_unicast_link_local() => None,
        (ip, _) => Some(SocketAddr::new(ip, 0)),
    }
}

#[cfg(test)]
mod tests {
    use mdns_sd::ServiceInfo;

    use super::*;

    #[test]
    fn only_local_names_are_resolved_by_mdns() {
        assert_eq!(local_name("envoy.local").as_deref(), Some("envoy.local."));
        assert_eq!(local_name("Envoy.Local.").as_deref(), Some("envoy.local."));
        for other in ["envoy", "envoy.lan", "local", ".local", "192.168.1.20", "envoy.local.example.com"] {
            assert_eq!(local_name(other), None, "{other}");
        }
    }

    #[test]
    fn usable_addresses_have_ipv4_first_and_link_local_last() {
        let address = |text: &str| ScopedIp::from(text.parse::<IpAddr>().unwrap());
        let found = ["fd00::20", "fe80::1", "169.254.3.4", "192.168.1.20", "0.0.0.0", "224.0.0.251"];
        let expected = ["192.168.1.20", "fd00::20", "169.254.3.4"];
        let expected: Vec<SocketAddr> = expected.map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).into();
        assert_eq!(usable(&found.map(address).into()), expected);
    }

    #[test]
    fn the_responses_of_several_devices_are_merged_up_to_a_limit() {
        let at = |number: u8| SocketAddr::from(([192, 168, 1, number], 0));
        let mut found = vec![at(20)];
        merge(&mut found, vec![at(5), at(20)]);
        assert_eq!(found, [at(5), at(20)]);
        merge(&mut found, (100..200).map(at).collect());
        assert_eq!(found.len(), MAX_ADDRESSES);
    }

    #[tokio::test]
    async fn an_ip_address_resolves_to_itself() {
        let itself = resolve("127.0.0.1", 80).await.unwrap();
        assert_eq!(itself, ["127.0.0.1:80".parse::<SocketAddr>().unwrap()]);
    }

    /// Resolves on loopback, with a responder beside it.
    #[tokio::test]
    async fn a_name_is_resolved_by_mdns() {
        let responder = ServiceDaemon::new().unwrap();
        responder.disable_interface(IfKind::All).unwrap();
        responder.enable_interface(IfKind::LoopbackV4).unwrap();
        let service = "_enphased-names._tcp.local.";
        let host = "enphased-names.local.";
        let info = ServiceInfo::new(service, "one", host, "127.0.0.1", 80, None).unwrap();
        responder.register(info).unwrap();
        let found = resolve_by_mdns(host, Some(IfKind::LoopbackV4)).await.unwrap();
        assert_eq!(found, [SocketAddr::from(([127, 0, 0, 1], 0))]);
        responder.shutdown().unwrap();
    }
}
