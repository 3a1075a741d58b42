//! Which entry of the configuration reads which gateway: two may turn out to name one, by a name and by its address.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::reading::Serial;

/// The gateways that are read, with the words for their entries. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Claims(Arc<Mutex<BTreeMap<Serial, String>>>);

/// A gateway that its holder alone reads. Others may when this is dropped.
#[derive(Debug)]
pub struct Claim {
    claims: Claims,
    serial: Serial,
}

impl Claims {
    /// Claims `serial` for the entry `ours`, or returns the words for the entry that has it.
    pub fn claim(&self, serial: &Serial, ours: &str) -> Result<Claim, String> {
        match self.taken().entry(serial.clone()) {
            Entry::Occupied(taken) => Err(taken.get().clone()),
            Entry::Vacant(free) => {
                free.insert(ours.to_owned());
                Ok(Claim { claims: self.clone(), serial: serial.clone() })
            }
        }
    }

    fn taken(&self) -> MutexGuard<'_, BTreeMap<Serial, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    /// Which gateway it is.
    pub const fn serial(&self) -> &Serial {
        &self.serial
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.taken().remove(&self.serial);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_is_read_by_one_entry_at_a_time() {
        let claims = Claims::default();
        let serial = Serial::parse("122300000001").unwrap();
        let claim = claims.claim(&serial, "the gateway at envoy.local").unwrap();
        assert_eq!(claims.claim(&serial, "the other").unwrap_err(), "the gateway at envoy.local");
        drop(claim);
        assert!(claims.claim(&serial, "the other").is_ok());
    }
}
