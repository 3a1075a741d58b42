//! An address to listen at.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// An address to listen at, e.g. `0.0.0.0:8480` or `tls://[::]:8443`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listen {
    /// The address and the port; port 0 is a free port.
    pub address: SocketAddr,
    /// `true` for TLS.
    pub tls: bool,
}

/// The text is not an address to listen at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write an IP address and a port, such as \"0.0.0.0:8480\", \"[::]:8480\" or \"tls://0.0.0.0:8443\"")]
pub struct NotAnAddress;

impl Listen {
    /// Returns `true` if the system cannot listen at both addresses.
    pub fn conflicts_with(&self, other: &Self) -> bool {
        let (one, two) = (self.address.ip(), other.address.ip());
        let overlap = one == two || one.is_unspecified() || two.is_unspecified();
        let port = self.address.port();
        // An IPv6 socket leaves IPv4 to one of its own.
        port != 0 && port == other.address.port() && one.is_ipv4() == two.is_ipv4() && overlap
    }

    /// Returns an address of this machine at which a program on it reaches the listener.
    pub fn reachable(&self) -> SocketAddr {
        let ip = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        SocketAddr::new(ip, self.address.port())
    }
}

impl FromStr for Listen {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let text = text.trim();
        let (tls, address) = match text.split_once("://") {
            None => (false, text),
            Some(("tls" | "https", address)) => (true, address),
            Some(("http", address)) => (false, address),
            Some(_) => return Err(NotAnAddress),
        };
        let address = address.strip_suffix('/').unwrap_or(address);
        Ok(Self { address: address.parse().map_err(|_unspecific| NotAnAddress)?, tls })
    }
}

impl fmt::Display for Listen {
    /// Formats the address as a URL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_conflicts_with_itself_and_with_every_address_of_its_kind() {
        let conflict = |one: &str, two: &str| {
            let (one, two): (Listen, Listen) = (one.parse().unwrap(), two.parse().unwrap());
            assert_eq!(one.conflicts_with(&two), two.conflicts_with(&one));
            one.conflicts_with(&two)
        };
        assert!(conflict("127.0.0.1:1", "tls://127.0.0.1:1") && conflict("0.0.0.0:1", "192.168.1.5:1"));
        assert!(conflict("[::]:1", "[::1]:1"));
        assert!(!conflict("0.0.0.0:1", "[::]:1") && !conflict("127.0.0.1:1", "127.0.0.1:2"));
        assert!(!conflict("127.0.0.1:1", "192.168.1.5:1") && !conflict("127.0.0.1:0", "127.0.0.1:0"));
    }

    #[test]
    fn plain_and_tls_addresses_of_both_kinds_are_understood() {
        for (text, shown) in [
            ("0.0.0.0:8480", "http://0.0.0.0:8480"),
            (" tls://0.0.0.0:8443 ", "https://0.0.0.0:8443"),
            ("[::]:8480", "http://[::]:8480"),
            ("tls://[::1]:8443", "https://[::1]:8443"),
            ("http://127.0.0.1:0/", "http://127.0.0.1:0"),
        ] {
            assert_eq!(text.parse::<Listen>().unwrap().to_string(), shown);
        }
        for text in ["", "8480", ":8480", "localhost:8480", "0.0.0.0", "ftp://0.0.0.0:21", "0.0.0.0:80/path"]
        {
            assert_eq!(text.parse::<Listen>(), Err(NotAnAddress), "{text}");
        }
    }
}
