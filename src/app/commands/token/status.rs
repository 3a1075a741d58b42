//! `enphased token status`: whose token it is, until when it is good, and when and why the next login may happen.

use std::io::Write;
use std::time::Duration;

use jiff::Timestamp;

use super::super::Context;
use super::super::failure::Failure;
use super::super::reach::Reached;
use super::heard;
use super::which::which;
use crate::base::printable::Printable;
use crate::base::reading::Serial;
use crate::io::token::store::{Kept, Origin};
use crate::rules::logins::age::Heard;
use crate::rules::logins::decision::Decision;
use crate::rules::logins::situation::{Operator, TokenFacts};
use crate::rules::logins::words::length;

/// Explains whose token it is, until when it is good, what the last login was, and when and why the next one
/// may happen.
pub async fn status(
    context: &mut Context,
    asked: Option<&Serial>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let state = context.state()?;
    let (shared, mut reached) = (context.shared(&state), Reached::default());
    let mut supply = shared.supply.lock().await;
    let serial = which(context, asked, &state, &mut supply, &mut reached).await?;
    let heard = heard(context, &serial, &state, &mut reached).await;
    let tokens = supply.tokens(&serial).await?;
    let now = context.clock.now();
    writeln!(
        out,
        "gateway    {serial}{}",
        if heard == Heard::Nothing { " (does not answer now)" } else { "" }
    )?;
    match tokens.in_use() {
        None => writeln!(out, "token      none")?,
        Some(kept) => describe(kept, now, out)?,
    }
    if let Some(candidate) = tokens.candidate.as_ref().filter(|_| tokens.current.is_some()) {
        let until = candidate.token.expires_at;
        writeln!(out, "           a newer one, good until {until:.0}, waits for the gateway to accept it")?;
    }
    let sight = supply.sight(heard);
    let record = supply.record(&serial, &sight).await?;
    match record.attempts.iter().rfind(|attempt| attempt.serial == serial || attempt.counts_as_login()) {
        None => writeln!(out, "cloud      not contacted yet")?,
        Some(attempt) => writeln!(out, "cloud      {:.0}: {attempt}", attempt.time)?,
    }
    let decision = supply.consider(&serial, heard, Operator::Absent).await?;
    writeln!(out, "next       {}", next(&decision, tokens.in_use(), now))?;
    Ok(())
}

fn describe(kept: &Kept, now: Timestamp, out: &mut dyn Write) -> Result<(), Failure> {
    let token = &kept.token;
    let left = token.remaining(now);
    let left = match Duration::try_from(left) {
        Ok(left) => format!("{} left", length(left)),
        Err(_) => format!("over for {}", length(left.unsigned_abs())),
    };
    writeln!(out, "token      {}, good until {:.0} ({left})", token.role, token.expires_at)?;
    let how = match &kept.origin {
        Origin::Login => "fetched from the cloud",
        Origin::Import => "imported",
        Origin::Other(_) => "stored by another version of enphased",
    };
    let seen = match kept.verified_at {
        Some(time) => format!("accepted by the gateway since {time:.0}"),
        None => "not seen by the gateway yet".to_owned(),
    };
    writeln!(out, "           {how} at {:.0}, {seen}", kept.stored_at)?;
    if let Some(username) = &token.username {
        writeln!(out, "account    {}", Printable(username))?;
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

fn next(decision: &Decision, kept: Option<&Kept>, now: Timestamp) -> String {
    match (decision, kept) {
        (Decision::Rest, Some(kept)) if kept.token.is_long_lived() => {
            let opens = TokenFacts::new(&kept.token, kept.stored_at).renewal_opens();
            if opens > now {
                format!("no login before {opens:.0}, when the token is due for renewal")
            } else {
                "no login while the gateway accepts the token and tells no time; our clock alone is no reason"
                    .to_owned()
            }
        }
        (Decision::Rest, _) => "no login is needed".to_owned(),
        (decision, _) => decision.to_string(),
    }
}
