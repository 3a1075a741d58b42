//! Finds the gateways that announce themselves by mDNS on the home network (`_enphase-envoy._tcp`).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use mdns_sd::{IfKind, ResolvedService, ServiceDaemon, ServiceEvent};
use tokio::time::{Instant, timeout_at};

use super::firmware::Firmware;
use crate::base::reading::Serial;
use crate::io::resolve;

const SERVICE: &str = "_enphase-envoy._tcp.local.";

/// The maximum numbers of gateways, and of addresses of each. Any device on the network may announce thousands.
const MAX_GATEWAYS: usize = 256;
const MAX_ADDRESSES: usize = 16;

/// An announced gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The serial number.
    pub serial: Serial,
    /// The firmware (`protovers`).
    pub firmware: Option<Firmware>,
    /// The addresses in the order in which to try them. Their port is not used. A gateway on Ethernet and Wi-Fi has
    /// several.
    pub addresses: Vec<SocketAddr>,
    /// The announced port. It may be 80 although only 443 responds, so it is shown and not used.
    pub port: u16,
}

/// The gateways that were announced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announced {
    /// The gateways, sorted by serial number.
    pub gateways: Vec<Found>,
    /// The number of announcements of further gateways, which were not kept.
    pub more: usize,
}

/// mDNS is not available on this machine or network.
#[derive(Debug, thiserror::Error)]
#[error("cannot search for gateways by mDNS: {0}")]
pub struct BrowseError(#[from] mdns_sd::Error);

/// Sends an mDNS query on all interfaces and listens for `duration`; 5 s are enough to find every gateway that is
/// running. A gateway that is `wanted` is kept even if there are too many others.
pub async fn browse(duration: Duration, wanted: impl Fn(&Serial) -> bool) -> Result<Announced, BrowseError> {
    browse_on(None, duration, wanted).await
}

/// Browses on all interfaces, or on those of one kind.
async fn browse_on(
    only: Option<IfKind>,
    duration: Duration,
    wanted: impl Fn(&Serial) -> bool,
) -> Result<Announced, BrowseError> {
    let daemon = ServiceDaemon::new()?;
    if let Some(only) = only {
        daemon.disable_interface(IfKind::All)?;
        daemon.enable_interface(only)?;
    }
    let events = daemon.browse(SERVICE)?;
    let deadline = Instant::now() + duration;
    let mut collected = Collected::default();
    while let Ok(Ok(event)) = timeout_at(deadline, events.recv_async()).await {
        if let ServiceEvent::ServiceResolved(service) = event
            && let Some(found) = parse(&service)
        {
            collected.add(found, &wanted);
        }
    }
    // The daemon also stops by itself, so an error here changes nothing.
    daemon.shutdown().ok();
    Ok(Announced { gateways: collected.gateways.into_values().collect(), more: collected.more })
}

/// Parses one announcement. Returns `None` if it is not a gateway's.
fn parse(service: &ResolvedService) -> Option<Found> {
    let serial = service.get_property_val_str("serialnum")?.trim().parse().ok()?;
    let mut addresses = resolve::usable(&service.addresses);
    addresses.truncate(MAX_ADDRESSES);
    (!addresses.is_empty()).then(|| Found {
        serial,
        firmware: service.get_property_val_str("protovers").and_then(|text| text.parse().ok()),
        addresses,
        port: service.port,
    })
}

/// The announcements received so far, merged by serial number. The announced address of a gateway on two interfaces
/// changes about every half hour, and each interface may be announced separately.
#[derive(Debug, Default)]
struct Collected {
    gateways: BTreeMap<Serial, Found>,
    more: usize,
}

impl Collected {
    fn add(&mut self, next: Found, wanted: impl Fn(&Serial) -> bool) {
        let room = self.gateways.len() < MAX_GATEWAYS || wanted(&next.serial);
        match self.gateways.get_mut(&next.serial) {
            Some(known) => {
                known.firmware = next.firmware.or(known.firmware);
                for address in next.addresses {
                    if known.addresses.len() < MAX_ADDRESSES && !known.addresses.contains(&address) {
                        known.addresses.push(address);
                    }
                }
                known.addresses.sort_unstable_by_key(resolve::by_preference);
            }
            None if room => {
                self.gateways.insert(next.serial.clone(), next);
            }
            None => self.more += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use mdns_sd::ServiceInfo;

    use super::*;

    fn announcement(addresses: &str, properties: &[(&str, &str)]) -> ResolvedService {
        ServiceInfo::new(SERVICE, "envoy", "envoy.local.", addresses, 80, properties)
            .unwrap()
            .as_resolved_service()
    }

    fn ips(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect()
    }

    fn on(addresses: &str, serial: &str) -> Found {
        parse(&announcement(addresses, &[("serialnum", serial)])).unwrap()
    }

    #[test]
    fn an_announcement_names_the_serial_the_firmware_and_the_addresses() {
        let service = announcement(
            "fe80::1,fd00::20,192.168.1.20",
            &[("serialnum", "122300000000"), ("protovers", "8.3.5289")],
        );
        let found = parse(&service).unwrap();
        assert_eq!(found.firmware, Some(Firmware::new(8, 3, 5289)));
        assert_eq!(found.serial.as_str(), "122300000000");
        assert_eq!(found.addresses, ips(&["192.168.1.20", "fd00::20"]));
    }

    #[test]
    fn an_announcement_without_a_serial_or_a_usable_address_is_nothing() {
        assert_eq!(parse(&announcement("192.168.1.20", &[("protovers", "8.3.5289")])), None);
        assert_eq!(parse(&announcement("fe80::1", &[("serialnum", "122300000000")])), None);
    }

    #[test]
    fn an_invalid_serial_number_is_ignored() {
        for serial in ["122300000000.copy", "../x", "12345678901234567", ""] {
            assert_eq!(parse(&announcement("192.168.1.20", &[("serialnum", serial)])), None, "{serial}");
        }
    }

    #[test]
    fn a_gateway_on_two_interfaces_is_found_once_with_both_addresses() {
        let mut collected = Collected::default();
        for found in [on("169.254.3.4", "2"), on("192.168.1.9", "1"), on("192.168.1.20", "2")] {
            collected.add(found, |_| false);
        }
        let shown: Vec<_> = collected
            .gateways
            .values()
            .map(|found| (found.serial.as_str(), found.addresses.clone()))
            .collect();
        let expected = [("1", ips(&["192.168.1.9"])), ("2", ips(&["192.168.1.20", "169.254.3.4"]))];
        assert_eq!(shown, expected);
    }

    #[test]
    fn thousands_of_announcements_take_little_memory_and_do_not_hide_a_wanted_gateway() {
        let mut collected = Collected::default();
        for number in 0..3000 {
            collected.add(on("192.168.1.66", &format!("9{number}")), |_| false);
            collected.add(on(&format!("192.168.{}.{}", number / 250, number % 250 + 1), "90"), |_| false);
        }
        collected.add(on("192.168.1.20", "1"), |serial| serial.as_str() == "1");
        assert_eq!(collected.gateways.len(), MAX_GATEWAYS + 1);
        assert_eq!(collected.more, 3000 - MAX_GATEWAYS);
        assert!(collected.gateways.contains_key(&Serial::parse("1").unwrap()));
        assert!(collected.gateways.values().all(|found| found.addresses.len() <= MAX_ADDRESSES));
    }

    /// Browses on loopback with several announcers: the gateway, an impostor with its serial number, and many others.
    #[tokio::test]
    async fn a_gateway_among_many_is_found_with_all_its_announced_addresses() {
        let announcer = ServiceDaemon::new().unwrap();
        announcer.disable_interface(IfKind::All).unwrap();
        announcer.enable_interface(IfKind::LoopbackV4).unwrap();
        let announce = |name: &str, address: &str, serial: &str| {
            let host = format!("{name}.local.");
            let properties = [("serialnum", serial)];
            let service = ServiceInfo::new(SERVICE, name, &host, address, 80, &properties[..]).unwrap();
            announcer.register(service).unwrap();
        };
        announce("enphased-gateway", "127.0.0.20", "122300000001");
        announce("enphased-impostor", "127.0.0.5", "122300000001");
        announce("enphased-odd", "127.0.0.6", "122300000001.copy");
        for number in 0..30 {
            announce(&format!("enphased-crowd{number}"), "127.0.0.66", &format!("9{number}"));
        }
        let is_there = |announced: &Announced| {
            let found = announced.gateways.iter().find(|found| found.serial.as_str() == "122300000001");
            found.is_some_and(|found| found.addresses == ips(&["127.0.0.5", "127.0.0.20"]))
        };
        for _attempt in 0..5 {
            let collected =
                browse_on(Some(IfKind::LoopbackV4), Duration::from_secs(3), |_| false).await.unwrap();
            assert!(collected.gateways.iter().all(|found| !found.serial.as_str().contains('.')));
            if is_there(&collected) {
                announcer.shutdown().unwrap();
                return;
            }
        }
        panic!("the announcements were not received");
    }
}
