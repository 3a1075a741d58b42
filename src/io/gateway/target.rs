//! The gateway to open, as configured.

use super::address::Address;
use crate::base::reading::Serial;

/// The gateway to open, as configured.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// The address; `None` to find the gateway by mDNS.
    pub address: Option<Address>,
    /// The only serial number that is accepted.
    pub serial: Option<Serial>,
    /// `true` to accept any certificate (`tls = "insecure"`).
    pub insecure: bool,
    /// `true` if a password for firmware before 7 is configured.
    pub has_password: bool,
}
