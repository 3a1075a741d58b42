//! The record of attempts at the cloud, their outcomes, and the hold-offs that follow (L4, L6, L7).
//!
//! There is one record for the account: all gateways share its logins and hold-offs. It is written before a request is
//! sent, so that no crash and no crash loop can lose one.

use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::attempt::{Attempt, Outcome, Reason, Step};
use super::clocks::{Age, Anchor, Clocks};
use super::hold_off::{self, DAY, Halt, Hold, MONTH};
use super::refusals::Refusals;
use super::session::Session;
use crate::base::reading::Serial;
use crate::base::secrets::Secret;
use crate::io::cloud::{Failure, Kind};
use crate::io::token::TokenId;

/// The maximum number of refused credentials stored. With only one, two daemons on one state directory, each with a
/// wrong password, would make each other's look new at every attempt.
const HALTS: usize = 8;
/// The number of attempts stored in addition to the logins of the last month.
const KEPT: usize = 40;

/// The record of logins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    version: Version,
    age: Age,
    anchor: Anchor,
    /// The attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// The current hold-off.
    pub hold: Option<Hold>,
    /// The refused credentials, newest last.
    pub halts: Vec<Halt>,
    /// The session of the last login, until the token has been fetched.
    pub session: Option<Session>,
    /// The tokens that gateways have refused.
    #[serde(flatten)]
    pub refusals: Refusals,
}

/// The version of the file format. A file of a later version is set aside as damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Version {
    #[serde(rename = "1")]
    One,
}

impl Record {
    /// Creates an empty record.
    pub fn new(clocks: &Clocks) -> Self {
        Self {
            version: Version::One,
            age: Age::default(),
            anchor: Anchor::new(clocks),
            attempts: Vec::new(),
            hold: None,
            halts: Vec::new(),
            session: None,
            refusals: Refusals::default(),
        }
    }

    /// Creates a record that replaces a damaged one. Its content is unknown, so the worst is assumed: a login made now.
    pub fn after_damage(serial: &Serial, clocks: &Clocks) -> Self {
        let mut record = Self::new(clocks);
        record.begin(Step::Login, Reason::NoToken, serial, clocks);
        record.attempts.iter_mut().for_each(|attempt| attempt.stands_in = true);
        record
    }

    /// Returns the current age of the record.
    pub fn age(&self, clocks: &Clocks) -> Age {
        self.age.plus(self.anchor.elapsed(clocks))
    }

    /// Returns the wall clock when the record was last written.
    pub(super) fn newest_time(&self) -> Timestamp {
        self.anchor.wall
    }

    /// Returns `true` if the record is older than `known`: it has neither the last attempt of `known` nor a newer one.
    ///
    /// An old copy of the file, from a backup or another directory, must not shorten a hold-off.
    pub fn is_older_than(&self, known: &Self) -> bool {
        let Some(last) = known.attempts.last() else { return false };
        let is_same = |attempt: &&Attempt| (attempt.time, &attempt.serial) == (last.time, &last.serial);
        !self.attempts.iter().any(|attempt| is_same(&attempt) || attempt.time > last.time)
    }

    /// Adds the time since the last write to the record's age.
    fn settle(&mut self, clocks: &Clocks) -> Age {
        self.age = self.age(clocks);
        self.anchor = Anchor::new(clocks);
        self.age
    }

    /// Returns `true` if storing the current clocks would measure time better after the next boot (L9).
    pub fn wants_time(&self, clocks: &Clocks) -> bool {
        !self.attempts.is_empty() && self.anchor.is_stale(clocks)
    }

    /// Stores the current clocks. The caller has to write the record.
    pub fn keep_time(&mut self, clocks: &Clocks) {
        self.settle(clocks);
    }

    /// Records that a request is about to be sent. The caller has to write the record first (L4).
    pub fn begin(&mut self, step: Step, reason: Reason, serial: &Serial, clocks: &Clocks) {
        let at = self.settle(clocks);
        let (serial, time) = (serial.clone(), clocks.moment.wall);
        self.attempts.push(Attempt {
            step,
            reason,
            serial,
            at,
            ended: None,
            time,
            stands_in: false,
            outcome: None,
        });
        let recent = self.attempts.len().saturating_sub(KEPT);
        let mut count = 0;
        self.attempts.retain(|attempt| {
            count += 1;
            let kept = if attempt.counts_as_login() { MONTH } else { DAY };
            count > recent || attempt.may_have_opened_session() && at.since(attempt.at) <= kept
        });
    }

    /// Records that the login opened a session.
    pub fn logged_in(&mut self, id: Secret, username: &str, clocks: &Clocks) {
        let since = self.settle(clocks);
        self.end(Outcome::Success);
        self.halts.clear();
        self.hold = None;
        self.session = Some(Session { id, username: username.to_owned(), since });
    }

    /// Records that a token arrived. Removes the session unless `keep_session`, for the tokens of other gateways.
    pub fn token_came(&mut self, serial: &Serial, keep_session: bool, clocks: &Clocks) {
        self.settle(clocks);
        self.end(Outcome::Success);
        self.hold = None;
        self.refusals.clear(serial);
        if !keep_session {
            self.session = None;
        }
    }

    /// Records that the request failed, and sets the hold-off.
    ///
    /// `credentials` is the salted hash of the credentials in use. No hold-off follows if the other token endpoint is
    /// tried next.
    pub fn failed(&mut self, failure: &Failure, credentials: &str, clocks: &Clocks, rng: &mut Rng) {
        let now = self.settle(clocks);
        self.end(Outcome::Failed { kind: failure.kind, why: failure.why.clone() });
        if self.attempts.last().is_some_and(Attempt::leads_to_other_endpoint) {
            return;
        }
        match failure.kind {
            Kind::WrongCredentials | Kind::SecondFactor => {
                self.halts.retain(|halt| halt.credentials != credentials);
                self.halts.push(Halt { kind: failure.kind, credentials: credentials.to_owned() });
                let forgotten = self.halts.len().saturating_sub(HALTS);
                self.halts.drain(..forgotten);
            }
            // The person may enter the code again.
            Kind::WrongCode => {}
            kind => {
                let length = hold_off::length(failure, self.in_a_row(kind), clocks, rng);
                let hold = Hold { until: now.plus(length), kind };
                // A failed attempt with `--force` must not shorten the current hold-off.
                if self.hold.as_ref().is_none_or(|current| current.until < hold.until) {
                    self.hold = Some(hold);
                }
            }
        }
        // Only the first endpoint decides: the other one may require cookies that we do not send.
        let is_first_endpoint = self.attempts.last().is_some_and(|attempt| attempt.step == Step::Token);
        if failure.kind == Kind::SessionOver && is_first_endpoint {
            self.session = None;
        }
    }

    /// Counts the latest consecutive attempts that failed with the row of `kind`. The two token endpoints count as one.
    fn in_a_row(&self, kind: Kind) -> u32 {
        let newest_first = self.attempts.iter().rev().filter(|attempt| !attempt.leads_to_other_endpoint());
        let row = newest_first.take_while(|attempt| attempt.is_in_row(kind.row())).count();
        u32::try_from(row).unwrap_or(u32::MAX)
    }

    /// Records that the cloud has sent another code.
    pub fn code_sent(&mut self, clocks: &Clocks) {
        self.settle(clocks);
        self.end(Outcome::Success);
    }

    fn end(&mut self, outcome: Outcome) {
        // Callers have called `settle`, so the age is current.
        let now = self.age;
        if let Some(attempt) = self.attempts.last_mut() {
            (attempt.outcome, attempt.ended) = (Some(outcome), Some(now));
        }
    }

    /// Returns the session that can still be used to fetch a token: one of this account and of the last day.
    pub fn open_session(&self, username: &str, now: Age) -> Option<&Session> {
        self.session.as_ref().filter(|session| session.is_open(username, now))
    }

    /// Records a clean 401 for `token`. Returns `true` if the record changed and has to be written.
    pub fn refused(&mut self, serial: &Serial, token: &TokenId, clocks: &Clocks) -> bool {
        let (now, without_time) = (self.age(clocks), clocks.gateway.is_none());
        let changed = self.refusals.add(serial, token, now, without_time);
        if changed {
            self.settle(clocks);
        }
        changed
    }

    /// Removes the refusals of `token`. Returns `true` if the record changed and has to be written.
    pub fn accepted(&mut self, serial: &Serial, token: &TokenId) -> bool {
        self.refusals.remove(serial, token)
    }

    /// Returns `true` if the gateway has refused `token` at least once.
    pub fn has_refusal(&self, serial: &Serial, token: &TokenId) -> bool {
        self.refusals.of(serial).iter().any(|refusal| refusal.token == *token)
    }

    /// Returns `true` if the gateway has refused `token` twice while the clocks agreed.
    pub fn is_refused(&self, serial: &Serial, token: &TokenId) -> bool {
        self.refusals.is_confirmed(serial, token, false)
    }

    /// Returns `true` if a gateway without a clock has refused `token` twice since it expired by our clock.
    pub(super) fn is_refused_when_expired(&self, serial: &Serial, token: &TokenId) -> bool {
        self.refusals.is_confirmed(serial, token, true)
    }

    /// Returns `true` if a token for `serial` arrived less than `ago` before now.
    pub(super) fn token_arrived_within(&self, serial: &Serial, ago: Duration, clocks: &Clocks) -> bool {
        let now = self.age(clocks);
        let is_for_serial = |attempt: &&Attempt| attempt.fetched_token() && attempt.serial == *serial;
        self.attempts
            .iter()
            .rfind(is_for_serial)
            .and_then(|attempt| attempt.ended)
            .is_some_and(|at| now.since(at) < ago)
    }

    /// Returns `true` if a login was sent, or ended, less than `ago` before now.
    pub(super) fn login_was_sent_within(&self, ago: Duration, clocks: &Clocks) -> bool {
        let now = self.age(clocks);
        let last = self.attempts.iter().rfind(|attempt| attempt.can_open_session());
        last.is_some_and(|attempt| now.since(attempt.ended.unwrap_or(attempt.at)) < ago)
    }
}
