//! A simulated house with its power and energies. At any time, consumption = production + import - export + discharged -
//! charged.

use std::sync::{Arc, Mutex, PoisonError};

use super::integrator::Integrator;
use super::snapshot::{Snapshot, WorldOptions};
use crate::base::clock::Clock;

/// A simulated house. Clones share it.
#[derive(Clone, Debug)]
pub struct World {
    clock: Clock,
    integrator: Arc<Mutex<Integrator>>,
}

impl World {
    /// Creates a house whose meters have counted for some years.
    pub fn new(clock: &Clock, options: WorldOptions) -> Self {
        let integrator = Integrator::new(options, clock.now());
        Self { clock: clock.clone(), integrator: Arc::new(Mutex::new(integrator)) }
    }

    /// Returns the state at the clock's time. After a jump of the clock into the past, the totals stay the same until the
    /// clock reaches the earlier time again.
    pub fn now(&self) -> Snapshot {
        self.integrator.lock().unwrap_or_else(PoisonError::into_inner).at(self.clock.now())
    }
}
