//! The gateways that are known: `gateway-SERIAL.json` remembers the public key of each (trust on first use).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::reading::Serial;
use crate::state::{Error, StateDir, Stored};
use crate::tls::Fingerprint;

/// What is remembered of a gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The key it showed first, or that the operator accepted since.
    pub key: Fingerprint,
    /// Where it was then.
    pub address: String,
    /// When that was.
    pub since: Timestamp,
}

fn name(serial: &Serial) -> String {
    format!("gateway-{serial}.json")
}

/// What is remembered of `serial`. A damaged file is as none, but said: the next key that is shown is trusted.
pub fn load(state: &StateDir, serial: &Serial) -> Result<Option<Known>, Error> {
    Ok(match state.read(&name(serial))? {
        Stored::Found(known) => Some(known),
        Stored::Absent => None,
        Stored::Damaged(aside) => {
            tracing::warn!(file = %aside.display(), "the remembered key of the gateway was damaged and is forgotten");
            None
        }
    })
}

/// Remembers a gateway's key.
pub fn save(state: &StateDir, serial: &Serial, known: &Known) -> Result<(), Error> {
    state.write(&name(serial), known)
}

/// What the key that a gateway shows means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the remembered one.
    Same,
    /// None is remembered.
    First,
    /// Another is remembered.
    Changed(Fingerprint),
}

/// Judges the key that a gateway shows.
pub fn judge(known: Option<&Known>, seen: &Fingerprint) -> Verdict {
    match known {
        None => Verdict::First,
        Some(known) if known.key == *seen => Verdict::Same,
        Some(known) => Verdict::Changed(known.key.clone()),
    }
}
