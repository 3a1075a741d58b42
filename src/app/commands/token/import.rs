//! `enphased token import`: a token that a person brings, explained before it is stored.

use std::io::{self, Read, Write};

use zeroize::Zeroizing;

use super::super::failure::{Code, Failure};
use super::super::reach::Reached;
use super::super::{Context, PATIENCE};
use super::verify::verify;
use crate::base::reading::Serial;
use crate::io::gateway::Connected;
use crate::io::state_dir::StateDir;
use crate::io::token::Token;
use crate::rules::logins::words::length;

/// The most that is read as a token.
const LONGEST: u32 = 64 * 1024;

/// Stores a token that a person brought, after saying what it is.
pub async fn import(context: &mut Context, input: &mut dyn Read, out: &mut dyn Write) -> Result<(), Failure> {
    let state = context.state()?;
    // All the room at once: a text that grows leaves pieces of itself behind.
    let mut text = Zeroizing::new(String::with_capacity(LONGEST as usize));
    input.take(LONGEST.into()).read_to_string(&mut text).map_err(|error| unread(&error))?;
    let token = Token::decode(&text).map_err(|error| Failure::new(Code::Data, error.to_string()))?;
    let now = context.clock.now();
    writeln!(out, "This is a token of gateway {}, for its {}.", token.serial, token.role)?;
    writeln!(out, "It lives for {} in all, until {:.0}.", length(token.lifetime()), token.expires_at)?;
    if token.remaining(now).is_negative() {
        return Err(Failure::new(Code::Data, "it has expired, and is not stored; fetch a new one"));
    }
    if !token.is_long_lived() {
        writeln!(
            out,
            "That is short: installers get tokens of 12 hours, and some owners of 1 hour. It is not renewed by \
             itself. An owner's token of a year comes from the owner's account, e.g. by `enphased token refresh`."
        )?;
    }
    if !token.signed_by_entrez() {
        writeln!(
            out,
            "Note: its signature is not by the Entrez key that is known here. The gateway is the judge."
        )?;
    }
    let mut reached = Reached::default();
    let wanted = serials(context, &state, &mut reached).await;
    if !wanted.is_empty() && !wanted.contains(&token.serial) {
        let names: Vec<&str> = wanted.iter().map(Serial::as_str).collect();
        let message =
            format!("it is for another gateway than yours ({}), and is not stored", names.join(", "));
        return Err(Failure::new(Code::Data, message));
    }
    let shared = context.shared(&state);
    shared.supply.lock().await.import(&token, PATIENCE).await?;
    verify(context, reached, &token, &shared, out).await
}

fn unread(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::InvalidData {
        return Failure::new(Code::Data, "this is no token: it is no text");
    }
    let named = io::Error::new(error.kind(), format!("cannot read the token: {error}"));
    Failure::from(named)
}

/// The serials of the configured gateways. None where one is not known: it may be the one that is meant.
async fn serials(context: &Context, state: &StateDir, reached: &mut Reached) -> Vec<Serial> {
    let mut serials = Vec::new();
    for (settings, opened) in context.config.gateways.iter().zip(reached.all(context, state).await) {
        let answered = opened.as_ref().ok().map(Connected::serial);
        serials.extend(settings.serial.as_ref().or(answered).cloned());
    }
    if serials.len() < context.config.gateways.len() { Vec::new() } else { serials }
}
