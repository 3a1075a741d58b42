//! The arguments of the command line, from which clap also makes the help texts.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

use crate::app::config::Format;
use crate::base::reading::Counter;
use crate::base::reading::Serial;
use crate::base::version::BUILD;
use crate::output::history;

/// Read an Enphase solar gateway on the home network, with at most one cloud login per token lifetime
#[derive(Debug, Parser)]
#[command(name = "enphased", version = BUILD, disable_help_subcommand = true, max_term_width = 100)]
pub(super) struct Cli {
    /// Use this configuration file instead of searching the default locations
    #[arg(long, value_name = "FILE", global = true, value_hint = ValueHint::FilePath)]
    pub(super) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the daemon: read every 30 seconds and publish the readings
    Run {
        /// Read and publish once, then exit
        #[arg(long)]
        once: bool,
    },
    /// Run the daemon with a simulated cloud and gateway (needs no hardware)
    Demo,
    /// Show one reading
    Read {
        /// Print this format instead of a table
        #[arg(long, value_enum)]
        format: Option<FormatName>,
    },
    /// Show what the daemon has recorded: days, months, years, or the values of every 5 minutes
    History(HistoryArgs),
    /// List the gateways that announce themselves on the network
    Discover,
    /// Check everything and say what to do about each problem; never logs in
    Check {
        /// Print a redacted report to attach to a bug report
        #[arg(long)]
        bundle: bool,
        /// Only ask the running daemon whether it is ready: exit code 0 or 1, for container runtimes
        #[arg(long, conflicts_with = "bundle")]
        health: bool,
    },
    /// Manage the gateway's token
    #[command(subcommand)]
    Token(TokenCommand),
    /// Alias of `token refresh`
    #[command(hide = true)]
    TokenRefresh(RefreshArgs),
    /// Accept a changed gateway key, or reset totals
    #[command(subcommand)]
    Gateway(GatewayCommand),
    /// Manage the programs that ask the server, and their tokens
    #[command(subcommand)]
    Consumer(ConsumerCommand),
    /// Test the delivery of alerts
    #[command(subcommand)]
    Alerts(AlertsCommand),
    /// Check or list the Domoticz devices that are configured by idx
    #[command(subcommand)]
    Domoticz(DomoticzCommand),
    /// Show an example configuration, or validate yours
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Show the token, the last login, and when and why the next login may happen
    Status(GatewayArgs),
    /// Fetch a new token from the cloud; prompts for a password that is not configured, and does not store it
    Refresh(RefreshArgs),
    /// Store a token from a file or from standard input
    Import {
        /// Read the token from this file instead of standard input
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
    /// Remove the stored tokens
    Forget(GatewayArgs),
}

#[derive(Debug, Args)]
pub(super) struct GatewayArgs {
    /// Use this gateway, if there are several or it does not respond
    #[arg(long, value_name = "SERIAL")]
    pub(super) gateway: Option<Serial>,
}

#[derive(Debug, Args)]
pub(super) struct HistoryArgs {
    /// The first day, month or year, e.g. 2026-06-21, 2026-06 or 2026 [default: depends on the step]
    #[arg(long, value_name = "DATE")]
    pub(super) from: Option<String>,
    /// The last day, month or year [default: today]
    #[arg(long, value_name = "DATE")]
    pub(super) to: Option<String>,
    /// The time that a row covers
    #[arg(long, value_parser = ["5m", "day", "month", "year"], default_value = "day")]
    pub(super) step: String,
    /// Whose energy to show; phases and inverters have no values of 5 minutes
    #[arg(long, value_parser = ["site", "phases", "inverters"], default_value = "site")]
    pub(super) of: String,
    /// Print this format
    #[arg(long, value_enum, default_value = "table")]
    pub(super) format: HistoryFormat,
    #[command(flatten)]
    pub(super) gateway: GatewayArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum HistoryFormat {
    Table,
    Csv,
    Json,
}

impl From<HistoryFormat> for history::Format {
    fn from(format: HistoryFormat) -> Self {
        match format {
            HistoryFormat::Table => Self::Table,
            HistoryFormat::Csv => Self::Csv,
            HistoryFormat::Json => Self::Json,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct RefreshArgs {
    #[command(flatten)]
    pub(super) gateway: GatewayArgs,
    /// Ignore the hold-offs, at the risk that is then explained
    #[arg(long)]
    pub(super) force: bool,
    /// Show requests to the cloud and its responses on stderr, without passwords, codes and tokens
    #[arg(long)]
    pub(super) verbose: bool,
}

impl Cli {
    pub(super) fn is_verbose(&self) -> bool {
        match &self.command {
            Command::Token(TokenCommand::Refresh(args)) | Command::TokenRefresh(args) => args.verbose,
            _ => false,
        }
    }

    pub(super) const fn is_daemon(&self) -> bool {
        matches!(self.command, Command::Run { .. } | Command::Demo)
    }

    pub(super) const fn needs_configuration(&self) -> bool {
        let example = matches!(
            self.command,
            Command::Config(ConfigCommand::Example) | Command::Domoticz(DomoticzCommand::Example)
        );
        !example && !matches!(self.command, Command::Discover | Command::Demo)
    }

    /// Returns whether the command reads or writes the state directory.
    pub(super) const fn uses_state(&self) -> bool {
        match self.command {
            Command::Config(ConfigCommand::Validate { reload }) => reload,
            Command::Config(ConfigCommand::Example)
            | Command::Alerts(_)
            | Command::Domoticz(_)
            | Command::History(_)
            | Command::Check { health: true, .. }
            | Command::Discover
            | Command::Demo => false,
            _ => true,
        }
    }

    /// Returns whether the command resolves host names, or writes readings while it does other things.
    pub(super) const fn needs_threads(&self) -> bool {
        !matches!(
            self.command,
            Command::Config(_)
                | Command::Domoticz(DomoticzCommand::Example)
                | Command::Check { health: true, .. }
        )
    }
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

#[derive(Debug, Subcommand)]
pub(super) enum ConsumerCommand {
    /// Create a token and print it; it is not shown again
    Add {
        /// A name for the program, e.g. evcc
        name: String,
    },
    /// List the programs that have asked, and the tokens
    List {
        /// Print this format instead of a table
        #[arg(long, value_enum, default_value = "text")]
        format: ListFormat,
    },
    /// Give another name to a program
    Rename {
        /// The present name
        name: String,
        /// The new name
        new: String,
    },
    /// Remove a token; the program that uses it is refused from then on
    Remove {
        /// The name of the program
        name: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ListFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum AlertsCommand {
    /// Send one test message to the configured address, and say what the server returned
    Test,
}

#[derive(Debug, Subcommand)]
pub(super) enum DomoticzCommand {
    /// Check over MQTT that each configured idx exists in Domoticz and has the right type
    Check,
    /// List the devices that can be created in Domoticz, with instructions
    Example,
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Show every configuration key with its meaning
    Example,
    /// Check that the configuration is valid
    Validate {
        /// Also check for what the running daemon would refuse at a reload, such as a file without gateways
        #[arg(long)]
        reload: bool,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum FormatName {
    Text,
    Json,
    Domoticz,
    Influx,
}

impl From<FormatName> for Format {
    fn from(name: FormatName) -> Self {
        match name {
            FormatName::Text => Self::Text,
            FormatName::Json => Self::Json,
            FormatName::Domoticz => Self::Domoticz,
            FormatName::Influx => Self::Influx,
        }
    }
}
