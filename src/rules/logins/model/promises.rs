//! The login promise as checks in true time, independent of the record.
//!
//! The checks assume:
//!
//! - One of the two clocks is correct to five minutes, or both are ([`WrongClock`]). If both are wrong, only the
//!   promises that do not depend on time are checked.
//! - The hold-offs and refusals in a damaged record are lost. The damage counts as a login made when it is noticed,
//!   so there is still at most one login a day.
//! - A login whose response was lost may have opened a session. It is retried after 5 minutes, doubling, as L6 says of
//!   transient failures, but at most three in 24 hours may have opened a session.
//! - The clocks of two gateways may differ by ten minutes. After a boot, the record may mistake one for the other.
//! - A success ends the earlier hold-offs.
//! - If a person removes the record or the token files while no process has them in memory, their content is lost.
//! - An acceptance that could not be written is known only to its process, until that ends.
//! - A gateway that refuses a good token twice, five minutes apart, has refused it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::process::{Attempt, Goal};
use super::world::{DAY, HOUR, MINUTE, SERIALS, World, WrongClock};
use crate::base::backoff::doubling;
use crate::io::cloud::{Failure, Kind, RetryAfter};
use crate::io::token::TokenId;
use crate::io::token::store::{StoredToken, Tokens};
use crate::rules::logins::attempt::Step;
use crate::rules::logins::clocks::{AGREEMENT, Age, Clocks};
use crate::rules::logins::decision::{Decision, Waiting};
use crate::rules::logins::record::Record;
use crate::rules::logins::situation::{Operator, TokenFacts};
use crate::rules::logins::verdict::Verdict;

/// The error at a boot: the gateway returns whole seconds.
const ROUNDING: Duration = Duration::from_secs(2);

/// A request that was really sent.
#[derive(Clone, Debug)]
struct Request {
    at: Timestamp,
    step: Step,
    number: usize,
    credentials: u8,
    /// `None` if the outcome was never recorded.
    outcome: Option<Result<(), Kind>>,
}

impl Request {
    fn opens(&self) -> bool {
        matches!(self.step, Step::Login | Step::Code)
    }

    fn counts_as_login(&self) -> bool {
        self.opens() && matches!(self.outcome, None | Some(Ok(())))
    }

    fn may_have_opened_session(&self) -> bool {
        self.opens() && matches!(self.outcome, None | Some(Ok(()) | Err(Kind::Unclear)))
    }

    fn leads_to_other_endpoint(&self) -> bool {
        self.step == Step::Token && self.outcome == Some(Err(Kind::Unexpected))
    }
}

/// Counts of how often each case was checked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Coverage {
    pub(super) logins: u64,
    pub(super) waits: u64,
    /// Tokens for another gateway than the one that the login was for.
    pub(super) shared: u64,
    /// Requests at the other token endpoint.
    pub(super) other_endpoint: u64,
    /// Sessions opened by a code.
    pub(super) codes: u64,
    /// Waits because three logins may have opened a session.
    pub(super) unclear: u64,
    /// Tokens expired by the clock that the gateway was asked about.
    pub(super) asked_first: u64,
    /// Requests on behalf of the operator.
    pub(super) requested: u64,
    /// First requests for a gateway while others were known.
    pub(super) newcomers: u64,
    /// Tokens that were written again from memory.
    pub(super) restored: u64,
    /// Stops during a request.
    pub(super) stops: u64,
}

impl Coverage {
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            logins: self.logins + other.logins,
            waits: self.waits + other.waits,
            shared: self.shared + other.shared,
            other_endpoint: self.other_endpoint + other.other_endpoint,
            codes: self.codes + other.codes,
            unclear: self.unclear + other.unclear,
            asked_first: self.asked_first + other.asked_first,
            requested: self.requested + other.requested,
            newcomers: self.newcomers + other.newcomers,
            restored: self.restored + other.restored,
            stops: self.stops + other.stops,
        }
    }
}

/// The true history, with a check for each promise.
#[derive(Debug)]
pub(super) struct Promises {
    wrong_clock: WrongClock,
    requests: Vec<Request>,
    /// The end of the hold-off after the failures since the last success.
    hold_until: Timestamp,
    /// The refused credentials, and the kind of refusal.
    refused: Vec<(u8, Kind)>,
    /// The times at which the gateway refused each token while the clocks agreed.
    refusals: BTreeMap<TokenId, Vec<Timestamp>>,
    /// Acceptances that are not on disk: process, token, time.
    unwritten: Vec<(usize, TokenId, Timestamp)>,
    /// The last verdict on each token that each process received.
    last_verdicts: BTreeMap<(usize, TokenId), Verdict>,
    /// The time at which the last token for each serial number was stored.
    arrived_at: [Option<Timestamp>; SERIALS],
    /// The number of requests in the record for each serial number.
    began_for: [u32; SERIALS],
    /// The place in which each serial number was seen last.
    last_seen: [Option<usize>; SERIALS],
    /// The time at which the record was created.
    born: Timestamp,
    /// The difference between the true age of the record and its own at the last check.
    behind: Duration,
    /// The time at which a record was last damaged.
    damaged: Timestamp,
    /// The largest error of the record's age from the boots since it was created.
    slack: Duration,
    /// Counts that reveal a search in which nothing was checked.
    pub(super) coverage: Coverage,
}

impl Promises {
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

    fn knows_time(&self) -> bool {
        self.wrong_clock != WrongClock::Both
    }

    // Events.

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

    // Promises.

    /// Checks that a request is on disk before it is sent.
    pub(super) fn no_request_without_a_record(step: Step, on_disk: Option<&Record>) {
        let last = on_disk.and_then(|record| record.attempts.last());
        let written = last.is_some_and(|last| last.step == step && last.outcome.is_none());
        assert!(written, "a request leaves and is not on disk: {last:?}");
    }

    /// Checks that a stopped process leaves no request without an outcome.
    pub(super) fn no_request_is_cut_off_by_a_stop(on_disk: Option<&Record>) {
        let last = on_disk.and_then(|record| record.attempts.last());
        assert!(last.is_some_and(|last| last.outcome.is_some()), "a stop cut off {last:?}");
    }

    /// Checks every promise for a request; `tokens` are those known to its process.
    pub(super) fn judge(
        &mut self,
        which: usize,
        attempt: &Attempt,
        tokens: &Tokens,
        renews_short: bool,
        world: &World,
    ) {
        let Attempt { goal, step, credentials, .. } = attempt;
        match goal.operator {
            Operator::Absent => {
                self.by_itself(which, goal, *step, *credentials, tokens, renews_short, world);
            }
            Operator::Asks | Operator::Insists => self.by_a_person(goal, *step, tokens, world),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the checks need all of them")]
    fn by_itself(
        &mut self,
        which: usize,
        goal: &Goal,
        step: Step,
        credentials: u8,
        tokens: &Tokens,
        renews_short: bool,
        world: &World,
    ) {
        self.coverage.logins += u64::from(step == Step::Login);
        self.coverage.other_endpoint += u64::from(step == Step::OtherToken);
        // The last request is the current one.
        let before = self.requests.split_last().map(|(_, before)| before.to_vec()).unwrap_or_default();
        self.no_request_with_refused_credentials(step, credentials);
        assert_ne!(step, Step::Code, "only a person types a code");
        Self::the_other_endpoint_is_used_only_after_an_unknown_response(step, &before);
        Self::no_short_token_is_renewed_by_itself(renews_short, tokens);
        self.no_second_serial_number_at_a_place(goal, tokens, world);
        self.no_request_while_a_token_is_accepted(which, tokens, world);
        if self.knows_time() {
            self.no_request_while_a_token_is_good(which, tokens, world);
        }
        self.within_the_ceilings(step, &before, world);
    }

    /// Checks that no request is made while its process knows that a token is accepted, except for a renewal.
    fn no_request_while_a_token_is_accepted(&self, which: usize, tokens: &Tokens, world: &World) {
        for kept in stored(tokens) {
            let facts = TokenFacts::new(&kept.token, kept.stored_at);
            let is_due = facts.is_long_lived && world.now + 5 * MINUTE >= facts.renewal_opens();
            let verdict = self.last_verdicts.get(&(which, facts.id.clone()));
            let accepted = verdict == Some(&Verdict::Accepted) && (self.knows_time() || !facts.is_long_lived);
            assert!(is_due || !accepted, "a request while a token is accepted: {facts:?}");
        }
    }

    /// Checks the same for an accepted token whose file was replaced by one with a useless token.
    pub(super) fn no_request_while_another_is_accepted(
        &self,
        which: usize,
        attempt: &Attempt,
        before: &StoredToken,
        world: &World,
    ) {
        if attempt.goal.operator == Operator::Absent {
            let known = Tokens { current: Some(before.clone()), candidate: None };
            self.no_request_while_a_token_is_accepted(which, &known, world);
        }
    }

    /// Checks a request on behalf of the operator: no token may have arrived while the operator waited (L5).
    fn by_a_person(&mut self, goal: &Goal, step: Step, tokens: &Tokens, world: &World) {
        self.coverage.requested += 1;
        let before = self.requests.split_last().map(|(_, before)| before.to_vec()).unwrap_or_default();
        let Some(asked) = goal.asked else { return };
        let arrived = self.arrived_at[goal.number].is_some_and(|at| at > asked);
        assert!(!arrived || *tokens == Tokens::default(), "a token arrived meanwhile: {:?}", self.arrived_at);
        let is_news = |request: &Request| request.opens() && request.at > asked;
        if goal.operator == Operator::Asks || step == Step::Login && before.iter().any(is_news) {
            self.within_the_ceilings(step, &before, world);
        }
    }

    fn within_the_ceilings(&self, step: Step, before: &[Request], world: &World) {
        if !self.knows_time() {
            return;
        }
        self.no_request_within_a_hold_off(world);
        if step == Step::Login {
            self.one_login_a_day(before, world);
            self.three_logins_a_month(before, world);
            self.three_sessions_a_day(before, world);
        }
    }

    /// Checks that no automatic request is made for a new serial number in the place of a known one.
    fn no_second_serial_number_at_a_place(&mut self, goal: &Goal, tokens: &Tokens, world: &World) {
        let is_known = |number: usize| self.began_for[number] > 0 || world.disk.tokens[number].is_some();
        // The current request is counted already.
        if self.began_for[goal.number] > 1 || *tokens != Tokens::default() {
            return;
        }
        let here = |number: &usize| world.by_mdns || self.last_seen[*number] == Some(goal.gateway);
        let others: Vec<usize> =
            (0..SERIALS).filter(|number| *number != goal.number && is_known(*number)).collect();
        self.coverage.newcomers += u64::from(!others.is_empty());
        let known = others.iter().find(|number| here(number));
        assert!(known.is_none(), "a login for {} where {known:?} is known", goal.number);
    }

    /// Checks that the other token endpoint is used only directly after an unknown response from the first.
    fn the_other_endpoint_is_used_only_after_an_unknown_response(step: Step, before: &[Request]) {
        let is_next = before.last().is_some_and(Request::leads_to_other_endpoint);
        assert!(step != Step::OtherToken || is_next, "the other endpoint after {:?}", before.last());
    }

    /// Checks that at most three logins in 24 hours may have opened a session.
    fn three_sessions_a_day(&self, before: &[Request], world: &World) {
        let day = DAY.saturating_sub(self.slack);
        let recent =
            |request: &&Request| request.may_have_opened_session() && since(request.at, world.now) < day;
        let logins: Vec<&Request> = before.iter().filter(recent).collect();
        assert!(logins.len() < 3, "a fourth session in a day, perhaps: {logins:?}");
    }

    /// Checks that refused credentials, or ones that need a second factor, are not used again automatically.
    fn no_request_with_refused_credentials(&self, step: Step, credentials: u8) {
        let refused = self.refused.iter().find(|(refused, _)| *refused == credentials);
        assert!(step != Step::Login || refused.is_none(), "a login with {refused:?}");
    }

    /// Checks that short tokens are not renewed automatically unless configured (L8).
    fn no_short_token_is_renewed_by_itself(renews_short: bool, tokens: &Tokens) {
        let mut stored = stored(tokens).peekable();
        let short = stored.peek().is_some() && stored.all(|kept| !kept.token.is_long_lived());
        assert!(renews_short || !short, "a short token is renewed");
    }

    /// Checks that no request is made while a stored token is good.
    ///
    /// A token is good if it has not expired, is outside its renewal window, and was not refused twice, at least five
    /// minutes apart, while the clocks agreed. The clock may be wrong by five minutes.
    fn no_request_while_a_token_is_good(&self, which: usize, tokens: &Tokens, world: &World) {
        let soon = world.now + 5 * MINUTE;
        for kept in stored(tokens) {
            let facts = TokenFacts::new(&kept.token, kept.stored_at);
            let over = soon >= facts.expires_at || facts.is_long_lived && soon >= facts.renewal_opens();
            let accepted = self.unwritten.iter().rfind(|(whose, id, _)| *whose == which && *id == facts.id);
            let refusals = self.refusals.get(&facts.id).map(Vec::as_slice).unwrap_or_default();
            let mut refusals = refusals.iter().filter(|at| accepted.is_none_or(|(_, _, then)| *at > then));
            let refused = refusals
                .next()
                .zip(refusals.next_back())
                .is_some_and(|(first, last)| since(*first, *last) + self.slack >= 5 * MINUTE);
            assert!(over || refused, "a request while a token is good: {facts:?}");
        }
    }

    /// Checks that no request is made during a hold-off.
    fn no_request_within_a_hold_off(&self, world: &World) {
        let left = since(world.now, self.hold_until);
        assert!(left <= self.slack, "a request {left:?} too early");
    }

    /// Checks that at most one login in 24 hours succeeds or is interrupted.
    fn one_login_a_day(&self, before: &[Request], world: &World) {
        let last = before.iter().rev().find(|request| request.counts_as_login());
        let early = last.map(|last| DAY.saturating_sub(since(last.at, world.now)));
        assert!(early.unwrap_or_default() <= self.slack, "two logins in a day: {last:?}");
    }

    /// Checks that at most three logins in 30 days succeed or are interrupted.
    fn three_logins_a_month(&self, before: &[Request], world: &World) {
        let month = (30 * DAY).saturating_sub(self.slack);
        let recent = |request: &&Request| {
            let known = request.at >= self.damaged;
            known && request.counts_as_login() && since(request.at, world.now) < month
        };
        let logins: Vec<&Request> = before.iter().filter(recent).collect();
        assert!(logins.len() < 3, "a fourth login in a month: {logins:?}");
    }

    /// Checks that jumps of the clock do not change the record's age.
    ///
    /// The age is never ahead of the truth, so that no hold-off ends early. It falls behind only at a boot, so that no
    /// hold-off is extended while the machine runs. If correct clocks were seen before and after the boot (`certain`),
    /// it does not fall behind at all.
    pub(super) fn no_jump_of_a_clock_counts(
        &mut self,
        record: &Record,
        seen: &Clocks,
        certain: bool,
        world: &World,
    ) {
        if record.attempts.is_empty() || !self.knows_time() {
            return;
        }
        let truth = since(self.born, world.now);
        let age = record.age(seen).since(Age::default());
        assert!(age <= truth + self.slack, "the record is {age:?} old, in truth {truth:?}");
        let behind = truth.saturating_sub(age);
        if certain {
            // If two clocks nearly agree, the slower is trusted.
            let slower =
                if self.wrong_clock == WrongClock::Neither { world.gateways_differ_by() } else { AGREEMENT };
            let lost = ROUNDING + slower;
            assert!(behind <= self.behind + lost, "{behind:?} behind, before {:?}", self.behind);
        }
        self.behind = behind;
    }

    /// Checks that no wait is longer than its rule says, plus the amount that the record's age is behind.
    pub(super) fn no_wait_outlives_its_length(&mut self, decision: &Decision, world: &World) {
        let Decision::Wait { left: Some(left), why, .. } = decision else { return };
        if !self.knows_time() {
            return;
        }
        self.coverage.waits += 1;
        self.coverage.unclear += u64::from(*why == Waiting::ThriceUnclear);
        let counted = |nth: usize, length: Duration| {
            let mut logins = self.requests.iter().rev().filter(|request| request.counts_as_login());
            logins.nth(nth).map(|login| login.at + length)
        };
        let latest_login = self.requests.iter().rev().find(|request| request.opens());
        let mut unclear = self.requests.iter().rev().filter(|request| request.may_have_opened_session());
        let until = match why {
            Waiting::GatewaySilent | Waiting::GatewayNotAsked | Waiting::GatewayUnsure => None,
            Waiting::HoldOff(_) => {
                let length = since(self.requests.last().map_or(world.now, |last| last.at), self.hold_until);
                Some(self.hold_until + length.mul_f64(0.1))
            }
            Waiting::Interrupted => {
                let last = self.requests.last().map(|last| last.at + 5 * MINUTE);
                last.max(counted(0, DAY))
            }
            Waiting::OnceADay => latest_login.map(|login| login.at + DAY),
            Waiting::ThriceAMonth => counted(2, 30 * DAY),
            Waiting::ThriceUnclear => unclear.nth(2).map(|login| login.at + DAY),
        };
        let Some(until) = until else { panic!("waits for {why:?} without a reason") };
        let longest = since(world.now, until) + self.behind + HOUR;
        assert!(*left <= longest, "waits {left:?} for {why:?}, and {longest:?} is the most");
    }

    /// Checks that no stored token is lost without a good reason.
    ///
    /// The reasons are: the operator forgets it or removes its files, the gateway has accepted another in its place, it
    /// was refused twice and there is a good one, or a newer one arrives before the gateway has seen it.
    pub(super) fn no_token_is_lost(before: Option<&Tokens>, after: Option<&Tokens>, event: TokenEvent) {
        // Missing files are written again from memory.
        let Some(before) = before else { return };
        let Some(after) = after else {
            assert!(
                matches!(event, TokenEvent::Removed | TokenEvent::Forgotten),
                "the files are gone: {event:?}"
            );
            return;
        };
        let id = |kept: &Option<StoredToken>| kept.as_ref().map(|kept| kept.token.id());
        let (was, is) = (id(&before.current), id(&after.current));
        let accepted = event == TokenEvent::Accepted && is == id(&before.candidate);
        let by_a_person = matches!(event, TokenEvent::Forgotten | TokenEvent::Removed);
        let is_back = event == TokenEvent::Restored;
        assert!(was == is || accepted || by_a_person || is_back, "the token in use: {event:?}");
        let (was, is) = (id(&before.candidate), id(&after.candidate));
        assert!(was == is || event != TokenEvent::Nothing, "the candidate");
        assert!(is.is_some() || event != TokenEvent::Arrived || id(&after.current).is_some());
    }
}

/// A change of the stored tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenEvent {
    Nothing,
    Arrived,
    Accepted,
    Dropped,
    Forgotten,
    /// A person has removed or replaced the files.
    Removed,
    /// The files were written again from memory.
    Restored,
    /// The disk was not writable.
    Unwritten,
}

fn stored(tokens: &Tokens) -> impl Iterator<Item = &StoredToken> {
    tokens.candidate.iter().chain(&tokens.current)
}

/// Returns the time from `earlier` to `later`, or zero if `later` comes first.
fn since(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier)).unwrap_or_default()
}
