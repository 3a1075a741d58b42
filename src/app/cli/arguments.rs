//! The arguments of the command line, from which clap also makes the help texts.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum, ValueHint};

use super::consumer::ConsumerCommand;
use super::gateway::GatewayCommand;
use super::history::HistoryArgs;
use super::token::{RefreshArgs, TokenCommand};
use crate::app::config::Format;
use crate::base::version::BUILD;

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
