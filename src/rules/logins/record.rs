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
use super::attempt::{Attempt, Outcome, Reason, Step};
use super::hold::{self, DAY, Halt, Hold, MONTH};
use crate::base::reading::Serial;
use crate::base::secrets::{self, Secret};
use crate::io::cloud::answer::{Failure, Kind};
use crate::io::token::TokenId;

/// How far apart the gateway has to refuse a token twice (L2).
const BETWEEN_REFUSALS: Duration = Duration::from_secs(5 * 60);
/// How many rows of refusals of a gateway are remembered.
const REFUSALS: usize = 6;
/// How many refused credentials are remembered: two daemons on one directory, each with a wrong password,
/// must not make the other's look new for ever.
const HALTS: usize = 8;
/// How many attempts are kept beside the logins of the last month.
const KEPT: usize = 40;

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
    /// The gateway told no time. It counts only as a confirmation that the token has expired.
    #[serde(default)]
    pub without_time: bool,
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
        record.attempts.iter_mut().for_each(|attempt| attempt.stands_in = true);
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
        let mut place = 0;
        self.attempts.retain(|attempt| {
            place += 1;
            let kept = if attempt.counts_as_login() { MONTH } else { DAY };
            place > recent || attempt.may_have_opened() && at.since(attempt.at) <= kept
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
    /// An answer that leads to the other way to a token holds nothing off: that is next.
    pub fn failed(&mut self, failure: &Failure, credentials: &str, sight: &Sight, rng: &mut Rng) {
        let now = self.settle(sight);
        self.end(Outcome::Failed { kind: failure.kind, why: failure.why.clone() });
        if self.attempts.last().is_some_and(Attempt::leads_to_other_way) {
            return;
        }
        match failure.kind {
            Kind::WrongCredentials | Kind::SecondFactor => {
                self.halts.retain(|halt| halt.credentials != credentials);
                self.halts.push(Halt { kind: failure.kind, credentials: credentials.to_owned() });
                let forgotten = self.halts.len().saturating_sub(HALTS);
                self.halts.drain(..forgotten);
            }
            // Whoever types it may type it again.
            Kind::WrongCode => {}
            kind => {
                let length = hold::length(failure, self.in_a_row(kind), sight, rng);
                let hold = Hold { until: now.plus(length), kind };
                // An operator who insisted and failed must not have shortened what was still to come.
                if self.hold.as_ref().is_none_or(|held| held.until < hold.until) {
                    self.hold = Some(hold);
                }
            }
        }
        // The other way wants more cookies, perhaps; the session is good for the first as long as that says so.
        let first_way = self.attempts.last().is_some_and(|attempt| attempt.step == Step::Token);
        if failure.kind == Kind::SessionOver && first_way {
            self.session = None;
        }
    }

    /// How many attempts in a row, to the last, failed with the row of `kind`. The two ways to a token are one.
    fn in_a_row(&self, kind: Kind) -> u32 {
        let newest_first = self.attempts.iter().rev().filter(|attempt| !attempt.leads_to_other_way());
        let row = newest_first.take_while(|attempt| attempt.is_in_row(kind.row())).count();
        u32::try_from(row).unwrap_or(u32::MAX)
    }

    /// Notes that another code is on its way.
    pub fn code_sent(&mut self, sight: &Sight) {
        self.settle(sight);
        self.end(Outcome::Success);
    }

    fn end(&mut self, outcome: Outcome) {
        // The record was settled just before: its age is now.
        let now = self.age;
        if let Some(attempt) = self.attempts.last_mut() {
            (attempt.outcome, attempt.ended) = (Some(outcome), Some(now));
        }
    }

    /// The session that a token can still be fetched on: of this account, and of the last day.
    pub fn open_session(&self, username: &str, now: Age) -> Option<&Session> {
        self.session.as_ref().filter(|session| session.username == username && now.since(session.since) < DAY)
    }

    /// Notes that the gateway refused `token` with a clean 401 that weighs something; `true` when the record changed and
    /// has to be written.
    pub fn refused(&mut self, serial: &Serial, token: &TokenId, sight: &Sight) -> bool {
        let (now, without_time) = (self.age(sight), sight.gateway.is_none());
        let refusals = self.refusals.entry(serial.clone()).or_default();
        let same = |refusal: &&mut Refusal| refusal.token == *token && refusal.without_time == without_time;
        match refusals.iter_mut().find(same) {
            Some(refusal) if refusal.confirmed || now.since(refusal.first) < BETWEEN_REFUSALS => {
                return false;
            }
            Some(refusal) => refusal.confirmed = true,
            None => {
                refusals.push(Refusal { token: token.clone(), first: now, confirmed: false, without_time });
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
        self.is_refused_so(serial, token, false)
    }

    /// Whether a gateway that tells no time has refused `token` twice since it expired by our clock.
    pub fn is_refused_when_expired(&self, serial: &Serial, token: &TokenId) -> bool {
        self.is_refused_so(serial, token, true)
    }

    fn is_refused_so(&self, serial: &Serial, token: &TokenId, without_time: bool) -> bool {
        let mut refusals = self.refusals.get(serial).into_iter().flatten();
        refusals.any(|refusal| {
            refusal.confirmed && refusal.token == *token && refusal.without_time == without_time
        })
    }

    /// Whether a token for `serial` came from the cloud less than `ago` before now.
    pub fn token_came_within(&self, serial: &Serial, ago: Duration, sight: &Sight) -> bool {
        let now = self.age(sight);
        let came = |attempt: &&Attempt| attempt.brought_token() && attempt.serial == *serial;
        self.attempts
            .iter()
            .rfind(came)
            .and_then(|attempt| attempt.ended)
            .is_some_and(|at| now.since(at) < ago)
    }

    /// Whether a login was sent, or ended, less than `ago` before now.
    pub fn login_was_sent_within(&self, ago: Duration, sight: &Sight) -> bool {
        let now = self.age(sight);
        let last = self.attempts.iter().rfind(|attempt| attempt.can_open());
        last.is_some_and(|attempt| now.since(attempt.ended.unwrap_or(attempt.at)) < ago)
    }
}
