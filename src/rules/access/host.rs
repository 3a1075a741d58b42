//! Which names of this machine a request may be addressed to.
//!
//! A web page elsewhere could make a browser in the house send requests to this machine under a name of its own, and read
//! the responses (DNS rebinding). So only names that cannot belong to somebody else are accepted.

use std::net::IpAddr;

/// The ends of names that exist only inside a house.
const LOCAL: [&str; 3] = [".local", ".lan", ".home.arpa"];

/// Returns `true` if a request may have the header `Host: host`. `names` are the names of this machine, those of the
/// configuration among them.
pub fn is_allowed(host: &str, names: &[String]) -> bool {
    let Some(name) = without_port(host.trim()) else { return false };
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let is_address = name.parse::<IpAddr>().is_ok();
    let is_local =
        name == "localhost" || LOCAL.iter().any(|end| name.len() > end.len() && name.ends_with(end));
    is_address || is_local || names.iter().any(|own| own.eq_ignore_ascii_case(&name))
}

/// Returns the host of `host:port`, without the brackets of an IPv6 address.
fn without_port(host: &str) -> Option<&str> {
    if let Some(rest) = host.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        return (port.is_empty() || is_port(port.strip_prefix(':')?)).then_some(address);
    }
    match host.split_once(':') {
        Some((name, port)) => is_port(port).then_some(name),
        None => Some(host),
    }
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_inside_the_house_are_allowed() {
        let names = ["solarpi".to_owned(), "sun.example.com".to_owned()];
        for host in [
            "192.168.1.5",
            "192.168.1.5:8480",
            "[::1]:8480",
            "[fd00::5]",
            "localhost:8480",
            "solarpi",
            "SolarPi:8480",
            "solarpi.local",
            "solarpi.lan.",
            "pi.home.arpa:80",
            "sun.example.com:8480",
        ] {
            assert!(is_allowed(host, &names), "{host}");
        }
    }

    #[test]
    fn a_name_that_somebody_else_may_own_is_refused() {
        for host in [
            "",
            "evil.example.com",
            "evil.example.com:8480",
            "192.168.1.5.evil.example.com",
            "local",
            ".local",
            "localhost.evil.example.com",
            "solarpi.evil",
            "[::1",
            "[::1]x",
            "192.168.1.5:99999",
            "evil.example.com:.local",
            "a b",
        ] {
            assert!(!is_allowed(host, &["solarpi".to_owned()]), "{host}");
        }
    }
}
