//! Groups announcements into notices, so that twenty inverters that fail together are one message.

use jiff::Timestamp;

use super::course::{Announcement, Course};
use super::problem::{Kind, Problem};
use crate::base::reading::Serial;

/// Announcements of one kind, either beginnings or ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The kind of all problems.
    pub kind: Kind,
    /// The problems have ended.
    pub is_end: bool,
    /// The problems; never empty.
    pub items: Vec<Item>,
}

/// The announcement of one problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The problem.
    pub problem: Problem,
    /// The serial number of the gateway that it affects, if it is known.
    pub serial: Option<Serial>,
    /// The time at which the problem began.
    pub since: Timestamp,
    /// The description.
    pub what: String,
    /// The announcement.
    pub announcement: Announcement,
}

impl Item {
    pub(super) fn new(
        problem: &Problem,
        serial: Option<&Serial>,
        course: &Course,
        announcement: Announcement,
    ) -> Self {
        let since = match announcement {
            Announcement::Begun => course.since,
            // The problem may have begun again since.
            Announcement::Ended(end) => end.since,
        };
        Self {
            problem: problem.clone(),
            serial: serial.cloned(),
            since,
            what: course.what.clone(),
            announcement,
        }
    }

    /// Returns whether the problem has ended.
    pub const fn is_end(&self) -> bool {
        matches!(self.announcement, Announcement::Ended(_))
    }
}

/// Groups announcements, the beginnings of each kind and the ends of each kind.
pub(super) fn grouped(items: Vec<Item>) -> Vec<Notice> {
    let mut notices: Vec<Notice> = Vec::new();
    for item in items {
        let (kind, is_end) = (item.problem.kind, item.is_end());
        match notices.iter_mut().find(|notice| notice.kind == kind && notice.is_end == is_end) {
            Some(notice) => notice.items.push(item),
            None => notices.push(Notice { kind, is_end, items: vec![item] }),
        }
    }
    notices
}
