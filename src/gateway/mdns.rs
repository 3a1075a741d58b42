//! Gateways that announce themselves on the home network (`_enphase-envoy._tcp`).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use mdns_sd::{ResolvedService, ServiceDaemon, ServiceEvent};
use tokio::time::{Instant, timeout_at};

use super::address::Address;
use super::info::Firmware;
use crate::names;
use crate::reading::Serial;

const SERVICE: &str = "_enphase-envoy._tcp.local.";

/// An announced gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its serial number.
    pub serial: Serial,
    /// `protovers`, which is its firmware.
    pub firmware: Option<Firmware>,
    /// Where it is, IPv4 first; one that is on Ethernet and Wi-Fi has several.
    pub addresses: Vec<IpAddr>,
    /// The announced port. It may be 80 where only 443 answers, so [`Found::address`] leaves it out.
    pub port: u16,
}

impl Found {
    /// Where to ask it.
    pub fn address(&self) -> Option<Address> {
        self.addresses.first().copied().map(Address::from)
    }
}

/// The network does not let us listen for announcements.
#[derive(Debug, thiserror::Error)]
#[error("cannot look for gateways by mDNS: {0}")]
pub struct BrowseError(#[from] mdns_sd::Error);

/// Asks all networks of this machine and listens for as long as `patience`; 5 s find what is awake. Sorted by
/// serial number, each gateway once.
pub async fn browse(patience: Duration) -> Result<Vec<Found>, BrowseError> {
    let daemon = ServiceDaemon::new()?;
    let events = daemon.browse(SERVICE)?;
    let deadline = Instant::now() + patience;
    let mut found = Vec::new();
    while let Ok(Ok(event)) = timeout_at(deadline, events.recv_async()).await {
        if let ServiceEvent::ServiceResolved(service) = event {
            found.extend(announced(&service));
        }
    }
    // It stops by itself; a second call finds an error here, which changes nothing.
    daemon.shutdown().ok();
    Ok(merged(found))
}

/// What one announcement says; `None` where it is not a gateway's.
fn announced(service: &ResolvedService) -> Option<Found> {
    let serial = service.get_property_val_str("serialnum")?.trim().parse().ok()?;
    let addresses = names::usable(&service.addresses);
    (!addresses.is_empty()).then(|| Found {
        serial,
        firmware: service.get_property_val_str("protovers").and_then(|text| text.parse().ok()),
        addresses,
        port: service.port,
    })
}

/// One for each serial number: the announced address of a gateway on two interfaces changes about every half
/// hour, and each interface may be announced by itself.
fn merged(found: Vec<Found>) -> Vec<Found> {
    let mut gateways: BTreeMap<Serial, Found> = BTreeMap::new();
    for next in found {
        match gateways.get_mut(&next.serial) {
            Some(known) => {
                known.addresses.extend(next.addresses);
                known.addresses.sort_unstable();
                known.addresses.dedup();
                known.firmware = next.firmware.or(known.firmware);
            }
            None => {
                gateways.insert(next.serial.clone(), next);
            }
        }
    }
    gateways.into_values().collect()
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

    #[test]
    fn an_announcement_names_the_serial_the_firmware_and_the_addresses() {
        let service = announcement(
            "fe80::1,fd00::20,192.168.1.20",
            &[("serialnum", "122300000000"), ("protovers", "8.3.5289")],
        );
        let found = announced(&service).unwrap();
        assert_eq!(found.firmware, Some(Firmware::new(8, 3, 5289)));
        let addresses: Vec<IpAddr> = ["192.168.1.20", "fd00::20"].map(|ip| ip.parse().unwrap()).into();
        assert_eq!((found.serial.as_str(), &found.addresses), ("122300000000", &addresses));
        assert_eq!(found.address().unwrap().to_string(), "192.168.1.20");
    }

    #[test]
    fn an_announcement_without_a_serial_or_a_usable_address_is_nothing() {
        assert_eq!(announced(&announcement("192.168.1.20", &[("protovers", "8.3.5289")])), None);
        assert_eq!(announced(&announcement("fe80::1", &[("serialnum", "122300000000")])), None);
    }

    #[test]
    fn a_gateway_on_two_interfaces_is_found_once() {
        let on = |address, serial| announced(&announcement(address, &[("serialnum", serial)])).unwrap();
        let found = merged(vec![on("192.168.1.21", "2"), on("192.168.1.9", "1"), on("192.168.1.20", "2")]);
        let shown: Vec<_> = found.iter().map(|g| (g.serial.as_str(), g.addresses.len())).collect();
        assert_eq!(shown, [("1", 1), ("2", 2)]);
        assert_eq!(found[1].address().unwrap().to_string(), "192.168.1.20");
    }
}
