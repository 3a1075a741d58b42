//! The course of one problem: pending until it has lasted long enough, then current, then over.
//!
//! The beginning of a problem is announced at most once a day. A problem that begins again within that day is announced
//! only if it still lasts at the end of it. The end is announced exactly once for each announced beginning, whenever it
//! comes.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::problem::Kind;

/// The minimum time between two announced beginnings of the same problem.
pub(super) const QUIET: Duration = Duration::from_secs(24 * 3600);

/// A point in time on the wall clock, which may jump, and on the clock of this run, which does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The wall clock.
    pub wall: Timestamp,
    /// The time since the start of the program.
    pub run: Duration,
}

/// An observation of a problem. There is none while nothing is known about the problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// The problem exists.
    Present {
        /// The description, for people.
        what: String,
        /// The time for which the problem has to last before it is reported.
        after: Duration,
        /// The time does not count, because it is night.
        paused: bool,
    },
    /// The problem does not exist.
    Absent,
    /// The affected thing does not exist any more.
    Gone,
}

/// The phase of a problem.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Phase {
    /// There is no problem.
    #[default]
    Over,
    /// The problem has not lasted long enough.
    Pending,
    /// The problem lasts, and was not announced, because it was announced within the day before.
    Unannounced,
    /// The problem lasts, and was announced.
    Announced,
}

/// An announcement that was not delivered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Announcement {
    /// The problem has begun.
    Begun,
    /// The problem has ended.
    Ended(End),
}

/// The end of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// The time at which the problem began.
    pub since: Timestamp,
    /// The time at which it ended.
    pub at: Timestamp,
    /// `true` if the affected thing does not exist any more.
    #[serde(default)]
    pub is_gone: bool,
}

/// The course of one problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Course {
    phase: Phase,
    /// The time at which it began.
    pub(super) since: Timestamp,
    /// The description.
    pub(super) what: String,
    /// The last announced beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    announced_at: Option<Timestamp>,
    /// The newest announcement, until it is delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) owed: Option<Announcement>,
    /// While it is pending: the time from which it counts, and the time counted before.
    #[serde(skip)]
    counts_from: Duration,
    #[serde(skip)]
    counted: Duration,
    /// The time at which the next beginning may be announced.
    #[serde(skip)]
    quiet_until: Duration,
    /// The time since which everything is well.
    #[serde(skip)]
    well_since: Option<(Timestamp, Duration)>,
}

impl Course {
    /// Creates the course of a problem that does not exist yet.
    pub(super) const fn new(now: Now) -> Self {
        Self {
            phase: Phase::Over,
            since: now.wall,
            what: String::new(),
            announced_at: None,
            owed: None,
            counts_from: now.run,
            counted: Duration::ZERO,
            quiet_until: Duration::ZERO,
            well_since: None,
        }
    }

    /// Continues a stored course at `now`, in another run. A time in the future, from before the clock was set, counts as
    /// the present.
    pub(super) fn resume(&mut self, now: Now) {
        let passed = |since: Timestamp| {
            let passed = now.wall.duration_since(since);
            Duration::try_from(passed).unwrap_or_default()
        };
        self.counts_from = now.run;
        self.counted = passed(self.since);
        let quiet = self.announced_at.map_or(Duration::ZERO, |at| QUIET.saturating_sub(passed(at)));
        self.quiet_until = now.run + quiet;
    }

    /// Announces no beginning for a day.
    pub(super) fn keep_quiet(&mut self, now: Now) {
        self.quiet_until = now.run + QUIET;
    }

    /// Returns whether the problem lasts.
    pub(super) const fn is_current(&self) -> bool {
        matches!(self.phase, Phase::Unannounced | Phase::Announced)
    }

    /// Returns whether nothing has to be remembered of it.
    pub(super) fn is_forgotten(&self, now: Now) -> bool {
        self.phase == Phase::Over && self.owed.is_none() && now.run >= self.quiet_until
    }

    /// Applies an observation, or the passing of time alone. Returns what has to be announced.
    pub(super) fn step(&mut self, kind: Kind, seen: Option<&Observation>, now: Now) -> Option<Announcement> {
        let ended = match seen {
            Some(Observation::Present { what, after, paused }) => {
                self.present(what, *after, *paused, now);
                None
            }
            Some(Observation::Absent) => self.absent(kind, now),
            Some(Observation::Gone) => self.end(now.wall, true),
            None => None,
        };
        let is_due =
            self.phase == Phase::Unannounced && self.well_since.is_none() && now.run >= self.quiet_until;
        if is_due {
            self.phase = Phase::Announced;
            self.announced_at = Some(now.wall);
            self.keep_quiet(now);
            self.owed = Some(Announcement::Begun);
            return self.owed;
        }
        ended
    }

    fn present(&mut self, what: &str, after: Duration, is_paused: bool, now: Now) {
        self.well_since = None;
        // While it lasts, the first reason stays, because the words may change at each poll.
        if !self.is_current() {
            what.clone_into(&mut self.what);
        }
        if self.phase == Phase::Over {
            self.phase = Phase::Pending;
            self.since = now.wall;
            (self.counts_from, self.counted) = (now.run, Duration::ZERO);
        }
        if self.phase == Phase::Pending && is_paused && !after.is_zero() {
            (self.counts_from, self.counted) = (now.run, Duration::ZERO);
            return;
        }
        if self.phase == Phase::Pending && self.lasts(now) >= after {
            self.phase = Phase::Unannounced;
        }
    }

    fn lasts(&self, now: Now) -> Duration {
        self.counted.saturating_add(now.run.saturating_sub(self.counts_from))
    }

    fn absent(&mut self, kind: Kind, now: Now) -> Option<Announcement> {
        if self.phase == Phase::Pending {
            self.phase = Phase::Over;
        }
        if !self.is_current() {
            return None;
        }
        let (at, since) = *self.well_since.get_or_insert((now.wall, now.run));
        if now.run.saturating_sub(since) < kind.ends_after() {
            return None;
        }
        self.end(at, false)
    }

    fn end(&mut self, at: Timestamp, is_gone: bool) -> Option<Announcement> {
        let was_announced = self.phase == Phase::Announced;
        self.phase = Phase::Over;
        self.well_since = None;
        if !was_announced {
            return None;
        }
        // An announcement of the beginning that was not delivered is replaced: the end says since when it was.
        self.owed = Some(Announcement::Ended(End { since: self.since, at, is_gone }));
        self.owed
    }
}
