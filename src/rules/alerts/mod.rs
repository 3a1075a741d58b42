//! Decides when a problem begins and ends, and what is announced of it: once when it begins, once when it ends, and no
//! beginning twice within a day (see `course`).
//!
//! Pure: what is seen and the time go in, announcements come out. The state survives a restart, after which nothing is
//! announced again.

mod course;
mod daylight;
mod notice;
mod problem;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use course::Course;
pub use course::{Announcement, End, Now, Observation};
pub use daylight::Daylight;
pub use notice::{Item, Notice};
pub use problem::{Kind, Problem, Severity};

use crate::base::reading::Serial;

/// The maximum number of problems that are remembered: more than any roof has inverters.
const MOST: usize = 2_000;
/// The time after a start without the stored state in which existing problems are found.
const TAKEOVER: Duration = Duration::from_secs(10 * 60);

/// All observations of a moment.
pub type Observations = BTreeMap<Problem, Seen>;

/// An observation, and the gateway that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The serial number of the gateway that it affects, if it is known.
    pub serial: Option<Serial>,
    /// The observation.
    pub observation: Observation,
}

/// A problem that lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    /// The problem.
    pub problem: Problem,
    /// The serial number of the gateway that it affects, if it is known.
    pub serial: Option<Serial>,
    /// The time at which it began.
    pub since: Timestamp,
    /// The description.
    pub what: String,
}

/// The state as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    problems: Vec<Entry>,
    #[serde(default)]
    daylight: BTreeMap<String, Daylight>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    problem: Problem,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    serial: Option<Serial>,
    #[serde(flatten)]
    course: Course,
}

/// The problems and their courses.
#[derive(Clone, Debug, Default)]
pub struct Alerts {
    courses: BTreeMap<Problem, (Option<Serial>, Course)>,
    /// The daylight of each gateway, by its address as configured.
    daylight: BTreeMap<String, Daylight>,
    /// The time until which a problem that is seen for the first time may have been announced by an earlier run whose
    /// state was lost.
    takeover_until: Duration,
}

impl Alerts {
    /// Continues from the stored state.
    pub fn resume(stored: Stored, now: Now) -> Self {
        let resume = |mut entry: Entry| {
            entry.course.resume(now);
            (entry.problem, (entry.serial, entry.course))
        };
        let courses = stored.problems.into_iter().take(MOST).map(resume).collect();
        Self { courses, daylight: stored.daylight, takeover_until: Duration::ZERO }
    }

    /// Begins without the stored state, which was lost. Problems that exist already may have been announced, so they are
    /// announced only if they still last after a day.
    pub fn after_loss(now: Now) -> Self {
        Self { takeover_until: now.run + TAKEOVER, ..Self::default() }
    }

    /// Returns the state to store.
    pub fn stored(&self) -> Stored {
        let entry = |(problem, (serial, course)): (&Problem, &(Option<Serial>, Course))| Entry {
            problem: problem.clone(),
            serial: serial.clone(),
            course: course.clone(),
        };
        Stored { problems: self.courses.iter().map(entry).collect(), daylight: self.daylight.clone() }
    }

    /// Applies what is seen at `now`. Returns what has to be announced.
    pub fn look(&mut self, seen: &Observations, now: Now) -> Vec<Notice> {
        for (problem, Seen { observation, .. }) in seen {
            let is_new = matches!(observation, Observation::Present { .. })
                && !self.courses.contains_key(problem)
                && self.courses.len() < MOST;
            if is_new {
                let mut course = Course::new(now);
                if now.run < self.takeover_until {
                    course.keep_quiet(now);
                }
                self.courses.insert(problem.clone(), (None, course));
            }
        }
        let mut announced = Vec::new();
        for (problem, (serial, course)) in &mut self.courses {
            let seen = seen.get(problem);
            if let Some(known) = seen.and_then(|seen| seen.serial.as_ref()) {
                *serial = Some(known.clone());
            }
            if let Some(announcement) = course.step(problem.kind, seen.map(|seen| &seen.observation), now) {
                announced.push(Item::new(problem, serial.as_ref(), course, announcement));
            }
        }
        self.courses.retain(|_, (_, course)| !course.is_forgotten(now));
        notice::grouped(announced)
    }

    /// Returns the problems that last, whether or not they were announced.
    pub fn current(&self) -> impl Iterator<Item = Current> {
        let lasting = self.courses.iter().filter(|(_, (_, course))| course.is_current());
        lasting.map(|(problem, (serial, course))| Current {
            problem: problem.clone(),
            serial: serial.clone(),
            since: course.since,
            what: course.what.clone(),
        })
    }

    /// Returns every problem that is remembered.
    pub fn known(&self) -> impl Iterator<Item = &Problem> {
        self.courses.keys()
    }

    /// Returns the announcements that were not delivered yet, the newest of each problem.
    pub fn owed(&self) -> Vec<Notice> {
        let owed = self.courses.iter().filter_map(|(problem, (serial, course))| {
            Some(Item::new(problem, serial.as_ref(), course, course.owed?))
        });
        notice::grouped(owed.collect())
    }

    /// Records that a notice was delivered. What was announced of its problems since is still owed.
    pub fn delivered(&mut self, notice: &Notice) {
        for item in &notice.items {
            if let Some((_, course)) = self.courses.get_mut(&item.problem)
                && course.owed == Some(item.announcement)
            {
                course.owed = None;
            }
        }
    }

    /// Forgets the ends that were not delivered, because there is nobody to deliver them to.
    pub fn forget_ends(&mut self) {
        for (_, course) in self.courses.values_mut() {
            course.owed.take_if(|owed| matches!(owed, Announcement::Ended(_)));
        }
    }

    /// Returns the daylight of a gateway, by its address as configured.
    pub fn daylight(&mut self, gateway: &str) -> &mut Daylight {
        self.daylight.entry(gateway.to_owned()).or_default()
    }

    /// Forgets the daylight of gateways that are not configured any more.
    pub fn keep_daylight(&mut self, is_configured: impl Fn(&str) -> bool) {
        self.daylight.retain(|gateway, _| is_configured(gateway));
    }
}
