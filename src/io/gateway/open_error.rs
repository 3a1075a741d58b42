//! Why no gateway was opened.

use super::Error;
use super::mdns::BrowseError;
use crate::base::reading::Serial;
use crate::io::state_dir;

/// How many things are named in a message.
const NAMED: usize = 4;

/// Why no gateway was opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No gateway has announced itself.
    #[error(
        "no gateway was found by mDNS; write its address into the configuration, as address = \"...\" below \
         [[gateway]]"
    )]
    NotFound,
    /// More than one has, and none is known.
    #[error(
        "several gateways were found by mDNS ({0}); write the serial or the address of one below [[gateway]]"
    )]
    SeveralFound(String),
    /// Devices with different keys say that they are the same gateway, and none of the keys is known.
    #[error(
        "several devices say that they are gateway {serial}, and show different keys: {shown}. One of them may be an \
         impostor, so nothing is read. Find out which address is the gateway's (your router and the Enphase app show \
         it), and write it as address = \"...\" below [[gateway]]"
    )]
    SeveralKeys {
        /// What they say.
        serial: Serial,
        /// Each address with its key.
        shown: String,
    },
    /// mDNS itself does not work.
    #[error(transparent)]
    Mdns(#[from] BrowseError),
    /// The gateway, or the way there.
    #[error(transparent)]
    Gateway(#[from] Error),
    /// Another gateway answers than the one that is configured.
    #[error("the gateway at {address} is {found}, not {wanted} as configured")]
    OtherGateway {
        /// Where it is.
        address: String,
        /// Its serial.
        found: Serial,
        /// The serial in the configuration.
        wanted: Serial,
    },
    /// The state directory, which remembers the keys.
    #[error(transparent)]
    State(#[from] state_dir::Error),
}

/// Some of `all`, and how many there are besides; `more` were not even kept.
pub(super) fn listed(all: impl IntoIterator<Item = String>, more: usize) -> String {
    let mut all = all.into_iter();
    let text = all.by_ref().take(NAMED).collect::<Vec<_>>().join(", ");
    let more = all.count() + more;
    if more > 0 { format!("{text} and {more} more") } else { text }
}
