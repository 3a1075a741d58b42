//! A single request to the cloud: recorded before it is sent, and again with its outcome.

use super::{Error, TokenProvider, account};
use crate::base::reading::Serial;
use crate::base::secrets::{Credentials, Secret};
use crate::io::cloud::{Client, Login};
use crate::io::cloud::{Failure, Kind};
use crate::io::state_dir;
use crate::io::token::Token;
use crate::io::token::store::Origin;
use crate::rules::logins::Record;
use crate::rules::logins::attempt::{Reason, Step};
use crate::rules::logins::clocks::Clocks;

impl TokenProvider {
    /// Records a request to the cloud, sends it, and records its outcome.
    ///
    /// Returns a token, `None` after a login or at the end of the program, or the failure.
    pub(super) async fn attempt(
        &mut self,
        mut record: Record,
        serial: &Serial,
        step: Step,
        reason: Reason,
        seen: &Clocks,
        credentials: Option<&Credentials>,
    ) -> Result<Result<Option<Token>, Failure>, Error> {
        let _request = self.ending.request();
        let before = record.clone();
        record.begin(step, reason, serial, seen);
        if !self.is_written_ahead(&record, &before).await? {
            return Ok(Ok(None));
        }
        match step {
            Step::Login => tracing::info!("logging in to the Enphase cloud, because {reason}"),
            Step::OtherToken => {
                tracing::info!("fetching a token from the alternative endpoint, because {reason}");
            }
            _ => tracing::info!("fetching a token from the Enphase cloud, because {reason}"),
        }
        self.challenge = None;
        let sent = self.send(&record, serial, step, credentials).await;
        let clocks = seen.later(self.clock.moment());
        let came = match sent {
            Ok(secret) if step == Step::Login => {
                record.logged_in(secret, &self.username(), &clocks);
                Ok(None)
            }
            Ok(secret) => match Token::decode(secret.expose()) {
                Ok(token) if token.serial == *serial => {
                    state_dir::Error::unless_waiting(self.keep(serial, &token, Origin::Login).await)?;
                    record.token_came(serial, self.settings.several_gateways, &clocks);
                    Ok(Some(token))
                }
                _ => Err(Failure::new(Kind::Unexpected, "the token is for another gateway")),
            },
            Err(failure) => Err(failure),
        };
        if let Err(failure) = &came {
            let halts = matches!(failure.kind, Kind::WrongCredentials | Kind::SecondFactor);
            let hash = credentials.filter(|_| halts).map(|used| self.hash(&record, used));
            record.failed(failure, &hash.unwrap_or_default(), &clocks, &mut self.rng);
        }
        // A token that has arrived is used even if the disk stores the outcome only later.
        state_dir::Error::unless_waiting(self.record_file.write(&record).await)?;
        Ok(came)
    }

    /// Stores the record before the request is sent. Returns `false` if the program ends before the record is on disk: a
    /// disk that hangs does not delay the shutdown.
    async fn is_written_ahead(&mut self, record: &Record, before: &Record) -> Result<bool, Error> {
        let ending = self.ending.clone();
        tokio::select! {
            biased;
            written = self.record_file.write_ahead(record, before) => Ok(written.map(|()| true)?),
            () = ending.near() => Ok(false),
        }
    }

    /// Returns the hash of the credentials from the record, or a new one.
    fn hash(&mut self, record: &Record, used: &Credentials) -> String {
        let known = record.halts.iter().find(|halt| account::is_same(&halt.credentials, used));
        known.map_or_else(|| account::hash(used, &mut self.rng), |halt| halt.credentials.clone())
    }

    async fn send(
        &mut self,
        record: &Record,
        serial: &Serial,
        step: Step,
        credentials: Option<&Credentials>,
    ) -> Result<Secret, Failure> {
        let client = Client::new(&self.settings.cloud)?;
        match (step, credentials, &record.session) {
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

    pub(super) fn username(&self) -> String {
        self.settings.account.username().unwrap_or_default().to_owned()
    }
}
