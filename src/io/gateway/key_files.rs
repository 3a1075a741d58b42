//! The files of the known gateways: `gateway-SERIAL.json` stores the public key of each, and has a copy in case the SD card
//! damages one of the two files.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::base::reading::Serial;
use crate::io::state_dir::{Error, StateDir, Stored};
use crate::io::tls::Fingerprint;

const PREFIX: &str = "gateway-";
const SUFFIX: &str = ".json";
const COPY_SUFFIX: &str = ".copy.json";
const DAMAGED_SUFFIX: &str = ".json.damaged";

/// The stored facts about a gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The key that the gateway presented first, or that the operator accepted later. `None` for plain http, which has no
    /// key.
    pub key: Option<Fingerprint>,
    /// The last address of the gateway.
    pub address: String,
    /// When the key was accepted.
    pub since: Timestamp,
    /// The address in the configuration whose password was sent to this gateway (firmware before 7).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_of: Option<String>,
}

/// The contents of the file of one gateway.
pub(super) enum File {
    Whole(Known),
    Absent,
    Damaged,
}

/// Reads and writes the files of the known gateways.
#[derive(Debug)]
pub(super) struct KeyFiles {
    state: StateDir,
}

impl KeyFiles {
    pub(super) const fn new(state: StateDir) -> Self {
        Self { state }
    }

    pub(super) const fn state(&self) -> &StateDir {
        &self.state
    }

    /// Reads the file of `serial`.
    pub(super) async fn read(&self, serial: &Serial) -> Result<File, Error> {
        Ok(match self.state.read(&name(serial)).await? {
            Stored::Found(known) => File::Whole(known),
            // The file was set aside before and has not been replaced.
            Stored::Absent if self.has_damaged_file(serial).await => File::Damaged,
            Stored::Absent => File::Absent,
            Stored::Damaged(_) => File::Damaged,
        })
    }

    async fn has_damaged_file(&self, serial: &Serial) -> bool {
        matches!(self.state.stamp(&damaged_name(serial)).await, Ok(Some(_)))
    }

    /// Reads the copy of the file of `serial`.
    pub(super) async fn read_copy(&self, serial: &Serial) -> Option<Known> {
        match self.state.read(&copy_name(serial)).await {
            Ok(Stored::Found(known)) => Some(known),
            _ => None,
        }
    }

    /// Writes the file of `serial` and its copy.
    pub(super) async fn write(&self, serial: &Serial, known: &Known) -> Result<(), Error> {
        let first = self.state.write(&name(serial), known).await;
        if matches!(first, Err(Error::Stalled { .. })) {
            // Queue both writes.
            return self.state.write(&copy_name(serial), known).await.and(first);
        }
        first?;
        self.state.write(&copy_name(serial), known).await?;
        if self.has_damaged_file(serial).await {
            self.state.remove(&damaged_name(serial)).await
        } else {
            Ok(())
        }
    }

    /// Returns whether the file has a copy. Earlier versions did not write one.
    pub(super) async fn has_copy(&self, serial: &Serial) -> bool {
        !matches!(self.state.stamp(&copy_name(serial)).await, Ok(None))
    }

    /// Returns whether `serial` has a file.
    pub(super) async fn exists(&self, serial: &Serial) -> Result<bool, Error> {
        Ok(self.state.stamp(&name(serial)).await?.is_some())
    }

    /// Returns the gateways that have a file.
    pub(super) async fn serials(&self) -> Vec<Serial> {
        serials(&self.state).await.unwrap_or_else(|error| {
            tracing::debug!("{error}");
            Vec::new()
        })
    }
}

/// Returns the gateways whose last response came from `address`, which is written as in the configuration.
pub async fn serials_at(state: &StateDir, address: &str) -> Result<Vec<Serial>, Error> {
    let there = last_seen(state).await?.into_iter().filter(|(_, last)| last.as_deref() == Some(address));
    Ok(there.map(|(serial, _)| serial).collect())
}

/// Returns the known gateways with their last addresses. The address is `None` if the file cannot be parsed.
pub async fn last_seen(state: &StateDir) -> Result<Vec<(Serial, Option<String>)>, Error> {
    let mut seen = Vec::new();
    for serial in serials(state).await? {
        let address = match state.read::<Known>(&name(&serial)).await {
            Ok(Stored::Found(known)) => Some(known.address),
            _ => None,
        };
        seen.push((serial, address));
    }
    Ok(seen)
}

async fn serials(state: &StateDir) -> Result<Vec<Serial>, Error> {
    let serial = |name: &String| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok();
    Ok(state.names(PREFIX, SUFFIX).await?.iter().filter_map(serial).collect())
}

fn name(serial: &Serial) -> String {
    format!("{PREFIX}{serial}{SUFFIX}")
}

fn copy_name(serial: &Serial) -> String {
    format!("{PREFIX}{serial}{COPY_SUFFIX}")
}

fn damaged_name(serial: &Serial) -> String {
    format!("{PREFIX}{serial}{DAMAGED_SUFFIX}")
}
