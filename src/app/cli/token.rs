//! `enphased token`.

use std::io::{Read, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::gateway::GatewayArgs;
use super::terminal::Terminal;
use crate::app::commands::failure::Failure;
use crate::app::commands::{Context, token};

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

/// Runs the command. `input` contains the token to import.
pub(super) async fn run(
    context: &mut Context,
    command: TokenCommand,
    input: Result<Box<dyn Read>, Failure>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match command {
        TokenCommand::Refresh(args) => {
            let wanted = args.gateway.gateway.as_ref();
            token::refresh::refresh(context, wanted, args.force, &mut Terminal, out).await
        }
        TokenCommand::Status(args) => token::status::status(context, args.gateway.as_ref(), out).await,
        TokenCommand::Import { .. } => token::import::import(context, &mut *input?, out).await,
        TokenCommand::Forget(args) => token::forget(context, args.gateway.as_ref(), out).await,
    }
}
