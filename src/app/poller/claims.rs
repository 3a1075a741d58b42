//! The `[[gateway]]` table that polls each gateway. Two tables can lead to the same gateway, one by its host name and one
//! by its IP address.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::reading::Serial;

/// The gateways that are being polled, each with a description of its `[[gateway]]` table. Clones share the list.
#[derive(Clone, Debug, Default)]
pub struct Claims(Arc<Mutex<BTreeMap<Serial, String>>>);

/// Reserves a gateway for one poller until it is dropped.
#[derive(Debug)]
pub struct Claim {
    claims: Claims,
    serial: Serial,
}

impl Claims {
    /// Reserves `serial` for the table described by `ours`, or returns the description of the table that has reserved it.
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
    /// Returns the serial number of the gateway.
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
