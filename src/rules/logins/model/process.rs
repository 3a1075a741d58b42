//! The memory of one process: a daemon, or a command of the operator.

use std::rc::Rc;

use jiff::Timestamp;

use super::world::SERIALS;
use crate::base::secrets::Secret;
use crate::io::cloud::Failure;
use crate::io::token::Token;
use crate::io::token::store::{StoredToken, Tokens};
use crate::rules::logins::attempt::Step;
use crate::rules::logins::clocks::Clocks;
use crate::rules::logins::record::Record;
use crate::rules::logins::situation::Operator;
use crate::rules::logins::verdict::Verdicts;

/// The number of daemons; the processes after them are commands.
pub(super) const DAEMONS: usize = 2;

/// An attempt in progress; it ends with its process.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) record: Record,
    pub(super) goal: Goal,
    pub(super) step: Step,
    pub(super) credentials: u8,
    pub(super) clocks: Clocks,
    pub(super) answer: Option<Answer>,
}

#[derive(Debug)]
pub(super) enum Answer {
    Session(Secret),
    Token(Box<Token>),
    Failure(Failure),
}

/// The gateway and the operator that a process acts for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Goal {
    pub(super) gateway: usize,
    /// The index of the serial number.
    pub(super) number: usize,
    pub(super) operator: Operator,
    /// The time of the operator's command.
    pub(super) asked: Option<Timestamp>,
    /// The process requests the gateway's time.
    pub(super) sees_gateway: bool,
}

/// The memory of one process.
#[derive(Debug, Default)]
pub(super) struct Process {
    pub(super) credentials: u8,
    pub(super) attempt: Option<Attempt>,
    /// The tokens that the process has read or written last.
    pub(super) tokens: [Option<Rc<Tokens>>; SERIALS],
    /// The tokens that were in use before the files were changed by another process or person.
    pub(super) before: [Option<StoredToken>; SERIALS],
    /// The record that the process has read or written last.
    pub(super) record: Option<Rc<Record>>,
    pub(super) verdicts: Verdicts,
    /// `None` for a daemon.
    pub(super) command: Option<Goal>,
}

impl Process {
    /// Stores a copy of the tokens on disk.
    pub(super) fn remember(&mut self, number: usize, stored: &Rc<Tokens>) {
        let last = self.tokens[number].replace(Rc::clone(stored));
        let is_stored = |kept: &StoredToken| {
            stored.candidate.iter().chain(&stored.current).any(|here| here.token == kept.token)
        };
        let in_use = last.as_ref().and_then(|last| last.in_use()).filter(|kept| !is_stored(kept));
        if let Some(in_use) = in_use {
            self.before[number] = Some(in_use.clone());
        }
    }

    /// Ends the process. A daemon is started again with empty memory.
    pub(super) fn end(&mut self) {
        *self = Self { credentials: self.credentials, ..Self::default() };
    }
}
