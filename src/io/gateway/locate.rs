//! Where a gateway may be: as configured, or as it announces itself.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use super::address::Address;
use super::cause::Cause;
use super::info;
use super::mdns::{self, Announced, Found};
use super::open_error::{OpenError, listed};
use super::pinned_key::PinnedKeys;
use super::place::Place;
use super::target::Target;
use crate::base::reading::Serial;
use crate::io::resolve;

/// How long announcements are listened for.
const LISTEN: Duration = Duration::from_secs(5);
/// No name stands for more addresses of one gateway.
const MOST: usize = 16;

/// The places where the gateway may be, the likeliest first.
pub(super) async fn places(target: &Target, keys: &PinnedKeys) -> Result<Vec<Place>, OpenError> {
    if let Some(address) = &target.address {
        return resolved(address).await;
    }
    let known: BTreeSet<Serial> = keys.serials().await.into_iter().collect();
    let wanted = |serial: &Serial| match &target.serial {
        Some(only) => serial == only,
        None => known.contains(serial),
    };
    let announced = mdns::browse(LISTEN, wanted).await?;
    let found = chosen(announced, target.serial.as_ref(), &known)?;
    let last = keys.load(&found.serial).await?.map(|known| known.address);
    Ok(in_order(&found.addresses, last.as_deref()))
}

async fn resolved(address: &Address) -> Result<Vec<Place>, OpenError> {
    let unknown = |error| Cause::unresolved(&error).into_error(address, info::PATH);
    let found = resolve::resolve(address.bare_host(), 0).await.map_err(unknown)?;
    let mut places: Vec<Place> = Vec::new();
    for ip in found {
        let place = Place { address: address.clone(), ip };
        if !places.contains(&place) && places.len() < MOST {
            places.push(place);
        }
    }
    Ok(places)
}

/// The announced gateway that is meant: the configured one, the only one that is known, or the only one there is.
fn chosen(
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

/// The announced addresses, after the one where the gateway was last.
fn in_order(addresses: &[SocketAddr], last: Option<&str>) -> Vec<Place> {
    let last = last.and_then(|text| text.parse::<Address>().ok()).and_then(|address| address.ip());
    // Without its interface a link-local address is nothing.
    let last = last.filter(|ip| !resolve::is_link_local(*ip));
    let announced = addresses.iter().map(|ip| Place { ip: *ip, ..Place::from(ip.ip()) });
    let mut places: Vec<Place> = last.map(Place::from).into_iter().collect();
    for place in announced {
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places
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
        let chosen = chosen(Announced { gateways, more }, wanted.as_ref(), &known);
        chosen.map(|found| found.serial.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_configured_gateway_comes_before_the_known_and_the_only_one() {
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
    fn the_last_address_comes_first_and_none_twice() {
        let addresses = found("1", &["192.168.1.5", "192.168.1.20", "169.254.3.4"]).addresses;
        let shown = |last: Option<&str>| {
            let places = in_order(&addresses, last);
            places.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown(None), "192.168.1.5 192.168.1.20 169.254.3.4");
        assert_eq!(shown(Some("192.168.1.20")), "192.168.1.20 192.168.1.5 169.254.3.4");
        assert_eq!(shown(Some("192.168.1.9")), "192.168.1.9 192.168.1.5 192.168.1.20 169.254.3.4");
        assert_eq!(shown(Some("169.254.3.4")), "192.168.1.5 192.168.1.20 169.254.3.4");
        assert_eq!(shown(Some("envoy.local")), shown(None));
    }
}
