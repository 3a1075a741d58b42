//! The verdicts of a gateway on its token, on the way to the record of the token provider.

use std::sync::Arc;

use super::Shared;
use super::gateway_time::confirmed_time;
use super::trouble::Trouble;
use crate::app::token_provider::TokenProvider;
use crate::base::reading::Serial;
use crate::io::gateway::Connected;
use crate::io::token::Token;

/// The verdicts of one gateway on its tokens.
#[derive(Debug)]
pub(super) struct Verdicts {
    serial: Serial,
    shared: Arc<Shared>,
    /// A token that the gateway accepts, not recorded yet because another gateway's login had locked the token provider.
    accepted: Option<Token>,
}

impl Verdicts {
    pub(super) const fn new(serial: Serial, shared: Arc<Shared>) -> Self {
        Self { serial, shared, accepted: None }
    }

    /// Keeps the acceptance of `token` until it can be recorded.
    pub(super) fn keep_acceptance(&mut self, token: Token) {
        self.accepted = Some(token);
    }

    /// Records that the gateway accepts a token, if that is still to be recorded. It clears earlier refusals.
    pub(super) async fn record_acceptance(&mut self, token_provider: &mut TokenProvider) {
        let Some(token) = self.accepted.take() else { return };
        if let Err(error) = token_provider.accepted(&self.serial, &token).await {
            // The token provider keeps it in memory, and writes it when the disk allows.
            tracing::debug!(%error, "cannot record that the gateway accepts the token");
        }
    }

    /// Records that the gateway refused `token`, if the gateway responds to `/info` now. Returns `true` at the second
    /// refusal.
    pub(super) async fn record_refusal(
        &mut self,
        token: &Token,
        gateway: &mut Connected,
    ) -> Result<bool, Trouble> {
        let gateway_time = confirmed_time(gateway).await?;
        let Some(mut token_provider) = self.shared.free_token_provider() else { return Ok(false) };
        self.record_acceptance(&mut token_provider).await;
        Ok(token_provider.refused(&self.serial, token, gateway_time).await?)
    }

    /// Records whether the gateway accepted or refused `token`, after pages were requested with it. The check of the token
    /// itself counts even without a reading.
    pub(super) async fn record(
        &mut self,
        token: &Token,
        has_read: bool,
        gateway: &mut Connected,
    ) -> Result<(), Trouble> {
        let verdict = gateway.take_token_verdict();
        if verdict.accepted || has_read {
            self.keep_acceptance(token.clone());
            if let Some(mut token_provider) = self.shared.free_token_provider() {
                self.record_acceptance(&mut token_provider).await;
            }
        }
        if verdict.refused {
            self.record_refusal(token, gateway).await?;
        }
        Ok(())
    }
}
