//! Where a broker is.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;

/// The host, the port and the kind of a broker's listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name or an IP address; IPv6 in brackets.
    pub host: String,
    /// 1883 for `mqtt://` and 8883 for `mqtts://`, unless another is given.
    pub port: u16,
    /// Whether TLS is spoken.
    pub tls: bool,
}

/// Why a text is no broker's address. The text itself is not repeated: people put passwords into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// Not a URL, or one without a host.
    #[error("a broker is written as mqtt://host, mqtt://host:1883 or mqtts://host:8883")]
    NoUrl,
    /// Another program's URL.
    #[error("a broker's address begins with mqtt:// or, for TLS, with mqtts://; websockets are not spoken")]
    OtherScheme,
    /// `mqtt://user:password@host`.
    #[error("the broker's user and password have keys of their own, they do not belong into the address")]
    WithPassword,
    /// Something after the host and port.
    #[error("a broker's address ends with the port; there is no path in MQTT")]
    WithPath,
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let Ok(url) = Url::parse(text.trim()) else { return Err(BadAddress::NoUrl) };
        let tls = match url.scheme() {
            "mqtt" => false,
            "mqtts" => true,
            // `localhost:1883` is, to a URL, a path in the scheme "localhost".
            _ if url.cannot_be_a_base() => return Err(BadAddress::NoUrl),
            _ => return Err(BadAddress::OtherScheme),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadAddress::WithPassword);
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(BadAddress::NoUrl)?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(BadAddress::WithPath);
        }
        let port = url.port().unwrap_or(if tls { 8883 } else { 1883 });
        if port == 0 {
            return Err(BadAddress::NoUrl);
        }
        Ok(Self { host: host.to_owned(), port, tls })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<(String, bool), BadAddress> {
        text.parse::<Address>().map(|address| (address.to_string(), address.tls))
    }

    #[test]
    fn the_scheme_chooses_tls_and_the_port() {
        assert_eq!(parsed("mqtt://localhost"), Ok(("localhost:1883".to_owned(), false)));
        assert_eq!(parsed("mqtt://localhost/"), Ok(("localhost:1883".to_owned(), false)));
        assert_eq!(parsed("mqtts://broker.lan"), Ok(("broker.lan:8883".to_owned(), true)));
        assert_eq!(parsed("mqtts://broker.lan:1884"), Ok(("broker.lan:1884".to_owned(), true)));
        assert_eq!(parsed("mqtt://[::1]:1885"), Ok(("[::1]:1885".to_owned(), false)));
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_to_write() {
        assert_eq!(parsed("localhost"), Err(BadAddress::NoUrl));
        assert_eq!(parsed("localhost:1883"), Err(BadAddress::NoUrl));
        assert_eq!(parsed("mqtt://"), Err(BadAddress::NoUrl));
        assert_eq!(parsed("mqtt://host:0"), Err(BadAddress::NoUrl));
        assert_eq!(parsed("mqtt://host:99999"), Err(BadAddress::NoUrl));
        assert_eq!(parsed("http://host"), Err(BadAddress::OtherScheme));
        assert_eq!(parsed("wss://host"), Err(BadAddress::OtherScheme));
        assert_eq!(parsed("mqtt://user:secret@host"), Err(BadAddress::WithPassword));
        assert_eq!(parsed("mqtt://host/enphased"), Err(BadAddress::WithPath));
    }
}
