//! The credentials for polling a gateway: a token, or a Digest password for firmware before 7.

use std::sync::Arc;

use super::Shared;
use super::login::Login;
use super::trouble::Trouble;
use super::verdicts::Verdicts;
use crate::app::config;
use crate::app::latest::TokenReport;
use crate::app::token_provider;
use crate::base::heartbeat::Heartbeat;
use crate::base::reading::Serial;
use crate::io::gateway::{self, Connected};
use crate::io::state_dir::Stamp;
use crate::io::token::TokenId;
use crate::io::token::store::Tokens;
use crate::rules::logins::decision::Decision;

/// The tokens of one gateway.
#[derive(Debug)]
pub(super) struct Access {
    serial: Serial,
    shared: Arc<Shared>,
    heartbeat: Heartbeat,
    stamp: Option<Stamp>,
    tokens: Tokens,
    /// The token in use.
    used: Option<TokenId>,
    /// The last reported error that prevents checks of the token.
    trouble: Option<String>,
    login: Login,
    verdicts: Verdicts,
}

/// The change since the last poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    /// Another token is in use.
    Token,
    Nothing,
}

impl Access {
    pub(super) fn new(serial: Serial, shared: Arc<Shared>, heartbeat: Heartbeat) -> Self {
        Self {
            login: Login::new(serial.clone(), Arc::clone(&shared), heartbeat.clone()),
            verdicts: Verdicts::new(serial.clone(), Arc::clone(&shared)),
            serial,
            shared,
            heartbeat,
            stamp: None,
            tokens: Tokens::default(),
            used: None,
            trouble: None,
        }
    }

    /// Sets the token for `gateway`, or the password if its firmware requires one.
    pub(super) async fn authorise(
        &mut self,
        gateway: &mut Connected,
        settings: &config::Gateway,
    ) -> Result<Changed, Trouble> {
        if !gateway.info().needs_token() {
            return use_password(gateway, settings).map(|()| Changed::Nothing);
        }
        let outcome = self.login.ensure_token(gateway, &mut self.tokens, &mut self.verdicts).await;
        self.reload().await?;
        let decision = self.tolerate_with_token(outcome)?;
        self.heartbeat.beat();
        let tried = self.try_candidate(gateway).await;
        self.heartbeat.beat();
        self.tolerate_with_token(tried.map(|()| Decision::Rest))?;
        let state = TokenReport::new(&self.tokens, &decision, self.shared.clock.now());
        self.shared.latest.put_token(&self.serial, state);
        let Some(kept) = self.tokens.in_use() else { return Err(Trouble::NoToken(decision)) };
        let id = Some(kept.token.id());
        gateway.use_token(&kept.token)?;
        let changed = self.used.is_some() && self.used != id;
        self.used = id;
        Ok(if changed { Changed::Token } else { Changed::Nothing })
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
                if other.is_ok() {
                    self.trouble = None;
                }
                other
            }
        }
    }

    /// Loads tokens that this or another process has stored since the last poll.
    async fn reload(&mut self) -> Result<(), Trouble> {
        let Some(mut token_provider) = self.shared.free_token_provider() else { return Ok(()) };
        let stamp = token_provider.known_stamp(&self.serial);
        if stamp != self.stamp || stamp.is_none() {
            self.tokens = token_provider.tokens(&self.serial).await?;
            self.stamp = stamp;
        }
        self.shared.latest.put_cloud(token_provider.cloud_report());
        Ok(())
    }

    /// Checks a new token with the gateway. The old token stays in use until `/auth/check_jwt`, or a page if that response
    /// is unclear, accepts the new one.
    async fn try_candidate(&mut self, gateway: &mut Connected) -> Result<(), Trouble> {
        let Some(candidate) = self.tokens.candidate.as_ref().map(|kept| kept.token.clone()) else {
            return Ok(());
        };
        match gateway.try_token(&candidate).await {
            Ok(()) => {
                let Some(mut token_provider) = self.shared.free_token_provider() else {
                    self.verdicts.keep_acceptance(candidate);
                    return Ok(());
                };
                token_provider.promote(&candidate).await?;
                drop(token_provider);
                tracing::info!(role = %candidate.role, until = %candidate.expires_at, "the gateway accepts the new token");
                self.reload().await
            }
            Err(gateway::Error::TokenRefused) if self.tokens.current.is_some() => {
                if self.verdicts.record_refusal(&candidate, gateway).await? {
                    let Some(mut token_provider) = self.shared.free_token_provider() else { return Ok(()) };
                    token_provider.drop_candidate(&candidate).await?;
                    drop(token_provider);
                    let message = "the gateway refuses the new token; the old one stays in use".to_owned();
                    tracing::warn!("{message}");
                    self.shared.event(&self.serial, "token_refused", message);
                }
                self.reload().await
            }
            // The next request with the token shows whether it is refused or the gateway is unreachable.
            Err(_) => Ok(()),
        }
    }

    /// Records whether the gateway accepted or refused the token, after pages were requested with it. `has_read` is whether
    /// the poll yielded a reading.
    pub(super) async fn record_verdict(
        &mut self,
        has_read: bool,
        gateway: &mut Connected,
    ) -> Result<(), Trouble> {
        match self.tokens.in_use() {
            Some(kept) => self.verdicts.record(&kept.token, has_read, gateway).await,
            None => Ok(()),
        }
    }
}

/// Sets the configured password, if there is one and it may be sent to this gateway.
fn use_password(gateway: &mut Connected, settings: &config::Gateway) -> Result<(), Trouble> {
    if let Some(source) = &settings.password
        && gateway.takes_password()
    {
        let password = source.read("gateway's password").map_err(token_provider::Error::Password)?;
        gateway.use_password(settings.user.as_deref().unwrap_or("envoy"), &password);
    }
    Ok(())
}
