//! Provides the gateways with tokens, by the rules of [`crate::rules::logins`].
//!
//! Only this module contacts the cloud. The order of the steps limits the number of logins: lock, read the record again,
//! decide, record the attempt, send it, record its outcome. A token is stored as soon as it arrives.

pub mod account;
mod cloud_requests;
mod decider;
pub mod ending;
mod error;
mod gateway_verdicts;
mod known_gateways;
mod login_lock;
mod outcome;
pub mod record_file;
pub mod second_factor;
mod settings;
mod stored_tokens;

use std::sync::Arc;
use std::time::Duration;

use crate::app::config::secret::Account;
use crate::app::latest::CloudReport;
use crate::base::clock::Clock;
use crate::base::reading::Serial;
use crate::base::secrets::Secret;
use crate::io::cloud::Kind;
use crate::io::state_dir::{self, Stamp, StateDir};
use crate::io::token::Token;
use crate::io::token::store::{self, Origin, Tokens};
use crate::rules::logins::attempt::Step;
use crate::rules::logins::clocks::{Clocks, GatewayTime};
use crate::rules::logins::decision::Decision;
use crate::rules::logins::newcomer::Place;
use crate::rules::logins::record::Record;
use crate::rules::logins::situation::Operator;
use account::LoginAccount;
use cloud_requests::{CloudRequests, CodeRequest, Request};
use decider::{Decider, Question};
use ending::Ending;
pub use error::Error;
use fastrand::Rng;
use gateway_verdicts::GatewayVerdicts;
use known_gateways::KnownGateways;
use login_lock::LoginLock;
pub use outcome::Outcome;
use record_file::RecordFile;
use second_factor::Entered;
pub use settings::Settings;
use stored_tokens::StoredTokens;

/// Provides the gateways of one account with tokens.
#[derive(Debug)]
pub struct TokenProvider {
    state: StateDir,
    clock: Clock,
    lock: LoginLock,
    record_file: RecordFile,
    stored: StoredTokens,
    verdicts: GatewayVerdicts,
    decider: Decider,
    cloud: CloudRequests,
}

impl TokenProvider {
    /// Creates a token provider that stores its data in `state`.
    pub fn new(state: StateDir, clock: Clock, settings: Settings, rng: Rng) -> Self {
        let lock = LoginLock::new(state.clone());
        Self {
            record_file: RecordFile::new(state.clone()),
            stored: StoredTokens::new(state.clone()),
            verdicts: GatewayVerdicts::new(lock.clone()),
            decider: Decider {
                account: LoginAccount::new(settings.account),
                known_gateways: KnownGateways::new(state.clone()),
                renew_short_tokens: settings.renew_short_tokens,
            },
            cloud: CloudRequests {
                addresses: settings.cloud,
                several_gateways: settings.several_gateways,
                clock: clock.clone(),
                rng,
                ending: Ending::default(),
                challenge: None,
            },
            lock,
            clock,
            state,
        }
    }

    /// Sets the configured gateways. Several gateways share a login, and newcomers are recognized by comparison.
    pub fn set_gateways(&mut self, places: Vec<Place>) {
        self.cloud.several_gateways = places.len() > 1;
        self.decider.known_gateways.places = places;
    }

    /// Sets the shutdown state, which the end of the program waits for.
    pub fn set_ending(&mut self, ending: Ending) {
        self.cloud.ending = ending;
    }

    /// Sets the account that a person has completed at the terminal.
    pub fn use_account(&mut self, account: Account) {
        self.decider.account.replace(account);
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

    /// Describes the last contact with the cloud, by the record that was read last. Reads no file.
    pub fn cloud_report(&self) -> CloudReport {
        CloudReport::new(self.record_file.last(), &self.clocks(GatewayTime::NoResponse))
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
        let [of_record, of_tokens] = self.stamps(serial).await;
        let mut record = self.record_file.read_at(of_record, serial, clocks).await?;
        if self.verdicts.completes(serial, &record) {
            self.verdicts.complete(serial, Arc::make_mut(&mut record));
        }
        let facts = self.stored.facts_at(of_tokens, serial).await?;
        let question = Question { serial, clocks, operator, asked: self.asked() };
        Ok(self.decider.decide(&record, &facts, self.verdicts.in_memory(), &question).await?.0)
    }

    /// Returns the stamps of the record and of the tokens of `serial`. A file without a stamp is read, which reports errors.
    async fn stamps(&self, serial: &Serial) -> [Option<Stamp>; 2] {
        let names = [record_file::RECORD.to_owned(), store::name(serial)];
        self.state.stamps(names).await.unwrap_or_default()
    }

    /// Returns the uptime when the operator made the request: the start of the command.
    fn asked(&self) -> Duration {
        self.clock.process_began().unwrap_or_else(|| self.clock.moment().up)
    }

    /// Records the time that the gateway reported, if it may be needed after the next boot.
    pub async fn keep_time(&mut self, serial: &Serial, gateway_time: GatewayTime) -> Result<(), Error> {
        let clocks = self.clocks(gateway_time);
        if !self.record_file.recent(serial, &clocks).await?.wants_time(&clocks) {
            return Ok(());
        }
        let lock = self.lock.acquire(Duration::ZERO).await?;
        Ok(self.record_file.keep_time(&lock, serial, &clocks).await?)
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
        let lock = self.lock.acquire(patience).await?;
        // Sends each request at most once: a failure causes a hold-off, and after a token nothing is due.
        loop {
            // A session that was opened is on disk, and the next start uses it.
            if self.cloud.ending.is_near() {
                return Ok(Outcome::NothingSent(decided));
            }
            let clocks = &seen.later(self.clock.moment());
            let mut record = self.record_file.read_under(&lock, serial, clocks).await?;
            self.verdicts.complete(serial, &mut record);
            self.decider.known_gateways.forget();
            let facts = self.stored.read_facts(serial).await?;
            let question = Question { serial, clocks, operator, asked };
            let (decision, credentials) =
                self.decider.decide(&record, &facts, self.verdicts.in_memory(), &question).await?;
            let Decision::Act { step, reason } = decision else { return Ok(Outcome::NothingSent(decision)) };
            decided = decision;
            if operator == Operator::Absent && self.take_back(serial).await? {
                continue;
            }
            let (username, credentials) = (self.decider.account.username(), credentials.as_ref());
            let request = Request { serial, step, reason, clocks, username: &username, credentials };
            match self.cloud.attempt(record, &request, &mut self.record_file, &mut self.stored).await? {
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
        let verdicts = &self.verdicts;
        Ok(self.stored.take_back(serial, |token| verdicts.is_accepted(serial, token)).await?)
    }

    /// Waits until no other process contacts the cloud, because that process is about to change the record.
    pub async fn wait_for_other_processes(&self, patience: Duration) -> Result<(), Error> {
        self.lock.acquire(patience).await.map(drop)
    }

    /// Returns whether the last login, requested by a person, waits for a code.
    pub fn is_challenged(&self) -> bool {
        self.cloud.challenge.is_some()
    }

    /// Sends the code that the person has typed, or requests another code.
    pub async fn answer_challenge(
        &mut self,
        serial: &Serial,
        gateway_time: GatewayTime,
        typed: Option<&Secret>,
        patience: Duration,
    ) -> Result<Entered, Error> {
        if !self.is_challenged() {
            return Ok(Entered::no_login_waits());
        }
        let lock = self.lock.acquire(patience).await?;
        let clocks = &self.clocks(gateway_time);
        let record = self.record_file.read_under(&lock, serial, clocks).await?;
        let username = &self.decider.account.username();
        let request = CodeRequest { serial, clocks, username, typed };
        self.cloud.enter_code(record, &request, &mut self.record_file).await
    }

    /// Returns the stored tokens of a gateway.
    pub async fn tokens(&mut self, serial: &Serial) -> Result<Tokens, state_dir::Error> {
        self.stored.tokens(serial).await
    }

    /// Returns the stamp of the stored tokens that were considered last, or `None` if they have changed since.
    pub fn known_stamp(&self, serial: &Serial) -> Option<Stamp> {
        self.stored.known_stamp(serial)
    }

    /// Stores a token that a person imports.
    pub async fn import(&mut self, token: &Token, patience: Duration) -> Result<(), Error> {
        let _lock = self.lock.acquire(patience).await?;
        Ok(self.stored.arrived(token, Origin::Import, self.clock.now()).await?)
    }

    /// Removes the tokens of a gateway. The record of logins remains, because it limits the next login.
    pub async fn forget(&mut self, serial: &Serial, patience: Duration) -> Result<(), Error> {
        let _lock = self.lock.acquire(patience).await?;
        Ok(self.stored.forget(serial).await?)
    }

    /// Makes `candidate`, which the gateway has accepted, the token in use. Does nothing if another process has replaced
    /// the candidate in the meantime.
    pub async fn promote(&mut self, candidate: &Token) -> Result<(), Error> {
        self.accepted(&candidate.serial, candidate).await?;
        let _lock = self.lock.acquire(Duration::ZERO).await?;
        Ok(self.stored.promote(candidate, self.clock.now()).await?)
    }

    /// Removes `candidate`, which the gateway has clearly refused twice. The token in use remains.
    pub async fn drop_candidate(&mut self, candidate: &Token) -> Result<(), Error> {
        let _lock = self.lock.acquire(Duration::ZERO).await?;
        Ok(self.stored.drop_candidate(candidate).await?)
    }

    /// Records that the gateway refused `token` with HTTP 401 while `/info` responded.
    ///
    /// Returns `true` for the second refusal, at least five minutes after the first and without an acceptance in between,
    /// by clocks that agree. If a gateway does not report the time, its refusals count only for an expired token. A token
    /// that such a gateway has really revoked is replaced when it expires, or when the operator requests it.
    pub async fn refused(
        &mut self,
        serial: &Serial,
        token: &Token,
        gateway_time: GatewayTime,
    ) -> Result<bool, Error> {
        let clocks = self.clocks(gateway_time);
        self.verdicts.refused(&mut self.record_file, serial, token, &clocks).await
    }

    /// Records that the gateway accepts `token`, and clears earlier refusals, regardless of the clocks.
    pub async fn accepted(&mut self, serial: &Serial, token: &Token) -> Result<(), Error> {
        let clocks = self.clocks(GatewayTime::NoResponse);
        self.verdicts.accepted(&mut self.record_file, serial, token, &clocks).await
    }

    /// Records that the gateway's response neither accepts nor refuses `token`.
    pub fn unclear(&mut self, serial: &Serial, token: &Token) {
        self.verdicts.unclear(serial, token);
    }
}
