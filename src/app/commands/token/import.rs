//! `enphased token import`: stores a token that a person provides.

use std::io::{self, Read, Write};

use zeroize::Zeroizing;

use super::super::failure::{Code, Failure};
use super::super::opened_gateways::OpenedGateways;
use super::super::{Context, LOGIN_LOCK_TIMEOUT};
use super::verify::verify;
use crate::base::durations::length;
use crate::base::reading::Serial;
use crate::io::gateway::Connected;
use crate::io::state_dir::StateDir;
use crate::io::token::Token;

/// The maximum number of bytes to read.
const LONGEST: u32 = 64 * 1024;

/// Describes the token in `input` and stores it.
pub async fn import(context: &mut Context, input: &mut dyn Read, out: &mut dyn Write) -> Result<(), Failure> {
    let state = context.state()?;
    // Allocated at once: a string that grows leaves copies of its content in memory.
    let mut text = Zeroizing::new(String::with_capacity(LONGEST as usize));
    input.take(LONGEST.into()).read_to_string(&mut text).map_err(|error| unread(&error))?;
    let token = Token::decode(&text).map_err(|error| Failure::new(Code::Data, error.to_string()))?;
    let now = context.clock.now();
    writeln!(out, "This token is for gateway {}, role {}.", token.serial, token.role)?;
    writeln!(out, "It is valid for {} in total, until {:.0}.", length(token.lifetime()), token.expires_at)?;
    if token.remaining(now).is_negative() {
        return Err(Failure::new(Code::Data, "the token has expired and was not stored; create a new one"));
    }
    if !token.is_long_lived() {
        writeln!(
            out,
            "This is short: installers get tokens for 12 hours, and some owners for 1 hour. It is not renewed \
             automatically. An owner's account has tokens for a year; fetch one with `enphased token refresh`."
        )?;
    }
    if !token.signed_by_entrez() {
        writeln!(
            out,
            "Note: the token is not signed with the known Entrez key. The gateway decides whether to accept it."
        )?;
    }
    let mut opened = OpenedGateways::default();
    let wanted = serials(context, &state, &mut opened).await;
    if !wanted.is_empty() && !wanted.contains(&token.serial) {
        let names: Vec<&str> = wanted.iter().map(Serial::as_str).collect();
        let message =
            format!("the token is for a gateway other than yours ({}) and was not stored", names.join(", "));
        return Err(Failure::new(Code::Data, message));
    }
    let shared = context.shared(&state);
    shared.token_provider.lock().await.import(&token, LOGIN_LOCK_TIMEOUT).await?;
    verify(context, opened, &token, &shared, out).await
}

/// Returns the failure of reading the token.
fn unread(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::InvalidData {
        return Failure::new(Code::Data, "this is not a token: it is not text");
    }
    let named = io::Error::new(error.kind(), format!("cannot read the token: {error}"));
    Failure::from(named)
}

/// Returns the serial numbers of the configured gateways, or nothing if one is unknown, because the token may be for it.
async fn serials(context: &Context, state: &StateDir, opened: &mut OpenedGateways) -> Vec<Serial> {
    let mut serials = Vec::new();
    for (settings, opened) in context.config.gateways.iter().zip(opened.all(context, state).await) {
        let answered = opened.as_ref().ok().map(Connected::serial);
        serials.extend(settings.serial.as_ref().or(answered).cloned());
    }
    if serials.len() < context.config.gateways.len() { Vec::new() } else { serials }
}
