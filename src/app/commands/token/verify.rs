//! Presents a new token to the gateway.

use std::io::Write;

use super::super::Context;
use super::super::failure::{Code, Failure};
use super::super::opened_gateways::OpenedGateways;
use crate::app::poller::Shared;
use crate::app::poller::trouble::Trouble;
use crate::app::token_provider::{self, TokenProvider};
use crate::io::gateway::Error;
use crate::io::token::Token;

/// Presents a stored token to the gateway, and puts it into use if the gateway accepts it.
pub(super) async fn verify(
    context: &Context,
    opened: OpenedGateways,
    token: &Token,
    shared: &Shared,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match check(context, opened, token, shared).await {
        Ok(()) => {
            let mut token_provider = shared.token_provider.lock().await;
            promote(&mut token_provider, token).await?;
            writeln!(out, "The gateway accepted it. A running daemon uses it from its next poll.")?;
            Ok(())
        }
        Err(Trouble::Gateway(Error::TokenRefused)) => Err(Failure::new(
            Code::Refused,
            "the gateway refused the new token; an older one, if stored, stays in use. Run `enphased check` to compare \
             the gateway's clock with this machine's",
        )),
        Err(trouble) => {
            writeln!(out, "It is stored, and will be used once the gateway accepts it ({trouble}).")?;
            Ok(())
        }
    }
}

async fn promote(token_provider: &mut TokenProvider, token: &Token) -> Result<(), Failure> {
    match token_provider.promote(token).await {
        // The daemon may be doing the same now.
        Ok(()) | Err(token_provider::Error::Busy) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn check(
    context: &Context,
    opened: OpenedGateways,
    token: &Token,
    shared: &Shared,
) -> Result<(), Trouble> {
    let mut gateway = opened.into_found(&token.serial, context, &shared.state).await?;
    Ok(gateway.try_token(token).await?)
}
