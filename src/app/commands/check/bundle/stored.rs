//! What the state directory holds: its files, the record of logins, and of tokens what they say, not what they are.

use jiff::Timestamp;

use super::super::super::Context;
use crate::io::state_dir::{Entry, StateDir};
use crate::io::token::store::{self, Kept, Origin};
use crate::rules::logins::age::Heard;
use crate::rules::logins::situation::Operator;
use crate::rules::logins::words::length;

/// Each file with its mode, size and age.
pub(super) async fn files(state: &StateDir, now: Timestamp) -> Vec<String> {
    let line = |entry: &Entry| {
        let Entry { name, mode, length: bytes, .. } = entry;
        let age = Timestamp::from_second(entry.modified).map(|then| now.duration_since(then));
        let age = age.map_or_else(|_odd| "unknown".to_owned(), |age| length(age.unsigned_abs()));
        let kind = if entry.is_file { "" } else { "no file, " };
        format!("{name}  {kind}mode {mode:o}, {bytes} bytes, {age} old")
    };
    match state.entries().await {
        Ok(entries) => entries.iter().map(line).collect(),
        Err(error) => vec![error.to_string()],
    }
}

/// What was tried at the cloud, what came of it, and what comes next for each gateway.
pub(super) async fn logins(context: &mut Context, state: &StateDir) -> Vec<String> {
    let shared = context.shared(state);
    let mut supply = shared.supply.lock().await;
    let sight = supply.sight(Heard::Nothing);
    let serials = store::serials(state).await.unwrap_or_default();
    let mut lines = Vec::new();
    // The record is the account's: any serial reads the same.
    let Some(any) = serials.first().cloned().or_else(|| "unknown".parse().ok()) else { return lines };
    match supply.record(&any, &sight).await {
        Ok(record) => {
            let attempt = |one: &crate::rules::logins::attempt::Attempt| {
                format!("{:.0}  for {}: {one}", one.time, one.serial)
            };
            lines.extend(record.attempts.iter().map(attempt));
            lines.extend(record.hold.as_ref().map(|hold| format!("held back: {:?}", hold.kind)));
            lines.extend(record.halts.iter().map(|halt| format!("credentials refused: {:?}", halt.kind)));
            lines.extend(
                record.session.as_ref().map(|_| "a session is open, for a token still to come".to_owned()),
            );
            let refused = record.refusals.values().map(Vec::len).sum::<usize>();
            lines.push(format!("tokens refused by a gateway: {refused}"));
        }
        Err(error) => lines.push(error.to_string()),
    }
    for serial in &serials {
        match supply.consider(serial, Heard::NoTime, Operator::Absent).await {
            Ok(decision) => lines.push(format!("next for {serial}: {decision}")),
            Err(error) => lines.push(format!("next for {serial}: {error}")),
        }
    }
    lines
}

/// What the tokens say of themselves.
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

fn token(kept: &Kept) -> String {
    let token = &kept.token;
    let came = match &kept.origin {
        Origin::Login => "fetched",
        Origin::Import => "imported",
        Origin::Other(_) => "stored by another version",
    };
    let seen = kept.verified_at.map_or_else(
        || "not seen by the gateway".to_owned(),
        |time| format!("accepted by the gateway {time:.0}"),
    );
    let signed = if token.signed_by_entrez() { "the known key" } else { "another key" };
    format!(
        "{}, issued {:.0}, expires {:.0}, {came} {:.0}, {seen}, signed by {signed}",
        token.role, token.issued_at, token.expires_at, kept.stored_at
    )
}
