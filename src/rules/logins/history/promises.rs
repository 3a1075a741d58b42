//! What is promised, checked in true time and without a look at what the record thinks of it.
//!
//! What the promises take for granted, because nobody could know better:
//!
//! - One of the two clocks is right to five minutes, or both are ([`Liar`]). Where both may show anything, only
//!   the promises that have nothing to do with time are checked.
//! - What was in a record that the disk has damaged is lost: the hold-offs and refusals of before. It counts
//!   as a login made when the damage is seen, so that one login a day stays the most.
//! - A login whose answer was lost on the way may have opened a session. It is tried again after 5 minutes,
//!   doubling, as L6 says of what is transient, but no more than three may have opened one in 24 hours.
//! - The clocks of two gateways may differ by ten minutes. After a boot the record may take one for the other.
//! - A success ends the hold-offs before it.
//! - A person who removes the record or the token files while no process remembers them starts anew: what was in them
//!   is not known to anybody.
//! - An acceptance that could not be written down is known to its process alone, until that ends.
//! - A gateway that says no to a good token twice, five minutes apart, has refused it; nobody can know better.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::process::{Attempt, Wish};
use super::world::{DAY, HOUR, Liar, MINUTE, SERIALS, World};
use crate::base::backoff::doubling;
use crate::io::cloud::answer::{Failure, Kind, RetryAfter};
use crate::io::token::TokenId;
use crate::io::token::store::{Kept, Tokens};
use crate::rules::logins::age::{AGREEMENT, Age, Sight};
use crate::rules::logins::attempt::Step;
use crate::rules::logins::decision::{Decision, Waiting};
use crate::rules::logins::record::Record;
use crate::rules::logins::situation::{Operator, TokenFacts};
use crate::rules::logins::verdict::Verdict;

/// The gateway tells whole seconds: so much may be lost or won at a boot.
const ROUNDING: Duration = Duration::from_secs(2);

/// One request, as it really went.
#[derive(Clone, Debug)]
struct Request {
    at: Timestamp,
    step: Step,
    number: usize,
    credentials: u8,
    /// `None`: it was never written down.
    outcome: Option<Result<(), Kind>>,
}

impl Request {
    fn opens(&self) -> bool {
        matches!(self.step, Step::Login | Step::Code)
    }

    fn counts_as_login(&self) -> bool {
        self.opens() && matches!(self.outcome, None | Some(Ok(())))
    }

    fn may_have_opened(&self) -> bool {
        self.opens() && matches!(self.outcome, None | Some(Ok(()) | Err(Kind::Unclear)))
    }

    fn leads_to_other_way(&self) -> bool {
        self.step == Step::Token && self.outcome == Some(Err(Kind::Unexpected))
    }
}

/// How often something was judged.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Judged {
    pub(super) logins: u64,
    pub(super) waits: u64,
    /// Tokens of another gateway than the one that the login was for.
    pub(super) shared: u64,
    /// Requests by the other way to a token.
    pub(super) otherwise: u64,
    /// Sessions that a code opened.
    pub(super) codes: u64,
    /// Waits because three logins may have opened a session.
    pub(super) unclear: u64,
    /// Gateways that were asked about a token that had expired by the clock.
    pub(super) asked_first: u64,
    /// Requests that a person asked for.
    pub(super) wished: u64,
    /// Gateways whose first request was judged beside others.
    pub(super) strangers: u64,
    /// Tokens that were written again from memory.
    pub(super) restored: u64,
    /// Stops during a request.
    pub(super) stops: u64,
}

impl Judged {
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            logins: self.logins + other.logins,
            waits: self.waits + other.waits,
            shared: self.shared + other.shared,
            otherwise: self.otherwise + other.otherwise,
            codes: self.codes + other.codes,
            unclear: self.unclear + other.unclear,
            asked_first: self.asked_first + other.asked_first,
            wished: self.wished + other.wished,
            strangers: self.strangers + other.strangers,
            restored: self.restored + other.restored,
            stops: self.stops + other.stops,
        }
    }
}

/// What has really happened.
#[derive(Debug)]
pub(super) struct Promises {
    liar: Liar,
    requests: Vec<Request>,
    /// Nothing may be asked before, by the failures since the last success.
    hold_until: Timestamp,
    /// Credentials that were refused, and as what.
    refused: Vec<(u8, Kind)>,
    /// When the gateway refused which token while the clocks agreed.
    refusals: BTreeMap<TokenId, Vec<Timestamp>>,
    /// Acceptances that are not on disk: whose process, which token, when.
    unwritten: Vec<(usize, TokenId, Timestamp)>,
    /// What each process heard last of each token.
    heard: BTreeMap<(usize, TokenId), Verdict>,
    /// When a token came last for each serial number, and was written down.
    came: [Option<Timestamp>; SERIALS],
    /// How many requests the record holds for each serial number.
    began_for: [u32; SERIALS],
    /// Where each serial number was seen last.
    last_seen: [Option<usize>; SERIALS],
    /// When the record was begun, for its age.
    born: Timestamp,
    /// By how much its age was behind when it was last looked at, and during which boot.
    behind: Duration,
    /// When a record was damaged last.
    damaged: Timestamp,
    /// What the clocks may have lost or won at the boots that the record has lived through.
    slack: Duration,
    /// What was judged, so that a search that finds nothing is seen.
    pub(super) judged: Judged,
}

impl Promises {
    pub(super) fn new(world: &World) -> Self {
        Self {
            liar: world.liar,
            requests: Vec::new(),
            hold_until: world.now,
            refused: Vec::new(),
            refusals: BTreeMap::new(),
            unwritten: Vec::new(),
            heard: BTreeMap::new(),
            came: Default::default(),
            began_for: Default::default(),
            last_seen: Default::default(),
            born: world.now,
            behind: Duration::ZERO,
            damaged: world.now,
            slack: Duration::ZERO,
            judged: Judged::default(),
        }
    }

    fn knows_time(&self) -> bool {
        self.liar != Liar::Both
    }

    // What happens.

    pub(super) fn record_began(&mut self, world: &World) {
        (self.born, self.behind, self.slack) = (world.now, Duration::ZERO, Duration::ZERO);
    }

    /// What the record held is lost, and it counts as a login.
    pub(super) fn record_was_damaged(&mut self, world: &World) {
        self.forget(world);
        self.record_began(world);
        self.requests.retain(|request| since(request.at, world.now) < DAY);
        let (at, step) = (world.now, Step::Login);
        self.requests.push(Request { at, step, number: 0, credentials: u8::MAX, outcome: None });
    }

    /// A person removes the record: a command that waits then may not learn that a token came meanwhile.
    pub(super) fn record_was_removed(&mut self) {
        self.came = Default::default();
    }

    /// The record was removed, and no process remembers it.
    pub(super) fn record_was_lost(&mut self, world: &World) {
        self.forget(world);
        self.requests.clear();
    }

    /// What was written down is not known to anybody.
    fn forget(&mut self, world: &World) {
        self.hold_until = world.now;
        self.damaged = world.now;
        self.refused.clear();
        self.refusals.clear();
        self.came = Default::default();
        self.began_for = Default::default();
    }

    pub(super) fn process_ended(&mut self, which: usize) {
        self.unwritten.retain(|(whose, ..)| *whose != which);
        self.heard.retain(|(whose, _), _| *whose != which);
    }

    pub(super) fn gateway_said(&mut self, which: usize, token: &TokenId, verdict: Verdict) {
        self.heard.insert((which, token.clone()), verdict);
    }

    /// A serial number was seen at a place, and the disk has it.
    pub(super) fn seen(&mut self, number: usize, place: usize) {
        self.last_seen[number] = Some(place);
    }

    pub(super) fn rebooted(&mut self, world: &World) {
        self.slack += ROUNDING;
        if world.liar == Liar::Machine {
            self.slack += world.gateways_differ_by();
        }
    }

    pub(super) fn began(&mut self, step: Step, wish: &Wish, credentials: u8, world: &World) {
        let number = wish.number;
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
            self.judged.codes += u64::from(step == Step::Code);
        } else {
            let login = self.requests.iter().rev().find(|request| request.counts_as_login());
            self.judged.shared += u64::from(login.is_some_and(|login| login.number != number));
            self.came[number] = Some(world.now);
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
        // The other way is next, and the code may be typed again.
        if last.leads_to_other_way() || kind == Kind::WrongCode {
            return;
        }
        let in_row =
            |request: &&Request| matches!(request.outcome, Some(Err(other)) if other.row() == kind.row());
        let ended = self.requests.iter().rev().filter(|request| !request.leads_to_other_way());
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

    /// A refusal is one only while the gateway's clock is within ten minutes of ours, if it has one.
    pub(super) fn gateway_refused(&mut self, token: &TokenId, sight: &Sight, world: &World) {
        let apart = sight.gateway.map(|gateway| gateway.duration_since(sight.moment.wall).abs());
        if apart.is_none_or(|apart| apart <= SignedDuration::from_mins(10)) {
            self.refusals.entry(token.clone()).or_default().push(world.now);
        }
    }

    /// A gateway accepts a token; `unwritten` is the process that alone knows of it.
    pub(super) fn gateway_accepted(&mut self, token: &TokenId, unwritten: Option<usize>, world: &World) {
        if let Some(which) = unwritten {
            self.unwritten.push((which, token.clone(), world.now));
        } else {
            self.refusals.remove(token);
            self.unwritten.retain(|(_, accepted, _)| accepted != token);
        }
    }

    // What is promised.

    /// A request never leaves without being on disk.
    pub(super) fn no_request_without_a_record(step: Step, on_disk: Option<&Record>) {
        let last = on_disk.and_then(|record| record.attempts.last());
        let written = last.is_some_and(|last| last.step == step && last.outcome.is_none());
        assert!(written, "a request leaves and is not on disk: {last:?}");
    }

    /// After a stop no request of its process is without an outcome.
    pub(super) fn no_request_is_cut_off_by_a_stop(on_disk: Option<&Record>) {
        let last = on_disk.and_then(|record| record.attempts.last());
        assert!(last.is_some_and(|last| last.outcome.is_some()), "a stop cut off {last:?}");
    }

    /// A request that leaves keeps every promise; `tokens` are those that its process knows of.
    pub(super) fn judge(
        &mut self,
        which: usize,
        attempt: &Attempt,
        tokens: &Tokens,
        renews_short: bool,
        world: &World,
    ) {
        let Attempt { wish, step, credentials, .. } = attempt;
        match wish.operator {
            Operator::Absent => {
                self.by_itself(which, wish, *step, *credentials, tokens, renews_short, world);
            }
            Operator::Asks | Operator::Insists => self.by_a_person(wish, *step, tokens, world),
        }
    }
    #[expect(clippy::too_many_arguments, reason = "everything that is judged")]
    fn by_itself(
        &mut self,
        which: usize,
        wish: &Wish,
        step: Step,
        credentials: u8,
        tokens: &Tokens,
        renews_short: bool,
        world: &World,
    ) {
        self.judged.logins += u64::from(step == Step::Login);
        self.judged.otherwise += u64::from(step == Step::OtherToken);
        // The last is this one.
        let before = self.requests.split_last().map(|(_, before)| before.to_vec()).unwrap_or_default();
        self.no_request_with_refused_credentials(step, credentials);
        assert_ne!(step, Step::Code, "only a person types a code");
        Self::the_other_way_is_taken_only_after_a_riddle(step, &before);
        Self::no_short_token_is_renewed_by_itself(renews_short, tokens);
        self.no_second_serial_number_at_a_place(wish, tokens, world);
        self.no_request_while_a_token_is_accepted(which, tokens, world);
        if self.knows_time() {
            self.no_request_while_a_token_is_good(which, tokens, world);
        }
        self.within_the_ceilings(step, &before, world);
    }

    /// No request for a token that its process knows to be accepted, but for a renewal that every clock agrees on.
    fn no_request_while_a_token_is_accepted(&self, which: usize, tokens: &Tokens, world: &World) {
        for kept in stored(tokens) {
            let facts = TokenFacts::new(&kept.token, kept.stored_at);
            let is_due = facts.is_long_lived && world.now + 5 * MINUTE >= facts.renewal_opens();
            let heard = self.heard.get(&(which, facts.id.clone()));
            let accepted = heard == Some(&Verdict::Accepted) && (self.knows_time() || !facts.is_long_lived);
            assert!(is_due || !accepted, "a request while a token is accepted: {facts:?}");
        }
    }

    /// Nor while its process knows another one that is accepted, in whose place somebody has put a useless one.
    pub(super) fn no_request_while_another_is_accepted(
        &self,
        which: usize,
        attempt: &Attempt,
        before: &Kept,
        world: &World,
    ) {
        if attempt.wish.operator == Operator::Absent {
            let known = Tokens { current: Some(before.clone()), candidate: None };
            self.no_request_while_a_token_is_accepted(which, &known, world);
        }
    }

    /// A person is obeyed, but not for what came while he waited (L5).
    fn by_a_person(&mut self, wish: &Wish, step: Step, tokens: &Tokens, world: &World) {
        self.judged.wished += 1;
        let before = self.requests.split_last().map(|(_, before)| before.to_vec()).unwrap_or_default();
        let Some(asked) = wish.asked else { return };
        let came = self.came[wish.number].is_some_and(|came| came > asked);
        assert!(!came || *tokens == Tokens::default(), "a token came while he waited: {:?}", self.came);
        let is_news = |request: &Request| request.opens() && request.at > asked;
        if wish.operator == Operator::Asks || step == Step::Login && before.iter().any(is_news) {
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

    /// No first request for a serial number where another one is known, without a person.
    fn no_second_serial_number_at_a_place(&mut self, wish: &Wish, tokens: &Tokens, world: &World) {
        let is_known = |number: usize| self.began_for[number] > 0 || world.disk.tokens[number].is_some();
        // This one is the first.
        if self.began_for[wish.number] > 1 || *tokens != Tokens::default() {
            return;
        }
        let here = |number: &usize| world.by_mdns || self.last_seen[*number] == Some(wish.gateway);
        let others: Vec<usize> =
            (0..SERIALS).filter(|number| *number != wish.number && is_known(*number)).collect();
        self.judged.strangers += u64::from(!others.is_empty());
        let known = others.iter().find(|number| here(number));
        assert!(known.is_none(), "a login for {} where {known:?} is known", wish.number);
    }

    /// The other way to a token is for an answer that nobody has seen, on the session of that request.
    fn the_other_way_is_taken_only_after_a_riddle(step: Step, before: &[Request]) {
        let led = before.last().is_some_and(Request::leads_to_other_way);
        assert!(step != Step::OtherToken || led, "the other way after {:?}", before.last());
    }

    /// At most three logins in 24 hours may have opened a session, seen or not.
    fn three_sessions_a_day(&self, before: &[Request], world: &World) {
        let day = DAY.saturating_sub(self.slack);
        let recent = |request: &&Request| request.may_have_opened() && since(request.at, world.now) < day;
        let logins: Vec<&Request> = before.iter().filter(recent).collect();
        assert!(logins.len() < 3, "a fourth session in a day, perhaps: {logins:?}");
    }

    /// After wrong credentials nothing is tried by itself until they change; nor after a second factor.
    fn no_request_with_refused_credentials(&self, step: Step, credentials: u8) {
        let refused = self.refused.iter().find(|(refused, _)| *refused == credentials);
        assert!(step != Step::Login || refused.is_none(), "a login with {refused:?}");
    }

    /// L8.
    fn no_short_token_is_renewed_by_itself(renews_short: bool, tokens: &Tokens) {
        let mut stored = stored(tokens).peekable();
        let short = stored.peek().is_some() && stored.all(|kept| !kept.token.is_long_lived());
        assert!(renews_short || !short, "a short token is renewed");
    }

    /// No request while a stored token is valid, the gateway has not clearly refused it (twice, at least five
    /// minutes apart, while the clocks agree), and it is outside its renewal window. A clock that is right to
    /// five minutes may be wrong by so much.
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

    /// Never two within the hold-off of the first's outcome.
    fn no_request_within_a_hold_off(&self, world: &World) {
        let left = since(world.now, self.hold_until);
        assert!(left <= self.slack, "a request {left:?} too early");
    }

    /// At most one login (success, or an end that nobody saw) in 24 hours.
    fn one_login_a_day(&self, before: &[Request], world: &World) {
        let last = before.iter().rev().find(|request| request.counts_as_login());
        let early = last.map(|last| DAY.saturating_sub(since(last.at, world.now)));
        assert!(early.unwrap_or_default() <= self.slack, "two logins in a day: {last:?}");
    }

    /// At most three in 30 days.
    fn three_logins_a_month(&self, before: &[Request], world: &World) {
        let month = (30 * DAY).saturating_sub(self.slack);
        let recent = |request: &&Request| {
            let known = request.at >= self.damaged;
            known && request.counts_as_login() && since(request.at, world.now) < month
        };
        let logins: Vec<&Request> = before.iter().filter(recent).collect();
        assert!(logins.len() < 3, "a fourth login in a month: {logins:?}");
    }

    /// The record's age never runs ahead of the truth, so that no hold-off opens early by a jump of a clock;
    /// and falls behind only at a boot, so that none is prolonged by a jump while the machine runs, and at a
    /// boot with honest clocks seen before and after (`certain`) not at all.
    pub(super) fn no_jump_of_a_clock_counts(
        &mut self,
        record: &Record,
        seen: &Sight,
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
            // Of two that nearly agree the slower is believed.
            let slower = if self.liar == Liar::Nobody { world.gateways_differ_by() } else { AGREEMENT };
            let lost = ROUNDING + slower;
            assert!(behind <= self.behind + lost, "{behind:?} behind, before {:?}", self.behind);
        }
        self.behind = behind;
    }

    /// What is waited for ends when the table says, prolonged by nothing but what the record's age is behind.
    pub(super) fn no_wait_outlives_its_length(&mut self, decision: &Decision, world: &World) {
        let Decision::Wait { left: Some(left), why, .. } = decision else { return };
        if !self.knows_time() {
            return;
        }
        self.judged.waits += 1;
        self.judged.unclear += u64::from(*why == Waiting::ThriceUnclear);
        let counted = |nth: usize, length: Duration| {
            let mut logins = self.requests.iter().rev().filter(|request| request.counts_as_login());
            logins.nth(nth).map(|login| login.at + length)
        };
        let latest_login = self.requests.iter().rev().find(|request| request.opens());
        let mut unclear = self.requests.iter().rev().filter(|request| request.may_have_opened());
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

    /// A stored token is lost only when the operator forgets it or removes its files, when the gateway has accepted
    /// another in its place, when it was refused clearly beside a good one, or, while the gateway has not seen it yet,
    /// when a newer comes.
    pub(super) fn no_token_is_lost(before: Option<&Tokens>, after: Option<&Tokens>, event: TokenEvent) {
        // Files that were gone are written again from memory.
        let Some(before) = before else { return };
        let Some(after) = after else {
            assert!(
                matches!(event, TokenEvent::Removed | TokenEvent::Forgotten),
                "the files are gone: {event:?}"
            );
            return;
        };
        let id = |kept: &Option<Kept>| kept.as_ref().map(|kept| kept.token.id());
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

/// What has happened to the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenEvent {
    Nothing,
    Arrived,
    Accepted,
    Dropped,
    Forgotten,
    /// A person has removed the files, or put others in their place.
    Removed,
    /// The files were written again from memory.
    Restored,
    /// The disk did not take it.
    Unwritten,
}

fn stored(tokens: &Tokens) -> impl Iterator<Item = &Kept> {
    tokens.candidate.iter().chain(&tokens.current)
}

/// From `earlier` to `later`; nothing if that comes first.
fn since(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier)).unwrap_or_default()
}
