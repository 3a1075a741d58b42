//! Keeps gateways supplied with tokens, by the rules of [`crate::rules::logins`].
//!
//! This is the only place that contacts the cloud. The order is the promise: take the lock, read the record
//! again, decide, write the attempt down, send it, write its outcome down. A token is stored the moment it
//! arrives.

pub mod account;
mod attempt;
pub mod code;
pub mod ending;
mod keeping;
pub mod ledger;
mod seen;
mod stored;

use std::sync::Arc;
use std::time::Duration;

use crate::app::config::secret::{Account, STRIPPED, UnreadableSecret};
use crate::base::clock::Clock;
use crate::base::reading::Serial;
use crate::base::secrets::Credentials;
use crate::io::cloud::{Addresses, Challenge};
use crate::io::cloud::{Failure, Kind};
use crate::io::state_dir::{self, Lock, StateDir};
use crate::io::token::Token;
use crate::rules::logins::attempt::Step;
use crate::rules::logins::clocks::{Clocks, GatewayTime};
use crate::rules::logins::decision::{Decision, decide};
use crate::rules::logins::hold_off::Halt;
use crate::rules::logins::newcomer::Place;
use crate::rules::logins::record::Record;
use crate::rules::logins::situation::{self, Operator, Situation, TokenFacts};
use crate::rules::logins::verdict::{Verdict, Verdicts};
use ending::Ending;
use fastrand::Rng;
use ledger::Ledger;
use seen::Newcomers;
use stored::Stored;

/// What a token_provider is made from.
#[derive(Debug)]
pub struct Settings {
    /// Where the cloud is.
    pub cloud: Addresses,
    /// Whose account it is.
    pub account: Account,
    /// Whether short tokens are renewed too (L8).
    pub renew_short_tokens: bool,
    /// Whether a session is kept for other gateways of the account (L7).
    pub several_gateways: bool,
}

/// Why nothing could be decided or done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The state directory does not serve: there is no login without it (L4).
    #[error("{0}, and without its record there is no login")]
    State(#[from] state_dir::Error),
    /// The password cannot be read.
    #[error(transparent)]
    Password(#[from] UnreadableSecret),
    /// Another process is at it.
    #[error("another enphased is contacting the cloud just now; try again in a minute")]
    Busy,
}

/// What came of tending a gateway's token.
#[derive(Debug)]
pub enum Tended {
    /// Nothing was sent, and this is why.
    Left(Decision),
    /// A token came and is stored; the gateway has not seen it yet.
    Arrived(Token),
    /// The cloud was contacted in vain.
    Failed {
        /// With which request.
        step: Step,
        /// What came of it.
        failure: Failure,
        /// What the rules say now.
        next: Decision,
    },
}

/// Supplies the gateways of one account.
#[derive(Debug)]
pub struct TokenProvider {
    clock: Clock,
    settings: Settings,
    ledger: Ledger,
    stored: Stored,
    newcomers: Newcomers,
    /// What the gateways said of their tokens.
    verdicts: Verdicts,
    rng: Rng,
    /// A login of this process that waits for the code of a second factor.
    challenge: Option<Challenge>,
    /// The last answer to whether these credentials were refused, because the hash is slow.
    compared: Option<(Vec<Halt>, Credentials, Option<Kind>)>,
    /// It was said that the password is written with blanks around it.
    told_stripped: bool,
    ending: Ending,
}

/// What a decision is about.
struct Question<'a> {
    serial: &'a Serial,
    clocks: &'a Clocks,
    operator: Operator,
    /// The uptime when that person asked.
    asked: Duration,
}

impl TokenProvider {
    /// A token_provider that keeps everything in `state`.
    pub fn new(state: StateDir, clock: Clock, settings: Settings, rng: Rng) -> Self {
        Self {
            ledger: Ledger::new(state.clone()),
            stored: Stored::new(state.clone()),
            newcomers: Newcomers::new(state),
            clock,
            settings,
            verdicts: Verdicts::default(),
            rng,
            challenge: None,
            compared: None,
            told_stripped: false,
            ending: Ending::default(),
        }
    }

    /// Takes the gateways as they are configured: several share a login, and newcomers are known by them.
    pub fn serve(&mut self, places: Vec<Place>) {
        self.settings.several_gateways = places.len() > 1;
        self.newcomers.places = places;
    }

    /// What whoever ends the program waits for.
    pub fn heed(&mut self, ending: Ending) {
        self.ending = ending;
    }

    /// Takes the account that a person has completed at the terminal.
    pub fn use_account(&mut self, account: Account) {
        self.settings.account = account;
    }

    /// What the clocks show, with what the gateway has just told.
    pub fn clocks(&self, gateway_time: GatewayTime) -> Clocks {
        Clocks::new(self.clock.moment(), gateway_time)
    }

    /// The record of logins.
    pub async fn record(
        &mut self,
        serial: &Serial,
        clocks: &Clocks,
    ) -> Result<Arc<Record>, state_dir::Error> {
        self.ledger.read(serial, clocks).await
    }

    /// What the rules say about the token of `serial` now. Sends nothing.
    pub async fn consider(
        &mut self,
        serial: &Serial,
        gateway_time: GatewayTime,
        operator: Operator,
    ) -> Result<Decision, Error> {
        self.consider_at(serial, &self.clocks(gateway_time), operator).await
    }

    async fn consider_at(
        &mut self,
        serial: &Serial,
        clocks: &Clocks,
        operator: Operator,
    ) -> Result<Decision, Error> {
        let mut record = self.ledger.read(serial, clocks).await?;
        if self.verdicts.completes(serial, &record) {
            self.verdicts.complete(serial, Arc::make_mut(&mut record));
        }
        let facts = self.stored.known_facts(serial).await?;
        let question = Question { serial, clocks, operator, asked: self.asked() };
        Ok(self.decide(&record, &facts, &question).await?.0)
    }

    /// The uptime when a person asked: at the start of a command.
    fn asked(&self) -> Duration {
        self.clock.process_began().unwrap_or_else(|| self.clock.moment().up)
    }

    /// The gateway has told the time: the record takes it down where it may be of use after the next boot.
    pub async fn keep_time(&mut self, serial: &Serial, gateway_time: GatewayTime) -> Result<(), Error> {
        let clocks = self.clocks(gateway_time);
        if !self.ledger.read(serial, &clocks).await?.wants_time(&clocks) {
            return Ok(());
        }
        let lock = self.lock(Duration::ZERO).await?;
        let mut record = self.ledger.read_under(&lock, serial, &clocks).await?;
        if record.wants_time(&clocks) {
            record.keep_time(&clocks);
            self.ledger.write(&record).await?;
        }
        Ok(())
    }

    /// The decision, and the credentials to carry it out with.
    async fn decide(
        &mut self,
        record: &Record,
        facts: &[TokenFacts],
        question: &Question<'_>,
    ) -> Result<(Decision, Option<Credentials>), Error> {
        let Question { serial, clocks, operator, asked } = *question;
        let is_newcomer = facts.is_empty() && self.newcomers.is_newcomer(serial, record).await?;
        let verdicts = self.verdicts.of(serial).to_vec();
        let mut situation = Situation {
            serial,
            username: "",
            tokens: facts,
            clocks,
            operator,
            asked_ago: clocks.moment.up.saturating_sub(asked),
            verdicts: &verdicts,
            is_newcomer,
            account: situation::Account::Ready,
            renew_short_tokens: self.settings.renew_short_tokens,
        };
        if decide(record, &situation) == Decision::Rest {
            return Ok((Decision::Rest, None));
        }
        let credentials = self.credentials()?;
        let username = self.username();
        situation.username = &username;
        situation.account = match &credentials {
            None => situation::Account::Missing,
            Some(credentials) => self
                .refusal(record, credentials)
                .map_or(situation::Account::Ready, situation::Account::Refused),
        };
        Ok((decide(record, &situation), credentials))
    }

    /// The account's credentials, as they are sent. A password that was written with blanks around it is told once.
    fn credentials(&mut self) -> Result<Option<Credentials>, UnreadableSecret> {
        let complete = self.settings.account.complete()?;
        let stripped = complete.as_ref().is_some_and(|complete| complete.password_was_stripped);
        if stripped && !self.told_stripped {
            self.told_stripped = true;
            tracing::warn!("{STRIPPED}");
        }
        Ok(complete.map(|complete| complete.credentials))
    }

    /// How these credentials were refused, if they were.
    fn refusal(&mut self, record: &Record, credentials: &Credentials) -> Option<Kind> {
        if let Some((halts, compared, refusal)) = &self.compared
            && *halts == record.halts
            && compared == credentials
        {
            return *refusal;
        }
        let mut halts = record.halts.iter().rev();
        let refusal =
            halts.find(|halt| account::is_same(&halt.credentials, credentials)).map(|halt| halt.kind);
        self.compared = Some((record.halts.clone(), credentials.clone(), refusal));
        refusal
    }

    /// Gets a token for `serial` from the cloud if the rules want it now. `gateway_time` is what the gateway has
    /// just told; `patience` is how long another process is waited for.
    pub async fn tend(
        &mut self,
        serial: &Serial,
        gateway_time: GatewayTime,
        operator: Operator,
        patience: Duration,
    ) -> Result<Tended, Error> {
        let (seen, asked) = (self.clocks(gateway_time), self.asked());
        let mut decided = self.consider_at(serial, &seen, operator).await?;
        // What a person asks for is decided under the lock alone: another process's request may be under way.
        if operator == Operator::Absent && !matches!(decided, Decision::Act { .. }) {
            return Ok(Tended::Left(decided));
        }
        let lock = self.lock(patience).await?;
        // Each request at most once: after a failure the hold-off speaks, after a token nothing is due.
        loop {
            // A session that was opened is on disk, and the next start goes on with it.
            if self.ending.is_near() {
                return Ok(Tended::Left(decided));
            }
            let clocks = seen.later(self.clock.moment());
            let mut record = self.ledger.read_under(&lock, serial, &clocks).await?;
            self.verdicts.complete(serial, &mut record);
            self.newcomers.forget();
            let facts = self.stored.read_facts(serial).await?;
            let question = Question { serial, clocks: &clocks, operator, asked };
            let (decision, credentials) = self.decide(&record, &facts, &question).await?;
            let Decision::Act { step, reason } = decision else { return Ok(Tended::Left(decision)) };
            decided = decision;
            if operator == Operator::Absent && self.take_back(serial).await? {
                continue;
            }
            match self.attempt(record, serial, step, reason, &clocks, credentials.as_ref()).await? {
                Ok(Some(token)) => return Ok(Tended::Arrived(token)),
                Ok(None) => {}
                Err(failure) if step == Step::Token && failure.kind == Kind::Unexpected => {
                    tracing::warn!("the Enphase cloud gave no token: {failure}; the other way is tried");
                }
                Err(failure) => {
                    let clocks = seen.later(self.clock.moment());
                    let next = self.consider_at(serial, &clocks, Operator::Absent).await?;
                    return Ok(Tended::Failed { step, failure, next });
                }
            }
        }
    }

    /// Takes a token back into use that the gateway accepts, and that another process has replaced by a useless one.
    async fn take_back(&mut self, serial: &Serial) -> Result<bool, Error> {
        let verdicts = self.verdicts.of(serial);
        Ok(self.stored.take_back(serial, |token| verdicts.contains(&(token.id(), Verdict::Accepted))).await?)
    }

    /// Waits until no other process contacts the cloud: what it is about to write down is not known before.
    pub async fn let_others_finish(&self, patience: Duration) -> Result<(), Error> {
        self.lock(patience).await.map(drop)
    }

    async fn lock(&self, patience: Duration) -> Result<Lock, Error> {
        self.ledger.lock(patience).await?.ok_or(Error::Busy)
    }
}
