//! `enphased token status`: explains the token, the last login, and when and why the next login may happen.

use std::io::Write;
use std::time::Duration;

use jiff::Timestamp;

use super::super::Context;
use super::super::failure::Failure;
use super::super::opened_gateways::OpenedGateways;
use super::choose_gateway::choose_gateway;
use super::gateway_time;
use crate::base::durations::length;
use crate::base::printable::Printable;
use crate::base::reading::Serial;
use crate::io::http::Certificate;
use crate::io::token::store::{Origin, StoredToken};
use crate::rules::logins::clocks::GatewayTime;
use crate::rules::logins::decision::Decision;
use crate::rules::logins::situation::{Operator, TokenFacts};

/// Shows whose token it is, until when it is valid, what the last login was, and when and why the next one may happen.
pub async fn status(
    context: &mut Context,
    wanted: Option<&Serial>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let state = context.state()?;
    let (shared, mut opened) = (context.shared(&state), OpenedGateways::default());
    let mut token_provider = shared.token_provider.lock().await;
    let serial = choose_gateway(context, wanted, &state, &mut token_provider, &mut opened).await?;
    let gateway_time = gateway_time(context, &serial, &state, &mut opened).await;
    let tokens = token_provider.tokens(&serial).await?;
    let now = context.clock.now();
    writeln!(
        out,
        "gateway    {serial}{}",
        if gateway_time == GatewayTime::NoResponse { " (not responding)" } else { "" }
    )?;
    match tokens.in_use() {
        None => writeln!(out, "token      none")?,
        Some(kept) => describe(kept, now, out)?,
    }
    if let (Some(candidate), Some(_)) = (&tokens.candidate, &tokens.current) {
        let until = candidate.token.expires_at;
        writeln!(out, "           a newer one, valid until {until:.0}, waits for the gateway to accept it")?;
    }
    let clocks = token_provider.clocks(gateway_time);
    let record = token_provider.record(&serial, &clocks).await?;
    match record.attempts.iter().rfind(|attempt| attempt.serial == serial || attempt.counts_as_login()) {
        None => writeln!(out, "cloud      not contacted yet")?,
        Some(attempt) => writeln!(out, "cloud      {:.0}: {attempt}", attempt.time)?,
    }
    let decision = token_provider.consider(&serial, gateway_time, Operator::Absent).await?;
    writeln!(out, "next       {}", next(&decision, tokens.in_use(), now))?;
    if context.config.listens().any(|(_, listen)| listen.tls)
        && let Some(key) = Certificate::stored(&state).await.ok().flatten()
        && let Ok(fingerprint) = key.fingerprint()
    {
        writeln!(out, "server     its TLS key has the fingerprint {fingerprint}")?;
    }
    Ok(())
}

fn describe(kept: &StoredToken, now: Timestamp, out: &mut dyn Write) -> Result<(), Failure> {
    let token = &kept.token;
    let left = token.remaining(now);
    let left = match Duration::try_from(left) {
        Ok(left) => format!("{} left", length(left)),
        Err(_) => format!("expired {} ago", length(left.unsigned_abs())),
    };
    writeln!(out, "token      {}, valid until {:.0} ({left})", token.role, token.expires_at)?;
    let how = match &kept.origin {
        Origin::Login => "fetched from the cloud",
        Origin::Import => "imported",
        Origin::Other(_) => "stored by another version of enphased",
    };
    let verified = match kept.verified_at {
        Some(time) => format!("accepted by the gateway since {time:.0}"),
        None => "not yet accepted by the gateway".to_owned(),
    };
    writeln!(out, "           {how} at {:.0}, {verified}", kept.stored_at)?;
    if let Some(username) = &token.username {
        writeln!(out, "account    {}", Printable(username))?;
    }
    if !token.is_long_lived() {
        writeln!(
            out,
            "           valid for {} in total; such short-lived tokens are not renewed automatically",
            length(token.lifetime())
        )?;
    }
    if !token.signed_by_entrez() {
        writeln!(
            out,
            "           not signed with the known Entrez key; the gateway decides whether to accept it"
        )?;
    }
    Ok(())
}

fn next(decision: &Decision, kept: Option<&StoredToken>, now: Timestamp) -> String {
    match (decision, kept) {
        (Decision::Rest, Some(kept)) if kept.token.is_long_lived() => {
            let opens = TokenFacts::new(&kept.token, kept.stored_at).renewal_opens();
            if opens > now {
                format!("no login before {opens:.0}, when the token is due for renewal")
            } else {
                "no login while the gateway accepts the token: it reports no time, and this machine's clock alone is not enough"
                    .to_owned()
            }
        }
        (Decision::Rest, _) => "no login is needed".to_owned(),
        (decision, _) => decision.to_string(),
    }
}
