//! Requests to the cloud: each is recorded before it is sent, and again with its outcome.

use super::account::hash_in;
use super::ending::Ending;
use super::error::Error;
use super::record_file::RecordFile;
use super::second_factor::Entered;
use super::stored_tokens::StoredTokens;
use crate::base::clock::Clock;
use crate::base::reading::Serial;
use crate::base::secrets::{Credentials, Secret};
use crate::io::cloud::{Addresses, Challenge, Client, Login};
use crate::io::cloud::{Failure, Kind};
use crate::io::state_dir;
use crate::io::token::Token;
use crate::io::token::store::Origin;
use crate::rules::logins::Record;
use crate::rules::logins::attempt::{Reason, Step};
use crate::rules::logins::clocks::Clocks;
use crate::rules::logins::second_factor;
use fastrand::Rng;

/// A login, or the request for a token.
pub(super) struct Request<'a> {
    pub(super) serial: &'a Serial,
    pub(super) step: Step,
    pub(super) reason: Reason,
    pub(super) clocks: &'a Clocks,
    pub(super) username: &'a str,
    pub(super) credentials: Option<&'a Credentials>,
}

/// A code of the second factor, entered by a person at a terminal, or the request for another one. The daemon sends
/// neither.
pub(super) struct CodeRequest<'a> {
    pub(super) serial: &'a Serial,
    pub(super) clocks: &'a Clocks,
    pub(super) username: &'a str,
    /// The code, or `None` to request another one.
    pub(super) typed: Option<&'a Secret>,
}

/// Sends the requests to the cloud.
#[derive(Debug)]
pub(super) struct CloudRequests {
    pub(super) addresses: Addresses,
    /// `true` to keep a session for other gateways of the account (L7).
    pub(super) several_gateways: bool,
    pub(super) clock: Clock,
    pub(super) rng: Rng,
    pub(super) ending: Ending,
    /// A login of this process that waits for a code of the second factor.
    pub(super) challenge: Option<Challenge>,
}

impl CloudRequests {
    /// Records a login or the request for a token, sends it, and records its outcome.
    ///
    /// Returns a token, `None` after a login or at the end of the program, or the failure.
    pub(super) async fn attempt(
        &mut self,
        mut record: Record,
        request: &Request<'_>,
        record_file: &mut RecordFile,
        stored: &mut StoredTokens,
    ) -> Result<Result<Option<Token>, Failure>, Error> {
        let Request { serial, step, reason, clocks: seen, username, credentials } = *request;
        let _request = self.ending.request();
        let before = record.clone();
        record.begin(step, reason, serial, seen);
        if !self.is_written_ahead(&record, &before, record_file).await? {
            return Ok(Ok(None));
        }
        log(step, reason);
        self.challenge = None;
        let sent = self.send(&record, request).await;
        let clocks = seen.later(self.clock.moment());
        let came = match sent {
            Ok(secret) if step == Step::Login => {
                record.logged_in(secret, username, &clocks);
                Ok(None)
            }
            Ok(secret) => match Token::decode(secret.expose()) {
                Ok(token) if token.serial == *serial => {
                    let kept = stored.arrived(&token, Origin::Login, self.clock.now()).await;
                    state_dir::Error::unless_waiting(kept)?;
                    record.token_came(serial, self.several_gateways, &clocks);
                    Ok(Some(token))
                }
                _ => Err(Failure::new(Kind::Unexpected, "the token is for another gateway")),
            },
            Err(failure) => Err(failure),
        };
        if let Err(failure) = &came {
            let hash = match (failure.kind, credentials) {
                (Kind::WrongCredentials | Kind::SecondFactor, Some(used)) => {
                    hash_in(&record, used, &mut self.rng)
                }
                _ => String::new(),
            };
            record.failed(failure, &hash, &clocks, &mut self.rng);
        }
        // A token that has arrived is used even if the disk stores the outcome only later.
        state_dir::Error::unless_waiting(record_file.write(&record).await)?;
        Ok(came)
    }

    /// Stores the record before the request is sent. Returns `false` if the program ends before the record is on disk: a
    /// disk that hangs does not delay the shutdown.
    async fn is_written_ahead(
        &self,
        record: &Record,
        before: &Record,
        record_file: &mut RecordFile,
    ) -> Result<bool, Error> {
        tokio::select! {
            biased;
            written = record_file.write_ahead(record, before) => Ok(written.map(|()| true)?),
            () = self.ending.near() => Ok(false),
        }
    }

    async fn send(&mut self, record: &Record, request: &Request<'_>) -> Result<Secret, Failure> {
        let client = Client::new(&self.addresses)?;
        let serial = request.serial;
        match (request.step, request.credentials, &record.session) {
            (Step::Login, Some(credentials), _) => match client.login(credentials).await {
                Login::Session(session) => Ok(session),
                Login::Challenged(challenge, failure) => {
                    self.challenge = Some(challenge);
                    Err(failure)
                }
                Login::Failed(failure) => Err(failure),
            },
            (Step::Token, _, Some(session)) => {
                client.fetch_token(&session.id, serial, &session.username).await
            }
            (Step::OtherToken, _, Some(session)) => client.fetch_token_otherwise(&session.id, serial).await,
            _ => Err(Failure::transient("the credentials or the session for this request are missing")),
        }
    }

    /// Sends one request of the second factor for the login that waits for a code, and records it before and after.
    /// Fails if the record has changed since the login.
    pub(super) async fn enter_code(
        &mut self,
        mut record: Record,
        request: &CodeRequest<'_>,
        record_file: &mut RecordFile,
    ) -> Result<Entered, Error> {
        let CodeRequest { serial, clocks, username, typed } = *request;
        let Some(challenge) = self.challenge.clone() else { return Ok(Entered::no_login_waits()) };
        let step = if typed.is_some() { Step::Code } else { Step::AnotherCode };
        match second_factor::left(&record, step) {
            None => return Ok(Entered::no_login_waits()),
            Some(0) => return Ok(Entered::NoMore),
            Some(_) => {}
        }
        let _request = self.ending.request();
        let before = record.clone();
        record.begin(step, Reason::Operator, serial, clocks);
        record_file.write_ahead(&record, &before).await?;
        let sent = self.send_code(&challenge, typed).await;
        let clocks = clocks.later(self.clock.moment());
        let entered = match sent {
            Ok(Some(session)) => {
                record.logged_in(session, username, &clocks);
                Entered::LoggedIn
            }
            Ok(None) => {
                record.code_sent(&clocks);
                Entered::Sent
            }
            Err(failure) => {
                record.failed(&failure, "", &clocks, &mut self.rng);
                Entered::after_failure(&record, failure)
            }
        };
        record_file.write(&record).await?;
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
        let client = Client::new(&self.addresses)?;
        match typed {
            Some(typed) => client.enter_code(challenge, typed).await.map(Some),
            None => client.send_another_code(challenge).await.map(|()| None),
        }
    }
}

fn log(step: Step, reason: Reason) {
    match step {
        Step::Login => tracing::info!("logging in to the Enphase cloud, because {reason}"),
        Step::OtherToken => {
            tracing::info!("fetching a token from the alternative endpoint, because {reason}");
        }
        _ => tracing::info!("fetching a token from the Enphase cloud, because {reason}"),
    }
}
