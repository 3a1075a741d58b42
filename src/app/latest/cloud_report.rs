//! The last contact with the Enphase cloud, for the server. Contains no secret.

use std::time::Duration;

use jiff::{Timestamp, Unit};
use serde::Serialize;

use crate::base::reading::Serial;
use crate::rules::logins::Record;
use crate::rules::logins::attempt::{Attempt, Outcome};
use crate::rules::logins::clocks::{Age, Clocks};
use crate::rules::logins::decision::Waiting;
use crate::rules::logins::hold_off::MONTH;

/// The time after which a request without an outcome counts as interrupted.
const LONGEST_REQUEST: Duration = Duration::from_secs(5 * 60);

/// The last contact with the cloud, and the hold-off that follows from it. All gateways of the account share them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CloudReport {
    /// The time of the last request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contacted_at: Option<Timestamp>,
    /// The gateway that the request was made for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<Serial>,
    /// The reason for the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The outcome of the request: `succeeded`, or what happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// The time before which the cloud is not contacted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_off_until: Option<Timestamp>,
    /// The reason for the hold-off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_off_because: Option<String>,
    /// The number of logins within the last 30 days.
    pub logins_in_30_days: usize,
    /// All of this as a sentence for people.
    pub message: String,
}

impl CloudReport {
    /// Describes `record`; `None` if there is none yet.
    pub fn new(record: Option<&Record>, clocks: &Clocks) -> Self {
        let now = record.map(|record| record.age(clocks)).unwrap_or_default();
        let last = record.and_then(|record| record.attempts.last());
        let logins = record
            .iter()
            .flat_map(|record| &record.attempts)
            .filter(|attempt| attempt.counts_as_login() && now.since(attempt.at) <= MONTH);
        let hold = record.and_then(|record| record.hold.as_ref()).filter(|hold| hold.until > now);
        let held_off_until = hold.and_then(|hold| until(hold.until.since(now), clocks.moment.wall));
        let held_off_because = hold.map(|hold| Waiting::HoldOff(hold.kind).to_string());
        let outcome = last.map(|attempt| outcome(attempt, now));
        let mut message = match (last, &outcome) {
            (Some(last), Some(outcome)) => {
                format!("{:.0}: {}, because {}: {outcome}", last.time, last.step, last.reason)
            }
            _ => "the Enphase cloud has not been contacted yet".to_owned(),
        };
        if let (Some(until), Some(because)) = (held_off_until, &held_off_because) {
            message = format!("{message}; not contacted again before {until}: {because}");
        }
        Self {
            contacted_at: last.map(|last| last.time),
            serial: last.map(|last| last.serial.clone()),
            reason: last.map(|last| last.reason.to_string()),
            outcome,
            held_off_until,
            held_off_because,
            logins_in_30_days: logins.count(),
            message,
        }
    }
}

/// Returns the time `left` from `now`. Rounded, so that its jitter does not change the report at each poll.
fn until(left: Duration, now: Timestamp) -> Option<Timestamp> {
    now.checked_add(left).ok()?.round(Unit::Minute).ok()
}

fn outcome(attempt: &Attempt, now: Age) -> String {
    match &attempt.outcome {
        _ if attempt.stands_in => {
            "unknown, because the record of logins was damaged; it counts as a login".to_owned()
        }
        Some(Outcome::Success) => "succeeded".to_owned(),
        Some(Outcome::Failed { why, .. }) => why.clone(),
        None if now.since(attempt.at) < LONGEST_REQUEST => "no response yet".to_owned(),
        None => "interrupted".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;
    use crate::base::clock::Moment;
    use crate::io::cloud::{Failure, Kind};
    use crate::rules::logins::attempt::{Reason, Step};
    use crate::rules::logins::clocks::GatewayTime;

    fn clocks(seconds: u64) -> Clocks {
        let up = Duration::from_secs(1000 + seconds);
        let wall = "2026-11-20T10:00:00Z".parse::<Timestamp>().unwrap();
        let moment = Moment { wall: wall + Duration::from_secs(seconds), boot: "a".to_owned(), up };
        Clocks::new(moment, GatewayTime::NoResponse)
    }

    fn tried(step: Step) -> Record {
        let mut record = Record::new(&clocks(0));
        record.begin(step, Reason::NoToken, &Serial::parse("122300000001").unwrap(), &clocks(0));
        record
    }

    #[test]
    fn before_the_first_contact_that_is_what_it_says() {
        for record in [None, Some(&Record::new(&clocks(0)))] {
            let report = CloudReport::new(record, &clocks(0));
            assert_eq!(report.message, "the Enphase cloud has not been contacted yet");
            assert_eq!((report.contacted_at, report.logins_in_30_days), (None, 0));
        }
    }

    #[test]
    fn the_last_request_is_described_and_a_hold_off_ends() {
        let mut record = tried(Step::Login);
        let failure = Failure::new(Kind::TooManySessions, "too many active sessions");
        record.failed(&failure, "hash", &clocks(0), &mut Rng::with_seed(1));
        let report = CloudReport::new(Some(&record), &clocks(600));
        assert_eq!(
            report.message,
            "2026-11-20T10:00:00Z: login, because there is no token yet: too many active sessions; not contacted again \
             before 2026-11-21T10:00:00Z: the cloud reported too many active sessions"
        );
        let later = CloudReport::new(Some(&record), &clocks(86_400));
        assert_eq!((later.held_off_until, later.held_off_because), (None, None));
        assert_eq!(report.logins_in_30_days, 0, "a failed login is none");
    }

    #[test]
    fn a_request_without_an_outcome_is_under_way_for_a_while_and_counts_as_a_login() {
        let record = tried(Step::Login);
        let report = CloudReport::new(Some(&record), &clocks(10));
        assert_eq!((report.outcome.as_deref(), report.logins_in_30_days), (Some("no response yet"), 1));
        let later = CloudReport::new(Some(&record), &clocks(600));
        assert_eq!(later.outcome.as_deref(), Some("interrupted"));
        let month = CloudReport::new(Some(&record), &clocks(31 * 86_400));
        assert_eq!(month.logins_in_30_days, 0);
    }

    #[test]
    fn a_damaged_record_is_named() {
        let serial = Serial::parse("122300000001").unwrap();
        let record = Record::after_damage(&serial, &clocks(0));
        let outcome = CloudReport::new(Some(&record), &clocks(0)).outcome.unwrap();
        assert!(outcome.contains("was damaged"), "{outcome}");
    }
}
