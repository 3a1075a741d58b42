//! Notices that are reported once: firmware oddities, forbidden pages, failing pages.

use std::collections::BTreeSet;

use super::cycle::{Level, Notice};
use super::oddities::Oddity;
use crate::io::gateway::Endpoint;
use crate::io::gateway::info::Info;

/// The pending notices, and a memory of what was reported before.
#[derive(Debug, Default)]
pub(super) struct Notices {
    waiting: Vec<Notice>,
    oddities: BTreeSet<Oddity>,
    refused: BTreeSet<Endpoint>,
}

impl Notices {
    /// Returns the notices since the last call.
    pub(super) fn take(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.waiting)
    }

    pub(super) fn add(&mut self, level: Level, kind: &'static str, message: String) {
        self.waiting.push(Notice { level, kind, message });
    }

    pub(super) fn extend(&mut self, notices: Vec<Notice>) {
        self.waiting.extend(notices);
    }

    /// Reports a firmware oddity, once.
    pub(super) fn oddity(&mut self, oddity: Oddity) {
        if self.oddities.insert(oddity)
            && let Some(row) = oddity.row()
        {
            self.add(Level::Info, "firmware_oddity", format!("{}: {}", row.symptom, row.remedy));
        }
    }

    /// Reports that a forbidden page can be read now.
    pub(super) fn permitted(&mut self, endpoint: Endpoint) {
        if self.refused.remove(&endpoint) {
            let message = format!("{} may be read now", endpoint.path());
            self.add(Level::Info, "endpoint_permitted", message);
        }
    }

    /// Reports, once, that the token's role or the gateway's user may not read a page.
    pub(super) fn forbidden(&mut self, info: &Info, endpoint: Endpoint) {
        if !self.refused.insert(endpoint) {
            return;
        }
        let path = endpoint.path();
        let message = if info.needs_token() {
            format!("the token's role may not read {path}; it is left out")
        } else {
            format!(
                "the gateway's user may not read {path}; it is left out (see `user` and `password_file` below \
                 [[gateway]])"
            )
        };
        self.add(Level::Info, "endpoint_forbidden", message);
    }
}
