//! What lets a poller read its gateway: a token by the login rules, or Digest for firmware before 7.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use super::Poller;
use super::identity::Identity;
use super::report::report;
use super::trouble::Trouble;
use crate::gateway;
use crate::logins::age::Heard;
use crate::logins::decision::{Decision, Operator, Waiting};
use crate::reading::{Reading, Serial};
use crate::state::Stamp;
use crate::supply::{self, Supply, Tended};
use crate::token::store::Tokens;
use crate::token::{Token, TokenId};

/// An answer of `/info` that is younger needs no other.
const JUST_NOW: Duration = Duration::from_secs(2);

/// What is known about the access to a gateway.
#[derive(Debug, Default)]
pub(super) struct Access {
    /// The gateway it is for.
    pub(super) serial: Option<Serial>,
    stamp: Option<Stamp>,
    tokens: Tokens,
    /// The token that the client uses.
    used: Option<TokenId>,
    /// The last decision that was told.
    told: Option<Decision>,
    /// The trouble with the state that was told.
    trouble: Option<String>,
}

impl Poller {
    /// Sees to it that the client has a token, or a password where the firmware wants one.
    pub(super) async fn authorise(&mut self) -> Result<(), Trouble> {
        let Some(identity) = &self.identity else { return Err(Trouble::Nothing) };
        let serial = identity.serial.clone();
        if !identity.info.needs_token() {
            return self.use_digest();
        }
        self.access.serial = Some(serial.clone());
        let tended = self.tend(&serial).await;
        self.reload(&serial)?;
        let decision = self.unless_readable(tended)?;
        let tried = self.try_candidate(&serial).await;
        self.unless_readable(tried.map(|()| Decision::Rest))?;
        let state = report(&self.access.tokens, &decision, self.shared.clock.now());
        self.shared.board.put_token(&serial, state);
        let Some(kept) = self.access.tokens.in_use() else { return Err(Trouble::NoToken(decision)) };
        let id = Some(kept.token.id());
        if let Some((_, client)) = self.client.as_mut() {
            client.use_token(Some(&kept.token.secret));
        }
        let changed = self.access.used.is_some() && self.access.used != id;
        if let Some(sources) = self.sources.as_mut().filter(|_| changed) {
            sources.role_changed();
        }
        self.access.used = id;
        Ok(())
    }

    /// A state directory that fails, or a password that cannot be read, costs the login and not the reading: it is
    /// told, and the token that there is stays in use (L4).
    fn unless_readable(&mut self, tended: Result<Decision, Trouble>) -> Result<Decision, Trouble> {
        match tended {
            Err(Trouble::Supply(error)) if self.access.tokens.in_use().is_some() => {
                let message = error.to_string();
                if self.access.trouble.as_ref() != Some(&message) {
                    tracing::error!("{message}");
                    self.access.trouble = Some(message);
                }
                Ok(Decision::Rest)
            }
            other => {
                self.access.trouble = self.access.trouble.take().filter(|_| other.is_err());
                other
            }
        }
    }

    /// What is configured in place of the client's own guess.
    fn use_digest(&mut self) -> Result<(), Trouble> {
        if let (Some(source), Some((_, client))) = (&self.settings.password, self.client.as_mut()) {
            let password = source.read("gateway's password").map_err(supply::Error::Password)?;
            client.use_digest(self.settings.user.as_deref().unwrap_or("envoy"), &password);
        }
        Ok(())
    }

    /// Gets a token if the rules want one now. Another gateway's login that is under way is waited for only
    /// where there is nothing to read with meanwhile.
    async fn tend(&mut self, serial: &Serial) -> Result<Decision, Trouble> {
        let mut supply = match self.supply() {
            Some(supply) => supply,
            None if self.access.tokens.in_use().is_some() => return Ok(self.told()),
            None => Arc::clone(&self.shared.supply).lock_owned().await,
        };
        let heard = self.identity.as_ref().map_or(Heard::Nothing, Identity::heard_by_now);
        // A state directory that cannot be written is told when something is wanted of it.
        supply.keep_time(serial, heard).await.unwrap_or_else(|error| tracing::debug!("{error}"));
        let decision = supply.consider(serial, heard, Operator::Absent)?;
        let decision = match decision {
            // The gateway has to answer now, not an hour ago.
            Decision::Act { .. } | Decision::Wait { why: Waiting::GatewaySilent, .. } => {
                let heard = self.heard_now().await?;
                let serial = serial.clone();
                // A task of its own: if this poll is dropped, the login still ends in the record.
                let task = tokio::spawn(async move {
                    supply.tend(&serial, heard, Operator::Absent, Duration::ZERO).await
                });
                match task.await {
                    Ok(tended) => self.tended(tended?),
                    Err(_) => self.told(),
                }
            }
            other => other,
        };
        if self.access.told.as_ref() != Some(&decision) {
            if let Decision::Stop(stopped) = &decision {
                tracing::warn!("{stopped}");
                self.event("login_stopped", stopped.to_string());
            }
            self.access.told = Some(decision.clone());
        }
        Ok(decision)
    }

    /// What the gateway has just told of the time, or tells now.
    async fn heard_now(&mut self) -> Result<Heard, Trouble> {
        match &self.identity {
            Some(identity) if identity.asked.elapsed() < JUST_NOW => Ok(identity.heard()),
            _ => Ok(self.identify().await?.heard()),
        }
    }

    fn told(&self) -> Decision {
        self.access.told.clone().unwrap_or(Decision::Rest)
    }

    fn tended(&mut self, tended: Tended) -> Decision {
        match tended {
            Tended::Left(decision) => decision,
            Tended::Arrived(token) => {
                let message = arrival(&token);
                tracing::info!("{message}");
                self.event("token_arrived", message);
                Decision::Rest
            }
            Tended::Failed { failure, next, .. } => {
                let message = format!("the Enphase cloud gave no token: {failure}; {next}");
                tracing::warn!("{message}");
                self.event("login_failed", message);
                // It has just been said.
                self.access.told = Some(next.clone());
                next
            }
        }
    }

    fn supply(&self) -> Option<OwnedMutexGuard<Supply>> {
        Arc::clone(&self.shared.supply).try_lock_owned().ok()
    }

    /// Takes up tokens that this or another process has stored since the last poll.
    fn reload(&mut self, serial: &Serial) -> Result<(), Trouble> {
        let Some(supply) = self.supply() else { return Ok(()) };
        let stamp = supply.stamp(serial);
        if stamp != self.access.stamp || stamp.is_none() {
            self.access.tokens = supply.tokens(serial)?;
            self.access.stamp = supply.stamp(serial);
        }
        Ok(())
    }

    /// Asks the gateway about a token that has just come; the old one stays until it is accepted.
    async fn try_candidate(&mut self, serial: &Serial) -> Result<(), Trouble> {
        let Some(candidate) = self.access.tokens.candidate.as_ref().map(|kept| kept.token.clone()) else {
            return Ok(());
        };
        let Some((_, client)) = self.client.as_mut() else { return Ok(()) };
        match client.check_token(&candidate.secret).await {
            Ok(()) => {
                let Some(mut supply) = self.supply() else { return Ok(()) };
                supply.promote(&candidate).await?;
                drop(supply);
                tracing::info!(role = %candidate.role, until = %candidate.expires_at, "the gateway accepts the new token");
                self.reload(serial)
            }
            Err(gateway::Error::TokenRefused) if self.access.tokens.current.is_some() => {
                if self.note_refusal(serial, &candidate).await? {
                    let Some(mut supply) = self.supply() else { return Ok(()) };
                    supply.drop_candidate(&candidate).await?;
                    drop(supply);
                    let message = "the gateway refuses the new token; the old one stays in use".to_owned();
                    tracing::warn!("{message}");
                    self.event("token_refused", message);
                }
                self.reload(serial)
            }
            // Whether it is refused or the gateway is away will show when it is used.
            Err(_) => Ok(()),
        }
    }

    /// Writes down that the gateway refused `token`, if it answers `/info` now; `true` when that was the second
    /// time.
    async fn note_refusal(&mut self, serial: &Serial, token: &Token) -> Result<bool, Trouble> {
        let heard = self.heard_now().await?;
        let Some(mut supply) = self.supply() else { return Ok(false) };
        Ok(supply.refused(serial, token, heard).await?)
    }

    /// Writes down what the gateway thinks of the token, after pages were asked for with it.
    pub(super) async fn judged(&mut self, read: &Result<Option<Reading>, Trouble>) -> Result<(), Trouble> {
        let (Some(serial), Some(kept)) = (self.access.serial.clone(), self.access.tokens.in_use().cloned())
        else {
            return Ok(());
        };
        match read {
            Err(Trouble::Gateway(gateway::Error::TokenRefused)) => {
                self.note_refusal(&serial, &kept.token).await?;
            }
            Ok(Some(_)) => {
                if let Some(mut supply) = self.supply() {
                    supply.accepted(&serial, &kept.token).await?;
                }
            }
            Ok(None) | Err(_) => {}
        }
        Ok(())
    }
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
