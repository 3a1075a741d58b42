//! Two daemons on one state directory, and their operator: the steps of `supply` and `poller`, one by one, so
//! that anything can happen between them.

use std::rc::Rc;
use std::time::Duration;

use super::promises::{Promises, TokenEvent};
use super::world::{DAY, HOUR, MINUTE, World};
use crate::cloud::answer::Failure;
use crate::logins::age::Sight;
use crate::logins::attempt::{Reason, Step};
use crate::logins::code;
use crate::logins::decision::{Account, Decision, Operator, Situation, TokenFacts, decide};
use crate::logins::record::Record;
use crate::secrets::Secret;
use crate::token::Token;
use crate::token::store::{Origin, Tokens};

/// An attempt under way; it ends with its process.
#[derive(Debug)]
struct Attempt {
    record: Record,
    gateway: usize,
    step: Step,
    by: Operator,
    credentials: u8,
    sight: Sight,
    answer: Option<Answer>,
}

#[derive(Debug)]
enum Answer {
    Session(Secret),
    Token(Box<Token>),
    Failure(Failure),
}

/// What one process remembers.
#[derive(Debug, Default)]
struct Daemon {
    credentials: u8,
    attempt: Option<Attempt>,
}

#[derive(Debug)]
pub(super) struct Story {
    pub(super) world: World,
    pub(super) promises: Promises,
    daemons: [Daemon; 2],
    renews_short: bool,
    /// The tokens with what is known of them, because that is slow to find.
    stored: [(Rc<Tokens>, Vec<TokenFacts>); 2],
    /// The gateway and honest clocks were seen when the record was last written, and since.
    certain: bool,
}

impl Story {
    pub(super) fn new(mut world: World) -> Self {
        let promises = Promises::new(&world);
        let renews_short = world.rng.u8(..4) == 0;
        Self {
            world,
            promises,
            daemons: Default::default(),
            renews_short,
            stored: Default::default(),
            certain: false,
        }
    }

    /// One thing happens.
    pub(super) fn step(&mut self) {
        let before = self.world.disk.tokens.clone();
        let event = self.happen();
        for (gateway, before) in before.iter().enumerate() {
            if !Rc::ptr_eq(before, &self.world.disk.tokens[gateway]) {
                Promises::no_token_is_lost(gateway, before, event, &self.world);
            }
        }
    }

    fn happen(&mut self) -> TokenEvent {
        let which = self.world.rng.usize(..2);
        let gateway = self.world.rng.usize(..self.world.gateways);
        match self.world.rng.u16(..1000) {
            0..740 => return self.poll(which, gateway),
            740..750 => self.type_code(which, gateway),
            750..780 => self.daemons[which].attempt = None,
            780..820 => self.world.set_clock(),
            820..835 => self.reboot(),
            835..855 => self.world.gateway_answers[gateway] = self.world.rng.u8(..4) != 0,
            855..860 => self.world.revoke(gateway),
            860..900 => self.world.change_mood(),
            900..920 => self.world.disk.is_writable = self.world.rng.u8(..3) != 0,
            // Not in the seconds of a request: who makes it would put its own record, whole, over the damage.
            920..924 if !self.is_locked() => {
                self.world.disk.is_damaged = self.world.disk.record.is_some();
            }
            924..940 => self.daemons[which].credentials = self.world.rng.u8(..3),
            940..945 => self.world.right = self.world.rng.u8(..3),
            945..965 => {
                let asked = self.world.rng.bool();
                return self.tend(which, gateway, Operator::Asks, asked);
            }
            965..973 => {
                let asked = self.world.rng.bool();
                return self.tend(which, gateway, Operator::Insists, asked);
            }
            973..977 => return self.import(gateway),
            977..979 => return self.forget(gateway),
            _ => {
                let length = [HOUR, DAY, 9 * DAY, 100 * DAY][self.world.rng.usize(..4)];
                self.world.pass(length);
            }
        }
        TokenEvent::Nothing
    }

    fn reboot(&mut self) {
        for daemon in &mut self.daemons {
            daemon.attempt = None;
        }
        self.world.reboot();
        self.promises.rebooted(&self.world);
    }

    fn import(&mut self, gateway: usize) -> TokenEvent {
        let lifetime = [365 * DAY, 12 * HOUR][self.world.rng.usize(..2)];
        let ago = [Duration::ZERO, 400 * DAY][self.world.rng.usize(..2)];
        let token = self.world.token(gateway, self.world.now - ago, lifetime);
        self.keep(gateway, token, Origin::Import)
    }

    fn keep(&mut self, gateway: usize, token: Token, origin: Origin) -> TokenEvent {
        let wall = self.world.sight(None).moment.wall;
        if !self.world.disk.is_writable || self.is_locked() {
            return TokenEvent::Nothing;
        }
        Rc::make_mut(&mut self.world.disk.tokens[gateway]).arrived(token, origin, wall);
        TokenEvent::Arrived
    }

    fn forget(&mut self, gateway: usize) -> TokenEvent {
        if self.world.disk.is_writable && !self.is_locked() {
            self.world.disk.tokens[gateway] = Rc::default();
        }
        TokenEvent::Forgotten
    }

    /// The lock is held for as long as an attempt lasts.
    fn is_locked(&self) -> bool {
        self.daemons.iter().any(|daemon| daemon.attempt.is_some())
    }

    fn poll(&mut self, which: usize, gateway: usize) -> TokenEvent {
        let length = [30 * MINUTE / 60, 5 * MINUTE, 40 * MINUTE, 6 * HOUR][self.world.rng.usize(..4)];
        self.world.pass(length);
        match self.tend(which, gateway, Operator::Absent, true) {
            TokenEvent::Nothing if self.world.gateway_answers[gateway] => self.ask_gateway(gateway),
            event => event,
        }
    }

    /// The record as `supply::ledger` reads it; `None` where it cannot be written.
    fn read(&mut self, sight: &Sight) -> Option<Rc<Record>> {
        let disk = &mut self.world.disk;
        if disk.is_damaged {
            (disk.record, disk.aside, disk.is_damaged) = (None, true, false);
        }
        match &disk.record {
            Some(record) => Some(Rc::clone(record)),
            None if disk.aside => {
                let record = Record::after_damage(&World::serial(0), sight);
                if !disk.write(&record) {
                    return None;
                }
                self.certain = self.sees_truth(sight);
                self.promises.record_was_damaged(&self.world);
                Some(Rc::new(record))
            }
            None => Some(Rc::new(Record::new(sight))),
        }
    }

    fn write(&mut self, record: &Record, sight: &Sight) -> bool {
        let is_first = self.world.disk.record.is_none();
        self.certain &= self.sees_truth(sight);
        let written = self.world.disk.write(record);
        if written && is_first {
            self.promises.record_began(&self.world);
        }
        if written {
            if !self.certain {
                self.promises.no_jump_of_a_clock_counts(record, sight, false, &self.world);
            }
            self.certain = self.sees_truth(sight);
        }
        written
    }

    fn sees_truth(&self, sight: &Sight) -> bool {
        let right = |time: jiff::Timestamp| {
            time.duration_since(self.world.now).abs() < jiff::SignedDuration::from_mins(6)
        };
        right(sight.moment.wall) && sight.gateway.is_some_and(right)
    }

    fn decide(
        &mut self,
        record: &Record,
        gateway: usize,
        sight: &Sight,
        operator: Operator,
        credentials: u8,
    ) -> Decision {
        let tokens = &self.world.disk.tokens[gateway];
        if !Rc::ptr_eq(tokens, &self.stored[gateway].0) {
            let stored = tokens.candidate.iter().chain(&tokens.current);
            let facts = stored.map(|kept| TokenFacts::new(&kept.token, kept.stored_at)).collect();
            self.stored[gateway] = (Rc::clone(tokens), facts);
        }
        let name = credentials.to_string();
        let halt = record.halts.iter().rev().find(|halt| halt.credentials == name);
        let serial = World::serial(gateway);
        let situation = Situation {
            serial: &serial,
            username: if credentials < 2 { "owner" } else { "neighbour" },
            tokens: &self.stored[gateway].1,
            sight,
            operator,
            asked_ago: Duration::ZERO,
            verdicts: &[],
            is_newcomer: false,
            account: halt.map_or(Account::Ready, |halt| Account::Refused(halt.kind)),
            renew_short_tokens: self.renews_short,
        };
        decide(record, &situation)
    }

    /// `Supply::tend`, in as many pieces as it has waits.
    fn tend(&mut self, which: usize, gateway: usize, operator: Operator, asked: bool) -> TokenEvent {
        if let Some(attempt) = self.daemons[which].attempt.take() {
            return self.go_on(which, attempt);
        }
        let sight = self.world.sight(asked.then_some(gateway));
        let Some(mut record) = self.read(&sight) else { return TokenEvent::Nothing };
        if self.world.disk.record.is_some() {
            let seen = self.world.sight(Some(gateway));
            let certain = self.certain && self.sees_truth(&seen);
            if seen.gateway.is_some() {
                self.promises.no_jump_of_a_clock_counts(&record, &seen, certain, &self.world);
            }
        }
        if !self.is_locked() && record.wants_time(&sight) {
            Rc::make_mut(&mut record).keep_time(&sight);
            self.write(&record, &sight);
            let Some(again) = self.read(&sight) else { return TokenEvent::Nothing };
            record = again;
        }
        let credentials = self.daemons[which].credentials;
        let decision = self.decide(&record, gateway, &sight, operator, credentials);
        if operator == Operator::Absent && self.world.disk.record.is_some() && !self.is_locked() {
            self.promises.no_wait_outlives_its_length(&decision, &self.world);
        }
        let Decision::Act { step, reason } = decision else { return TokenEvent::Nothing };
        if !self.is_locked() {
            let credentials = self.daemons[which].credentials;
            let record = Rc::unwrap_or_clone(record);
            let attempt = Attempt { record, gateway, step, by: operator, credentials, sight, answer: None };
            self.begin(which, attempt, reason);
        }
        TokenEvent::Nothing
    }

    /// The operator types the code of a second factor, where a login waits for one.
    fn type_code(&mut self, which: usize, gateway: usize) {
        let sight = self.world.sight(Some(gateway));
        if self.is_locked() {
            return;
        }
        let Some(record) = self.read(&sight) else { return };
        if code::left(&record, Step::Code).is_none_or(|left| left == 0) {
            return;
        }
        let (record, step, by) = (Rc::unwrap_or_clone(record), Step::Code, Operator::Asks);
        let credentials = self.daemons[which].credentials;
        let attempt = Attempt { record, gateway, step, by, credentials, sight, answer: None };
        self.begin(which, attempt, Reason::Operator);
    }

    fn begin(&mut self, which: usize, mut attempt: Attempt, reason: Reason) {
        let sight = attempt.sight.clone();
        attempt.record.begin(attempt.step, reason, &World::serial(attempt.gateway), &sight);
        if !self.write(&attempt.record, &sight) {
            return;
        }
        self.promises.began(attempt.step, attempt.gateway, attempt.credentials, &self.world);
        self.daemons[which].attempt = Some(attempt);
    }

    fn go_on(&mut self, which: usize, mut attempt: Attempt) -> TokenEvent {
        let Some(answer) = attempt.answer.take() else {
            attempt.answer = Some(self.send(&attempt));
            self.daemons[which].attempt = Some(attempt);
            return TokenEvent::Nothing;
        };
        self.end(attempt, answer)
    }

    /// The request leaves.
    fn send(&mut self, attempt: &Attempt) -> Answer {
        Promises::no_request_without_a_record(attempt.step, self.world.disk.record.as_deref());
        if attempt.by == Operator::Absent {
            let (step, gateway) = (attempt.step, attempt.gateway);
            self.promises.judge(step, gateway, attempt.credentials, self.renews_short, &self.world);
        }
        let answer = match attempt.step {
            Step::Login => self.world.log_in(attempt.credentials).map(Answer::Session),
            Step::Code => self.world.enter_code().map(Answer::Session),
            _ => self.world.fetch(attempt.gateway).map(|token| Answer::Token(Box::new(token))),
        };
        answer.unwrap_or_else(Answer::Failure)
    }

    /// The outcome is written down, if it can be.
    fn end(&mut self, attempt: Attempt, answer: Answer) -> TokenEvent {
        let Attempt { mut record, gateway, credentials, sight, .. } = attempt;
        let sight = sight.later(self.world.sight(None).moment);
        let mut event = TokenEvent::Nothing;
        let failure = match answer {
            Answer::Session(id) => {
                let username = if credentials < 2 { "owner" } else { "neighbour" };
                record.logged_in(id, username, &sight);
                None
            }
            Answer::Token(token) => {
                event = self.keep(gateway, *token, Origin::Login);
                if event == TokenEvent::Nothing {
                    return event;
                }
                record.token_came(&World::serial(gateway), self.world.gateways > 1, &sight);
                None
            }
            Answer::Failure(failure) => {
                record.failed(&failure, &credentials.to_string(), &sight, &mut self.world.rng);
                Some(failure)
            }
        };
        if self.write(&record, &sight) {
            match failure {
                Some(failure) => self.promises.failed(&failure, &self.world),
                None => self.promises.succeeded(&self.world),
            }
        }
        event
    }

    /// What the poller asks the gateway: first about a candidate, then with the token in use.
    fn ask_gateway(&mut self, gateway: usize) -> TokenEvent {
        let tokens = Rc::clone(&self.world.disk.tokens[gateway]);
        let mut event = TokenEvent::Nothing;
        if let Some(candidate) = &tokens.candidate {
            let free = self.world.disk.is_writable && !self.is_locked();
            if self.world.accepts(gateway, &candidate.token) {
                if free {
                    let wall = self.world.sight(None).moment.wall;
                    Rc::make_mut(&mut self.world.disk.tokens[gateway]).promote(wall);
                    event = TokenEvent::Accepted;
                }
            } else if self.note_refusal(gateway, &candidate.token) && tokens.current.is_some() && free {
                Rc::make_mut(&mut self.world.disk.tokens[gateway]).candidate = None;
                event = TokenEvent::Dropped;
            }
        }
        let Some(kept) = self.world.disk.tokens[gateway].in_use().cloned() else { return event };
        if self.world.accepts(gateway, &kept.token) {
            self.note_acceptance(gateway, &kept.token);
        } else {
            self.note_refusal(gateway, &kept.token);
        }
        event
    }

    /// `Supply::refused`.
    fn note_refusal(&mut self, gateway: usize, token: &Token) -> bool {
        let serial = World::serial(gateway);
        let sight = self.world.sight(Some(gateway));
        if !sight.clocks_agree() || self.is_locked() {
            return false;
        }
        let Some(mut record) = self.read(&sight) else { return false };
        let refused = Rc::make_mut(&mut record).refused(&serial, &token.id(), &sight);
        if refused && !self.write(&record, &sight) {
            return false;
        }
        self.promises.gateway_refused(token, &self.world);
        record.is_refused(&serial, &token.id())
    }

    /// `Supply::accepted`.
    fn note_acceptance(&mut self, gateway: usize, token: &Token) {
        let serial = World::serial(gateway);
        let sight = self.world.sight(None);
        let Some(mut record) = self.read(&sight) else { return };
        let noted = record.has_refusal(&serial, &token.id())
            && Rc::make_mut(&mut record).accepted(&serial, &token.id());
        if !noted || !self.is_locked() && self.write(&record, &sight) {
            self.promises.gateway_accepted(token);
        }
    }
}
