//! Who else publishes under our prefix, by mistake.
//!
//! Each daemon says its name, the client id, under `<prefix>/instance`, and listens there. A name that the broker
//! had kept may be of one long gone, so only a live one counts; and who hears another says its own once more,
//! for the other to hear.

use std::collections::BTreeSet;

use crate::output::topics;

/// So many others are remembered.
pub(super) const MOST: usize = 16;
/// No client id is longer that we make.
const LONGEST: usize = 64;

/// The names that were heard.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Whether ours was said on this connection.
    introduced: bool,
    others: BTreeSet<String>,
}

impl Names {
    /// There is a new connection.
    pub(super) fn connected(&mut self) {
        self.introduced = false;
    }

    /// Whether our name is to be said now, when the connection has shown that it hears: once.
    pub(super) fn introduces(&mut self) -> bool {
        !std::mem::replace(&mut self.introduced, true)
    }

    /// The name in `payload`, if it is another's than `ours` and new.
    pub(super) fn heard(&mut self, payload: &[u8], ours: &str) -> Option<String> {
        let name: String = String::from_utf8_lossy(payload).chars().take(LONGEST).collect();
        let name = topics::level(&name);
        let known = name.is_empty() || name == topics::level(ours) || self.others.len() == MOST;
        (!known && self.others.insert(name.clone())).then_some(name)
    }
}
