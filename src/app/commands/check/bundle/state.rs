//! Describes the state directory: its files, the record of logins, and the claims of the tokens.

use jiff::Timestamp;

use super::super::super::Context;
use crate::base::durations::length;
use crate::io::state_dir::{Entry, StateDir};
use crate::io::token::store::{self, Origin, StoredToken};
use crate::rules::logins::clocks::GatewayTime;
use crate::rules::logins::situation::Operator;

/// Returns a line for each file with its mode, size and age.
pub(super) async fn files(state: &StateDir, now: Timestamp) -> Vec<String> {
    let line = |entry: &Entry| {
        let Entry { name, mode, length: bytes, .. } = entry;
        let age = Timestamp::from_second(entry.modified).map(|then| now.duration_since(then));
        let age = age.map_or_else(|_odd| "unknown".to_owned(), |age| length(age.unsigned_abs()));
        let kind = if entry.is_file { "" } else { "not a regular file, " };
        format!("{name}  {kind}mode {mode:o}, {bytes} bytes, {age} old")
    };
    match state.entries().await {
        Ok(entries) => entries.iter().map(line).collect(),
        Err(error) => vec![error.to_string()],
    }
}

/// Returns the attempts at the cloud with their outcomes, and the next step for each gateway.
pub(super) async fn logins(context: &mut Context, state: &StateDir) -> Vec<String> {
    let shared = context.shared(state);
    let mut token_provider = shared.token_provider.lock().await;
    let clocks = token_provider.clocks(GatewayTime::NoResponse);
    let serials = store::serials(state).await.unwrap_or_default();
    let mut lines = Vec::new();
    // The record belongs to the account, so any serial number will do.
    let Some(any) = serials.first().cloned().or_else(|| "unknown".parse().ok()) else { return lines };
    match token_provider.record(&any, &clocks).await {
        Ok(record) => {
            let attempt = |one: &crate::rules::logins::attempt::Attempt| {
                format!("{:.0}  for {}: {one}", one.time, one.serial)
            };
            lines.extend(record.attempts.iter().map(attempt));
            lines.extend(record.hold.as_ref().map(|hold| format!("hold-off: {:?}", hold.kind)));
            lines.extend(record.halts.iter().map(|halt| format!("credentials refused: {:?}", halt.kind)));
            lines.extend(
                record
                    .session
                    .as_ref()
                    .map(|_| "a session is open; its token has not been fetched yet".to_owned()),
            );
            let refused = record.refusals.count();
            lines.push(format!("token refusals by a gateway: {refused}"));
        }
        Err(error) => lines.push(error.to_string()),
    }
    for serial in &serials {
        match token_provider.consider(serial, GatewayTime::NoTime, Operator::Absent).await {
            Ok(decision) => lines.push(format!("next for {serial}: {decision}")),
            Err(error) => lines.push(format!("next for {serial}: {error}")),
        }
    }
    lines
}

/// Returns a line for each stored token with its claims.
pub(super) async fn tokens(state: &StateDir) -> Vec<String> {
    let mut lines = Vec::new();
    for serial in store::serials(state).await.unwrap_or_default() {
        match store::load(state, &serial).await {
            Ok(loaded) => {
                let tokens = &loaded.tokens;
                for (name, kept) in [("in use", &tokens.current), ("waiting", &tokens.candidate)] {
                    lines.extend(kept.as_ref().map(|kept| format!("{serial} {name}: {}", token(kept))));
                }
                lines.extend(loaded.damaged.map(|path| format!("{serial}: {} is damaged", path.display())));
            }
            Err(error) => lines.push(format!("{serial}: {error}")),
        }
    }
    if lines.is_empty() {
        lines.push("none".to_owned());
    }
    lines
}

fn token(kept: &StoredToken) -> String {
    let token = &kept.token;
    let origin = match &kept.origin {
        Origin::Login => "fetched",
        Origin::Import => "imported",
        Origin::Other(_) => "stored by another version",
    };
    let verified = kept.verified_at.map_or_else(
        || "not yet accepted by the gateway".to_owned(),
        |time| format!("accepted by the gateway {time:.0}"),
    );
    let signed = if token.signed_by_entrez() { "the known key" } else { "another key" };
    format!(
        "{}, issued {:.0}, expires {:.0}, {origin} {:.0}, {verified}, signed by {signed}",
        token.role, token.issued_at, token.expires_at, kept.stored_at
    )
}
