//! Gateways that announce themselves on the home network (`_enphase-envoy._tcp`).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use mdns_sd::{IfKind, ResolvedService, ServiceDaemon, ServiceEvent};
use tokio::time::{Instant, timeout_at};

use super::firmware::Firmware;
use crate::base::reading::Serial;
use crate::io::resolve;

const SERVICE: &str = "_enphase-envoy._tcp.local.";

/// The gateways and addresses that are kept: anybody in the network may announce thousands.
const MOST_GATEWAYS: usize = 256;
const MOST_ADDRESSES: usize = 16;

/// An announced gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its serial number.
    pub serial: Serial,
    /// `protovers`, which is its firmware.
    pub firmware: Option<Firmware>,
    /// Where it is, in the order in which they are to be tried; their port means nothing. One that is on Ethernet and
    /// Wi-Fi has several.
    pub addresses: Vec<SocketAddr>,
    /// The announced port. It may be 80 where only 443 answers, so nobody connects to it.
    pub port: u16,
}

/// What was announced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announced {
    /// The gateways, sorted by serial number.
    pub gateways: Vec<Found>,
    /// Announcements of more gateways than are kept.
    pub more: usize,
}

/// The network does not let us listen for announcements.
#[derive(Debug, thiserror::Error)]
#[error("cannot look for gateways by mDNS: {0}")]
pub struct BrowseError(#[from] mdns_sd::Error);

/// Asks all networks of this machine and listens for as long as `patience`; 5 s find what is awake. A gateway that is
/// `wanted` is kept however many others there are.
pub async fn browse(patience: Duration, wanted: impl Fn(&Serial) -> bool) -> Result<Announced, BrowseError> {
    browse_on(None, patience, wanted).await
}

/// The same on all interfaces, or on those of one kind.
async fn browse_on(
    only: Option<IfKind>,
    patience: Duration,
    wanted: impl Fn(&Serial) -> bool,
) -> Result<Announced, BrowseError> {
    let daemon = ServiceDaemon::new()?;
    if let Some(only) = only {
        daemon.disable_interface(IfKind::All)?;
        daemon.enable_interface(only)?;
    }
    let events = daemon.browse(SERVICE)?;
    let deadline = Instant::now() + patience;
    let mut heard = Heard::default();
    while let Ok(Ok(event)) = timeout_at(deadline, events.recv_async()).await {
        if let ServiceEvent::ServiceResolved(service) = event
            && let Some(found) = announced(&service)
        {
            heard.take(found, &wanted);
        }
    }
    // It stops by itself; a second call finds an error here, which changes nothing.
    daemon.shutdown().ok();
    Ok(Announced { gateways: heard.gateways.into_values().collect(), more: heard.more })
}

/// What one announcement says; `None` where it is not a gateway's.
fn announced(service: &ResolvedService) -> Option<Found> {
    let serial = service.get_property_val_str("serialnum")?.trim().parse().ok()?;
    let mut addresses = resolve::usable(&service.addresses);
    addresses.truncate(MOST_ADDRESSES);
    (!addresses.is_empty()).then(|| Found {
        serial,
        firmware: service.get_property_val_str("protovers").and_then(|text| text.parse().ok()),
        addresses,
        port: service.port,
    })
}

/// What was heard until now: one entry for each serial number, because the announced address of a gateway on two
/// interfaces changes about every half hour, and each interface may be announced by itself.
#[derive(Debug, Default)]
struct Heard {
    gateways: BTreeMap<Serial, Found>,
    more: usize,
}

impl Heard {
    fn take(&mut self, next: Found, wanted: impl Fn(&Serial) -> bool) {
        let room = self.gateways.len() < MOST_GATEWAYS || wanted(&next.serial);
        match self.gateways.get_mut(&next.serial) {
            Some(known) => {
                known.firmware = next.firmware.or(known.firmware);
                for address in next.addresses {
                    if known.addresses.len() < MOST_ADDRESSES && !known.addresses.contains(&address) {
                        known.addresses.push(address);
                    }
                }
                known.addresses.sort_unstable_by_key(resolve::by_use);
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
        announced(&announcement(addresses, &[("serialnum", serial)])).unwrap()
    }

    #[test]
    fn an_announcement_names_the_serial_the_firmware_and_the_addresses() {
        let service = announcement(
            "fe80::1,fd00::20,192.168.1.20",
            &[("serialnum", "122300000000"), ("protovers", "8.3.5289")],
        );
        let found = announced(&service).unwrap();
        assert_eq!(found.firmware, Some(Firmware::new(8, 3, 5289)));
        assert_eq!(found.serial.as_str(), "122300000000");
        assert_eq!(found.addresses, ips(&["192.168.1.20", "fd00::20"]));
    }

    #[test]
    fn an_announcement_without_a_serial_or_a_usable_address_is_nothing() {
        assert_eq!(announced(&announcement("192.168.1.20", &[("protovers", "8.3.5289")])), None);
        assert_eq!(announced(&announcement("fe80::1", &[("serialnum", "122300000000")])), None);
    }

    #[test]
    fn a_serial_that_is_none_is_not_announced() {
        for serial in ["122300000000.copy", "../x", "12345678901234567", ""] {
            assert_eq!(announced(&announcement("192.168.1.20", &[("serialnum", serial)])), None, "{serial}");
        }
    }

    #[test]
    fn a_gateway_on_two_interfaces_is_found_once_with_both_addresses() {
        let mut heard = Heard::default();
        for found in [on("169.254.3.4", "2"), on("192.168.1.9", "1"), on("192.168.1.20", "2")] {
            heard.take(found, |_| false);
        }
        let shown: Vec<_> =
            heard.gateways.values().map(|found| (found.serial.as_str(), found.addresses.clone())).collect();
        let expected = [("1", ips(&["192.168.1.9"])), ("2", ips(&["192.168.1.20", "169.254.3.4"]))];
        assert_eq!(shown, expected);
    }

    #[test]
    fn thousands_of_announcements_take_little_memory_and_hide_no_gateway_that_is_wanted() {
        let mut heard = Heard::default();
        for number in 0..3000 {
            heard.take(on("192.168.1.66", &format!("9{number}")), |_| false);
            heard.take(on(&format!("192.168.{}.{}", number / 250, number % 250 + 1), "90"), |_| false);
        }
        heard.take(on("192.168.1.20", "1"), |serial| serial.as_str() == "1");
        assert_eq!(heard.gateways.len(), MOST_GATEWAYS + 1);
        assert_eq!(heard.more, 3000 - MOST_GATEWAYS);
        assert!(heard.gateways.contains_key(&Serial::parse("1").unwrap()));
        assert!(heard.gateways.values().all(|found| found.addresses.len() <= MOST_ADDRESSES));
    }

    /// On loopback alone, with announcers beside it: the gateway, an impostor with its serial number, and a crowd.
    #[tokio::test]
    async fn the_gateway_is_heard_in_a_crowd_with_each_address_that_is_announced_for_it() {
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
            let heard = browse_on(Some(IfKind::LoopbackV4), Duration::from_secs(3), |_| false).await.unwrap();
            assert!(heard.gateways.iter().all(|found| !found.serial.as_str().contains('.')));
            if is_there(&heard) {
                announcer.shutdown().unwrap();
                return;
            }
        }
        panic!("the announcements were not heard");
    }
}
