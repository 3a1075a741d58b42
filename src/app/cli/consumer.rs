//! `enphased consumer`.

use std::io::Write;

use clap::{Subcommand, ValueEnum};

use crate::app::commands::failure::Failure;
use crate::app::commands::{Context, consumer};

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

pub(super) async fn run(
    context: &mut Context,
    command: ConsumerCommand,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match command {
        ConsumerCommand::Add { name } => consumer::add(context, &name, out).await,
        ConsumerCommand::List { format } => consumer::list(context, format == ListFormat::Json, out).await,
        ConsumerCommand::Rename { name, new } => consumer::rename(context, &name, &new).await,
        ConsumerCommand::Remove { name } => consumer::remove(context, &name).await,
    }
}
