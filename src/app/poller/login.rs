//! The login for the token of one gateway: started when the login rules require it, and awaited without delaying a poll
//! that has a token.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::Shared;
use super::gateway_time::{JUST_NOW, confirmed_time, gateway_time_now};
use super::trouble::Trouble;
use super::verdicts::Verdicts;
use crate::app::token_provider::{self, Outcome, TokenProvider};
use crate::base::heartbeat::Heartbeat;
use crate::base::reading::Serial;
use crate::io::gateway::{self, Connected};
use crate::io::token::Token;
use crate::io::token::store::{StoredToken, Tokens};
use crate::rules::logins::clocks::GatewayTime;
use crate::rules::logins::decision::{Decision, Waiting};
use crate::rules::logins::situation::Operator;

/// The time limit for waiting for a login while there is a token.
const SHORT_WAIT: Duration = JUST_NOW;
/// The time limit for a login: three requests of a minute each, and the writes between them.
const LONGEST_LOGIN: Duration = Duration::from_secs(4 * 60);

/// The state of the login for one gateway.
#[derive(Debug)]
pub(super) struct Login {
    serial: Serial,
    shared: Arc<Shared>,
    heartbeat: Heartbeat,
    /// The last decision that was reported.
    last_decision: Option<Decision>,
    /// A login in progress. The gateway is polled with the existing token meanwhile.
    task: Option<JoinHandle<Result<Outcome, token_provider::Error>>>,
}

impl Login {
    pub(super) const fn new(serial: Serial, shared: Arc<Shared>, heartbeat: Heartbeat) -> Self {
        Self { serial, shared, heartbeat, last_decision: None, task: None }
    }

    /// Requests a token if the login rules require one now. Waits for another gateway's login only if `tokens` has none
    /// to poll with.
    pub(super) async fn ensure_token(
        &mut self,
        gateway: &mut Connected,
        tokens: &mut Tokens,
        verdicts: &mut Verdicts,
    ) -> Result<Decision, Trouble> {
        if self.task.is_some() {
            return self.wait(tokens).await;
        }
        let mut token_provider = match self.shared.free_token_provider() {
            Some(token_provider) => token_provider,
            None if tokens.in_use().is_some() => return Ok(self.last_decision()),
            // The last of a thousand gateways may wait for the logins of all others, each with its own heartbeat.
            None => {
                let lock = Arc::clone(&self.shared.token_provider).lock_owned();
                self.heartbeat.during(Duration::MAX, lock).await
            }
        };
        let gateway_time = gateway_time_now(gateway);
        // A state directory that cannot be written is reported when a login needs it.
        token_provider
            .keep_time(&self.serial, gateway_time)
            .await
            .unwrap_or_else(|error| tracing::debug!("{error}"));
        verdicts.record_acceptance(&mut token_provider).await;
        let mut decision = token_provider.consider(&self.serial, gateway_time, Operator::Absent).await?;
        if let Decision::Wait { why: Waiting::GatewayNotAsked, .. } = decision {
            self.check_expired(gateway, &mut token_provider).await?;
            decision = token_provider.consider(&self.serial, gateway_time, Operator::Absent).await?;
        }
        let decision = match decision {
            // The gateway must have responded just now, not an hour ago.
            Decision::Act { .. } | Decision::Wait { why: Waiting::GatewaySilent, .. } => {
                let gateway_time = confirmed_time(gateway).await?;
                self.heartbeat.beat();
                // Whether a token is stored decides how long to wait for the login.
                *tokens = token_provider.tokens(&self.serial).await?;
                self.start(token_provider, gateway_time);
                self.wait(tokens).await?
            }
            other => other,
        };
        self.report_decision(&decision);
        Ok(decision)
    }

    /// Checks with the gateway tokens that have expired by the clock: an accepted token has not expired (L2).
    async fn check_expired(
        &self,
        gateway: &mut Connected,
        token_provider: &mut TokenProvider,
    ) -> Result<(), Trouble> {
        let tokens = token_provider.tokens(&self.serial).await?;
        let gateway_time = confirmed_time(gateway).await?;
        if let Some(kept) = tokens.in_use() {
            gateway.use_token(&kept.token)?;
        }
        for StoredToken { token, .. } in tokens.candidate.iter().chain(&tokens.current) {
            self.heartbeat.beat();
            match gateway.check_token(token).await {
                Ok(()) => token_provider.accepted(&self.serial, token).await?,
                Err(gateway::Error::TokenRefused) => {
                    token_provider.refused(&self.serial, token, gateway_time).await?;
                }
                Err(error) if error.says_nothing_about_token() => token_provider.unclear(&self.serial, token),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Starts a login, which checks the rules again under the lock.
    fn start(&mut self, mut token_provider: OwnedMutexGuard<TokenProvider>, gateway_time: GatewayTime) {
        let serial = self.serial.clone();
        // In a separate task: if this poll is dropped, the outcome of the login is still recorded.
        let login = async move {
            token_provider.ensure_token(&serial, gateway_time, Operator::Absent, Duration::ZERO).await
        };
        self.task = Some(tokio::spawn(login));
    }

    /// Waits for the login in progress. If there is a token to poll with, waits for a short time only.
    async fn wait(&mut self, tokens: &Tokens) -> Result<Decision, Trouble> {
        let patience = if tokens.in_use().is_some() { SHORT_WAIT } else { Duration::MAX };
        let Some(login) = &mut self.task else { return Ok(self.last_decision()) };
        let Ok(ended) = timeout(patience, self.heartbeat.during(LONGEST_LOGIN, login)).await else {
            return Ok(self.last_decision());
        };
        self.task = None;
        match ended {
            Ok(outcome) => Ok(self.report_outcome(outcome?)),
            Err(_) => Ok(self.last_decision()),
        }
    }

    fn last_decision(&self) -> Decision {
        self.last_decision.clone().unwrap_or(Decision::Rest)
    }

    fn report_decision(&mut self, decision: &Decision) {
        if self.last_decision.as_ref() == Some(decision) {
            return;
        }
        if let Decision::Stop(stopped) = decision {
            tracing::warn!(gateway = %self.serial, "{stopped}");
            self.shared.event(&self.serial, "login_stopped", stopped.to_string());
        }
        self.last_decision = Some(decision.clone());
    }

    fn report_outcome(&mut self, outcome: Outcome) -> Decision {
        let word = match &outcome {
            Outcome::NothingSent(_) => None,
            Outcome::Arrived(_) => Some("ok"),
            Outcome::Failed { .. } => Some("failed"),
        };
        if let Some(word) = word {
            self.shared.tally.count("enphased_logins_total", &[("outcome", word)]);
        }
        match outcome {
            Outcome::NothingSent(decision) => decision,
            Outcome::Arrived(token) => {
                let message = arrival(&token);
                tracing::info!("{message}");
                self.shared.event(&self.serial, "token_arrived", message);
                Decision::Rest
            }
            Outcome::Failed { failure, next, .. } => {
                let message = format!("the Enphase cloud gave no token: {failure}; {next}");
                tracing::warn!("{message}");
                self.shared.event(&self.serial, "login_failed", message);
                // The message above contains it.
                self.last_decision = Some(next.clone());
                next
            }
        }
    }
}

/// Describes a new token for the log and the event (L8, L11).
fn arrival(token: &Token) -> String {
    let mut message = format!("a new token arrived, valid until {:.0}", token.expires_at);
    if !token.is_long_lived() {
        message += "; it is short-lived, and such tokens are not renewed automatically";
    }
    if !token.signed_by_entrez() {
        message +=
            "; it is not signed with the known Entrez key, so the gateway decides whether to accept it";
    }
    message
}
