//! The address of a gateway, as written in the configuration.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use reqwest::Url;

pub use super::address_error::AddressError;
use super::address_error::{refuse_odd_numbers, refuse_port, refuse_zone};

/// The protocol with which a gateway is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// HTTP over TLS. The only protocol since firmware 8.3.5286, and the only one over which a token is ever sent.
    Https,
    /// Plain HTTP, for firmware before 7, with Digest.
    Http,
}

impl Scheme {
    /// Returns the other scheme.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Https => Self::Http,
            Self::Http => Self::Https,
        }
    }

    /// Returns the default port.
    pub const fn port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Https => "https",
            Self::Http => "http",
        })
    }
}

/// The address of a gateway: `envoy.local`, `192.168.1.20:8443`, `https://[fd00::20]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    scheme: Option<Scheme>,
    /// An IPv6 address has brackets.
    host: String,
    port: Option<u16>,
}

impl Address {
    /// Returns the configured scheme, if any. Without one, https is tried first, then http if https is refused.
    pub const fn scheme(&self) -> Option<Scheme> {
        self.scheme
    }

    /// Returns the host without the port. An IPv6 address has brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the host as the resolver expects it. An IPv6 address has no brackets.
    pub(super) fn bare_host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// Returns the IP address, or `None` for a host name.
    pub fn ip(&self) -> Option<IpAddr> {
        self.bare_host().parse().ok()
    }

    /// Returns the address with https and the matching port.
    #[must_use]
    pub(super) fn encrypted(&self) -> Self {
        let port = self.port.filter(|port| *port != Scheme::Http.port());
        Self { scheme: Some(Scheme::Https), host: self.host.clone(), port }
    }

    /// Returns the configured port, or the default port of `scheme`.
    pub fn port(&self, scheme: Scheme) -> u16 {
        self.port.unwrap_or(scheme.port())
    }

    /// Returns the value of the `Host` header: with the port, unless it is the default port of `scheme`.
    pub fn authority(&self, scheme: Scheme) -> String {
        match self.port.filter(|port| *port != scheme.port()) {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        let host = match ip {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        Self { scheme: None, host, port: None }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scheme) = self.scheme {
            write!(f, "{scheme}://")?;
        }
        f.write_str(&self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let (scheme, rest) = split_scheme(text)?;
        if rest.is_empty() {
            return Err(AddressError::Empty);
        }
        if rest.contains('@') {
            return Err(AddressError::Credentials);
        }
        if rest.parse::<Ipv6Addr>().is_ok() {
            return Err(AddressError::Brackets(rest.to_owned()));
        }
        refuse_zone(rest)?;
        refuse_port(rest)?;
        refuse_odd_numbers(rest)?;
        // Always parsed as http, whose default port is 80, so that a configured 443 is not dropped as the default.
        let url = Url::parse(&format!("http://{rest}")).map_err(|why| AddressError::Host(why.to_string()))?;
        let host = url.host_str().ok_or(AddressError::Empty)?.to_owned();
        // Digits that are not ASCII, or are escaped, become an IP address only now.
        if host.parse::<Ipv4Addr>().is_ok() && !rest.starts_with(&host) {
            return Err(AddressError::Host(format!("it would be read as {host}")));
        }
        let port = configured_port(rest, &url)?;
        let address = Self { scheme, host, port };
        let ends_after_host = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if ends_after_host { Ok(address) } else { Err(AddressError::Path(address.to_string())) }
    }
}

fn split_scheme(text: &str) -> Result<(Option<Scheme>, &str), AddressError> {
    let Some((scheme, rest)) = text.split_once("://") else { return Ok((None, text)) };
    match scheme.to_ascii_lowercase().as_str() {
        "https" => Ok((Some(Scheme::Https), rest)),
        "http" => Ok((Some(Scheme::Http), rest)),
        other => Err(AddressError::Scheme(other.to_owned())),
    }
}

/// Returns the configured port. The URL drops 80, which is not the default of https.
fn configured_port(rest: &str, url: &Url) -> Result<Option<u16>, AddressError> {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    match url.port().or_else(|| authority.ends_with(":80").then_some(80)) {
        Some(0) => Err(AddressError::Port),
        port => Ok(port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, AddressError> {
        text.parse::<Address>().map(|address| {
            let scheme = address.scheme().unwrap_or(Scheme::Https);
            format!("{address} {} {}", address.authority(scheme), address.port(scheme))
        })
    }

    #[test]
    fn an_address_is_a_host_a_host_with_a_port_or_a_url() {
        for (text, shown) in [
            ("envoy.local", "envoy.local envoy.local 443"),
            (" 192.168.1.20 ", "192.168.1.20 192.168.1.20 443"),
            ("192.168.1.20:8443", "192.168.1.20:8443 192.168.1.20:8443 8443"),
            ("192.168.1.20:443", "192.168.1.20:443 192.168.1.20 443"),
            ("https://envoy.local:80", "https://envoy.local:80 envoy.local:80 80"),
            ("HTTP://Envoy.local/", "http://envoy.local envoy.local 80"),
            ("[fd00::20]", "[fd00::20] [fd00::20] 443"),
            ("http://[fd00::20]:8080", "http://[fd00::20]:8080 [fd00::20]:8080 8080"),
        ] {
            assert_eq!(parsed(text).as_deref(), Ok(shown), "{text}");
        }
    }

    #[test]
    fn an_error_says_what_is_wrong() {
        for (text, wrong) in [
            ("", AddressError::Empty),
            ("https://", AddressError::Empty),
            ("mqtt://envoy.local", AddressError::Scheme("mqtt".to_owned())),
            ("fd00::20", AddressError::Brackets("fd00::20".to_owned())),
            ("http://envoy.local/home", AddressError::Path("http://envoy.local".to_owned())),
            ("envoy.local?x", AddressError::Path("envoy.local".to_owned())),
            ("envoy.local:70000", AddressError::Port),
            ("envoy.local:0", AddressError::Port),
            ("envoy.local:http", AddressError::Port),
        ] {
            assert_eq!(parsed(text), Err(wrong), "{text}");
        }
        assert!(matches!(parsed("my envoy"), Err(AddressError::Host(_))));
        assert!(matches!(parsed("[fd00::20"), Err(AddressError::Host(_))));
    }

    #[test]
    fn numbers_that_programs_read_in_different_ways_are_refused() {
        for (text, why, example) in [
            ("192.168.001.020", "octal", "192.168.1.20"),
            ("http://192.168.1.020:8080", "octal", "192.168.1.20"),
            ("192.168.1.08", "octal", "192.168.1.8"),
            ("192.168.1", "four numbers", "192.168.1.20"),
            ("3232235796", "four numbers", "192.168.1.20"),
            ("192.168.1.20.5", "four numbers", "192.168.1.20"),
            ("0xc0a80114", "hexadecimal", "192.168.1.20"),
            ("https://0XC0.168.1.20/", "hexadecimal", "192.168.1.20"),
            ("192.168.1.256", "too large", "192.168.1.20"),
            ("192..1.20", "too large", "192.168.1.20"),
            ("10.0.0.7.", "dot", "10.0.0.7"),
        ] {
            let error = parsed(text).unwrap_err().to_string();
            assert!(error.contains(why) && error.ends_with(&format!("such as {example}")), "{text}: {error}");
        }
        for text in ["１９２.168.1.20", "192%2e168%2e1%2e20", "%31%39%32.168.1.20"] {
            assert!(parsed(text).is_err(), "{text}");
        }
        for name in ["envoy2.local", "192.168.1.20.example.com", "1.envoy", "0x.lan"] {
            assert!(parsed(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn the_interface_of_an_ipv6_address_is_refused_by_name() {
        for text in ["fe80::1%eth0", "[fe80::1%eth0]", "https://[fe80::1%25eth0]:443/", "[fe80::1%eth0"] {
            assert_eq!(parsed(text), Err(AddressError::Zone("eth0".to_owned())), "{text}");
        }
    }

    #[test]
    fn the_encrypted_address_is_at_the_port_of_https() {
        for (text, encrypted) in [
            ("http://192.168.1.20", "https://192.168.1.20"),
            ("http://192.168.1.20:80", "https://192.168.1.20"),
            ("http://192.168.1.20:8080", "https://192.168.1.20:8080"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().encrypted().to_string(), encrypted);
        }
    }

    #[test]
    fn a_password_in_an_address_is_refused_and_not_repeated() {
        let error = parsed("http://installer:hunter2@192.168.1.20").unwrap_err();
        assert_eq!(error, AddressError::Credentials);
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn an_ip_address_is_an_address() {
        assert_eq!(Address::from("fd00::20".parse::<IpAddr>().unwrap()).to_string(), "[fd00::20]");
    }
}
