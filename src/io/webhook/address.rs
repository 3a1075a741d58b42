//! The address of a webhook, which may contain a secret: the topic, a user with a password, a token in the path or the
//! query. So no part of it is ever shown.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use reqwest::Url;

use crate::base::secrets::Secret;

/// The address of a webhook. It is parsed again for each message, so that the only copies in memory are wiped.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Secret);

/// The reason that an address is invalid. Never contains the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnAddress {
    /// It is not a URL.
    #[error("this is not a URL; write it like \"https://ntfy.sh/my-roof\"")]
    NotAUrl,
    /// It has another scheme than http and https.
    #[error("write an address that begins with https://")]
    Scheme,
    /// It is an address on the internet that is not encrypted.
    #[error(
        "the message would cross the internet unencrypted; write https://. Plain http is for addresses in the home network"
    )]
    NotEncrypted,
}

impl Address {
    /// Parses an address. That a host name with plain http is a private address is checked when it is used.
    pub fn parse(text: &Secret) -> Result<Self, NotAnAddress> {
        let text = Secret::new(text.expose().trim().to_owned());
        let url = Url::parse(text.expose()).map_err(|_error| NotAnAddress::NotAUrl)?;
        let host = url.host_str().ok_or(NotAnAddress::NotAUrl)?;
        match url.scheme() {
            "https" => {}
            "http" => {
                let bare = host.trim_start_matches('[').trim_end_matches(']');
                if bare.parse().is_ok_and(|ip: IpAddr| !is_private(ip)) {
                    return Err(NotAnAddress::NotEncrypted);
                }
            }
            _ => return Err(NotAnAddress::Scheme),
        }
        Ok(Self(text))
    }

    /// Returns the URL.
    pub(super) fn url(&self) -> Option<Url> {
        Url::parse(self.0.expose()).ok()
    }

    /// Returns the text, for what removes it from other texts.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// Returns whether an address is this machine's or belongs to a home network.
pub(super) fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.to_ipv4_mapped().map_or_else(|| is_private_v6(ip), |ip| is_private(ip.into())),
    }
}

const fn is_private_v6(ip: Ipv6Addr) -> bool {
    ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Address, NotAnAddress> {
        Address::parse(&Secret::new(text.to_owned()))
    }

    #[test]
    fn plain_http_is_for_private_addresses() {
        for text in [
            "https://ntfy.sh/my-roof",
            " https://user:password@ntfy.example.com:8443/x?auth=y\n",
            "http://127.0.0.1:8123/api/webhook/x",
            "http://192.168.1.5/x",
            "http://10.1.2.3/x",
            "http://172.16.0.1/x",
            "http://169.254.1.1/x",
            "http://[::1]:80/x",
            "http://[fd00::1]/x",
            "http://[::ffff:192.168.1.5]/x",
            "http://homeassistant.local:8123/x",
        ] {
            assert!(parsed(text).is_ok(), "{text}");
        }
        for text in
            ["http://93.184.216.34/x", "http://172.32.0.1/x", "http://[2606:2800::1]/x", "http://0.0.0.0/x"]
        {
            assert_eq!(parsed(text), Err(NotAnAddress::NotEncrypted), "{text}");
        }
        for text in ["http://[::ffff:93.184.216.34]/x", "http://3639552034/x"] {
            assert_eq!(parsed(text), Err(NotAnAddress::NotEncrypted), "another spelling: {text}");
        }
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said_without_it() {
        for (text, error) in [
            ("", NotAnAddress::NotAUrl),
            ("ntfy.sh/my-roof", NotAnAddress::NotAUrl),
            ("mailto:me@example.com", NotAnAddress::NotAUrl),
            ("ftp://ntfy.sh/my-roof", NotAnAddress::Scheme),
            ("file:///etc/passwd", NotAnAddress::NotAUrl),
        ] {
            assert_eq!(parsed(text), Err(error), "{text}");
            assert!(!error.to_string().contains("me@"));
        }
        assert_eq!(format!("{:?}", parsed("https://ntfy.sh/secret").unwrap()), "[hidden]");
    }
}
