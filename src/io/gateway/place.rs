//! One of the places that an address stands for.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::address::Address;

/// An address, and one of the IP addresses that it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// As it is written.
    pub address: Address,
    /// Where to connect, with the interface of a link-local IPv6 address. Its port means nothing.
    pub ip: SocketAddr,
}

impl From<IpAddr> for Place {
    fn from(ip: IpAddr) -> Self {
        Self { address: Address::from(ip), ip: SocketAddr::new(ip, 0) }
    }
}

impl fmt::Display for Place {
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
    fn a_place_names_the_address_behind_a_name() {
        let ip = SocketAddr::from(([192, 168, 1, 20], 0));
        let place = |text: &str| Place { address: text.parse().unwrap(), ip }.to_string();
        assert_eq!(place("envoy.local"), "envoy.local (192.168.1.20)");
        assert_eq!(place("192.168.1.20:8443"), "192.168.1.20:8443");
    }
}
