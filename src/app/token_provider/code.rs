//! The code of a second factor, which a person at a terminal types. No daemon does.

use std::time::Duration;

use super::{Error, TokenProvider};
use crate::base::reading::Serial;
use crate::base::secrets::Secret;
use crate::io::cloud::{Challenge, Client};
use crate::io::cloud::{Failure, Kind};
use crate::rules::logins::attempt::{Reason, Step};
use crate::rules::logins::clocks::GatewayTime;
use crate::rules::logins::second_factor;

/// What came of a code, or of the request for another.
#[derive(Debug)]
pub enum Entered {
    /// The session is open, and a token can be fetched.
    LoggedIn,
    /// Another code is on its way.
    Sent,
    /// It was not that one; so many more may be typed.
    Wrong(usize),
    /// It was not sent again, and why; the first one may still come.
    NotSent(Failure),
    /// As often as may be.
    NoMore,
    /// It is over.
    Failed(Failure),
}

impl TokenProvider {
    /// Whether the last login, which a person asked for, waits for a code.
    pub fn is_challenged(&self) -> bool {
        self.challenge.is_some()
    }

    /// Sends the code that was typed.
    pub async fn enter_code(
        &mut self,
        serial: &Serial,
        gateway_time: GatewayTime,
        typed: &Secret,
        patience: Duration,
    ) -> Result<Entered, Error> {
        self.answer_challenge(serial, gateway_time, Some(typed), patience).await
    }

    /// Asks for another code.
    pub async fn send_another_code(
        &mut self,
        serial: &Serial,
        gateway_time: GatewayTime,
        patience: Duration,
    ) -> Result<Entered, Error> {
        self.answer_challenge(serial, gateway_time, None, patience).await
    }

    /// One request, written down before it leaves and after it came back, if nothing else has happened since
    /// the login.
    async fn answer_challenge(
        &mut self,
        serial: &Serial,
        gateway_time: GatewayTime,
        typed: Option<&Secret>,
        patience: Duration,
    ) -> Result<Entered, Error> {
        let over = || Entered::Failed(Failure::transient("this login is over, and waits for no code"));
        let Some(challenge) = self.challenge.clone() else { return Ok(over()) };
        let step = if typed.is_some() { Step::Code } else { Step::AnotherCode };
        let lock = self.lock(patience).await?;
        let clocks = self.clocks(gateway_time);
        let mut record = self.ledger.read_under(&lock, serial, &clocks).await?;
        match second_factor::left(&record, step) {
            None => return Ok(over()),
            Some(0) => return Ok(Entered::NoMore),
            Some(_) => {}
        }
        let _request = self.ending.request();
        let before = record.clone();
        record.begin(step, Reason::Operator, serial, &clocks);
        self.ledger.write_ahead(&record, &before).await?;
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
        self.ledger.write(&record).await?;
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
