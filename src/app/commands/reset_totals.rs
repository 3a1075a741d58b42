//! `enphased gateway reset-totals`: starts lifetime totals again from the gateway's own, which is the one way for a published
//! total to go backward.

use std::io::{BufRead, Write};

use super::Context;
use super::failure::{Code, Failure};
use crate::app::poller::reset_totals::Request;
use crate::app::poller::totals::Totals;
use crate::base::reading::{Reading, Serial};
use crate::base::units::WattHours;
use crate::io::state_dir::StateDir;
use crate::rules::counters::Counter;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Which gateway, where there are several.
    pub gateway: Option<Serial>,
    /// Which totals; all of them, with those of phases and inverters, where none is named.
    pub counters: Vec<Counter>,
    /// Do not ask.
    pub assume_yes: bool,
}

/// Shows the published totals beside those of the gateway, and lets them start again after `answers` said yes.
pub async fn reset_totals(
    context: &mut Context,
    wanted: Wanted,
    answers: &mut dyn BufRead,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let state = context.state()?;
    let serial = which(wanted.gateway, &state).await?;
    let counters = if wanted.counters.is_empty() { Counter::ALL.to_vec() } else { wanted.counters };
    let mut totals = Totals::new(&serial);
    totals.load(&state).await;
    let mut reading = Box::pin(reading(context, &state, &serial, &counters)).await;
    writeln!(out, "gateway {serial}: lifetime totals, as they are published and as the gateway shows them")?;
    for counter in &counters {
        let published = totals.published(*counter);
        let shown_now = reading.as_mut().ok().and_then(|reading| *counter.of(reading)?);
        if published.is_some() || shown_now.is_some() {
            writeln!(out, "  {:<18}{:>18}{:>18}", counter.name(), amount(published), amount(shown_now))?;
        }
    }
    if let Err(failure) = &reading {
        writeln!(out, "What the gateway shows is not known: {}", failure.message)?;
    }
    writeln!(
        out,
        "Published totals start again from what the gateway shows, also where that is less. Programs that compute \
         consumption from totals may show a step once. Today and yesterday are unknown until midnight."
    )?;
    if !(wanted.assume_yes || yes(answers, out)?) {
        return Err(Failure::new(Code::Refused, "the totals were not reset; nothing has changed"));
    }
    Request { counters }.save(&state, &serial).await?;
    writeln!(
        out,
        "Done. A running daemon starts the totals again with its next reading, and else the next one that starts."
    )?;
    Ok(())
}

/// A reading of the gateway `serial` with `counters` as the gateway shows them.
async fn reading(
    context: &mut Context,
    state: &StateDir,
    serial: &Serial,
    counters: &[Counter],
) -> Result<Reading, Failure> {
    let shared = context.shared(state);
    let pollers = context.pollers(&shared).into_iter().zip(context.config.gateways.clone());
    let mut failure = Failure::new(Code::TryLater, "no gateway of the configuration has this serial number");
    for (mut poller, settings) in pollers {
        if settings.serial.is_some_and(|configured| configured != *serial) {
            continue;
        }
        let mut totals = Totals::new(serial);
        totals.load(state).await;
        totals.reset(counters);
        poller.guard_with(totals);
        match poller.poll().await {
            Ok(Some(reading)) if reading.gateway.serial == *serial => return Ok(reading),
            Ok(_) => {}
            Err(trouble) => failure = trouble.into(),
        }
    }
    Err(failure)
}

/// The gateway that is meant: the one that was named, or the only one whose totals are kept.
async fn which(named: Option<Serial>, state: &StateDir) -> Result<Serial, Failure> {
    if let Some(serial) = named {
        return Ok(serial);
    }
    let serial = |name: &String| name.strip_prefix("counters-")?.strip_suffix(".json")?.parse().ok();
    let files = state.names("counters-", ".json").await?;
    let serials: Vec<Serial> = files.iter().filter_map(serial).collect();
    match serials.as_slice() {
        [serial] => Ok(serial.clone()),
        [] => Err(Failure::new(Code::TryLater, "no totals are kept yet, so there are none to reset")),
        several => {
            let listed: Vec<&str> = several.iter().map(Serial::as_str).collect();
            let listed = listed.join(", ");
            Err(Failure::new(
                Code::Usage,
                format!("there are several gateways ({listed}); name one with --gateway SERIAL"),
            ))
        }
    }
}

fn amount(total: Option<WattHours>) -> String {
    total.map_or_else(|| "-".to_owned(), |total| total.to_string())
}

fn yes(answers: &mut dyn BufRead, out: &mut dyn Write) -> Result<bool, Failure> {
    write!(out, "Start them again? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    answers.read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}
