//! `enphased gateway reset-totals`: restarts the published lifetime totals from the gateway's own. Only this command
//! makes a published total go backward.

use std::io::{BufRead, Write};

use super::Context;
use super::confirm::confirm;
use super::failure::{Code, Failure};
use crate::app::poller::counter_file::CounterFile;
use crate::app::poller::reset_totals::TotalsReset;
use crate::base::reading::Counter;
use crate::base::reading::{Reading, Serial};
use crate::base::units::WattHours;
use crate::io::state_dir::StateDir;

/// The options of the command.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The gateway; required if totals of several are stored.
    pub gateway: Option<Serial>,
    /// The totals to reset. Empty means all, including those of phases and inverters.
    pub counters: Vec<Counter>,
    /// Skips the confirmation.
    pub assume_yes: bool,
}

/// Shows the published totals beside those of the gateway, and resets them after a confirmation.
pub async fn reset_totals(
    context: &mut Context,
    options: Options,
    answers: &mut dyn BufRead,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let state = context.state()?;
    let serial = which(options.gateway, &state).await?;
    let counters = if options.counters.is_empty() { Counter::ALL.to_vec() } else { options.counters };
    let mut totals = CounterFile::new(&serial);
    totals.load(&state).await;
    let mut reading = Box::pin(reading(context, &state, &serial, &counters)).await;
    writeln!(out, "gateway {serial}: lifetime totals as published, and as the gateway shows them")?;
    for counter in &counters {
        let published = totals.published(*counter);
        let shown_now = reading.as_mut().ok().and_then(|reading| *counter.of(reading)?);
        if published.is_some() || shown_now.is_some() {
            writeln!(out, "  {:<18}{:>18}{:>18}", counter.words(), amount(published), amount(shown_now))?;
        }
    }
    if let Err(failure) = &reading {
        writeln!(out, "The gateway could not be read: {}", failure.message)?;
    }
    writeln!(
        out,
        "Published totals restart from the gateway's values, even if these are lower. Programs that compute \
         consumption from totals may show one step. Today and yesterday are unknown until midnight."
    )?;
    if !(options.assume_yes || confirm("Reset the totals?", answers, out)?) {
        return Err(Failure::new(Code::Refused, "not confirmed; nothing was changed"));
    }
    TotalsReset { counters }.save(&state, &serial).await?;
    writeln!(
        out,
        "Done. A running daemon resets the totals at its next reading; otherwise the next start does."
    )?;
    Ok(())
}

/// Reads the gateway `serial`, with the gateway's own values for `counters`.
async fn reading(
    context: &mut Context,
    state: &StateDir,
    serial: &Serial,
    counters: &[Counter],
) -> Result<Reading, Failure> {
    let shared = context.shared(state);
    let readers = context.readers(&shared).into_iter().zip(&context.config.gateways);
    let unknown = format!("no configured gateway has the serial number {serial}");
    let mut failure = Failure::new(Code::TryLater, unknown);
    for (mut reader, settings) in readers {
        if settings.serial.as_ref().is_some_and(|configured| configured != serial) {
            continue;
        }
        let mut totals = CounterFile::new(serial);
        totals.load(state).await;
        totals.reset(counters);
        reader.guard_with(totals);
        match reader.poll().await {
            Ok(Some(reading)) if reading.gateway.serial == *serial => return Ok(reading),
            Ok(_) => {}
            Err(trouble) => failure = trouble.into(),
        }
    }
    Err(failure)
}

/// Returns the gateway to reset: the named one, or the only one with stored totals.
async fn which(named: Option<Serial>, state: &StateDir) -> Result<Serial, Failure> {
    if let Some(serial) = named {
        return Ok(serial);
    }
    let serial = |name: &String| name.strip_prefix("counters-")?.strip_suffix(".json")?.parse().ok();
    let files = state.names("counters-", ".json").await?;
    let serials: Vec<Serial> = files.iter().filter_map(serial).collect();
    match serials.as_slice() {
        [serial] => Ok(serial.clone()),
        [] => Err(Failure::new(Code::TryLater, "no totals are stored yet, so there is nothing to reset")),
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
