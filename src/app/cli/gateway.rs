//! `enphased gateway`, and the argument that selects a gateway.

use std::io::{self, Write};

use clap::{Args, Subcommand, ValueEnum};

use crate::app::commands::Context;
use crate::app::commands::failure::Failure;
use crate::app::commands::gateway::trust;
use crate::app::commands::reset_totals::{Options, reset_totals};
use crate::base::reading::{Counter, Serial};

#[derive(Debug, Args)]
pub(super) struct GatewayArgs {
    /// Use this gateway, if there are several or it does not respond
    #[arg(long, value_name = "SERIAL")]
    pub(super) gateway: Option<Serial>,
}

#[derive(Debug, Subcommand)]
pub(super) enum GatewayCommand {
    /// Trust the changed key of a gateway that was replaced, reset or updated
    Trust {
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Restart the published totals from the gateway's values, even if these are lower
    ResetTotals {
        #[command(flatten)]
        gateway: GatewayArgs,
        /// Reset only this total (may be repeated); all totals by default
        #[arg(long, value_name = "NAME", value_enum)]
        only: Vec<TotalName>,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum TotalName {
    Production,
    Consumption,
    Import,
    Export,
    Charged,
    Discharged,
}

impl From<TotalName> for Counter {
    fn from(name: TotalName) -> Self {
        match name {
            TotalName::Production => Self::Production,
            TotalName::Consumption => Self::Consumption,
            TotalName::Import => Self::Import,
            TotalName::Export => Self::Export,
            TotalName::Charged => Self::Charged,
            TotalName::Discharged => Self::Discharged,
        }
    }
}

pub(super) async fn run(
    context: &mut Context,
    command: GatewayCommand,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let answers = &mut io::stdin().lock();
    match command {
        GatewayCommand::Trust { yes } => trust(context, yes, answers, out).await,
        GatewayCommand::ResetTotals { gateway, only, yes } => {
            let counters = only.into_iter().map(Counter::from).collect();
            let options = Options { gateway: gateway.gateway, counters, assume_yes: yes };
            reset_totals(context, options, answers, out).await
        }
    }
}
