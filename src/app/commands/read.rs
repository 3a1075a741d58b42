//! `enphased read`: one reading of each gateway.

use std::io::Write;

use super::Context;
use super::failure::{Code, Failure};
use super::run::unless_stopped;
use crate::app::config::Format;
use crate::app::poller::trouble::Trouble;
use crate::app::publisher::pipe;
use crate::base::reading::Reading;
use crate::output::domoticz::idx::Idx;
use crate::output::text::{self, Style};

/// How a reading is shown.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// In which form; a table for people without one.
    pub format: Option<Format>,
    /// Whether colours are shown.
    pub colour: bool,
    /// Columns of the terminal.
    pub width: usize,
}

/// Reads every gateway once. All are tried before a failure is told.
pub async fn read(context: &mut Context, look: Look, out: &mut dyn Write) -> Result<(), Failure> {
    let state = context.state()?;
    let shared = context.shared(&state);
    let (mut failure, ending) = (None, shared.ending.clone());
    for mut poller in context.pollers(&shared) {
        let polled = unless_stopped(Box::pin(poller.poll_once()), &ending).await?;
        for short in poller.shortfalls() {
            tracing::warn!("{short}");
        }
        let reading = match &polled {
            Ok(reading) => reading.as_ref(),
            // What else is measured is shown, but not as a success.
            Err(Trouble::NoProduction { rest, .. }) => rest.as_deref(),
            Err(_) => None,
        };
        if let Some(reading) = reading {
            out.write_all(shown(context, look, reading)?.as_bytes())?;
        }
        if let Err(trouble) = polled {
            failure = Some(Failure::from(trouble));
        }
    }
    failure.map_or(Ok(()), Err)
}

fn shown(context: &Context, look: Look, reading: &Reading) -> Result<String, Failure> {
    let zone = context.config.zone.clone();
    let format = match look.format {
        None => {
            let style = Style { width: look.width, colour: look.colour, now: context.clock.now(), zone };
            return Ok(text::table(reading, &style));
        }
        Some(Format::Text) => pipe::Format::Text(zone),
        Some(Format::Json) => pipe::Format::Json,
        Some(Format::Influx) => pipe::Format::Influx,
        Some(Format::Domoticz) => pipe::Format::Domoticz(idx(context)?),
    };
    let mut text = String::new();
    format.write(reading, &mut text);
    Ok(text)
}

/// The devices in Domoticz, wherever they are configured.
fn idx(context: &Context) -> Result<Idx, Failure> {
    let stdout = context.config.stdout.as_ref().map(|stdout| &stdout.idx);
    let mqtt = context.config.mqtt.as_ref().map(|mqtt| &mqtt.idx);
    let found = [stdout, mqtt].into_iter().flatten().find(|idx| !idx.is_empty());
    found.cloned().ok_or_else(|| {
        Failure::new(
            Code::Configuration,
            "there are no devices for Domoticz: name their idx in the configuration, as domoticz = { production = 12 } \
             below [mqtt] or [stdout]",
        )
    })
}
