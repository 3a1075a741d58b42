//! The true history, independent of the record: the requests that were really sent, and the verdicts of the gateways.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::coverage::Coverage;
use super::process::Goal;
use super::world::{DAY, HOUR, MINUTE, SERIALS, World, WrongClock};
use crate::base::backoff::doubling;
use crate::io::cloud::{Failure, Kind, RetryAfter};
use crate::io::token::TokenId;
use crate::rules::logins::attempt::Step;
use crate::rules::logins::clocks::Clocks;
use crate::rules::logins::verdict::Verdict;

/// The error at a boot: the gateway returns whole seconds.
pub(super) const ROUNDING: Duration = Duration::from_secs(2);

/// A request that was really sent.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) at: Timestamp,
    pub(super) step: Step,
    pub(super) number: usize,
    pub(super) credentials: u8,
    /// `None` if the outcome was never recorded.
    pub(super) outcome: Option<Result<(), Kind>>,
}

impl Request {
    pub(super) fn opens(&self) -> bool {
        matches!(self.step, Step::Login | Step::Code)
    }

    pub(super) fn counts_as_login(&self) -> bool {
        self.opens() && matches!(self.outcome, None | Some(Ok(())))
    }

    pub(super) fn may_have_opened_session(&self) -> bool {
        self.opens() && matches!(self.outcome, None | Some(Ok(()) | Err(Kind::Unclear)))
    }

    pub(super) fn leads_to_other_endpoint(&self) -> bool {
        self.step == Step::Token && self.outcome == Some(Err(Kind::Unexpected))
    }
}

/// The true history: what was sent, refused and accepted when, in true time.
#[derive(Debug)]
pub(super) struct Truth {
    pub(super) wrong_clock: WrongClock,
    pub(super) requests: Vec<Request>,
    /// The end of the hold-off after the failures since the last success.
    pub(super) hold_until: Timestamp,
    /// The refused credentials, and the kind of refusal.
    pub(super) refused: Vec<(u8, Kind)>,
    /// The times at which the gateway refused each token while the clocks agreed.
    pub(super) refusals: BTreeMap<TokenId, Vec<Timestamp>>,
    /// Acceptances that are not on disk: process, token, time.
    pub(super) unwritten: Vec<(usize, TokenId, Timestamp)>,
    /// The last verdict on each token that each process received.
    pub(super) last_verdicts: BTreeMap<(usize, TokenId), Verdict>,
    /// The time at which the last token for each serial number was stored.
    pub(super) arrived_at: [Option<Timestamp>; SERIALS],
    /// The number of requests in the record for each serial number.
    pub(super) began_for: [u32; SERIALS],
    /// The place in which each serial number was seen last.
    pub(super) last_seen: [Option<usize>; SERIALS],
    /// The time at which the record was created.
    pub(super) born: Timestamp,
    /// The difference between the true age of the record and its own at the last check.
    pub(super) behind: Duration,
    /// The time at which a record was last damaged.
    pub(super) damaged: Timestamp,
    /// The largest error of the record's age from the boots since it was created.
    pub(super) slack: Duration,
    /// Counts that reveal a search in which nothing was checked.
    pub(super) coverage: Coverage,
}

impl Truth {
    pub(super) fn new(world: &World) -> Self {
        Self {
            wrong_clock: world.wrong_clock,
            requests: Vec::new(),
            hold_until: world.now,
            refused: Vec::new(),
            refusals: BTreeMap::new(),
            unwritten: Vec::new(),
            last_verdicts: BTreeMap::new(),
            arrived_at: Default::default(),
            began_for: Default::default(),
            last_seen: Default::default(),
            born: world.now,
            behind: Duration::ZERO,
            damaged: world.now,
            slack: Duration::ZERO,
            coverage: Coverage::default(),
        }
    }

    pub(super) fn knows_time(&self) -> bool {
        self.wrong_clock != WrongClock::Both
    }

    pub(super) fn record_began(&mut self, world: &World) {
        (self.born, self.behind, self.slack) = (world.now, Duration::ZERO, Duration::ZERO);
    }

    /// Records that the content of the record is lost, which counts as a login.
    pub(super) fn record_was_damaged(&mut self, world: &World) {
        self.forget(world);
        self.record_began(world);
        self.requests.retain(|request| since(request.at, world.now) < DAY);
        let (at, step) = (world.now, Step::Login);
        self.requests.push(Request { at, step, number: 0, credentials: u8::MAX, outcome: None });
    }

    /// Records that a person removed the record. A waiting command may not learn of a token that arrived meanwhile.
    pub(super) fn record_was_removed(&mut self) {
        self.arrived_at = Default::default();
    }

    /// Records that the record was removed while no process had it in memory.
    pub(super) fn record_was_lost(&mut self, world: &World) {
        self.forget(world);
        self.requests.clear();
    }

    /// Clears the history that was only in the record.
    fn forget(&mut self, world: &World) {
        self.hold_until = world.now;
        self.damaged = world.now;
        self.refused.clear();
        self.refusals.clear();
        self.arrived_at = Default::default();
        self.began_for = Default::default();
    }

    pub(super) fn process_ended(&mut self, which: usize) {
        self.unwritten.retain(|(whose, ..)| *whose != which);
        self.last_verdicts.retain(|(whose, _), _| *whose != which);
    }

    pub(super) fn gateway_said(&mut self, which: usize, token: &TokenId, verdict: Verdict) {
        self.last_verdicts.insert((which, token.clone()), verdict);
    }

    /// Records that a serial number was seen in a place, and stored.
    pub(super) fn seen(&mut self, number: usize, place: usize) {
        self.last_seen[number] = Some(place);
    }

    pub(super) fn rebooted(&mut self, world: &World) {
        self.slack += ROUNDING;
        if world.wrong_clock == WrongClock::Machine {
            self.slack += world.gateways_differ_by();
        }
    }

    pub(super) fn began(&mut self, step: Step, goal: &Goal, credentials: u8, world: &World) {
        let number = goal.number;
        self.requests.push(Request { at: world.now, step, number, credentials, outcome: None });
        self.began_for[number] += 1;
    }

    pub(super) fn succeeded(&mut self, world: &World) {
        self.hold_until = world.now;
        let Some(last) = self.requests.last_mut() else { return };
        last.outcome = Some(Ok(()));
        let (opens, step, number) = (last.opens(), last.step, last.number);
        if opens {
            self.refused.clear();
            self.coverage.codes += u64::from(step == Step::Code);
        } else {
            let login = self.requests.iter().rev().find(|request| request.counts_as_login());
            self.coverage.shared += u64::from(login.is_some_and(|login| login.number != number));
            self.arrived_at[number] = Some(world.now);
        }
    }

    pub(super) fn failed(&mut self, failure: &Failure, world: &World) {
        let kind = failure.kind;
        let Some(last) = self.requests.last_mut() else { return };
        last.outcome = Some(Err(kind));
        if matches!(kind, Kind::WrongCredentials | Kind::SecondFactor) {
            self.refused.push((last.credentials, kind));
            return;
        }
        // The other endpoint is next, or the code may be entered again.
        if last.leads_to_other_endpoint() || kind == Kind::WrongCode {
            return;
        }
        let in_row =
            |request: &&Request| matches!(request.outcome, Some(Err(other)) if other.row() == kind.row());
        let ended = self.requests.iter().rev().filter(|request| !request.leads_to_other_endpoint());
        let row = ended.take_while(in_row).count();
        let row = u32::try_from(row.min(40)).unwrap();
        let table = match kind {
            Kind::TooManySessions => doubling(DAY, 3 * DAY, row),
            Kind::Blocked => DAY,
            _ => doubling(5 * MINUTE, 6 * HOUR, row),
        };
        let asked = match failure.retry_after {
            Some(RetryAfter::Wait(length)) => length.min(30 * DAY),
            _ => Duration::ZERO,
        };
        self.hold_until = self.hold_until.max(world.now + table.max(asked));
    }

    /// Records a refusal, which counts only if the gateway's clock, if it has one, is within ten minutes of ours.
    pub(super) fn gateway_refused(&mut self, token: &TokenId, clocks: &Clocks, world: &World) {
        let apart = clocks.gateway.map(|gateway| gateway.duration_since(clocks.moment.wall).abs());
        if apart.is_none_or(|apart| apart <= SignedDuration::from_mins(10)) {
            self.refusals.entry(token.clone()).or_default().push(world.now);
        }
    }

    /// Records an acceptance; `unwritten` is the only process that knows of it, if it could not be stored.
    pub(super) fn gateway_accepted(&mut self, token: &TokenId, unwritten: Option<usize>, world: &World) {
        if let Some(which) = unwritten {
            self.unwritten.push((which, token.clone(), world.now));
        } else {
            self.refusals.remove(token);
            self.unwritten.retain(|(_, accepted, _)| accepted != token);
        }
    }
}

/// Returns the time from `earlier` to `later`, or zero if `later` comes first.
pub(super) fn since(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier)).unwrap_or_default()
}
