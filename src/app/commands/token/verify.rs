//! Asks the gateway about a token that has just been stored.

use std::io::Write;

use super::super::Context;
use super::super::failure::{Code, Failure};
use super::super::reach::Reached;
use crate::app::poller::Shared;
use crate::app::poller::trouble::Trouble;
use crate::app::token_provider::{self, Supply};
use crate::io::gateway::Error;
use crate::io::token::Token;

/// Asks the gateway about a token that has just been stored, and takes it into use.
pub(super) async fn verify(
    context: &Context,
    reached: Reached,
    token: &Token,
    shared: &Shared,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match check(context, reached, token, shared).await {
        Ok(()) => {
            let mut supply = shared.supply.lock().await;
            promote(&mut supply, token).await?;
            writeln!(out, "The gateway accepts it. A running daemon uses it from its next poll on.")?;
            Ok(())
        }
        Err(Trouble::Gateway(Error::TokenRefused)) => Err(Failure::new(
            Code::Refused,
            "the gateway does not accept the new token; an old one, if there is one, stays in use. Is the gateway's \
             clock right? `enphased check` tells",
        )),
        Err(trouble) => {
            writeln!(out, "It is stored, and will be used when the gateway has accepted it ({trouble}).")?;
            Ok(())
        }
    }
}

async fn promote(supply: &mut Supply, token: &Token) -> Result<(), Failure> {
    match supply.promote(token).await {
        // The daemon may be doing the same at this moment.
        Ok(()) | Err(token_provider::Error::Busy) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn check(context: &Context, reached: Reached, token: &Token, shared: &Shared) -> Result<(), Trouble> {
    let mut gateway = reached.into_found(&token.serial, context, &shared.state).await?;
    Ok(gateway.try_token(token).await?)
}
