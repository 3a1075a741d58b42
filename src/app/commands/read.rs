//! `enphased read`: shows one reading of each gateway.

use std::io::Write;

use super::Context;
use super::failure::{Code, Failure};
use super::run::unless_stopped;
use crate::app::config::Format;
use crate::app::poller::trouble::Trouble;
use crate::app::publisher::stdout;
use crate::base::reading::Reading;
use crate::output::domoticz::idx::Idx;
use crate::output::text::{self, Style};

/// The presentation of a reading.
#[derive(Clone, Copy, Debug)]
pub struct Display {
    /// The format; `None` means a table for people.
    pub format: Option<Format>,
    /// `true` if the table uses colours.
    pub colour: bool,
    /// The number of columns of the terminal.
    pub width: usize,
}

/// Reads every gateway once. Every gateway is tried before a failure is reported.
pub async fn read(context: &mut Context, display: Display, out: &mut dyn Write) -> Result<(), Failure> {
    let state = context.state()?;
    let shared = context.shared(&state);
    let (mut failure, ending) = (None, shared.ending.clone());
    for mut reader in context.readers(&shared) {
        let polled = unless_stopped(Box::pin(reader.poll_past_hanging_pages()), &ending).await?;
        for short in reader.shortfalls() {
            tracing::warn!("{short}");
        }
        let reading = match &polled {
            Ok(reading) => reading.as_ref(),
            // The other measured values are shown, but the command still fails.
            Err(Trouble::NoProduction { rest, .. }) => rest.as_deref(),
            Err(_) => None,
        };
        if let Some(reading) = reading {
            out.write_all(formatted(context, display, reading)?.as_bytes())?;
        }
        if let Err(trouble) = polled {
            failure = Some(Failure::from(trouble));
        }
    }
    failure.map_or(Ok(()), Err)
}

fn formatted(context: &Context, display: Display, reading: &Reading) -> Result<String, Failure> {
    let zone = context.config.zone.clone();
    let format = match display.format {
        None => {
            let style =
                Style { width: display.width, colour: display.colour, now: context.clock.now(), zone };
            return Ok(text::table(reading, &style));
        }
        Some(Format::Text) => stdout::Format::Text(zone),
        Some(Format::Json) => stdout::Format::Json,
        Some(Format::Influx) => stdout::Format::Influx,
        Some(Format::Domoticz) => stdout::Format::Domoticz(idx(context)?),
    };
    let mut text = String::new();
    format.write(reading, &mut text);
    Ok(text)
}

/// Returns the devices in Domoticz, which are configured below `[stdout]` or `[mqtt]`.
fn idx(context: &Context) -> Result<Idx, Failure> {
    let stdout = context.config.stdout.as_ref().map(|stdout| &stdout.idx);
    let mqtt = context.config.mqtt.as_ref().map(|mqtt| &mqtt.idx);
    let found = [stdout, mqtt].into_iter().flatten().find(|idx| !idx.is_empty());
    found.cloned().ok_or_else(|| {
        Failure::new(
            Code::Configuration,
            "no devices for Domoticz are configured; write their idx below [mqtt] or [stdout], for example: \
             domoticz = { production = 12 }",
        )
    })
}
