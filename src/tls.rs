//! Which keys are trusted: the cloud by its certificate authority, a gateway by the key it showed first.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The SHA-256 of a gateway's public key (SPKI), in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
