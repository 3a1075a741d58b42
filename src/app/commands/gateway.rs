//! `enphased gateway trust`: accepts the key that a gateway shows now.

use std::io::{BufRead, Write};

use jiff::Timestamp;

use super::Context;
use super::failure::{Code, Failure};
use super::reach::open;
use crate::app::config;
use crate::app::poller::trouble::Trouble;
use crate::base::reading::Serial;
use crate::io::gateway::Error;
use crate::io::gateway::pinned_key::{Known, PinnedKeys};
use crate::io::tls::Fingerprint;

/// Looks at the keys of the gateways, and accepts those that have changed, after `answers` said yes or
/// `assume_yes` is set. All are looked at before a failure is reported.
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
                let key = gateway.key().map_or_else(|| none(settings), |key| key.to_string());
                writeln!(out, "gateway {}: its key is the one that is known ({key})", gateway.serial())?;
                continue;
            }
            Err(Trouble::Gateway(error)) => Change::asked_by(error).map_err(Trouble::from),
            Err(trouble) => Err(trouble),
        };
        match change {
            Ok(change) if change.is_accepted(assume_yes, answers, out)? => {
                change.save(&mut PinnedKeys::new(state.clone()), context.clock.now()).await?;
                writeln!(out, "{}", change.accepted())?;
            }
            Ok(_) => {
                let words = "the new key was not accepted; nothing has changed";
                failure = Some(Failure::new(Code::Refused, words));
            }
            Err(trouble) => failure = Some(trouble.into()),
        }
    }
    failure.map_or(Ok(()), Err)
}

fn none(settings: &config::Gateway) -> String {
    let why = if settings.insecure { "any certificate is accepted" } else { "it speaks plain http" };
    format!("none, as {why}")
}

/// What a gateway shows that is not what is remembered of it.
struct Change {
    address: String,
    serial: Serial,
    /// `None` where it is lost.
    known: Option<Fingerprint>,
    /// `None` over plain http.
    seen: Option<Fingerprint>,
}

impl Change {
    /// The change that `error` asks a person about.
    fn asked_by(error: Error) -> Result<Self, Error> {
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
            writeln!(out, "gateway {serial} at {address} shows another key than before:")?;
            writeln!(out, "  known: {known}\n  shown: {seen}")?;
            "Accept it if the gateway was replaced, reset or updated. If nothing of that happened, another device may \
             have taken its place in your network."
        } else {
            writeln!(out, "gateway {serial} at {address} shows no key, and did before:")?;
            writeln!(out, "  known: {known}\n  shown: none, over plain http")?;
            "Accept that only if its firmware went back to one that speaks plain http alone. If it did not, another \
             device may have taken its place in your network."
        };
        writeln!(out, "{advice}")?;
        Ok(assume_yes || yes(answers, out)?)
    }

    async fn save(&self, keys: &mut PinnedKeys, now: Timestamp) -> Result<(), Failure> {
        let before = keys.load(&self.serial).await?;
        let password_of = before.and_then(|known| known.password_of);
        let known = Known { key: self.seen, address: self.address.clone(), since: now, password_of };
        Ok(keys.save(&self.serial, &known).await?)
    }

    fn accepted(&self) -> &'static str {
        match self.seen {
            Some(_) => "The new key is trusted. A running daemon goes on at its next poll.",
            None => "The gateway is read over plain http. A running daemon goes on at its next poll.",
        }
    }
}

fn yes(answers: &mut dyn BufRead, out: &mut dyn Write) -> Result<bool, Failure> {
    write!(out, "Accept the new key? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    answers.read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}
