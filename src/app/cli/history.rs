//! `enphased history`.

use std::io;

use clap::{Args, ValueEnum};

use super::gateway::GatewayArgs;
use super::output::Output;
use crate::app::commands::Context;
use crate::app::commands::failure::Failure;
use crate::app::commands::history::{Options, history};
use crate::app::config;
use crate::app::history::query::Words;
use crate::base::printable::Cleaned;
use crate::output::history::Format;

#[derive(Debug, Args)]
pub(super) struct HistoryArgs {
    /// The first day, month or year, e.g. 2026-06-21, 2026-06 or 2026 [default: depends on the step]
    #[arg(long, value_name = "DATE")]
    from: Option<String>,
    /// The last day, month or year [default: today]
    #[arg(long, value_name = "DATE")]
    to: Option<String>,
    /// The time that a row covers
    #[arg(long, value_parser = ["5m", "day", "month", "year"], default_value = "day")]
    step: String,
    /// Whose energy to show; phases and inverters have no values of 5 minutes
    #[arg(long, value_parser = ["site", "phases", "inverters"], default_value = "site")]
    of: String,
    /// Print this format
    #[arg(long, value_enum, default_value = "table")]
    format: HistoryFormat,
    #[command(flatten)]
    gateway: GatewayArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum HistoryFormat {
    Table,
    Csv,
    Json,
}

impl From<HistoryFormat> for Format {
    fn from(format: HistoryFormat) -> Self {
        match format {
            HistoryFormat::Table => Self::Table,
            HistoryFormat::Csv => Self::Csv,
            HistoryFormat::Json => Self::Json,
        }
    }
}

/// Runs the command, without the runtime, which needs files outside of the state directory.
pub(super) fn run(config: Result<Context, config::Error>, args: &HistoryArgs) -> Result<(), Failure> {
    let words = Words {
        from: args.from.as_deref(),
        to: args.to.as_deref(),
        step: Some(&args.step),
        of: Some(&args.of),
    };
    let options = Options { words, gateway: args.gateway.gateway.as_ref(), format: args.format.into() };
    history(&mut config?, options, &mut Cleaned(Output(io::stdout())))
}
