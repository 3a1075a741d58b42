//! `enphased gateway trust`: accepts the key that a gateway shows now.

use std::io::{BufRead, Write};

use super::Context;
use super::failure::{Code, Failure};
use crate::config;
use crate::gateway::Error;
use crate::poller::identity::{self, Identity};
use crate::poller::known::{self, Known};
use crate::poller::trouble::Trouble;
use crate::reading::Serial;
use crate::state::StateDir;

/// Asks a gateway who it is.
pub(super) async fn ask(
    context: &Context,
    settings: &config::Gateway,
    state: &StateDir,
) -> Result<Identity, Trouble> {
    let address = identity::locate(settings).await?;
    let mut client = identity::client(settings, &address)?;
    identity::identify(&mut client, &address, settings, state, context.clock.now()).await
}

/// Looks at the keys of the gateways, and accepts those that have changed, after `answers` said yes or
/// `assume_yes` is set.
pub async fn trust(
    context: &mut Context,
    assume_yes: bool,
    answers: &mut dyn BufRead,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let state = context.state()?;
    for settings in &context.config.gateways {
        match ask(context, settings, &state).await {
            Ok(identity) => {
                let known = known::load(&state, &identity.serial)?;
                let key = known.map_or_else(
                    || "none, as it speaks plain http".to_owned(),
                    |known| known.key.to_string(),
                );
                writeln!(out, "gateway {}: its key is the one that is known ({key})", identity.serial)?;
            }
            Err(Trouble::Gateway(Error::KeyChanged { address, known: old, seen })) => {
                // The serial is asked for once more, as the refusal does not tell it.
                let serial = serial_at(settings).await?;
                writeln!(out, "gateway {serial} at {address} shows another key than before:")?;
                writeln!(out, "  known: {old}\n  shown: {seen}")?;
                writeln!(
                    out,
                    "Accept it if the gateway was replaced, reset or updated. If nothing of that happened, \
                     another device may have taken its place in your network."
                )?;
                if !(assume_yes || yes(answers, out)?) {
                    return Err(Failure::new(
                        Code::Refused,
                        "the new key was not accepted; nothing has changed",
                    ));
                }
                known::save(&state, &serial, &Known { key: seen, address, since: context.clock.now() })?;
                writeln!(out, "The new key is trusted. A running daemon goes on at its next poll.")?;
            }
            Err(trouble) => return Err(trouble.into()),
        }
    }
    Ok(())
}

async fn serial_at(settings: &config::Gateway) -> Result<Serial, Failure> {
    let address = identity::locate(settings).await?;
    let info = identity::client(settings, &address)?.info().await.map_err(Trouble::from)?;
    Ok(info.serial)
}

fn yes(answers: &mut dyn BufRead, out: &mut dyn Write) -> Result<bool, Failure> {
    write!(out, "Accept the new key? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    answers.read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}
