//! The network locations to which an address resolves.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::address::Address;

/// An address, and one of the IP addresses that it resolves to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The address as configured or announced.
    pub address: Address,
    /// The IP address to connect to, with the interface if it is link-local IPv6. Its port is not used.
    pub ip: SocketAddr,
}

impl From<IpAddr> for Location {
    fn from(ip: IpAddr) -> Self {
        Self { address: Address::from(ip), ip: SocketAddr::new(ip, 0) }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address.ip() {
            Some(_) => self.address.fmt(f),
            None => write!(f, "{} ({})", self.address, self.ip.ip()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_is_shown_with_its_ip_address() {
        let ip = SocketAddr::from(([192, 168, 1, 20], 0));
        let location = |text: &str| Location { address: text.parse().unwrap(), ip }.to_string();
        assert_eq!(location("envoy.local"), "envoy.local (192.168.1.20)");
        assert_eq!(location("192.168.1.20:8443"), "192.168.1.20:8443");
    }
}
