//! Why a configured address is invalid.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Why an address is invalid. The message repeats the text only where it cannot contain a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The text is empty.
    #[error("the address is empty; write the gateway's host name or IP address")]
    Empty,
    /// Another scheme than http or https.
    #[error("\"{0}://\" is not a scheme that gateways support; use https:// or http://, or omit it")]
    Scheme(String),
    /// A user or a password before the host.
    #[error("the address contains a user or a password; set the keys user and password_file instead")]
    Credentials,
    /// An IPv6 address without brackets.
    #[error("an IPv6 address needs brackets: write [{0}]")]
    Brackets(String),
    /// An IPv6 address with a network interface.
    #[error(
        "the address names a network interface (%{0}), which is not supported; use the gateway's IPv4 address or \
         host name"
    )]
    Zone(String),
    /// Numbers that programs read in different ways, such as `192.168.001.020` (octal) or `192.168.1`.
    #[error(
        "\"{written}\" is not an IPv4 address: {why}. Write four numbers from 0 to 255, such as {example}"
    )]
    Numbers {
        /// The host as configured.
        written: String,
        /// Why the host is refused.
        why: &'static str,
        /// The address that may have been meant.
        example: Ipv4Addr,
    },
    /// Text after the host.
    #[error("the address has text after the host; write only \"{0}\"")]
    Path(String),
    /// A port that is not a number from 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// An invalid host.
    #[error("this is not a host name or an IP address: {0}")]
    Host(String),
}

/// Refuses the zone of an IPv6 address, as in `fe80::1%eth0`.
pub(super) fn refuse_zone(rest: &str) -> Result<(), AddressError> {
    let Some((before, zone)) = rest.split_once('%') else { return Ok(()) };
    if before.trim_start_matches('[').parse::<Ipv6Addr>().is_err() {
        return Ok(());
    }
    let zone = zone.strip_prefix("25").unwrap_or(zone);
    let end = zone.find([']', '/', '?', '#']).unwrap_or(zone.len());
    Err(AddressError::Zone(zone.get(..end).unwrap_or_default().to_owned()))
}

/// Refuses a port that is not a number up to 65535. An empty port means the default.
pub(super) fn refuse_port(rest: &str) -> Result<(), AddressError> {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let after_host = match authority.rsplit_once(']') {
        Some((_, after)) => after,
        // An IPv6 address without its closing bracket is an invalid host.
        None if authority.starts_with('[') => return Ok(()),
        None => authority,
    };
    let Some((_, port)) = after_host.split_once(':') else { return Ok(()) };
    let is_number = port.bytes().all(|digit| digit.is_ascii_digit());
    if port.is_empty() || is_number && port.parse::<u16>().is_ok() { Ok(()) } else { Err(AddressError::Port) }
}

/// Refuses a host of numbers that programs read in different ways. In a URL, `192.168.001.020` is read as octal,
/// `192.168.1` as 192.168.0.1, and `0xc0a80114` and `3232235796` as 192.168.1.20.
pub(super) fn refuse_odd_numbers(rest: &str) -> Result<(), AddressError> {
    let host = rest.split([':', '/', '?', '#']).next().unwrap_or(rest);
    let labels: Vec<&str> = host.strip_suffix('.').unwrap_or(host).split('.').collect();
    let is_hexadecimal = |label: &str| label.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("0x"));
    let is_number = |label: &&str| {
        !label.is_empty() && label.bytes().all(|digit| digit.is_ascii_digit()) || is_hexadecimal(label)
    };
    if host.parse::<Ipv4Addr>().is_ok() || !labels.last().is_some_and(is_number) {
        return Ok(());
    }
    let octets: Option<Vec<u8>> = labels.iter().map(|label| label.parse().ok()).collect();
    let meant = octets.and_then(|octets| <[u8; 4]>::try_from(octets).ok()).map(Ipv4Addr::from);
    let leading_zero = |label: &&str| label.len() > 1 && label.starts_with('0');
    let why = if labels.iter().any(|label| is_hexadecimal(label)) {
        "it has hexadecimal numbers"
    } else if labels.len() != 4 {
        "it does not have four numbers"
    } else if labels.iter().any(leading_zero) {
        "some programs read a number that begins with 0 as octal"
    } else if meant.is_some() {
        "it ends with a dot"
    } else {
        "a number is missing or too large"
    };
    let example = meant.unwrap_or(Ipv4Addr::new(192, 168, 1, 20));
    Err(AddressError::Numbers { written: host.to_owned(), why, example })
}
