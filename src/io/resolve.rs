//! Host names: what the system's resolver knows, and for `.local` what the home network says.
//!
//! A static program (musl) knows nothing of the name services that a machine has beside DNS, and on many a Raspberry
//! Pi `envoy.local` is known to one of those alone (Avahi). So it is asked for here as well, by mDNS.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use mdns_sd::{HostnameResolutionEvent, IfKind, ScopedIp, ServiceDaemon};
use tokio::net::lookup_host;
use tokio::time::{Instant, timeout_at};

/// How long the home network is listened to. What is awake answers within one second.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long others may answer after the first: anybody can be first.
const OTHERS: Duration = Duration::from_millis(500);

/// No more addresses of one name are kept: anybody may answer for it.
const MOST: usize = 16;

/// The addresses of `host`, which may be one itself, each with `port`; IPv4 first where mDNS gave them. An error
/// where nobody knows the name.
pub async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let known = lookup_host((host, port)).await.map(Vec::from_iter);
    if known.as_ref().is_ok_and(|addresses| !addresses.is_empty()) {
        return known;
    }
    let Some(name) = local_name(host) else { return known };
    match ask_the_network(&name, None).await {
        Ok(found) if !found.is_empty() => {
            Ok(found.into_iter().map(|address| at_port(address, port)).collect())
        }
        Ok(_) => known,
        Err(error) => {
            tracing::debug!(%error, "the home network cannot be asked for a name");
            known
        }
    }
}

/// The name as mDNS writes it, if it is one of its names (RFC 6762, section 3).
fn local_name(host: &str) -> Option<String> {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    let label = name.strip_suffix(".local")?;
    (!label.is_empty()).then(|| format!("{name}."))
}

/// Asks on all interfaces or on those of one kind, and takes the first answers that hold an address of use.
async fn ask_the_network(name: &str, only: Option<IfKind>) -> Result<Vec<SocketAddr>, mdns_sd::Error> {
    let daemon = ServiceDaemon::new()?;
    if let Some(only) = only {
        daemon.disable_interface(IfKind::All)?;
        daemon.enable_interface(only)?;
    }
    let events = daemon.resolve_hostname(name, None)?;
    let mut deadline = Instant::now() + PATIENCE;
    let mut found = Vec::new();
    while let Ok(Ok(event)) = timeout_at(deadline, events.recv_async()).await {
        if let HostnameResolutionEvent::AddressesFound(_, addresses) = event {
            merge(&mut found, usable(&addresses));
            if !found.is_empty() {
                deadline = deadline.min(Instant::now() + OTHERS);
            }
        }
    }
    // It stops by itself; a second call finds an error here, which changes nothing.
    daemon.shutdown().ok();
    Ok(found)
}

fn merge(found: &mut Vec<SocketAddr>, more: Vec<SocketAddr>) {
    for address in more {
        if found.len() < MOST && !found.contains(&address) {
            found.push(address);
        }
    }
    found.sort_unstable_by_key(by_use);
}

fn at_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

/// The addresses that can be connected to, each with port 0; IPv4 first, because gateways listen there for certain, and
/// link-local ones last: a gateway announces one for its empty Ethernet port beside the real one. A link-local IPv6
/// address is nothing without its interface.
pub(crate) fn usable(addresses: &HashSet<ScopedIp>) -> Vec<SocketAddr> {
    let mut usable: Vec<SocketAddr> = addresses.iter().filter_map(with_interface).collect();
    usable.sort_unstable_by_key(by_use);
    usable
}

/// The order in which addresses are tried.
pub(crate) fn by_use(address: &SocketAddr) -> (bool, SocketAddr) {
    (is_link_local(address.ip()), *address)
}

/// Whether an address holds only on one network segment.
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
    fn only_names_of_the_home_network_are_asked_for_there() {
        assert_eq!(local_name("envoy.local").as_deref(), Some("envoy.local."));
        assert_eq!(local_name("Envoy.Local.").as_deref(), Some("envoy.local."));
        for other in ["envoy", "envoy.lan", "local", ".local", "192.168.1.20", "envoy.local.example.com"] {
            assert_eq!(local_name(other), None, "{other}");
        }
    }

    #[test]
    fn addresses_of_use_come_with_ipv4_first_and_link_local_ones_last() {
        let address = |text: &str| ScopedIp::from(text.parse::<IpAddr>().unwrap());
        let found = ["fd00::20", "fe80::1", "169.254.3.4", "192.168.1.20", "0.0.0.0", "224.0.0.251"];
        let expected = ["192.168.1.20", "fd00::20", "169.254.3.4"];
        let expected: Vec<SocketAddr> = expected.map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).into();
        assert_eq!(usable(&found.map(address).into()), expected);
    }

    #[test]
    fn the_answers_of_several_are_all_kept_up_to_a_limit() {
        let at = |number: u8| SocketAddr::from(([192, 168, 1, number], 0));
        let mut found = vec![at(20)];
        merge(&mut found, vec![at(5), at(20)]);
        assert_eq!(found, [at(5), at(20)]);
        merge(&mut found, (100..200).map(at).collect());
        assert_eq!(found.len(), MOST);
    }

    #[tokio::test]
    async fn an_address_is_itself() {
        let itself = resolve("127.0.0.1", 80).await.unwrap();
        assert_eq!(itself, ["127.0.0.1:80".parse::<SocketAddr>().unwrap()]);
    }

    /// On loopback alone, with an answerer beside it.
    #[tokio::test]
    async fn a_name_is_answered_by_mdns() {
        let answerer = ServiceDaemon::new().unwrap();
        answerer.disable_interface(IfKind::All).unwrap();
        answerer.enable_interface(IfKind::LoopbackV4).unwrap();
        let service = "_enphased-names._tcp.local.";
        let host = "enphased-names.local.";
        let info = ServiceInfo::new(service, "one", host, "127.0.0.1", 80, None).unwrap();
        answerer.register(info).unwrap();
        let found = ask_the_network(host, Some(IfKind::LoopbackV4)).await.unwrap();
        assert_eq!(found, [SocketAddr::from(([127, 0, 0, 1], 0))]);
        answerer.shutdown().unwrap();
    }
}
