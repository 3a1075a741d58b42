//! What lets a poller read its gateway: a token by the login rules, or Digest for firmware before 7.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::Shared;
use super::identity::{gateway_time, gateway_time_now};
use super::report::report;
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

/// An answer of `/info` that is younger needs no other.
const JUST_NOW: Duration = Duration::from_secs(2);
/// The longest that a login may take: three requests of a minute each, and what is written between them.
const LONGEST_LOGIN: Duration = Duration::from_secs(4 * 60);

/// What is known about the access to one gateway.
#[derive(Debug)]
pub(super) struct Access {
    /// The gateway it is for.
    serial: Serial,
    stamp: Option<Stamp>,
    tokens: Tokens,
    /// The token that the gateway is read with.
    used: Option<TokenId>,
    /// The gateway accepts this token, and that is not noted yet: another gateway's login had the token_provider.
    accepted: Option<Token>,
    /// The last decision that was told.
    told: Option<Decision>,
    /// The trouble that was told and that keeps tokens from being looked after.
    trouble: Option<String>,
    /// A login that goes on while the gateway is read with the token that there is.
    login: Option<JoinHandle<Result<Outcome, token_provider::Error>>>,
}

/// What is not as it was at the last poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    /// Another token is used.
    Token,
    /// Nothing.
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
            told: None,
            trouble: None,
            login: None,
        }
    }

    /// Sees to it that `gateway` is read with a token, or with a password where the firmware wants one.
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
        let tended = self.tend(gateway, shared, heartbeat).await;
        self.reload(shared).await?;
        let decision = self.unless_readable(tended)?;
        heartbeat.beat();
        let tried = self.try_candidate(gateway, shared).await;
        heartbeat.beat();
        self.unless_readable(tried.map(|()| Decision::Rest))?;
        let state = report(&self.tokens, &decision, shared.clock.now());
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

    /// A state directory that fails, or a password that cannot be read, costs the login and not the reading: the token that there is stays in use (L4).
    fn unless_readable(&mut self, tended: Result<Decision, Trouble>) -> Result<Decision, Trouble> {
        match tended {
            // The state directory reports its own troubles.
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

    /// Gets a token if the rules want one now. Another gateway's login that is under way is waited for only
    /// where there is nothing to read with meanwhile.
    async fn tend(
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
            None if self.tokens.in_use().is_some() => return Ok(self.told()),
            // Of a thousand gateways the last waits for the logins of all: each of those beats for as long as it may take.
            None => heartbeat.during(Duration::MAX, Arc::clone(&shared.token_provider).lock_owned()).await,
        };
        let gateway_time = gateway_time_now(gateway);
        // A state directory that cannot be written is told when something is wanted of it.
        token_provider
            .keep_time(&self.serial, gateway_time)
            .await
            .unwrap_or_else(|error| tracing::debug!("{error}"));
        self.note_acceptance(&mut token_provider).await;
        let mut decision = token_provider.consider(&self.serial, gateway_time, Operator::Absent).await?;
        if let Decision::Wait { why: Waiting::GatewayNotAsked, .. } = decision {
            self.ask_about_tokens(gateway, &mut token_provider, heartbeat).await?;
            decision = token_provider.consider(&self.serial, gateway_time, Operator::Absent).await?;
        }
        let decision = match decision {
            // The gateway has to answer now, not an hour ago.
            Decision::Act { .. } | Decision::Wait { why: Waiting::GatewaySilent, .. } => {
                let gateway_time = heard_now(gateway).await?;
                heartbeat.beat();
                // What is stored decides how long the login is waited for.
                self.tokens = token_provider.tokens(&self.serial).await?;
                self.log_in(token_provider, gateway_time);
                self.await_login(shared, heartbeat).await?
            }
            other => other,
        };
        self.tell_decision(&decision, shared);
        Ok(decision)
    }

    fn tell_decision(&mut self, decision: &Decision, shared: &Shared) {
        if self.told.as_ref() == Some(decision) {
            return;
        }
        if let Decision::Stop(stopped) = decision {
            tracing::warn!(gateway = %self.serial, "{stopped}");
            self.event("login_stopped", stopped.to_string(), shared);
        }
        self.told = Some(decision.clone());
    }

    /// Begins to contact the cloud, if the rules want that under the lock too.
    fn log_in(&mut self, mut token_provider: OwnedMutexGuard<TokenProvider>, gateway_time: GatewayTime) {
        let serial = self.serial.clone();
        // A task of its own: if this poll is dropped, the login still ends in the record.
        let login = async move {
            token_provider.ensure_token(&serial, gateway_time, Operator::Absent, Duration::ZERO).await
        };
        self.login = Some(tokio::spawn(login));
    }

    /// Waits for the login that is under way. With a token to read with, a slow cloud or disk is not waited for.
    async fn await_login(&mut self, shared: &Shared, heartbeat: &Heartbeat) -> Result<Decision, Trouble> {
        let patience = if self.tokens.in_use().is_some() { JUST_NOW } else { Duration::MAX };
        let Some(login) = &mut self.login else { return Ok(self.told()) };
        let Ok(ended) = timeout(patience, heartbeat.during(LONGEST_LOGIN, login)).await else {
            return Ok(self.told());
        };
        self.login = None;
        match ended {
            Ok(tended) => Ok(self.tended(tended?, shared)),
            Err(_) => Ok(self.told()),
        }
    }

    /// Asks the gateway about tokens that have expired by the clock: one that it accepts has not (L2).
    async fn ask_about_tokens(
        &mut self,
        gateway: &mut Connected,
        token_provider: &mut TokenProvider,
        heartbeat: &Heartbeat,
    ) -> Result<(), Trouble> {
        let tokens = token_provider.tokens(&self.serial).await?;
        let gateway_time = heard_now(gateway).await?;
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
                Err(error) if error.leaves_token_unjudged() => token_provider.unclear(&self.serial, token),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn told(&self) -> Decision {
        self.told.clone().unwrap_or(Decision::Rest)
    }

    fn tended(&mut self, tended: Outcome, shared: &Shared) -> Decision {
        match tended {
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
                // It has just been said.
                self.told = Some(next.clone());
                next
            }
        }
    }

    /// Takes up tokens that this or another process has stored since the last poll.
    async fn reload(&mut self, shared: &Shared) -> Result<(), Trouble> {
        let Some(mut token_provider) = token_provider(shared) else { return Ok(()) };
        let stamp = token_provider.stamp(&self.serial).await;
        if stamp != self.stamp || stamp.is_none() {
            self.tokens = token_provider.tokens(&self.serial).await?;
            self.stamp = token_provider.stamp(&self.serial).await;
        }
        Ok(())
    }

    /// Asks the gateway about a token that has just come; the old one stays until it is accepted, by `/auth/check_jwt` or,
    /// where that is unclear, by a page.
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
                if self.note_refusal(&candidate, gateway, shared).await? {
                    let Some(mut token_provider) = token_provider(shared) else { return Ok(()) };
                    token_provider.drop_candidate(&candidate).await?;
                    drop(token_provider);
                    let message = "the gateway refuses the new token; the old one stays in use".to_owned();
                    tracing::warn!("{message}");
                    self.event("token_refused", message, shared);
                }
                self.reload(shared).await
            }
            // Whether it is refused or the gateway is away will show when it is used.
            Err(_) => Ok(()),
        }
    }

    /// Writes down that the gateway refused `token`, if it answers `/info` now; `true` when that was the second
    /// time.
    async fn note_refusal(
        &mut self,
        token: &Token,
        gateway: &mut Connected,
        shared: &Shared,
    ) -> Result<bool, Trouble> {
        let gateway_time = heard_now(gateway).await?;
        let Some(mut token_provider) = token_provider(shared) else { return Ok(false) };
        self.note_acceptance(&mut token_provider).await;
        Ok(token_provider.refused(&self.serial, token, gateway_time).await?)
    }

    /// Writes down that the gateway accepts a token, where that is still to be done: it ends a row of refusals.
    async fn note_acceptance(&mut self, token_provider: &mut TokenProvider) {
        let Some(token) = self.accepted.take() else { return };
        if let Err(error) = token_provider.accepted(&self.serial, &token).await {
            // The token_provider knows it from now on, and writes it down when it can.
            tracing::debug!(%error, "the gateway's acceptance of the token was not written down");
        }
    }

    /// Writes down what the gateway thinks of the token, after pages were asked for with it: what it said of the token
    /// itself, whether or not there was a reading.
    pub(super) async fn judged(
        &mut self,
        read: &Result<Option<Reading>, Trouble>,
        gateway: &mut Connected,
        shared: &Shared,
    ) -> Result<(), Trouble> {
        let Some(token) = self.tokens.in_use().map(|kept| kept.token.clone()) else { return Ok(()) };
        let word = gateway.take_word();
        if word.accepted || matches!(read, Ok(Some(_))) {
            self.accepted = Some(token.clone());
            if let Some(mut token_provider) = token_provider(shared) {
                self.note_acceptance(&mut token_provider).await;
            }
        }
        if word.refused {
            self.note_refusal(&token, gateway, shared).await?;
        }
        Ok(())
    }
}

/// What is configured in place of the standard password.
fn use_password(gateway: &mut Connected, settings: &config::Gateway) -> Result<(), Trouble> {
    if let Some(source) = settings.password.as_ref().filter(|_| gateway.takes_password()) {
        let password = source.read("gateway's password").map_err(token_provider::Error::Password)?;
        gateway.use_password(settings.user.as_deref().unwrap_or("envoy"), &password);
    }
    Ok(())
}

/// What the gateway has just told of the time, or tells now. An error where it wants no token any more.
async fn heard_now(gateway: &mut Connected) -> Result<GatewayTime, Trouble> {
    if gateway.asked().elapsed() >= JUST_NOW {
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

/// What is worth saying of a token that has just come (L8, L11).
fn arrival(token: &Token) -> String {
    let mut message = format!("a new token arrived, good until {:.0}", token.expires_at);
    if !token.is_long_lived() {
        message += "; that is short, and such tokens are not renewed by themselves";
    }
    if !token.signed_by_entrez() {
        message += "; its signature is not by the known Entrez key, and the gateway is the judge";
    }
    message
}
