//! The locations where a gateway may be: as configured, or as announced by mDNS.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use super::address::Address;
use super::info;
use super::io_error::IoError;
use super::location::Location;
use super::mdns::{self, Announced, Found};
use super::open_error::{OpenError, listed};
use super::pinned_key::PinnedKeys;
use super::target::Target;
use crate::base::reading::Serial;
use crate::io::resolve;

/// The time to listen for announcements.
const LISTEN: Duration = Duration::from_secs(5);
/// The maximum number of addresses of one host name.
const MAX_ADDRESSES: usize = 16;

/// Returns the locations where the gateway may be, the likeliest first.
pub(super) async fn locations(target: &Target, keys: &PinnedKeys) -> Result<Vec<Location>, OpenError> {
    if let Some(address) = &target.address {
        return resolve(address).await;
    }
    let known: BTreeSet<Serial> = keys.serials().await.into_iter().collect();
    let wanted = |serial: &Serial| match &target.serial {
        Some(only) => serial == only,
        None => known.contains(serial),
    };
    let announced = mdns::browse(LISTEN, wanted).await?;
    let found = choose(announced, target.serial.as_ref(), &known)?;
    let last = keys.load(&found.serial).await?.map(|known| known.address);
    Ok(in_order(&found.addresses, last.as_deref()))
}

async fn resolve(address: &Address) -> Result<Vec<Location>, OpenError> {
    let unresolved = |error| IoError::unresolved(&error).into_error(address, info::PATH);
    let found = resolve::resolve(address.bare_host(), 0).await.map_err(unresolved)?;
    let mut locations: Vec<Location> = Vec::new();
    for ip in found {
        let location = Location { address: address.clone(), ip };
        if !locations.contains(&location) && locations.len() < MAX_ADDRESSES {
            locations.push(location);
        }
    }
    Ok(locations)
}

/// Chooses the announced gateway that has the configured serial number, or is the only known one, or the only one.
fn choose(
    announced: Announced,
    wanted: Option<&Serial>,
    known: &BTreeSet<Serial>,
) -> Result<Found, OpenError> {
    let Announced { mut gateways, more } = announced;
    if let Some(wanted) = wanted {
        gateways.retain(|found| found.serial == *wanted);
    }
    let is_known = |found: &Found| known.contains(&found.serial);
    if gateways.len() > 1 && gateways.iter().filter(|found| is_known(found)).count() == 1 {
        gateways.retain(is_known);
    }
    match (gateways.len(), gateways.pop()) {
        (1, Some(found)) => Ok(found),
        (_, Some(last)) => {
            let serials = gateways.iter().chain([&last]).map(|found| found.serial.to_string());
            Err(OpenError::SeveralFound(listed(serials, more)))
        }
        (_, None) => Err(OpenError::NotFound),
    }
}

/// Returns the announced addresses, preceded by the last known one.
fn in_order(addresses: &[SocketAddr], last: Option<&str>) -> Vec<Location> {
    let last = last.and_then(|text| text.parse::<Address>().ok()).and_then(|address| address.ip());
    // A stored link-local address lacks the interface, and cannot be connected to.
    let last = last.filter(|ip| !resolve::is_link_local(*ip));
    let announced = addresses.iter().map(|ip| Location { ip: *ip, ..Location::from(ip.ip()) });
    let mut locations: Vec<Location> = last.map(Location::from).into_iter().collect();
    for location in announced {
        if !locations.contains(&location) {
            locations.push(location);
        }
    }
    locations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(serial: &str, addresses: &[&str]) -> Found {
        let addresses = addresses.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect();
        Found { serial: serial.parse().unwrap(), firmware: None, addresses, port: 443 }
    }

    fn choice(
        gateways: &[&str],
        wanted: Option<&str>,
        known: &[&str],
        more: usize,
    ) -> Result<String, String> {
        let gateways = gateways.iter().map(|serial| found(serial, &["192.168.1.20"])).collect();
        let wanted = wanted.map(|serial| serial.parse().unwrap());
        let known = known.iter().map(|serial| serial.parse().unwrap()).collect();
        let chosen = choose(Announced { gateways, more }, wanted.as_ref(), &known);
        chosen.map(|found| found.serial.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_configured_gateway_comes_before_the_known_one_and_the_only_one() {
        assert_eq!(choice(&["1"], None, &[], 0).unwrap(), "1");
        assert_eq!(choice(&["1", "2"], Some("2"), &["1"], 0).unwrap(), "2");
        assert_eq!(choice(&["1", "2", "3"], None, &["2"], 0).unwrap(), "2");
        assert!(choice(&["1"], Some("2"), &[], 0).unwrap_err().contains("no gateway was found"));
        assert!(choice(&["1", "2"], None, &[], 0).unwrap_err().contains("(1, 2)"));
        assert!(choice(&["1", "2", "3"], None, &["1", "2"], 0).unwrap_err().contains("(1, 2, 3)"));
    }

    #[test]
    fn many_gateways_are_counted_rather_than_listed() {
        let many: Vec<String> = (0..3000).map(|number| format!("9{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let error = choice(&many, None, &[], 10).unwrap_err();
        assert!(error.contains("(90, 91, 92, 93 and 3006 more)") && error.len() < 300, "{error}");
    }

    #[test]
    fn the_last_address_comes_first_and_no_address_twice() {
        let addresses = found("1", &["192.168.1.5", "192.168.1.20", "169.254.3.4"]).addresses;
        let shown = |last: Option<&str>| {
            let locations = in_order(&addresses, last);
            locations.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown(None), "192.168.1.5 192.168.1.20 169.254.3.4");
        assert_eq!(shown(Some("192.168.1.20")), "192.168.1.20 192.168.1.5 169.254.3.4");
        assert_eq!(shown(Some("192.168.1.9")), "192.168.1.9 192.168.1.5 192.168.1.20 169.254.3.4");
        assert_eq!(shown(Some("169.254.3.4")), "192.168.1.5 192.168.1.20 169.254.3.4");
        assert_eq!(shown(Some("envoy.local")), shown(None));
    }
}
