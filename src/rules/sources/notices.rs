//! What was found out and is reported once: oddities of the firmware, pages that the role does not reach, pages in trouble.

use std::collections::BTreeSet;

use super::cycle::{Level, Notice};
use super::oddities::Oddity;
use crate::io::gateway::Endpoint;
use crate::io::gateway::info::Info;

/// The notices that wait to be reported, and what was reported before.
#[derive(Debug, Default)]
pub(super) struct Notices {
    waiting: Vec<Notice>,
    oddities: BTreeSet<Oddity>,
    refused: BTreeSet<Endpoint>,
}

impl Notices {
    /// The notices since the last call.
    pub(super) fn take(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.waiting)
    }

    pub(super) fn add(&mut self, level: Level, kind: &'static str, message: String) {
        self.waiting.push(Notice { level, kind, message });
    }

    pub(super) fn extend(&mut self, notices: Vec<Notice>) {
        self.waiting.extend(notices);
    }

    /// Reports an oddity of the firmware, the first time.
    pub(super) fn oddity(&mut self, oddity: Oddity) {
        if self.oddities.insert(oddity)
            && let Some(row) = oddity.row()
        {
            self.add(Level::Info, "firmware_oddity", format!("{}: {}", row.sign, row.remedy));
        }
    }

    /// Reports that a page is read that was left out because of the role.
    pub(super) fn permitted(&mut self, endpoint: Endpoint) {
        if self.refused.remove(&endpoint) {
            let message = format!("{} may be read now", endpoint.path());
            self.add(Level::Info, "endpoint_permitted", message);
        }
    }

    /// Reports that a page is left out because of the role, the first time, in the words of the access that is used.
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
