//! What was tried at the cloud, what came of it, and what that means for the next attempt (L4, L6, L7).
//!
//! The record is kept for the account, not for a gateway: several gateways share its logins and its
//! hold-offs. It is on disk before a request leaves, so that no crash and no crash loop can forget one.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::age::{Age, Anchor, Sight};
use crate::cloud::answer::{Failure, Kind};
use crate::reading::Serial;
use crate::retry::{doubling, with_jitter};
use crate::secrets::{self, Secret};
use crate::token::TokenId;

/// The first hold-off after a failure that may pass by itself, and the longest.
pub const SHORTEST_HOLD: Duration = Duration::from_secs(5 * 60);
const LONGEST_HOLD: Duration = Duration::from_secs(6 * 3600);
/// A day: the shortest time between two logins that happen by themselves.
pub const DAY: Duration = Duration::from_secs(24 * 3600);
/// The time in which at most three logins happen by themselves.
pub const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);
/// The most that a `Retry-After` is obeyed for: one of ten years is a mistake.
const LONGEST_RETRY_AFTER: Duration = MONTH;
/// How far apart the gateway has to refuse a token twice (L2).
const BETWEEN_REFUSALS: Duration = Duration::from_secs(5 * 60);
/// How many refused tokens of a gateway are remembered.
const REFUSALS: usize = 4;
/// How many refused credentials are remembered: two daemons on one directory, each with a wrong password,
/// must not make the other's look new for ever.
const HALTS: usize = 8;
/// How many attempts are kept beside the logins of the last month.
const KEPT: usize = 40;

/// Which of the two requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// With the password; it costs the account a session.
    Login,
    /// For the token, on a session that is open.
    Token,
}

/// Why the cloud was contacted (L2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// There is no token.
    NoToken,
    /// The token has expired.
    Expired,
    /// A long-lived token is about to expire.
    Renewal,
    /// The gateway has refused the token, clearly and twice.
    Refused,
    /// The operator asked.
    Operator,
}

/// One request to the cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Which request.
    pub step: Step,
    /// Why it was made.
    pub reason: Reason,
    /// For which gateway.
    pub serial: Serial,
    /// When, by the record's age.
    pub at: Age,
    /// When, by the wall clock; for people.
    pub time: Timestamp,
    /// What came of it; `None` while it lasts, and for ever if we crashed meanwhile.
    pub outcome: Option<Outcome>,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It gave what was asked for.
    Success,
    /// It did not.
    Failed {
        /// The row of L6.
        kind: Kind,
        /// In words.
        why: String,
    },
}

impl Attempt {
    /// A login that succeeded, or whose end nobody saw.
    pub fn counts_as_login(&self) -> bool {
        self.step == Step::Login && matches!(self.outcome, None | Some(Outcome::Success))
    }

    fn failed_as(&self, row: Kind) -> bool {
        matches!(&self.outcome, Some(Outcome::Failed { kind, .. }) if *kind == row)
    }
}

/// Until when nothing is tried, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// By the record's age.
    pub until: Age,
    /// The row of L6.
    pub kind: Kind,
}

/// A refusal that only a person can end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    /// Wrong credentials or a second factor.
    pub kind: Kind,
    /// The salted hash of the credentials that were refused.
    pub credentials: String,
}

/// A session that a login opened (L7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    #[serde(serialize_with = "secrets::store")]
    pub id: Secret,
    /// Whose it is.
    pub username: String,
    /// Since when, by the record's age.
    pub since: Age,
}

/// A gateway's clean 401 to a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Which token.
    pub token: TokenId,
    /// The first of the row.
    pub first: Age,
    /// Whether there was a second, at least five minutes later.
    pub confirmed: bool,
}

/// The record of logins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    version: Version,
    age: Age,
    anchor: Anchor,
    /// The attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// Until when nothing is tried.
    pub hold: Option<Hold>,
    /// What only a person can end, the newest last: each of some credentials.
    pub halts: Vec<Halt>,
    /// The session of the last login, while a token is still to be fetched on it.
    pub session: Option<Session>,
    /// Tokens that gateways refuse. A gateway may be asked with two by turns: the one in use and its candidate.
    pub refusals: BTreeMap<Serial, Vec<Refusal>>,
}

/// The form of the file; one that a later program wrote is not understood, and so set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Version {
    #[serde(rename = "1")]
    One,
}

impl Record {
    /// A record in which nothing has happened.
    pub fn new(sight: &Sight) -> Self {
        Self {
            version: Version::One,
            age: Age::default(),
            anchor: Anchor::new(sight),
            attempts: Vec::new(),
            hold: None,
            halts: Vec::new(),
            session: None,
            refusals: BTreeMap::new(),
        }
    }

    /// The record in place of one that was damaged. What it held is unknown, so the worst is assumed: a login
    /// that has just been made.
    pub fn after_damage(serial: &Serial, sight: &Sight) -> Self {
        let mut record = Self::new(sight);
        record.begin(Step::Login, Reason::NoToken, serial, sight);
        record
    }

    /// How old the record is now.
    pub fn age(&self, sight: &Sight) -> Age {
        self.age.plus(self.anchor.elapsed(sight))
    }

    /// The wall clock when the record was last written.
    pub fn newest_time(&self) -> Timestamp {
        self.anchor.wall
    }

    /// Takes the time that has passed into the record, which has to be written afterwards.
    fn settle(&mut self, sight: &Sight) -> Age {
        self.age = self.age(sight);
        self.anchor = Anchor::new(sight);
        self.age
    }

    /// Whether the clocks of now would be of more use after the next boot than those the record knows (L9).
    pub fn wants_time(&self, sight: &Sight) -> bool {
        !self.attempts.is_empty() && self.anchor.is_stale(sight)
    }

    /// Takes the time that has passed into the record, which has to be written afterwards.
    pub fn keep_time(&mut self, sight: &Sight) {
        self.settle(sight);
    }

    /// Notes that a request is about to leave. It must be on disk before it does (L4).
    pub fn begin(&mut self, step: Step, reason: Reason, serial: &Serial, sight: &Sight) {
        let at = self.settle(sight);
        let (serial, time) = (serial.clone(), sight.moment.wall);
        self.attempts.push(Attempt { step, reason, serial, at, time, outcome: None });
        let recent = self.attempts.len().saturating_sub(KEPT);
        let mut place = 0;
        self.attempts.retain(|attempt| {
            place += 1;
            place > recent || attempt.counts_as_login() && at.since(attempt.at) <= MONTH
        });
    }

    /// Notes that the login gave a session.
    pub fn logged_in(&mut self, id: Secret, username: &str, sight: &Sight) {
        let since = self.settle(sight);
        self.end(Outcome::Success);
        self.halts.clear();
        self.hold = None;
        self.session = Some(Session { id, username: username.to_owned(), since });
    }

    /// Notes that the token has come. The session goes with it, unless another gateway waits for its own.
    pub fn token_came(&mut self, serial: &Serial, keep_session: bool, sight: &Sight) {
        self.settle(sight);
        self.end(Outcome::Success);
        self.hold = None;
        self.refusals.remove(serial);
        if !keep_session {
            self.session = None;
        }
    }

    /// Notes that the request failed, and until when nothing is tried because of it. `credentials` is the
    /// salted hash of those that were used.
    pub fn failed(&mut self, failure: &Failure, credentials: &str, sight: &Sight, rng: &mut Rng) {
        let now = self.settle(sight);
        self.end(Outcome::Failed { kind: failure.kind, why: failure.why.clone() });
        let in_a_row =
            self.attempts.iter().rev().take_while(|attempt| attempt.failed_as(failure.kind)).count();
        let in_a_row = u32::try_from(in_a_row).unwrap_or(u32::MAX);
        match failure.kind {
            Kind::WrongCredentials | Kind::SecondFactor => {
                self.halts.retain(|halt| halt.credentials != credentials);
                self.halts.push(Halt { kind: failure.kind, credentials: credentials.to_owned() });
                let forgotten = self.halts.len().saturating_sub(HALTS);
                self.halts.drain(..forgotten);
            }
            kind => {
                let length = hold_off(kind, in_a_row, rng).max(asked_for(failure, sight));
                let hold = Hold { until: now.plus(length), kind };
                // An operator who insisted and failed must not have shortened what was still to come.
                if self.hold.as_ref().is_none_or(|held| held.until < hold.until) {
                    self.hold = Some(hold);
                }
            }
        }
        if failure.kind == Kind::SessionOver {
            self.session = None;
        }
    }

    fn end(&mut self, outcome: Outcome) {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.outcome = Some(outcome);
        }
    }

    /// The session that a token can still be fetched on: of this account, and of the last day.
    pub fn open_session(&self, username: &str, now: Age) -> Option<&Session> {
        self.session.as_ref().filter(|session| session.username == username && now.since(session.since) < DAY)
    }

    /// Notes that the gateway refused `token` with a clean 401; `true` when the record changed and has to be
    /// written.
    pub fn refused(&mut self, serial: &Serial, token: &TokenId, sight: &Sight) -> bool {
        let now = self.age(sight);
        let refusals = self.refusals.entry(serial.clone()).or_default();
        match refusals.iter_mut().find(|refusal| refusal.token == *token) {
            Some(refusal) if refusal.confirmed || now.since(refusal.first) < BETWEEN_REFUSALS => {
                return false;
            }
            Some(refusal) => refusal.confirmed = true,
            None => {
                let refusal = Refusal { token: token.clone(), first: now, confirmed: false };
                refusals.push(refusal);
                // Those of tokens that were replaced long ago are of no more use.
                let forgotten = refusals.len().saturating_sub(REFUSALS);
                refusals.drain(..forgotten);
            }
        }
        self.settle(sight);
        true
    }

    /// Notes that the gateway accepts `token`; `true` when the record changed and has to be written.
    pub fn accepted(&mut self, serial: &Serial, token: &TokenId) -> bool {
        let Some(refusals) = self.refusals.get_mut(serial) else { return false };
        let before = refusals.len();
        refusals.retain(|refusal| refusal.token != *token);
        before != refusals.len()
    }

    /// Whether the gateway has refused `token`, be it once.
    pub fn has_refusal(&self, serial: &Serial, token: &TokenId) -> bool {
        self.refusals.get(serial).into_iter().flatten().any(|refusal| refusal.token == *token)
    }

    /// Whether the gateway has refused `token` clearly and twice.
    pub fn is_refused(&self, serial: &Serial, token: &TokenId) -> bool {
        let mut refusals = self.refusals.get(serial).into_iter().flatten();
        refusals.any(|refusal| refusal.confirmed && refusal.token == *token)
    }
}

/// The hold-off of a row of L6 after so many such failures in a row.
fn hold_off(kind: Kind, in_a_row: u32, rng: &mut Rng) -> Duration {
    match kind {
        Kind::TooManySessions => doubling(DAY, 3 * DAY, in_a_row),
        Kind::Blocked => DAY,
        _ => with_jitter(doubling(SHORTEST_HOLD, LONGEST_HOLD, in_a_row), rng),
    }
}

fn asked_for(failure: &Failure, sight: &Sight) -> Duration {
    let length = failure.retry_after.map(|retry_after| retry_after.from(sight.moment.wall));
    length.unwrap_or_default().min(LONGEST_RETRY_AFTER)
}
