//! What is wrong with an address that a person has written.

use std::net::{Ipv4Addr, Ipv6Addr};

/// What is wrong with an address. Its text is shown only where it can hold no password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nothing was written.
    #[error("the address is empty; write the gateway's host name or IP address")]
    Empty,
    /// A scheme that no gateway speaks.
    #[error("\"{0}://\" is no scheme of a gateway; write https:// or http://, or leave it out")]
    Scheme(String),
    /// A user or a password before the host.
    #[error("the address holds a user or password; a gateway's are configured by keys of their own")]
    Credentials,
    /// An IPv6 address without its brackets.
    #[error("an IPv6 address needs brackets: write [{0}]")]
    Brackets(String),
    /// An IPv6 address that holds only on one interface.
    #[error(
        "the address names a network interface (%{0}), which cannot be used here; write the gateway's IPv4 address or \
         its host name"
    )]
    Zone(String),
    /// Numbers that programs read in different ways, such as `192.168.001.020` (octal) or `192.168.1`.
    #[error("\"{written}\" is no IPv4 address: {why}. Write four numbers from 0 to 255, such as {example}")]
    Numbers {
        /// The host as it was written.
        written: String,
        /// What is wrong with it.
        why: &'static str,
        /// What may have been meant.
        example: Ipv4Addr,
    },
    /// Something after the host.
    #[error("the address goes on after the host; write \"{0}\" alone")]
    Path(String),
    /// A port that is no number from 1 to 65535.
    #[error("the port is no number from 1 to 65535")]
    Port,
    /// No host, or one that cannot be.
    #[error("this is no host name or IP address: {0}")]
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

/// Refuses a host of numbers that is not an IPv4 address as everybody reads it. In a URL, `192.168.001.020` is read in
/// octal, `192.168.1` as 192.168.0.1, and `0xc0a80114` and `3232235796` as 192.168.1.20.
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
