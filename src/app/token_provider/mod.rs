//! Provides the gateways with tokens, by the rules of [`crate::rules::logins`].
//!
//! Only this module contacts the cloud. The order of the steps limits the number of logins: lock, read the record again,
//! decide, record the attempt, send it, record its outcome. A token is stored as soon as it arrives.

pub mod account;
mod attempt;
pub mod ending;
mod known_gateways;
mod lifecycle;
pub mod record_file;
pub mod second_factor;
mod stored_tokens;

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
use known_gateways::KnownGateways;
use record_file::RecordFile;
use stored_tokens::StoredTokens;

/// The settings of a token provider.
#[derive(Debug)]
pub struct Settings {
    /// The addresses of the cloud.
    pub cloud: Addresses,
    /// The account of the operator.
    pub account: Account,
    /// `true` to renew short-lived tokens too (L8).
    pub renew_short_tokens: bool,
    /// `true` to keep a session for other gateways of the account (L7).
    pub several_gateways: bool,
}

/// The reason why no decision or request was possible.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The state directory is not usable, and a login requires it (L4).
    #[error("{0}; no login is made without a record of it on disk")]
    State(#[from] state_dir::Error),
    /// The password is unreadable.
    #[error(transparent)]
    Password(#[from] UnreadableSecret),
    /// Another process holds the lock.
    #[error("another enphased process is contacting the cloud; try again in a minute")]
    Busy,
}

/// The outcome of [`TokenProvider::ensure_token`].
#[derive(Debug)]
pub enum Outcome {
    /// No request was sent, because of this decision.
    NothingSent(Decision),
    /// A token has arrived and is stored. The gateway has not seen it yet.
    Arrived(Token),
    /// A request to the cloud failed.
    Failed {
        /// The request that failed.
        step: Step,
        /// The failure.
        failure: Failure,
        /// The decision after the failure.
        next: Decision,
    },
}

/// Provides the gateways of one account with tokens.
#[derive(Debug)]
pub struct TokenProvider {
    clock: Clock,
    settings: Settings,
    record_file: RecordFile,
    stored: StoredTokens,
    known_gateways: KnownGateways,
    /// The verdicts of the gateways on their tokens.
    verdicts: Verdicts,
    rng: Rng,
    /// A login of this process that waits for a code of the second factor.
    challenge: Option<Challenge>,
    /// The last result of [`Self::refusal`], cached because the hash is slow.
    compared: Option<(Vec<Halt>, Credentials, Option<Kind>)>,
    /// `true` once the warning about blanks around the password is logged.
    warned_stripped: bool,
    ending: Ending,
}

/// The input of a decision.
struct Question<'a> {
    serial: &'a Serial,
    clocks: &'a Clocks,
    operator: Operator,
    /// The uptime when the operator made the request.
    asked: Duration,
}

impl TokenProvider {
    /// Creates a token provider that stores its data in `state`.
    pub fn new(state: StateDir, clock: Clock, settings: Settings, rng: Rng) -> Self {
        Self {
            record_file: RecordFile::new(state.clone()),
            stored: StoredTokens::new(state.clone()),
            known_gateways: KnownGateways::new(state),
            clock,
            settings,
            verdicts: Verdicts::default(),
            rng,
            challenge: None,
            compared: None,
            warned_stripped: false,
            ending: Ending::default(),
        }
    }

    /// Sets the configured gateways. Several gateways share a login, and newcomers are recognized by comparison.
    pub fn set_gateways(&mut self, places: Vec<Place>) {
        self.settings.several_gateways = places.len() > 1;
        self.known_gateways.places = places;
    }

    /// Sets the shutdown state, which the end of the program waits for.
    pub fn set_ending(&mut self, ending: Ending) {
        self.ending = ending;
    }

    /// Sets the account that a person has completed at the terminal.
    pub fn use_account(&mut self, account: Account) {
        self.settings.account = account;
    }

    /// Returns the clocks, including the time that the gateway has just reported.
    pub fn clocks(&self, gateway_time: GatewayTime) -> Clocks {
        Clocks::new(self.clock.moment(), gateway_time)
    }

    /// Returns the record of logins.
    pub async fn record(
        &mut self,
        serial: &Serial,
        clocks: &Clocks,
    ) -> Result<Arc<Record>, state_dir::Error> {
        self.record_file.read(serial, clocks).await
    }

    /// Decides what to do about the token of `serial` now. Sends no request.
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
        let mut record = self.record_file.read(serial, clocks).await?;
        if self.verdicts.completes(serial, &record) {
            self.verdicts.complete(serial, Arc::make_mut(&mut record));
        }
        let facts = self.stored.known_facts(serial).await?;
        let question = Question { serial, clocks, operator, asked: self.asked() };
        Ok(self.decide(&record, &facts, &question).await?.0)
    }

    /// Returns the uptime when the operator made the request: the start of the command.
    fn asked(&self) -> Duration {
        self.clock.process_began().unwrap_or_else(|| self.clock.moment().up)
    }

    /// Records the time that the gateway reported, if it may be needed after the next boot.
    pub async fn keep_time(&mut self, serial: &Serial, gateway_time: GatewayTime) -> Result<(), Error> {
        let clocks = self.clocks(gateway_time);
        if !self.record_file.read(serial, &clocks).await?.wants_time(&clocks) {
            return Ok(());
        }
        let lock = self.lock(Duration::ZERO).await?;
        let mut record = self.record_file.read_under(&lock, serial, &clocks).await?;
        if record.wants_time(&clocks) {
            record.keep_time(&clocks);
            self.record_file.write(&record).await?;
        }
        Ok(())
    }

    /// Returns the decision, and the credentials that it requires.
    async fn decide(
        &mut self,
        record: &Record,
        facts: &[TokenFacts],
        question: &Question<'_>,
    ) -> Result<(Decision, Option<Credentials>), Error> {
        let Question { serial, clocks, operator, asked } = *question;
        let is_newcomer = facts.is_empty() && self.known_gateways.is_newcomer(serial, record).await?;
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

    /// Returns the credentials of the account as they are sent. Warns once about blanks around the password.
    fn credentials(&mut self) -> Result<Option<Credentials>, UnreadableSecret> {
        let complete = self.settings.account.complete()?;
        let stripped = complete.as_ref().is_some_and(|complete| complete.password_was_stripped);
        if stripped && !self.warned_stripped {
            self.warned_stripped = true;
            tracing::warn!("{STRIPPED}");
        }
        Ok(complete.map(|complete| complete.credentials))
    }

    /// Returns how the cloud refused these credentials, or `None` if it did not.
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

    /// Fetches a token for `serial` from the cloud if the rules require one now. `gateway_time` is the time that the
    /// gateway has just reported, and `patience` is the maximum time to wait for another process.
    pub async fn ensure_token(
        &mut self,
        serial: &Serial,
        gateway_time: GatewayTime,
        operator: Operator,
        patience: Duration,
    ) -> Result<Outcome, Error> {
        let (seen, asked) = (self.clocks(gateway_time), self.asked());
        let mut decided = self.consider_at(serial, &seen, operator).await?;
        // A request of the operator is decided only under the lock, because another process may be sending one.
        if operator == Operator::Absent && !matches!(decided, Decision::Act { .. }) {
            return Ok(Outcome::NothingSent(decided));
        }
        let lock = self.lock(patience).await?;
        // Sends each request at most once: a failure causes a hold-off, and after a token nothing is due.
        loop {
            // A session that was opened is on disk, and the next start uses it.
            if self.ending.is_near() {
                return Ok(Outcome::NothingSent(decided));
            }
            let clocks = seen.later(self.clock.moment());
            let mut record = self.record_file.read_under(&lock, serial, &clocks).await?;
            self.verdicts.complete(serial, &mut record);
            self.known_gateways.forget();
            let facts = self.stored.read_facts(serial).await?;
            let question = Question { serial, clocks: &clocks, operator, asked };
            let (decision, credentials) = self.decide(&record, &facts, &question).await?;
            let Decision::Act { step, reason } = decision else { return Ok(Outcome::NothingSent(decision)) };
            decided = decision;
            if operator == Operator::Absent && self.take_back(serial).await? {
                continue;
            }
            match self.attempt(record, serial, step, reason, &clocks, credentials.as_ref()).await? {
                Ok(Some(token)) => return Ok(Outcome::Arrived(token)),
                Ok(None) => {}
                Err(failure) if step == Step::Token && failure.kind == Kind::Unexpected => {
                    tracing::warn!(
                        "the Enphase cloud gave no token: {failure}; trying the alternative endpoint"
                    );
                }
                Err(failure) => {
                    let clocks = seen.later(self.clock.moment());
                    let next = self.consider_at(serial, &clocks, Operator::Absent).await?;
                    return Ok(Outcome::Failed { step, failure, next });
                }
            }
        }
    }

    /// Restores a token that the gateway accepts, after another process has replaced it by a useless one.
    async fn take_back(&mut self, serial: &Serial) -> Result<bool, Error> {
        let verdicts = self.verdicts.of(serial);
        Ok(self.stored.take_back(serial, |token| verdicts.contains(&(token.id(), Verdict::Accepted))).await?)
    }

    /// Waits until no other process contacts the cloud, because that process is about to change the record.
    pub async fn wait_for_other_processes(&self, patience: Duration) -> Result<(), Error> {
        self.lock(patience).await.map(drop)
    }

    async fn lock(&self, patience: Duration) -> Result<Lock, Error> {
        self.record_file.lock(patience).await?.ok_or(Error::Busy)
    }
}
