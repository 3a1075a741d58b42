//! `enphased gateway trust`: trusts the key that a gateway shows now.

use std::io::{BufRead, Write};

use jiff::Timestamp;

use super::Context;
use super::confirm::confirm;
use super::failure::{Code, Failure};
use super::opened_gateways::open;
use crate::app::config;
use crate::app::poller::trouble::Trouble;
use crate::base::reading::Serial;
use crate::io::gateway::Error;
use crate::io::gateway::pinned_key::{Known, PinnedKeys};
use crate::io::tls::Fingerprint;

/// Checks the keys of all gateways, and trusts each changed one after a confirmation from `answers` or with
/// `assume_yes`. Every gateway is checked before a failure is reported.
pub async fn trust(
    context: &mut Context,
    assume_yes: bool,
    answers: &mut dyn BufRead,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let state = context.state()?;
    let mut failure = None;
    for settings in &context.config.gateways {
        let change = match open(context, settings, &state).await {
            Ok(gateway) => {
                let key = gateway.key().map_or_else(|| no_key(settings), |key| key.to_string());
                writeln!(out, "gateway {}: the key has not changed ({key})", gateway.serial())?;
                continue;
            }
            Err(Trouble::Gateway(error)) => Change::try_from(error).map_err(Trouble::from),
            Err(trouble) => Err(trouble),
        };
        match change {
            Ok(change) if change.is_accepted(assume_yes, answers, out)? => {
                change.save(&mut PinnedKeys::new(state.clone()), context.clock.now()).await?;
                writeln!(out, "{}", change.accepted())?;
            }
            Ok(_) => {
                let words = "not confirmed; nothing was changed";
                failure = Some(Failure::new(Code::Refused, words));
            }
            Err(trouble) => failure = Some(trouble.into()),
        }
    }
    failure.map_or(Ok(()), Err)
}

fn no_key(settings: &config::Gateway) -> String {
    let reason = if settings.insecure { "any certificate is accepted" } else { "it uses plain http" };
    format!("none, because {reason}")
}

/// A gateway whose key differs from the trusted one.
struct Change {
    address: String,
    serial: Serial,
    /// `None` where it is lost.
    known: Option<Fingerprint>,
    /// `None` over plain http.
    seen: Option<Fingerprint>,
}

impl Change {
    /// Converts an error about the gateway's key into a change that can be accepted; returns any other error.
    fn try_from(error: Error) -> Result<Self, Error> {
        match error {
            Error::KeyChanged { address, serial, known, seen } => {
                Ok(Self { address, serial, known: Some(known), seen: Some(seen) })
            }
            Error::KeyMissing { address, serial, known } => {
                Ok(Self { address, serial, known: Some(known), seen: None })
            }
            Error::KeyLost { address, serial, seen } => Ok(Self { address, serial, known: None, seen }),
            other => Err(other),
        }
    }

    fn is_accepted(
        &self,
        assume_yes: bool,
        answers: &mut dyn BufRead,
        out: &mut dyn Write,
    ) -> Result<bool, Failure> {
        let Self { address, serial, known, .. } = self;
        let known =
            known.map_or_else(|| "lost, because its file is damaged".to_owned(), |key| key.to_string());
        let advice = if let Some(seen) = &self.seen {
            writeln!(out, "gateway {serial} at {address} shows a different key:")?;
            writeln!(out, "  trusted: {known}\n  shown:   {seen}")?;
            "Accept it if the gateway was replaced, reset or updated. Otherwise another device may be impersonating it."
        } else {
            writeln!(out, "gateway {serial} at {address} uses plain http, but has shown a TLS key before:")?;
            writeln!(out, "  trusted: {known}\n  shown:   none (plain http)")?;
            "Accept it only if its firmware was downgraded to one without TLS. Otherwise another device may be \
             impersonating it."
        };
        writeln!(out, "{advice}")?;
        Ok(assume_yes || confirm("Accept the new key?", answers, out)?)
    }

    async fn save(&self, keys: &mut PinnedKeys, now: Timestamp) -> Result<(), Failure> {
        let before = keys.load(&self.serial).await?;
        let password_of = before.and_then(|known| known.password_of);
        let known = Known { key: self.seen, address: self.address.clone(), since: now, password_of };
        Ok(keys.save(&self.serial, &known).await?)
    }

    fn accepted(&self) -> &'static str {
        match self.seen {
            Some(_) => "The new key is trusted. A running daemon resumes at its next poll.",
            None => "The gateway is now read over plain http. A running daemon resumes at its next poll.",
        }
    }
}
