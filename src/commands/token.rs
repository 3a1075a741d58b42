//! `enphased token status | refresh | import | forget`.

use std::io::{Read, Write};

use super::failure::{Code, Failure};
use super::{Context, PATIENCE, gateway, serial};
use crate::cloud::answer::Kind;
use crate::config::secret::{Account, SecretSource};
use crate::gateway::Error;
use crate::logins::decision::{Decision, Operator, Stopped, TokenFacts};
use crate::logins::words::length;
use crate::poller::Shared;
use crate::poller::identity::{self, Identity};
use crate::poller::trouble::Trouble;
use crate::reading::Serial;
use crate::secrets::Secret;
use crate::supply::{Supply, Tended};
use crate::token::Token;
use crate::token::store::{Kept, Origin};

/// The most that is read as a token.
const LONGEST: u64 = 64 * 1024;

/// Who answers questions: the terminal, or nobody.
pub trait Ask {
    /// Asks for a line.
    fn line(&mut self, question: &str) -> Option<String>;
    /// Asks for a line that is not shown.
    fn hidden(&mut self, question: &str) -> Option<Secret>;
}

/// Explains whose token it is, until when it is good, what the last login was, and when and why the next one
/// may happen.
pub async fn status(context: &mut Context, asked: Option<&str>, out: &mut dyn Write) -> Result<(), Failure> {
    let state = context.state()?;
    let serial = serial(context, asked, &state).await?;
    let time = gateway_time(context, &serial, &state).await;
    let shared = context.shared(&state);
    let mut supply = shared.supply.lock().await;
    let tokens = supply.tokens(&serial)?;
    let now = context.clock.now();
    writeln!(out, "gateway    {serial}{}", if time.is_some() { "" } else { " (does not answer now)" })?;
    match tokens.in_use() {
        None => writeln!(out, "token      none")?,
        Some(kept) => describe(kept, now, out)?,
    }
    if let Some(candidate) = tokens.candidate.as_ref().filter(|_| tokens.current.is_some()) {
        let until = candidate.token.expires_at;
        writeln!(out, "           a newer one, good until {until:.0}, waits for the gateway to accept it")?;
    }
    let sight = supply.sight(time);
    let record = supply.record(&serial, &sight)?;
    match record.attempts.iter().rfind(|attempt| attempt.serial == serial || attempt.counts_as_login()) {
        None => writeln!(out, "cloud      not contacted yet")?,
        Some(attempt) => writeln!(out, "cloud      {:.0}: {attempt}", attempt.time)?,
    }
    let decision = supply.consider(&serial, time, Operator::Absent)?;
    writeln!(out, "next       {}", next(&decision, tokens.in_use()))?;
    Ok(())
}

fn describe(kept: &Kept, now: jiff::Timestamp, out: &mut dyn Write) -> Result<(), Failure> {
    let token = &kept.token;
    let left = token.remaining(now);
    let left = match std::time::Duration::try_from(left) {
        Ok(left) => format!("{} left", length(left)),
        Err(_) => format!("over for {}", length(left.unsigned_abs())),
    };
    writeln!(out, "token      {}, good until {:.0} ({left})", token.role, token.expires_at)?;
    let how = match kept.origin {
        Origin::Login => "fetched from the cloud",
        Origin::Import => "imported",
    };
    let seen = match kept.verified_at {
        Some(time) => format!("accepted by the gateway since {time:.0}"),
        None => "not seen by the gateway yet".to_owned(),
    };
    writeln!(out, "           {how} at {:.0}, {seen}", kept.stored_at)?;
    if let Some(username) = &token.username {
        writeln!(out, "account    {username}")?;
    }
    if !token.is_long_lived() {
        writeln!(
            out,
            "           it lives for {} in all; such tokens are not renewed by themselves",
            length(token.lifetime())
        )?;
    }
    if !token.signed_by_entrez() {
        writeln!(out, "           its signature is not by the known Entrez key; the gateway is the judge")?;
    }
    Ok(())
}

fn next(decision: &Decision, kept: Option<&Kept>) -> String {
    match (decision, kept) {
        (Decision::Rest, Some(kept)) if kept.token.is_long_lived() => {
            let opens = TokenFacts::new(&kept.token, kept.stored_at).renewal_opens();
            format!("no login before {opens:.0}, when the token is due for renewal")
        }
        (Decision::Rest, _) => "no login is needed".to_owned(),
        (decision, _) => decision.to_string(),
    }
}

/// The gateway's clock, if it answers.
async fn gateway_time(
    context: &Context,
    serial: &Serial,
    state: &crate::state::StateDir,
) -> Option<jiff::Timestamp> {
    for settings in &context.config.gateways {
        if let Ok(identity) = gateway::ask(context, settings, state).await
            && identity.serial == *serial
        {
            return Some(identity.time(context.clock.now()));
        }
    }
    None
}

/// Fetches a new token from the cloud. The hold-offs are obeyed unless `force` is set.
pub async fn refresh(
    context: &mut Context,
    asked: Option<&str>,
    force: bool,
    ask: &mut dyn Ask,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let state = context.state()?;
    let serial = serial(context, asked, &state).await?;
    let time = gateway_time(context, &serial, &state).await;
    if force {
        writeln!(
            out,
            "The hold-offs are set aside. Each login takes one of the account's sessions, and nobody knows how many \
             there are: when they are used up, the account is locked for a day, for you and for the Enphase app."
        )?;
    }
    let operator = if force { Operator::Insists } else { Operator::Asks };
    let shared = context.shared(&state);
    let now = shared.supply.lock().await.consider(&serial, time, operator)?;
    if let Decision::Wait { .. } = now {
        return Err(held_off(&now));
    }
    complete_account(&mut context.config.account, ask)?;
    let shared = context.shared(&state);
    let mut supply = shared.supply.lock().await;
    match supply.tend(&serial, time, operator, PATIENCE).await? {
        Tended::Arrived(token) => {
            writeln!(out, "A new token arrived: {}, good until {:.0}.", token.role, token.expires_at)?;
            drop(supply);
            verify(context, &serial, &token, &shared, out).await
        }
        Tended::Left(decision) => Err(held_off(&decision)),
        Tended::Failed { failure, next, .. } => {
            let code = match failure.kind {
                Kind::WrongCredentials | Kind::SecondFactor => Code::Refused,
                _ => Code::TryLater,
            };
            Err(Failure::new(code, format!("the Enphase cloud gave no token: {failure}. Now {next}")))
        }
    }
}

fn held_off(decision: &Decision) -> Failure {
    match decision {
        Decision::Stop(Stopped::NoCredentials) => Failure::new(
            Code::Configuration,
            "there is no username or password, and no terminal to ask for them: run this on a terminal, or write \
             them into the configuration",
        ),
        Decision::Stop(stopped) => Failure::new(Code::Refused, stopped.to_string()),
        other => Failure::new(
            Code::TryLater,
            format!("{other}. `--force` would try at once, and says what it risks"),
        ),
    }
}

/// Asks for the half of the account that is not configured. The answers are not kept.
fn complete_account(account: &mut Account, ask: &mut dyn Ask) -> Result<(), Failure> {
    if account.username.is_none() {
        account.username = ask.line("E-mail address at enlighten.enphaseenergy.com: ");
    }
    if account.password.is_none() && account.username.is_some() {
        account.password = ask.hidden("Password (it is not shown, and not kept): ").map(SecretSource::Given);
    }
    match account.credentials() {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(held_off(&Decision::Stop(Stopped::NoCredentials))),
        Err(error) => Err(Failure::new(Code::Configuration, error.to_string())),
    }
}

/// Asks the gateway about a token that has just been stored, and takes it into use.
async fn verify(
    context: &Context,
    serial: &Serial,
    token: &Token,
    shared: &Shared,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match check(context, serial, token, shared).await {
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
        Ok(()) | Err(crate::supply::Error::Busy) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn check(context: &Context, serial: &Serial, token: &Token, shared: &Shared) -> Result<(), Trouble> {
    let mut trouble = Trouble::NotFound;
    for settings in &context.config.gateways {
        let address = identity::locate(settings).await?;
        let mut client = identity::client(settings, &address)?;
        match identity::identify(&mut client, &address, settings, &shared.state, context.clock.now()).await {
            Ok(Identity { serial: found, .. }) if found == *serial => {
                return Ok(client.check_token(&token.secret).await?);
            }
            Ok(Identity { serial: found, .. }) => {
                let (address, wanted) = (address.to_string(), serial.clone());
                trouble = Trouble::OtherGateway { address, found, wanted };
            }
            Err(error) => trouble = error,
        }
    }
    Err(trouble)
}

/// Stores a token that a person brought, after saying what it is.
pub async fn import(context: &mut Context, input: &mut dyn Read, out: &mut dyn Write) -> Result<(), Failure> {
    let state = context.state()?;
    let mut text = String::new();
    input.take(LONGEST).read_to_string(&mut text)?;
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
    let wanted = serials(context, &state).await;
    if !wanted.is_empty() && !wanted.contains(&token.serial) {
        let names: Vec<&str> = wanted.iter().map(Serial::as_str).collect();
        let message =
            format!("it is for another gateway than yours ({}), and is not stored", names.join(", "));
        return Err(Failure::new(Code::Data, message));
    }
    let shared = context.shared(&state);
    shared.supply.lock().await.import(&token, PATIENCE).await?;
    verify(context, &token.serial.clone(), &token, &shared, out).await
}

/// The serials of the configured gateways, as far as they are known.
async fn serials(context: &Context, state: &crate::state::StateDir) -> Vec<Serial> {
    let mut serials = Vec::new();
    for settings in &context.config.gateways {
        match &settings.serial {
            Some(serial) => serials.push(serial.clone()),
            None => {
                serials.extend(gateway::ask(context, settings, state).await.ok().map(|known| known.serial));
            }
        }
    }
    // One that does not answer may be the one that is meant.
    if serials.len() < context.config.gateways.len() { Vec::new() } else { serials }
}

/// Forgets the tokens of a gateway.
pub async fn forget(context: &mut Context, asked: Option<&str>, out: &mut dyn Write) -> Result<(), Failure> {
    let state = context.state()?;
    let serial = serial(context, asked, &state).await?;
    let shared = context.shared(&state);
    let mut supply = shared.supply.lock().await;
    supply.forget(&serial, PATIENCE).await?;
    let next = supply.consider(&serial, Some(context.clock.now()), Operator::Absent)?;
    writeln!(out, "The tokens of gateway {serial} are forgotten. The record of logins stays.")?;
    writeln!(out, "Next: {next}.")?;
    Ok(())
}
