//! The code of a second factor, entered by a person at a terminal. The daemon never enters one.

use std::time::Duration;

use super::{Error, TokenProvider};
use crate::base::reading::Serial;
use crate::base::secrets::Secret;
use crate::io::cloud::{Challenge, Client};
use crate::io::cloud::{Failure, Kind};
use crate::rules::logins::attempt::{Reason, Step};
use crate::rules::logins::clocks::GatewayTime;
use crate::rules::logins::second_factor;

/// The outcome of entering a code, or of requesting another one.
#[derive(Debug)]
pub enum Entered {
    /// The code was accepted; a token can be fetched now.
    LoggedIn,
    /// The cloud has sent another code.
    Sent,
    /// The code was wrong. Contains the number of attempts left.
    Wrong(usize),
    /// The cloud did not send another code. The first one may still arrive.
    NotSent(Failure),
    /// The maximum number of requests is reached.
    NoMore,
    /// The login has failed.
    Failed(Failure),
}

impl TokenProvider {
    /// Returns whether the last login, requested by a person, waits for a code.
    pub fn is_challenged(&self) -> bool {
        self.challenge.is_some()
    }

    /// Sends the code that the person has entered.
    pub async fn enter_code(
        &mut self,
        serial: &Serial,
        gateway_time: GatewayTime,
        typed: &Secret,
        patience: Duration,
    ) -> Result<Entered, Error> {
        self.answer_challenge(serial, gateway_time, Some(typed), patience).await
    }

    /// Requests another code.
    pub async fn send_another_code(
        &mut self,
        serial: &Serial,
        gateway_time: GatewayTime,
        patience: Duration,
    ) -> Result<Entered, Error> {
        self.answer_challenge(serial, gateway_time, None, patience).await
    }

    /// Sends one request of the second factor, and records it before and after. Fails if the record has changed since the
    /// login.
    async fn answer_challenge(
        &mut self,
        serial: &Serial,
        gateway_time: GatewayTime,
        typed: Option<&Secret>,
        patience: Duration,
    ) -> Result<Entered, Error> {
        let over = || Entered::Failed(Failure::transient("this login is no longer waiting for a code"));
        let Some(challenge) = self.challenge.clone() else { return Ok(over()) };
        let step = if typed.is_some() { Step::Code } else { Step::AnotherCode };
        let lock = self.lock(patience).await?;
        let clocks = self.clocks(gateway_time);
        let mut record = self.record_file.read_under(&lock, serial, &clocks).await?;
        match second_factor::left(&record, step) {
            None => return Ok(over()),
            Some(0) => return Ok(Entered::NoMore),
            Some(_) => {}
        }
        let _request = self.ending.request();
        let before = record.clone();
        record.begin(step, Reason::Operator, serial, &clocks);
        self.record_file.write_ahead(&record, &before).await?;
        let sent = self.send_code(&challenge, typed).await;
        let clocks = clocks.later(self.clock.moment());
        let entered = match sent {
            Ok(Some(session)) => {
                record.logged_in(session, &self.username(), &clocks);
                Entered::LoggedIn
            }
            Ok(None) => {
                record.code_sent(&clocks);
                Entered::Sent
            }
            Err(failure) => {
                record.failed(&failure, "", &clocks, &mut self.rng);
                match second_factor::left(&record, Step::Code) {
                    Some(more) if failure.kind == Kind::WrongCode => Entered::Wrong(more),
                    Some(_) => Entered::NotSent(failure),
                    None => Entered::Failed(failure),
                }
            }
        };
        self.record_file.write(&record).await?;
        if matches!(entered, Entered::LoggedIn | Entered::Failed(_)) {
            self.challenge = None;
        }
        Ok(entered)
    }

    async fn send_code(
        &self,
        challenge: &Challenge,
        typed: Option<&Secret>,
    ) -> Result<Option<Secret>, Failure> {
        let client = Client::new(&self.settings.cloud)?;
        match typed {
            Some(typed) => client.enter_code(challenge, typed).await.map(Some),
            None => client.send_another_code(challenge).await.map(|()| None),
        }
    }
}
