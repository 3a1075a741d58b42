//! The credentials for polling a gateway: a token, or a Digest password for firmware before 7.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::Shared;
use super::identity::{gateway_time, gateway_time_now};
use super::token_report::token_report;
use super::trouble::Trouble;
use crate::app::config;
use crate::app::token_provider::{self, Outcome, TokenProvider};
use crate::base::heartbeat::Heartbeat;
use crate::base::reading::{Event, Reading, Serial};
use crate::io::gateway::{self, Connected};
use crate::io::state_dir::Stamp;
use crate::io::token::store::{StoredToken, Tokens};
use crate::io::token::{Token, TokenId};
use crate::rules::logins::clocks::GatewayTime;
use crate::rules::logins::decision::{Decision, Waiting};
use crate::rules::logins::situation::Operator;

/// The maximum age of a response to `/info` that counts as current, and the time limit for waiting for a login while
/// there is a token.
const JUST_NOW: Duration = Duration::from_secs(2);
/// The time limit for a login: three requests of a minute each, and the writes between them.
const LONGEST_LOGIN: Duration = Duration::from_secs(4 * 60);

/// The tokens of one gateway, and the state of its login.
#[derive(Debug)]
pub(super) struct Access {
    serial: Serial,
    stamp: Option<Stamp>,
    tokens: Tokens,
    /// The token in use.
    used: Option<TokenId>,
    /// A token that the gateway accepts, not recorded yet because another gateway's login had locked the token provider.
    accepted: Option<Token>,
    /// The last decision that was reported.
    last_decision: Option<Decision>,
    /// The last reported error that prevents checks of the token.
    trouble: Option<String>,
    /// A login in progress. The gateway is polled with the existing token meanwhile.
    login: Option<JoinHandle<Result<Outcome, token_provider::Error>>>,
}

/// The change since the last poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    /// Another token is in use.
    Token,
    Nothing,
}

impl Access {
    pub(super) fn new(serial: Serial) -> Self {
        let tokens = Tokens::default();
        Self {
            serial,
            stamp: None,
            tokens,
            used: None,
            accepted: None,
            last_decision: None,
            trouble: None,
            login: None,
        }
    }

    /// Sets the token for `gateway`, or the password if its firmware requires one.
    pub(super) async fn authorise(
        &mut self,
        gateway: &mut Connected,
        settings: &config::Gateway,
        shared: &Shared,
        heartbeat: &Heartbeat,
    ) -> Result<Changed, Trouble> {
        if !gateway.info().needs_token() {
            return use_password(gateway, settings).map(|()| Changed::Nothing);
        }
        let outcome = self.ensure_token(gateway, shared, heartbeat).await;
        self.reload(shared).await?;
        let decision = self.tolerate_with_token(outcome)?;
        heartbeat.beat();
        let tried = self.try_candidate(gateway, shared).await;
        heartbeat.beat();
        self.tolerate_with_token(tried.map(|()| Decision::Rest))?;
        let state = token_report(&self.tokens, &decision, shared.clock.now());
        shared.latest.put_token(&self.serial, state);
        let Some(kept) = self.tokens.in_use() else { return Err(Trouble::NoToken(decision)) };
        let id = Some(kept.token.id());
        gateway.use_token(&kept.token)?;
        let changed = self.used.is_some() && self.used != id;
        self.used = id;
        Ok(if changed { Changed::Token } else { Changed::Nothing })
    }

    fn event(&self, kind: &'static str, message: String, shared: &Shared) {
        shared.latest.tell(&self.serial, Event { time: shared.clock.now(), kind, message });
    }

    /// Logs an error of the token provider and continues if there is a token: such an error prevents a login, and not the
    /// poll (L4).
    fn tolerate_with_token(&mut self, outcome: Result<Decision, Trouble>) -> Result<Decision, Trouble> {
        match outcome {
            // The state directory logs its errors itself.
            Err(Trouble::TokenProvider(token_provider::Error::State(error)))
                if self.tokens.in_use().is_some() =>
            {
                tracing::debug!("{error}");
                Ok(Decision::Rest)
            }
            Err(Trouble::TokenProvider(error)) if self.tokens.in_use().is_some() => {
                let message = error.to_string();
                if self.trouble.as_ref() != Some(&message) {
                    tracing::error!("{message}");
                    self.trouble = Some(message);
                }
                Ok(Decision::Rest)
            }
            other => {
                self.trouble = self.trouble.take().filter(|_| other.is_err());
                other
            }
        }
    }

    /// Requests a token if the login rules require one now. Waits for another gateway's login only if there is no token to
    /// poll with.
    async fn ensure_token(
        &mut self,
        gateway: &mut Connected,
        shared: &Shared,
        heartbeat: &Heartbeat,
    ) -> Result<Decision, Trouble> {
        if self.login.is_some() {
            return self.await_login(shared, heartbeat).await;
        }
        let mut token_provider = match token_provider(shared) {
            Some(token_provider) => token_provider,
            None if self.tokens.in_use().is_some() => return Ok(self.last_decision()),
            // The last of a thousand gateways may wait for the logins of all others, each with its own heartbeat.
            None => heartbeat.during(Duration::MAX, Arc::clone(&shared.token_provider).lock_owned()).await,
        };
        let gateway_time = gateway_time_now(gateway);
        // A state directory that cannot be written is reported when a login needs it.
        token_provider
            .keep_time(&self.serial, gateway_time)
            .await
            .unwrap_or_else(|error| tracing::debug!("{error}"));
        self.record_acceptance(&mut token_provider).await;
        let mut decision = token_provider.consider(&self.serial, gateway_time, Operator::Absent).await?;
        if let Decision::Wait { why: Waiting::GatewayNotAsked, .. } = decision {
            self.ask_about_tokens(gateway, &mut token_provider, heartbeat).await?;
            decision = token_provider.consider(&self.serial, gateway_time, Operator::Absent).await?;
        }
        let decision = match decision {
            // The gateway must have responded just now, not an hour ago.
            Decision::Act { .. } | Decision::Wait { why: Waiting::GatewaySilent, .. } => {
                let gateway_time = confirmed_time(gateway).await?;
                heartbeat.beat();
                // Whether a token is stored decides how long to wait for the login.
                self.tokens = token_provider.tokens(&self.serial).await?;
                self.log_in(token_provider, gateway_time);
                self.await_login(shared, heartbeat).await?
            }
            other => other,
        };
        self.report_decision(&decision, shared);
        Ok(decision)
    }

    fn report_decision(&mut self, decision: &Decision, shared: &Shared) {
        if self.last_decision.as_ref() == Some(decision) {
            return;
        }
        if let Decision::Stop(stopped) = decision {
            tracing::warn!(gateway = %self.serial, "{stopped}");
            self.event("login_stopped", stopped.to_string(), shared);
        }
        self.last_decision = Some(decision.clone());
    }

    /// Starts a login, which checks the rules again under the lock.
    fn log_in(&mut self, mut token_provider: OwnedMutexGuard<TokenProvider>, gateway_time: GatewayTime) {
        let serial = self.serial.clone();
        // In a separate task: if this poll is dropped, the outcome of the login is still recorded.
        let login = async move {
            token_provider.ensure_token(&serial, gateway_time, Operator::Absent, Duration::ZERO).await
        };
        self.login = Some(tokio::spawn(login));
    }

    /// Waits for the login in progress. If there is a token to poll with, waits for a short time only.
    async fn await_login(&mut self, shared: &Shared, heartbeat: &Heartbeat) -> Result<Decision, Trouble> {
        let patience = if self.tokens.in_use().is_some() { JUST_NOW } else { Duration::MAX };
        let Some(login) = &mut self.login else { return Ok(self.last_decision()) };
        let Ok(ended) = timeout(patience, heartbeat.during(LONGEST_LOGIN, login)).await else {
            return Ok(self.last_decision());
        };
        self.login = None;
        match ended {
            Ok(outcome) => Ok(self.report_outcome(outcome?, shared)),
            Err(_) => Ok(self.last_decision()),
        }
    }

    /// Checks with the gateway tokens that have expired by the clock: an accepted token has not expired (L2).
    async fn ask_about_tokens(
        &mut self,
        gateway: &mut Connected,
        token_provider: &mut TokenProvider,
        heartbeat: &Heartbeat,
    ) -> Result<(), Trouble> {
        let tokens = token_provider.tokens(&self.serial).await?;
        let gateway_time = confirmed_time(gateway).await?;
        if let Some(kept) = tokens.in_use() {
            gateway.use_token(&kept.token)?;
        }
        for StoredToken { token, .. } in tokens.candidate.iter().chain(&tokens.current) {
            heartbeat.beat();
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

    fn last_decision(&self) -> Decision {
        self.last_decision.clone().unwrap_or(Decision::Rest)
    }

    fn report_outcome(&mut self, outcome: Outcome, shared: &Shared) -> Decision {
        match outcome {
            Outcome::NothingSent(decision) => decision,
            Outcome::Arrived(token) => {
                let message = arrival(&token);
                tracing::info!("{message}");
                self.event("token_arrived", message, shared);
                Decision::Rest
            }
            Outcome::Failed { failure, next, .. } => {
                let message = format!("the Enphase cloud gave no token: {failure}; {next}");
                tracing::warn!("{message}");
                self.event("login_failed", message, shared);
                // The message above contains it.
                self.last_decision = Some(next.clone());
                next
            }
        }
    }

    /// Loads tokens that this or another process has stored since the last poll.
    async fn reload(&mut self, shared: &Shared) -> Result<(), Trouble> {
        let Some(mut token_provider) = token_provider(shared) else { return Ok(()) };
        let stamp = token_provider.stamp(&self.serial).await;
        if stamp != self.stamp || stamp.is_none() {
            self.tokens = token_provider.tokens(&self.serial).await?;
            self.stamp = token_provider.stamp(&self.serial).await;
        }
        Ok(())
    }

    /// Checks a new token with the gateway. The old token stays in use until `/auth/check_jwt`, or a page if that response
    /// is unclear, accepts the new one.
    async fn try_candidate(&mut self, gateway: &mut Connected, shared: &Shared) -> Result<(), Trouble> {
        let Some(candidate) = self.tokens.candidate.as_ref().map(|kept| kept.token.clone()) else {
            return Ok(());
        };
        match gateway.try_token(&candidate).await {
            Ok(()) => {
                let Some(mut token_provider) = token_provider(shared) else {
                    self.accepted = Some(candidate);
                    return Ok(());
                };
                token_provider.promote(&candidate).await?;
                drop(token_provider);
                tracing::info!(role = %candidate.role, until = %candidate.expires_at, "the gateway accepts the new token");
                self.reload(shared).await
            }
            Err(gateway::Error::TokenRefused) if self.tokens.current.is_some() => {
                if self.record_refusal(&candidate, gateway, shared).await? {
                    let Some(mut token_provider) = token_provider(shared) else { return Ok(()) };
                    token_provider.drop_candidate(&candidate).await?;
                    drop(token_provider);
                    let message = "the gateway refuses the new token; the old one stays in use".to_owned();
                    tracing::warn!("{message}");
                    self.event("token_refused", message, shared);
                }
                self.reload(shared).await
            }
            // The next request with the token shows whether it is refused or the gateway is unreachable.
            Err(_) => Ok(()),
        }
    }

    /// Records that the gateway refused `token`, if the gateway responds to `/info` now. Returns `true` at the second
    /// refusal.
    async fn record_refusal(
        &mut self,
        token: &Token,
        gateway: &mut Connected,
        shared: &Shared,
    ) -> Result<bool, Trouble> {
        let gateway_time = confirmed_time(gateway).await?;
        let Some(mut token_provider) = token_provider(shared) else { return Ok(false) };
        self.record_acceptance(&mut token_provider).await;
        Ok(token_provider.refused(&self.serial, token, gateway_time).await?)
    }

    /// Records that the gateway accepts a token, if that is still to be recorded. It clears earlier refusals.
    async fn record_acceptance(&mut self, token_provider: &mut TokenProvider) {
        let Some(token) = self.accepted.take() else { return };
        if let Err(error) = token_provider.accepted(&self.serial, &token).await {
            // The token provider keeps it in memory, and writes it when the disk allows.
            tracing::debug!(%error, "cannot record that the gateway accepts the token");
        }
    }

    /// Records whether the gateway accepted or refused the token, after pages were requested with it. The check of the
    /// token itself counts even without a reading.
    pub(super) async fn record_verdict(
        &mut self,
        read: &Result<Option<Reading>, Trouble>,
        gateway: &mut Connected,
        shared: &Shared,
    ) -> Result<(), Trouble> {
        let Some(token) = self.tokens.in_use().map(|kept| kept.token.clone()) else { return Ok(()) };
        let verdict = gateway.take_token_verdict();
        if verdict.accepted || matches!(read, Ok(Some(_))) {
            self.accepted = Some(token.clone());
            if let Some(mut token_provider) = token_provider(shared) {
                self.record_acceptance(&mut token_provider).await;
            }
        }
        if verdict.refused {
            self.record_refusal(&token, gateway, shared).await?;
        }
        Ok(())
    }
}

/// Sets the configured password, if there is one and it may be sent to this gateway.
fn use_password(gateway: &mut Connected, settings: &config::Gateway) -> Result<(), Trouble> {
    if let Some(source) = settings.password.as_ref().filter(|_| gateway.takes_password()) {
        let password = source.read("gateway's password").map_err(token_provider::Error::Password)?;
        gateway.use_password(settings.user.as_deref().unwrap_or("envoy"), &password);
    }
    Ok(())
}

/// Returns the gateway's time from a current response to `/info`, which is requested if needed. Returns an error if the
/// firmware no longer uses tokens.
async fn confirmed_time(gateway: &mut Connected) -> Result<GatewayTime, Trouble> {
    if gateway.identified_at().elapsed() >= JUST_NOW {
        gateway.confirm().await?;
    }
    if gateway.info().needs_token() {
        Ok(gateway_time(gateway))
    } else {
        Err(gateway::Error::TokenUnwanted { address: gateway.address() }.into())
    }
}

fn token_provider(shared: &Shared) -> Option<OwnedMutexGuard<TokenProvider>> {
    Arc::clone(&shared.token_provider).try_lock_owned().ok()
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
