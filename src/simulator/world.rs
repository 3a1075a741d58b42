//! One roof and one house: what flows now, and what the meters have counted. At any time consumption =
//! production + import - export + discharged - charged.

use std::sync::{Arc, Mutex, PoisonError};

use super::ledger::Ledger;
use super::snapshot::{Snapshot, WorldOptions};
use crate::base::clock::Clock;

/// One roof and one house; clones are the same.
#[derive(Clone, Debug)]
pub struct World {
    clock: Clock,
    ledger: Arc<Mutex<Ledger>>,
}

impl World {
    /// A house whose meters have some years behind them, from the clock's present on.
    pub fn new(clock: &Clock, options: WorldOptions) -> Self {
        let ledger = Ledger::new(options, clock.now());
        Self { clock: clock.clone(), ledger: Arc::new(Mutex::new(ledger)) }
    }

    /// The world at the clock's time. After a jump of the clock into the past nothing flows back: the
    /// meters wait until the time they know has come again.
    pub fn now(&self) -> Snapshot {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).at(self.clock.now())
    }
}
