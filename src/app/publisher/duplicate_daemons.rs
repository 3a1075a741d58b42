//! Detects other daemons that publish under the same prefix by mistake.
//!
//! Each daemon publishes its client id on `<prefix>/instance` and subscribes to that topic. Retained messages are ignored,
//! because their daemon may no longer run. A daemon that receives another client id publishes its own once more.

use std::collections::BTreeSet;

use crate::output::topics;

/// The maximum number of other daemons.
pub(super) const MAX_OTHERS: usize = 16;
/// The maximum length of a client id, longer than those of any daemon.
const LONGEST: usize = 64;

/// The client ids of the other daemons.
#[derive(Debug, Default)]
pub(super) struct DuplicateDaemons {
    /// `true` if this daemon has published its client id on this connection.
    introduced: bool,
    others: BTreeSet<String>,
}

impl DuplicateDaemons {
    /// Records a new connection.
    pub(super) fn connected(&mut self) {
        self.introduced = false;
    }

    /// Returns `true` once per connection, when this daemon has to publish its client id.
    pub(super) const fn is_introduction_due(&mut self) -> bool {
        let is_due = !self.introduced;
        self.introduced = true;
        is_due
    }

    /// Returns the client id in `payload` if it is new and not `own_id`.
    pub(super) fn add(&mut self, payload: &[u8], own_id: &str) -> Option<String> {
        let id: String = String::from_utf8_lossy(payload).chars().take(LONGEST).collect();
        let id = topics::level(&id);
        let known = id.is_empty() || id == topics::level(own_id) || self.others.len() == MAX_OTHERS;
        (!known && self.others.insert(id.clone())).then_some(id)
    }
}
