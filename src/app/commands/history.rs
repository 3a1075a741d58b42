//! `enphased history`: shows what the daemon has recorded. Reads the file, also while the daemon runs.

use std::io::Write;

use super::Context;
use super::failure::{Code, Failure};
use crate::app::history::query::{Invalid, Query, Report, Words};
use crate::base::reading::Serial;
use crate::io::history::{self, HistoryFile, gateways};
use crate::output::history::Format;

/// The query, and the format of its result.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// The range and the rows.
    pub words: Words<'a>,
    /// The gateway; may be left out if only one has a history.
    pub gateway: Option<&'a Serial>,
    /// The format.
    pub format: Format,
}

/// Writes the rows to `out`, piece by piece. Not asynchronous: nothing else happens meanwhile.
pub fn history(context: &mut Context, options: Options<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let zone = context.config.zone.clone();
    let today = context.clock.now().to_zoned(zone.clone()).date();
    let query = Query::parse(&options.words, today)
        .map_err(|invalid: Invalid| Failure::new(Code::Usage, invalid.to_string()))?;
    let file = HistoryFile::inside(&context.history_directory()?);
    let gateway = gateway(&file, options.gateway).map_err(|failure| with_place(context, failure))?;
    let mut report = Report::new(file, gateway, &query, options.format, &zone);
    while let Some(piece) = report.next_piece().map_err(|error| with_place(context, failed(&error)))? {
        out.write_all(piece.as_bytes())?;
    }
    out.flush()?;
    Ok(())
}

/// Returns the gateway whose history is shown.
fn gateway(file: &HistoryFile, wanted: Option<&Serial>) -> Result<Serial, Failure> {
    let known = gateways(file).map_err(|error| failed(&error))?;
    let list = || known.iter().map(Serial::as_str).collect::<Vec<_>>().join(", ");
    match (wanted, known.as_slice()) {
        (Some(serial), _) if known.contains(serial) => Ok(serial.clone()),
        (Some(serial), _) => {
            let words = format!("the gateway {serial} has no history; these have one: {}", list());
            Err(Failure::new(Code::Unavailable, words))
        }
        (None, [one]) => Ok(one.clone()),
        (None, []) => Err(failed(&history::Error::Absent)),
        (None, _) => {
            let words = format!("several gateways have a history: choose one of {} with --gateway", list());
            Err(Failure::new(Code::Usage, words))
        }
    }
}

fn failed(error: &history::Error) -> Failure {
    let code = match error {
        history::Error::Absent => Code::Unavailable,
        history::Error::Locked => Code::TryLater,
        history::Error::Damaged(_) | history::Error::Newer { .. } => Code::Data,
        history::Error::Unusable(_) | history::Error::Files(_) | history::Error::Stalled => Code::InputOutput,
    };
    Failure::new(code, error.to_string())
}

/// Names the file in a message about it.
fn with_place(context: &Context, failure: Failure) -> Failure {
    if failure.code == Code::Usage {
        return failure;
    }
    let path = context.config.state_dir.join(history::NAME);
    Failure { message: format!("{}: {}", path.display(), failure.message), ..failure }
}
