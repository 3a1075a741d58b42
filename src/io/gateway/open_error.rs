//! Why no gateway was opened.

use super::Error;
use super::mdns::BrowseError;
use crate::base::reading::Serial;
use crate::io::state_dir;

/// The maximum number of items in a message.
const NAMED: usize = 4;

/// Why no gateway was opened.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the names of the fields say it")]
pub enum OpenError {
    /// No gateway announced itself.
    #[error("no gateway was found by mDNS; set address = \"...\" below [[gateway]] in the configuration")]
    NotFound,
    /// Several gateways announced themselves, and none of them is known.
    #[error(
        "several gateways were found by mDNS ({0}); set serial or address below [[gateway]] to choose one"
    )]
    SeveralFound(String),
    /// Devices with different keys claim the same serial number, and none of the keys is known.
    #[error(
        "several devices claim to be gateway {serial}, and present different keys: {shown}. One of them may be an \
         impostor, so nothing is read. Find out which address is the gateway's (your router and the Enphase app show \
         it), and set it as address = \"...\" below [[gateway]]"
    )]
    SeveralKeys {
        serial: Serial,
        /// Each address with its key.
        shown: String,
    },
    /// The search by mDNS failed.
    #[error(transparent)]
    Mdns(#[from] BrowseError),
    /// The gateway, or the connection to it.
    #[error(transparent)]
    Gateway(#[from] Error),
    /// The gateway at the address is not the configured one.
    #[error("the gateway at {address} is {found}, not {wanted} as configured")]
    OtherGateway { address: String, found: Serial, wanted: Serial },
    /// The state directory, where the keys are stored.
    #[error(transparent)]
    State(#[from] state_dir::Error),
}

/// Joins the first few of `all`, and adds how many more there are. `more` counts those that were not even kept.
pub(super) fn listed(all: impl IntoIterator<Item = String>, more: usize) -> String {
    let mut all = all.into_iter();
    let text = all.by_ref().take(NAMED).collect::<Vec<_>>().join(", ");
    let more = all.count() + more;
    if more > 0 { format!("{text} and {more} more") } else { text }
}
