//! Which gateway is meant, as a person configures it.

use super::address::Address;
use crate::base::reading::Serial;

/// Which gateway is meant.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// Where it is; `None` for one that is found by mDNS.
    pub address: Option<Address>,
    /// The only one that is accepted there.
    pub serial: Option<Serial>,
    /// Whether any certificate is accepted.
    pub insecure: bool,
    /// Whether a password of firmware before 7 is configured.
    pub has_password: bool,
}
