//! Two daemons on one state directory, and the commands of the operator. The steps of `token_provider` and `poller` are
//! separate, so that other events can happen between them.

use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;

use super::process::{Answer, Attempt, DAEMONS, Goal, Process};
use super::promises::{self, TokenEvent};
use super::truth::Truth;
use super::world::{SERIALS, World};
use crate::io::token::Token;
use crate::io::token::store::{Origin, Tokens};
use crate::rules::logins::attempt::{Reason, Step};
use crate::rules::logins::clocks::Clocks;
use crate::rules::logins::decision::{Decision, decide};
use crate::rules::logins::limits::Waiting;
use crate::rules::logins::need::{Weight, weight};
use crate::rules::logins::newcomer::{Seen, is_newcomer};
use crate::rules::logins::record::Record;
use crate::rules::logins::second_factor;
use crate::rules::logins::situation::{Account, Operator, Situation, TokenFacts};
use crate::rules::logins::verdict::Verdict;

/// The daemons and the commands, the world around them, and the true history.
#[derive(Debug)]
pub(super) struct Daemons {
    pub(super) world: World,
    pub(super) truth: Truth,
    /// The daemons, followed by the running commands.
    pub(super) processes: Vec<Process>,
    renews_short: bool,
    /// A cache of the token properties, because computing them is slow.
    facts: [(Rc<Tokens>, Vec<TokenFacts>); SERIALS],
    /// The gateway and correct clocks were seen when the record was last written, and since.
    certain: bool,
}

impl Daemons {
    pub(super) fn new(mut world: World) -> Self {
        let truth = Truth::new(&world);
        let renews_short = world.rng.u8(..4) == 0;
        let processes = (0..DAEMONS).map(|_| Process::default()).collect();
        Self { world, truth, processes, renews_short, facts: Default::default(), certain: false }
    }

    /// Returns `true` while an attempt is in progress: its process holds the lock.
    pub(super) fn is_locked(&self) -> bool {
        self.processes.iter().any(|process| process.attempt.is_some())
    }

    /// Reads the record as `token_provider` does. Returns `None` if a damaged record cannot be replaced.
    fn read(&mut self, which: usize, clocks: &Clocks) -> Option<Rc<Record>> {
        let disk = &mut self.world.disk;
        if disk.is_damaged {
            (disk.record, disk.aside, disk.is_damaged) = (None, true, false);
        }
        let record = match &disk.record {
            Some(record) => Rc::clone(record),
            None if disk.aside => {
                let record = Record::after_damage(&World::serial(0), clocks);
                if !disk.write(&record) {
                    return None;
                }
                self.certain = self.sees_truth(clocks);
                self.truth.record_was_damaged(&self.world);
                Rc::new(record)
            }
            None => {
                // The next poll of any daemon, seconds later, writes it again.
                let known = self.processes.iter().filter_map(|process| process.record.clone());
                let known = known.max_by_key(|record| record.age(clocks));
                let Some(record) = known else {
                    self.truth.record_was_lost(&self.world);
                    return Some(Rc::new(Record::new(clocks)));
                };
                if !self.is_locked() {
                    self.world.disk.write(&record);
                }
                record
            }
        };
        self.processes[which].record = Some(Rc::clone(&record));
        Some(record)
    }

    fn write(&mut self, which: usize, record: &Record, clocks: &Clocks) -> bool {
        let is_first = self.world.disk.record.is_none() && self.processes[which].record.is_none();
        self.certain &= self.sees_truth(clocks);
        let written = self.world.disk.write(record);
        if written {
            self.processes[which].record.clone_from(&self.world.disk.record);
            if is_first {
                self.truth.record_began(&self.world);
            }
            if !self.certain {
                promises::no_jump_of_a_clock_counts(&mut self.truth, record, clocks, false, &self.world);
            }
            self.certain = self.sees_truth(clocks);
        }
        written
    }

    fn sees_truth(&self, clocks: &Clocks) -> bool {
        let right =
            |time: Timestamp| time.duration_since(self.world.now).abs() < jiff::SignedDuration::from_mins(6);
        right(clocks.moment.wall) && clocks.gateway.is_some_and(right)
    }

    /// Reads the stored tokens as `token_provider` does: from memory if the files are gone.
    fn tokens(&mut self, which: usize, number: usize, is_locked: bool) -> Rc<Tokens> {
        let process = &mut self.processes[which];
        match (&self.world.disk.tokens[number], &process.tokens[number]) {
            (Some(stored), _) => {
                process.remember(number, stored);
                Rc::clone(stored)
            }
            (None, _) if self.world.disk.is_forgotten[number] => {
                (process.tokens[number], process.before[number]) = (None, None);
                Rc::default()
            }
            (None, Some(kept)) => {
                let kept = Rc::clone(kept);
                if self.world.disk.is_writable && !is_locked {
                    self.world.disk.tokens[number] = Some(Rc::clone(&kept));
                    self.truth.coverage.restored += 1;
                }
                kept
            }
            (None, None) => Rc::default(),
        }
    }

    fn facts(&mut self, number: usize, tokens: &Rc<Tokens>) -> Vec<TokenFacts> {
        if !Rc::ptr_eq(tokens, &self.facts[number].0) {
            let stored = tokens.candidate.iter().chain(&tokens.current);
            let facts = stored.map(|kept| TokenFacts::new(&kept.token, kept.stored_at)).collect();
            self.facts[number] = (Rc::clone(tokens), facts);
        }
        self.facts[number].1.clone()
    }

    /// Returns the gateways that the state directory knows.
    fn seen(&self, record: &Record) -> Vec<Seen> {
        let seen = |number: usize| {
            let serial = World::serial(number);
            let was_tried =
                record.attempts.iter().any(|attempt| attempt.serial == serial && !attempt.stands_in);
            let address = self.world.disk.seen_at[number].map(World::address);
            let is_established = self.world.disk.tokens[number].is_some() || was_tried;
            (address.is_some() || is_established).then_some(Seen { serial, address, is_established })
        };
        (0..SERIALS).filter_map(seen).collect()
    }

    fn decide(
        &mut self,
        which: usize,
        record: &Record,
        tokens: &Rc<Tokens>,
        goal: &Goal,
        clocks: &Clocks,
    ) -> Decision {
        let facts = self.facts(goal.number, tokens);
        let process = &self.processes[which];
        let name = process.credentials.to_string();
        let halt = record.halts.iter().rev().find(|halt| halt.credentials == name);
        let serial = World::serial(goal.number);
        let is_newcomer = facts.is_empty() && is_newcomer(&serial, &self.world.places(), &self.seen(record));
        let asked_ago = goal.asked.map(|asked| self.world.now.duration_since(asked));
        let situation = Situation {
            serial: &serial,
            username: if process.credentials < 2 { "owner" } else { "neighbour" },
            tokens: &facts,
            clocks,
            operator: goal.operator,
            asked_ago: asked_ago.and_then(|ago| Duration::try_from(ago).ok()).unwrap_or_default(),
            verdicts: process.verdicts.of(&serial),
            is_newcomer,
            account: halt.map_or(Account::Ready, |halt| Account::Refused(halt.kind)),
            renew_short_tokens: self.renews_short,
        };
        decide(record, &situation)
    }

    /// Does what `TokenProvider` does for each poll and command, up to its first request.
    pub(super) fn tend(&mut self, which: usize, goal: Goal) -> TokenEvent {
        let Goal { gateway, number, operator, sees_gateway, .. } = goal;
        // A command requests the time only from the gateway with its serial number.
        let sees_gateway = sees_gateway && self.world.named[gateway] == number;
        let clocks = self.world.clocks(sees_gateway.then_some(gateway));
        let Some(mut record) = self.read(which, &clocks) else { return TokenEvent::Nothing };
        if self.world.disk.record.is_some() {
            let seen = self.world.clocks(Some(gateway));
            let certain = self.certain && self.sees_truth(&seen);
            promises::no_jump_of_a_clock_counts(&mut self.truth, &record, &seen, certain, &self.world);
        }
        if !self.is_locked() && record.wants_time(&clocks) {
            Rc::make_mut(&mut record).keep_time(&clocks);
            self.write(which, &record, &clocks);
            let Some(again) = self.read(which, &clocks) else { return TokenEvent::Nothing };
            record = again;
        }
        self.complete(which, number, &mut record);
        let is_locked = self.is_locked();
        let had_file = self.world.disk.tokens[number].is_some();
        let tokens = self.tokens(which, number, is_locked);
        let event = if !had_file && self.world.disk.tokens[number].is_some() {
            TokenEvent::Restored
        } else {
            TokenEvent::Nothing
        };
        let mut decision = self.decide(which, &record, &tokens, &goal, &clocks);
        if operator == Operator::Absent
            && matches!(decision, Decision::Wait { why: Waiting::GatewayNotAsked, .. })
        {
            self.ask_about(which, gateway, &tokens);
            let Some(again) = self.read(which, &clocks) else { return event };
            record = again;
            self.complete(which, number, &mut record);
            decision = self.decide(which, &record, &tokens, &goal, &clocks);
            self.truth.coverage.asked_first += 1;
        }
        if operator == Operator::Absent && self.world.disk.record.is_some() && !self.is_locked() {
            promises::no_wait_outlives_its_length(&mut self.truth, &decision, &self.world);
        }
        let Decision::Act { step, reason } = decision else { return event };
        if operator == Operator::Absent && !self.is_locked() && self.take_back(which, number, &tokens) {
            return TokenEvent::Restored;
        }
        if !self.is_locked() {
            let credentials = self.processes[which].credentials;
            let record = Rc::unwrap_or_clone(record);
            let attempt = Attempt { record, goal, step, credentials, clocks, answer: None };
            self.begin(which, attempt, reason);
        }
        event
    }

    /// Restores a token that the gateway accepts after the files were replaced by ones with a useless token.
    fn take_back(&mut self, which: usize, number: usize, tokens: &Rc<Tokens>) -> bool {
        let Some(before) = self.processes[which].before[number].take() else { return false };
        let accepted = (before.token.id(), Verdict::Accepted);
        if !self.processes[which].verdicts.of(&before.token.serial).contains(&accepted) {
            return false;
        }
        if self.world.disk.is_writable {
            let tokens = Rc::new(Tokens { current: Some(before), ..(**tokens).clone() });
            self.processes[which].remember(number, &tokens);
            self.world.disk.tokens[number] = Some(tokens);
        }
        // If the disk cannot be written, there is no login either.
        true
    }

    /// Adds acceptances that are only in the memory of the process.
    fn complete(&self, which: usize, number: usize, record: &mut Rc<Record>) {
        let (serial, verdicts) = (World::serial(number), &self.processes[which].verdicts);
        if verdicts.completes(&serial, record) {
            verdicts.complete(&serial, Rc::make_mut(record));
        }
    }

    /// Asks the gateway about tokens that have expired by the clock.
    fn ask_about(&mut self, which: usize, gateway: usize, tokens: &Rc<Tokens>) {
        for kept in tokens.candidate.iter().chain(&tokens.current) {
            self.note(which, gateway, &kept.token);
        }
    }

    /// Enters the code of a second factor if a login waits for one.
    pub(super) fn type_code(&mut self, which: usize, gateway: usize) {
        let clocks = self.world.clocks(Some(gateway));
        if self.is_locked() {
            return;
        }
        let Some(record) = self.read(which, &clocks) else { return };
        if second_factor::left(&record, Step::Code).is_none_or(|left| left == 0) {
            return;
        }
        let (record, step) = (Rc::unwrap_or_clone(record), Step::Code);
        let credentials = self.processes[which].credentials;
        let number = self.world.named[gateway];
        let goal = Goal { gateway, number, operator: Operator::Asks, asked: None, sees_gateway: true };
        let attempt = Attempt { record, goal, step, credentials, clocks, answer: None };
        self.begin(which, attempt, Reason::Operator);
    }

    fn begin(&mut self, which: usize, mut attempt: Attempt, reason: Reason) {
        let clocks = attempt.clocks.clone();
        attempt.record.begin(attempt.step, reason, &World::serial(attempt.goal.number), &clocks);
        if !self.write(which, &attempt.record, &clocks) {
            return;
        }
        self.truth.began(attempt.step, &attempt.goal, attempt.credentials, &self.world);
        self.processes[which].attempt = Some(attempt);
    }

    pub(super) fn go_on(&mut self, which: usize, mut attempt: Attempt) -> TokenEvent {
        let Some(answer) = attempt.answer.take() else {
            attempt.answer = Some(self.send(which, &attempt));
            self.processes[which].attempt = Some(attempt);
            return TokenEvent::Nothing;
        };
        self.end(which, attempt, answer)
    }

    /// Checks the promises, and sends the request.
    fn send(&mut self, which: usize, attempt: &Attempt) -> Answer {
        promises::no_request_without_a_record(attempt.step, self.world.disk.record.as_deref());
        let kept = &self.processes[which].tokens[attempt.goal.number];
        let is_forgotten = self.world.disk.is_forgotten[attempt.goal.number];
        let kept = if is_forgotten { None } else { kept.as_ref() };
        let stored = self.world.disk.tokens[attempt.goal.number].as_ref().or(kept);
        let stored = stored.cloned().unwrap_or_default();
        promises::judge(&mut self.truth, which, attempt, &stored, self.renews_short, &self.world);
        if let Some(before) = &self.processes[which].before[attempt.goal.number] {
            promises::no_request_while_another_is_accepted(&self.truth, which, attempt, before, &self.world);
        }
        let answer = match attempt.step {
            Step::Login => self.world.log_in(attempt.credentials).map(Answer::Session),
            Step::Code => self.world.enter_code().map(Answer::Session),
            _ => self.world.fetch(attempt.goal.number).map(|token| Answer::Token(Box::new(token))),
        };
        answer.unwrap_or_else(Answer::Failure)
    }

    /// Records the outcome if the disk is writable.
    fn end(&mut self, which: usize, attempt: Attempt, answer: Answer) -> TokenEvent {
        let Attempt { mut record, goal, credentials, clocks, .. } = attempt;
        let clocks = clocks.later(self.world.clocks(None).moment);
        let mut event = TokenEvent::Nothing;
        let failure = match answer {
            Answer::Session(id) => {
                let username = if credentials < 2 { "owner" } else { "neighbour" };
                record.logged_in(id, username, &clocks);
                None
            }
            Answer::Token(token) => {
                let mut process = std::mem::take(&mut self.processes[which]);
                event = self.keep(&mut process, goal.number, *token, Origin::Login, false);
                self.processes[which] = process;
                if event == TokenEvent::Unwritten {
                    return event;
                }
                record.token_came(&World::serial(goal.number), self.world.gateways > 1, &clocks);
                None
            }
            Answer::Failure(failure) => {
                record.failed(&failure, &credentials.to_string(), &clocks, &mut self.world.rng);
                Some(failure)
            }
        };
        if !self.write(which, &record, &clocks) {
            return if event == TokenEvent::Nothing { TokenEvent::Unwritten } else { event };
        }
        match failure {
            Some(failure) => self.truth.failed(&failure, &self.world),
            None => self.truth.succeeded(&self.world),
        }
        event
    }

    /// Stores a new token if the disk is writable.
    pub(super) fn keep(
        &mut self,
        process: &mut Process,
        number: usize,
        token: Token,
        origin: Origin,
        is_locked: bool,
    ) -> TokenEvent {
        if !self.world.disk.is_writable || is_locked {
            return TokenEvent::Unwritten;
        }
        let is_forgotten = self.world.disk.is_forgotten[number];
        let kept = if is_forgotten { None } else { process.tokens[number].as_ref() };
        let stored = self.world.disk.tokens[number].as_ref().or(kept);
        let mut tokens = stored.cloned().unwrap_or_default();
        Rc::make_mut(&mut tokens).arrived(token, origin, self.world.clocks(None).moment.wall);
        process.remember(number, &tokens);
        (self.world.disk.tokens[number], self.world.disk.is_forgotten[number]) = (Some(tokens), false);
        TokenEvent::Arrived
    }

    /// Does what the poller does at the gateway: shows it the candidate, then the token in use.
    pub(super) fn ask_gateway(&mut self, which: usize, gateway: usize) -> TokenEvent {
        let number = self.world.named[gateway];
        let is_locked = self.is_locked();
        let tokens = self.tokens(which, number, is_locked);
        let mut event = TokenEvent::Nothing;
        let is_free = self.world.disk.is_writable && !is_locked && self.world.disk.tokens[number].is_some();
        if let Some(candidate) = &tokens.candidate {
            match self.note(which, gateway, &candidate.token) {
                Noted::Accepted if is_free => {
                    let wall = self.world.clocks(None).moment.wall;
                    let mut tokens = Rc::clone(&tokens);
                    Rc::make_mut(&mut tokens).promote(wall);
                    self.world.disk.tokens[number] = Some(tokens);
                    event = TokenEvent::Accepted;
                }
                Noted::RefusedTwice if is_free && tokens.current.is_some() => {
                    let mut tokens = Rc::clone(&tokens);
                    Rc::make_mut(&mut tokens).candidate = None;
                    self.world.disk.tokens[number] = Some(tokens);
                    event = TokenEvent::Dropped;
                }
                _ => {}
            }
        }
        let tokens = self.tokens(which, number, is_locked);
        if let Some(kept) = tokens.in_use() {
            self.note(which, gateway, &kept.token);
        }
        event
    }

    /// A program asks the proxy for a page that the poller does not read. If the gateway refuses it, the session is opened
    /// again: an acceptance counts, and a refusal says nothing.
    pub(super) fn program_asks(&mut self, which: usize, gateway: usize) {
        let number = self.world.named[gateway];
        if !self.world.gateway_answers[gateway] || self.is_locked() {
            return;
        }
        let tokens = self.tokens(which, number, false);
        let Some(kept) = tokens.in_use() else { return };
        let verdict = self.world.verdict(gateway, &kept.token);
        if verdict == Verdict::Accepted {
            self.truth.gateway_said(which, &kept.token.id(), verdict);
            self.note_acceptance(which, &kept.token);
        }
    }

    /// Asks the gateway about `token`, and records the verdict as `TokenProvider` does.
    fn note(&mut self, which: usize, gateway: usize, token: &Token) -> Noted {
        let (serial, id) = (token.serial.clone(), token.id());
        let verdict = self.world.verdict(gateway, token);
        self.truth.gateway_said(which, &id, verdict);
        match verdict {
            Verdict::Accepted => {
                self.note_acceptance(which, token);
                Noted::Accepted
            }
            Verdict::Refused if self.note_refusal(which, gateway, token) => Noted::RefusedTwice,
            Verdict::Refused => Noted::Otherwise,
            Verdict::Unclear => {
                self.processes[which].verdicts.note(&serial, &id, Verdict::Unclear);
                Noted::Otherwise
            }
        }
    }

    /// Records a refusal. Returns `true` if the gateway has refused the token twice.
    fn note_refusal(&mut self, which: usize, gateway: usize, token: &Token) -> bool {
        let (serial, id) = (token.serial.clone(), token.id());
        let clocks = self.world.clocks(Some(gateway));
        let Some(mut record) = self.read(which, &clocks) else { return false };
        if weight(token, &record, &clocks) == Weight::Nothing {
            self.processes[which].verdicts.note(&serial, &id, Verdict::Refused);
            return false;
        }
        if self.is_locked() {
            return false;
        }
        let is_unwritten = self.processes[which].verdicts.is_unwritten(&id);
        let writable = Rc::make_mut(&mut record);
        let changed = self.processes[which].verdicts.complete(&serial, writable);
        let refused = writable.refused(&serial, &id, &clocks);
        if (refused || changed) && !self.write(which, &record, &clocks) {
            return false;
        }
        if is_unwritten {
            self.truth.gateway_accepted(&id, None, &self.world);
        }
        let verdicts = &mut self.processes[which].verdicts;
        verdicts.note_unwritten(&id, false);
        verdicts.note(&serial, &id, Verdict::Refused);
        self.truth.gateway_refused(&id, &clocks, &self.world);
        record.is_refused(&serial, &id)
    }

    /// Records an acceptance.
    fn note_acceptance(&mut self, which: usize, token: &Token) {
        let (serial, id) = (token.serial.clone(), token.id());
        let clocks = self.world.clocks(None);
        let verdicts = &mut self.processes[which].verdicts;
        verdicts.note(&serial, &id, Verdict::Accepted);
        verdicts.note_unwritten(&id, true);
        let record = self.read(which, &clocks);
        let is_written = record.is_some_and(|mut record| {
            let is_news =
                record.has_refusal(&serial, &id) && Rc::make_mut(&mut record).accepted(&serial, &id);
            !is_news || !self.is_locked() && self.write(which, &record, &clocks)
        });
        if is_written {
            self.processes[which].verdicts.note_unwritten(&id, false);
        }
        self.truth.gateway_accepted(&id, (!is_written).then_some(which), &self.world);
    }
}

/// The consequence of a gateway's verdict on a token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Noted {
    Accepted,
    RefusedTwice,
    Otherwise,
}
