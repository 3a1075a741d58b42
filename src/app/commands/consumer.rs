//! `enphased consumer`: the programs that ask the server, and their tokens.

use std::io::Write;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use super::Context;
use super::failure::{Code, Failure};
use crate::app::consumers::listed::{Kind, Listed, Seen, complete};
use crate::app::consumers::live_list;
use crate::app::consumers::tokens::ConsumerTokens;
use crate::base::durations::length;
use crate::base::printable::{Printable, is_printable};
use crate::base::reading::Serial;
use crate::io::gateway::pinned_key;
use crate::io::state_dir::{Lock, StateDir};
use crate::io::token::store;
use crate::output::json;
use crate::rules::access::consumers::Identity;

/// The lock while the tokens are changed.
const LOCK: &str = "consumers.lock";
/// The time limit for another command that changes the tokens.
const PATIENCE: Duration = Duration::from_secs(5);
/// The maximum number of characters of a name.
const LONGEST_NAME: usize = 40;

/// Creates a token and prints it once.
pub async fn add(context: &mut Context, name: &str, out: &mut dyn Write) -> Result<(), Failure> {
    let name = checked(name)?;
    let state = context.state()?;
    let _lock = lock(&state).await?;
    let mut tokens = match ConsumerTokens::read(&state).await? {
        Some(tokens) => tokens,
        None => ConsumerTokens::empty()?,
    };
    check_is_free(name, &listed(&state).await?)?;
    let serial = serial(context, &state).await;
    let token = tokens.add(name, serial.as_ref(), context.clock.now())?;
    tokens.write(&state).await?;
    writeln!(out, "{}", token.expose())?;
    if context.config.server.is_none() {
        tracing::warn!(
            "neither a server nor a proxy is configured: write listen below [server], or proxy below [[gateway]]; see `enphased \
             config example`"
        );
    }
    Ok(())
}

/// Lists the consumers: those of the running daemon, otherwise as they were saved.
pub async fn list(context: &mut Context, as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let state = context.state()?;
    let list = listed(&state).await?;
    if as_json {
        writeln!(out, "{}", json::one_line(&list))?;
        return Ok(());
    }
    if list.is_empty() {
        writeln!(out, "no program has asked yet, and no token was created")?;
        return Ok(());
    }
    let now = context.clock.now();
    writeln!(
        out,
        "{:<24} {:<8} {:<16} {:>9} {:>8} {:>8}  last seen",
        "name", "kind", "address", "requests", "refused", "streams"
    )?;
    for one in list {
        let seen = one.last_seen.map_or_else(|| "never".to_owned(), |last| ago(last, now));
        writeln!(
            out,
            "{:<24} {:<8} {:<16} {:>9} {:>8} {:>8}  {seen}",
            Printable(&one.name).to_string(),
            one.kind.word(),
            one.address,
            one.requests,
            one.refused,
            one.streams
        )?;
    }
    Ok(())
}

/// Gives another name to a consumer.
pub async fn rename(context: &mut Context, name: &str, new: &str) -> Result<(), Failure> {
    let new = checked(new)?;
    let state = context.state()?;
    let _lock = lock(&state).await?;
    let mut tokens = match ConsumerTokens::read(&state).await? {
        Some(tokens) => tokens,
        None => ConsumerTokens::empty()?,
    };
    let list = listed(&state).await?;
    if new != name {
        check_is_free(new, &list)?;
    }
    if !tokens.rename(name, new) {
        tokens.name(program(name, list)?, new);
    }
    Ok(tokens.write(&state).await?)
}

/// Returns the only program without a token that has this name or address.
fn program(name: &str, list: Vec<Listed>) -> Result<Identity, Failure> {
    let programs = list.into_iter().filter(|one| one.kind == Kind::Program);
    let found: Vec<Listed> = programs.filter(|one| one.name == name || one.address == name).collect();
    match <[Listed; 1]>::try_from(found) {
        Ok([one]) => {
            let address = one.address.parse().map_err(|_invalid| unknown(name))?;
            Ok(Identity::Program { address, program: one.program })
        }
        Err(found) if found.is_empty() => Err(unknown(name)),
        Err(found) => {
            let words = format!(
                "{} programs are called {} or have this address; write the name or the address that only one of them has",
                found.len(),
                Printable(name)
            );
            Err(Failure::new(Code::Data, words))
        }
    }
}

/// Removes the token of a consumer. A running daemon ends its streams within a second.
pub async fn remove(context: &mut Context, name: &str) -> Result<(), Failure> {
    let state = context.state()?;
    let _lock = lock(&state).await?;
    let mut tokens = ConsumerTokens::read(&state).await?;
    if let Some(tokens) = &mut tokens
        && tokens.remove(name, context.clock.now())
    {
        return Ok(tokens.write(&state).await?);
    }
    let is_there = listed(&state).await?.iter().any(|one| one.name == name || one.address == name);
    if !is_there {
        return Err(unknown(name));
    }
    let words = format!(
        "{} has no token that could be removed; open_to below [server] says who may read without one",
        Printable(name)
    );
    Err(Failure::new(Code::Data, words))
}

/// Returns the consumers that have asked, and those that have only a token: from the running daemon, otherwise as they were
/// saved.
pub(super) async fn listed(state: &StateDir) -> Result<Vec<Listed>, Failure> {
    if let Some(list) = live_list::read(state).await {
        return Ok(list);
    }
    let (tokens, seen) = (ConsumerTokens::read(state).await?, Seen::read(state).await.consumers);
    Ok(complete(seen.iter().map(|usage| (usage, 0, false)), tokens.as_ref()))
}

/// Returns the gateway that a token is made for: the first one that is configured or known.
async fn serial(context: &Context, state: &StateDir) -> Option<Serial> {
    let configured = context.config.gateways.iter().find_map(|gateway| gateway.serial.clone());
    if configured.is_some() {
        return configured;
    }
    let with_token = store::serials(state).await.unwrap_or_default().into_iter().next();
    if with_token.is_some() {
        return with_token;
    }
    pinned_key::last_seen(state).await.ok()?.into_iter().map(|(serial, _)| serial).next()
}

async fn lock(state: &StateDir) -> Result<Lock, Failure> {
    let start = Instant::now();
    loop {
        if let Some(lock) = state.try_lock(LOCK).await? {
            return Ok(lock);
        }
        if start.elapsed() > PATIENCE {
            return Err(Failure::new(Code::TryLater, "another command is changing the consumers; try again"));
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Fails if the operator has given this name to another consumer.
fn check_is_free(name: &str, list: &[Listed]) -> Result<(), Failure> {
    if !list.iter().any(|one| one.was_named(name)) {
        return Ok(());
    }
    let words = format!(
        "there is a consumer called {} already; choose another name, or remove it first",
        Printable(name)
    );
    Err(Failure::new(Code::Usage, words))
}

fn checked(name: &str) -> Result<&str, Failure> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME || !name.chars().all(is_printable) {
        let words = format!("a name has 1 to {LONGEST_NAME} printable characters, such as \"evcc\"");
        return Err(Failure::new(Code::Usage, words));
    }
    Ok(name)
}

fn unknown(name: &str) -> Failure {
    let words = format!("no consumer is called {}; `enphased consumer list` shows all", Printable(name));
    Failure::new(Code::Data, words)
}

fn ago(then: Timestamp, now: Timestamp) -> String {
    match Duration::try_from(now.duration_since(then)) {
        Ok(passed) => format!("{} ago", length(passed)),
        Err(_) => format!("{then:.0}"),
    }
}
