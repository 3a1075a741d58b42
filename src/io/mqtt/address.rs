//! The address of a broker.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;

/// The address of a broker's listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A host name or an IP address; IPv6 has brackets.
    pub host: String,
    /// The port. The default is 1883 for `mqtt://` and 8883 for `mqtts://`.
    pub port: u16,
    /// `true` if the listener uses TLS.
    pub tls: bool,
}

/// Why a text is not the address of a broker. The message does not repeat the text, which may contain a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not a URL, or one without a host.
    #[error("this is not the address of a broker; write mqtt://host, mqtt://host:1883 or mqtts://host:8883")]
    Invalid,
    /// Another scheme than `mqtt` or `mqtts`.
    #[error(
        "the address of a broker begins with mqtt://, or with mqtts:// for TLS; websockets are not supported"
    )]
    OtherScheme,
    /// `mqtt://user:password@host`.
    #[error("the address contains a user or a password; set user and password_file in [mqtt] instead")]
    Credentials,
    /// Text after the host and the port.
    #[error("the address of a broker ends after the port; MQTT has no path")]
    Path,
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let Ok(url) = Url::parse(text.trim()) else { return Err(AddressError::Invalid) };
        let tls = match url.scheme() {
            "mqtt" => false,
            "mqtts" => true,
            // A URL parser reads `localhost:1883` as a path in the scheme "localhost".
            _ if url.cannot_be_a_base() => return Err(AddressError::Invalid),
            _ => return Err(AddressError::OtherScheme),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::Credentials);
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(AddressError::Invalid)?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(AddressError::Path);
        }
        let port = url.port().unwrap_or(if tls { 8883 } else { 1883 });
        if port == 0 {
            return Err(AddressError::Invalid);
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

    fn parsed(text: &str) -> Result<(String, bool), AddressError> {
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
    fn an_invalid_address_is_refused_with_an_example() {
        assert_eq!(parsed("localhost"), Err(AddressError::Invalid));
        assert_eq!(parsed("localhost:1883"), Err(AddressError::Invalid));
        assert_eq!(parsed("mqtt://"), Err(AddressError::Invalid));
        assert_eq!(parsed("mqtt://host:0"), Err(AddressError::Invalid));
        assert_eq!(parsed("mqtt://host:99999"), Err(AddressError::Invalid));
        assert_eq!(parsed("http://host"), Err(AddressError::OtherScheme));
        assert_eq!(parsed("wss://host"), Err(AddressError::OtherScheme));
        assert_eq!(parsed("mqtt://user:secret@host"), Err(AddressError::Credentials));
        assert_eq!(parsed("mqtt://host/enphased"), Err(AddressError::Path));
    }
}
