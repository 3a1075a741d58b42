//! A random history: what happens to the daemons and commands, and around them.

use std::rc::Rc;
use std::time::Duration;

use super::daemon::Daemons;
use super::process::{DAEMONS, Goal, Process};
use super::promises::{self, TokenEvent};
use super::world::{DAY, HOUR, MINUTE, SERIALS, World};
use crate::io::token::store::Origin;
use crate::rules::logins::attempt::{Outcome, Step};
use crate::rules::logins::situation::Operator;

/// A random history, which goes on with each step.
#[derive(Debug)]
pub(super) struct History {
    pub(super) daemons: Daemons,
}

impl History {
    pub(super) fn new(world: World) -> Self {
        Self { daemons: Daemons::new(world) }
    }

    /// Performs one random event, and checks that no token is lost.
    pub(super) fn step(&mut self) {
        let before = self.daemons.world.disk.tokens.clone();
        let event = self.happen();
        for (number, before) in before.iter().enumerate() {
            let after = &self.daemons.world.disk.tokens[number];
            let same = match (before, after) {
                (Some(before), Some(after)) => Rc::ptr_eq(before, after),
                (before, after) => before.is_none() && after.is_none(),
            };
            if !same {
                promises::no_token_is_lost(before.as_deref(), after.as_deref(), event);
            }
        }
    }

    fn happen(&mut self) -> TokenEvent {
        if self.daemons.processes.len() > DAEMONS && self.daemons.world.rng.bool() {
            let which = self.daemons.world.rng.usize(DAEMONS..self.daemons.processes.len());
            return self.command_goes_on(which);
        }
        let which = self.daemons.world.rng.usize(..DAEMONS);
        let gateway = self.daemons.world.rng.usize(..self.daemons.world.gateways);
        match self.daemons.world.rng.u16(..1000) {
            0..680 => return self.poll(which, gateway),
            680..700 => self.daemons.program_asks(which, gateway),
            700..710 => self.daemons.type_code(which, gateway),
            710..730 => {
                self.daemons.processes[which].end();
                self.daemons.truth.process_ended(which);
            }
            730..745 => return self.terminate(which),
            745..780 => self.daemons.world.set_clock(),
            780..795 => self.reboot(),
            795..815 => self.daemons.world.gateway_answers[gateway] = self.daemons.world.rng.u8(..4) != 0,
            815..860 => self.daemons.world.change_gateway(gateway),
            860..865 => self.daemons.world.revoke(gateway),
            865..900 => self.daemons.world.change_mood(),
            900..915 => self.daemons.world.disk.is_writable = self.daemons.world.rng.u8(..3) != 0,
            // Not during a request: its process would overwrite the damaged record.
            915..919 if !self.daemons.is_locked() => {
                self.daemons.world.disk.is_damaged = self.daemons.world.disk.record.is_some();
            }
            919..931 => self.daemons.processes[which].credentials = self.daemons.world.rng.u8(..3),
            931..936 => self.daemons.world.right = self.daemons.world.rng.u8(..3),
            936..956 => self.ask_at_once(gateway),
            956..960 => return self.import(gateway),
            960..962 => return self.forget(gateway),
            962..966 => {
                // A person removes the files.
                self.daemons.world.disk.tokens[self.daemons.world.named[gateway]] = None;
                return TokenEvent::Removed;
            }
            966..968 if !self.daemons.is_locked() => self.remove_record(),
            968 => self.daemons.world.disk.backup = self.daemons.world.disk.tokens.clone(),
            969..971 if !self.daemons.is_locked() => {
                // A person restores a backup.
                let number = self.daemons.world.named[gateway];
                if let Some(backup) = self.daemons.world.disk.backup[number].clone() {
                    self.daemons.world.disk.tokens[number] = Some(backup);
                }
                return TokenEvent::Removed;
            }
            _ => {
                let length = [HOUR, DAY, 9 * DAY, 100 * DAY][self.daemons.world.rng.usize(..4)];
                self.daemons.world.pass(length);
            }
        }
        TokenEvent::Nothing
    }

    /// Removes the record. A daemon that has polled still has a copy in memory.
    fn remove_record(&mut self) {
        let record = self.daemons.world.disk.record.take();
        self.daemons.truth.record_was_removed();
        for daemon in self.daemons.processes.iter_mut().take(DAEMONS).filter(|daemon| daemon.record.is_some())
        {
            daemon.record.clone_from(&record);
        }
    }

    fn reboot(&mut self) {
        self.daemons.processes.truncate(DAEMONS);
        self.daemons.processes.iter_mut().for_each(Process::end);
        (0..DAEMONS).for_each(|which| self.daemons.truth.process_ended(which));
        self.daemons.world.reboot();
        self.daemons.truth.rebooted(&self.daemons.world);
    }

    /// Stops a daemon with SIGTERM: it waits for a request in progress, and records the outcome.
    fn terminate(&mut self, which: usize) -> TokenEvent {
        let (mut event, was_under_way) =
            (TokenEvent::Nothing, self.daemons.processes[which].attempt.is_some());
        while let Some(attempt) = self.daemons.processes[which].attempt.take() {
            event = self.daemons.go_on(which, attempt);
        }
        if was_under_way && self.daemons.world.disk.is_writable {
            promises::no_request_is_cut_off_by_a_stop(self.daemons.world.disk.record.as_deref());
            self.daemons.truth.coverage.stops += 1;
        }
        self.daemons.processes[which].end();
        self.daemons.truth.process_ended(which);
        event
    }

    /// Starts one or several commands of the operator that request a token.
    fn ask_at_once(&mut self, gateway: usize) {
        let rng = &mut self.daemons.world.rng;
        let operator = if rng.u8(..3) == 0 { Operator::Insists } else { Operator::Asks };
        let number = if rng.u8(..8) == 0 { rng.usize(..SERIALS) } else { self.daemons.world.named[gateway] };
        let at_once = [1, 1, 2, 3][rng.usize(..4)];
        let sees_gateway = rng.u8(..4) != 0;
        let credentials = self.daemons.processes[0].credentials;
        for _ in 0..at_once {
            let goal = Goal { gateway, number, operator, asked: Some(self.daemons.world.now), sees_gateway };
            self.daemons.processes.push(Process { credentials, command: Some(goal), ..Process::default() });
        }
    }

    /// Advances a command: it waits for the lock, makes its next request, or is killed.
    fn command_goes_on(&mut self, which: usize) -> TokenEvent {
        self.daemons.world.pass(MINUTE / 60);
        let Some(goal) = self.daemons.processes[which].command else { return TokenEvent::Nothing };
        let is_over = if self.daemons.world.rng.u8(..50) == 0 {
            true
        } else if let Some(attempt) = self.daemons.processes[which].attempt.take() {
            let step = attempt.step;
            let event = self.daemons.go_on(which, attempt);
            let record = self.daemons.world.disk.record.clone();
            let last = record.as_ref().and_then(|record| record.attempts.last());
            let goes_on = last.is_some_and(|last| {
                step == Step::Login && last.outcome == Some(Outcome::Success)
                    || last.leads_to_other_endpoint()
            });
            if self.daemons.processes[which].attempt.is_none() && !goes_on {
                self.end_command(which);
            }
            return event;
        } else if self.daemons.is_locked() {
            false
        } else {
            self.daemons.tend(which, goal);
            self.daemons.processes[which].attempt.is_none()
        };
        if is_over {
            self.end_command(which);
        }
        TokenEvent::Nothing
    }

    fn end_command(&mut self, which: usize) {
        // The following commands change their index, which is harmless: commands do not ask the gateway about tokens.
        self.daemons.processes.remove(which);
    }

    fn import(&mut self, gateway: usize) -> TokenEvent {
        let lifetime = [365 * DAY, 12 * HOUR][self.daemons.world.rng.usize(..2)];
        let ago = [Duration::ZERO, 400 * DAY][self.daemons.world.rng.usize(..2)];
        let number = self.daemons.world.named[gateway];
        let token = self.daemons.world.token(number, self.daemons.world.now - ago, lifetime);
        let mut person = Process::default();
        let is_locked = self.daemons.is_locked();
        self.daemons.keep(&mut person, number, token, Origin::Import, is_locked)
    }

    fn forget(&mut self, gateway: usize) -> TokenEvent {
        if self.daemons.world.disk.is_writable && !self.daemons.is_locked() {
            let number = self.daemons.world.named[gateway];
            (self.daemons.world.disk.tokens[number], self.daemons.world.disk.is_forgotten[number]) =
                (None, true);
        }
        TokenEvent::Forgotten
    }

    fn poll(&mut self, which: usize, gateway: usize) -> TokenEvent {
        let length = [30 * MINUTE / 60, 5 * MINUTE, 40 * MINUTE, 6 * HOUR][self.daemons.world.rng.usize(..4)];
        self.daemons.world.pass(length);
        if let Some(attempt) = self.daemons.processes[which].attempt.take() {
            return self.daemons.go_on(which, attempt);
        }
        let number = self.daemons.world.named[gateway];
        if self.daemons.world.gateway_answers[gateway] && self.daemons.world.disk.is_writable {
            self.daemons.world.disk.seen_at[number] = Some(gateway);
            self.daemons.truth.seen(number, gateway);
        }
        let goal = Goal { gateway, number, operator: Operator::Absent, asked: None, sees_gateway: true };
        let event = self.daemons.tend(which, goal);
        // A poll waits for its own login before it reads pages.
        let reads =
            self.daemons.processes[which].attempt.is_none() && self.daemons.world.gateway_answers[gateway];
        if event == TokenEvent::Nothing && reads { self.daemons.ask_gateway(which, gateway) } else { event }
    }
}
