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
