//! The command line: parses the arguments and runs the command.

mod dumps;
mod file_limit;
mod log_queue;
pub mod logging;
mod output;
mod resources;
mod terminal;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum, ValueHint};
use fastrand::Rng;

use crate::app::commands::failure::{Code, Failure};
use crate::app::commands::{
    Context, check, config, demo, discover, domoticz, gateway, read, reset_totals, run, token,
};
use crate::app::config::environment::Environment;
use crate::app::config::{self as configuration, Format};
use crate::app::daemon::notify::Notify;
use crate::base::clock::Clock;
use crate::base::printable::Cleaned;
use crate::base::reading::Serial;
use crate::rules::counters::Counter;
use output::Output;
use terminal::Terminal;

/// Read an Enphase solar gateway on the home network, with at most one cloud login per token lifetime
#[derive(Debug, Parser)]
#[command(name = "enphased", version, disable_help_subcommand = true, max_term_width = 100)]
struct Cli {
    /// Use this configuration file instead of searching the default locations
    #[arg(long, value_name = "FILE", global = true, value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
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
    /// List the gateways that announce themselves on the network
    Discover,
    /// Check everything and say what to do about each problem; never logs in
    Check {
        /// Print a redacted report to attach to a bug report
        #[arg(long)]
        bundle: bool,
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
    /// Check or list the Domoticz devices that are configured by idx
    #[command(subcommand)]
    Domoticz(DomoticzCommand),
    /// Show an example configuration, or validate yours
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
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
struct GatewayArgs {
    /// Use this gateway, if there are several or it does not respond
    #[arg(long, value_name = "SERIAL")]
    gateway: Option<Serial>,
}

#[derive(Debug, Args)]
struct RefreshArgs {
    #[command(flatten)]
    gateway: GatewayArgs,
    /// Ignore the hold-offs, at the risk that is then explained
    #[arg(long)]
    force: bool,
    /// Show requests to the cloud and its responses on stderr, without passwords, codes and tokens
    #[arg(long)]
    verbose: bool,
}

impl Cli {
    fn is_verbose(&self) -> bool {
        match &self.command {
            Command::Token(TokenCommand::Refresh(args)) | Command::TokenRefresh(args) => args.verbose,
            _ => false,
        }
    }

    const fn is_daemon(&self) -> bool {
        matches!(self.command, Command::Run { .. } | Command::Demo)
    }

    const fn needs_configuration(&self) -> bool {
        let example = matches!(
            self.command,
            Command::Config(ConfigCommand::Example) | Command::Domoticz(DomoticzCommand::Example)
        );
        !example && !matches!(self.command, Command::Discover | Command::Demo)
    }

    /// Returns whether the command reads or writes the state directory.
    const fn uses_state(&self) -> bool {
        match self.command {
            Command::Config(ConfigCommand::Validate { reload }) => reload,
            Command::Config(ConfigCommand::Example)
            | Command::Domoticz(_)
            | Command::Discover
            | Command::Demo => false,
            _ => true,
        }
    }

    /// Returns whether the command resolves host names, or writes readings while it does other things.
    const fn needs_threads(&self) -> bool {
        !matches!(self.command, Command::Config(_) | Command::Domoticz(DomoticzCommand::Example))
    }
}

#[derive(Debug, Subcommand)]
enum GatewayCommand {
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
enum TotalName {
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
enum DomoticzCommand {
    /// Check over MQTT that each configured idx exists in Domoticz and has the right type
    Check,
    /// List the devices that can be created in Domoticz, with instructions
    Example,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
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
enum FormatName {
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

/// Returns the definition of the commands, for manual pages and shell completions.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command in `arguments`, and returns the exit code.
pub fn main(arguments: impl Iterator<Item = OsString>, environment: Environment) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let prepared = Prepared::new(&cli, &environment);
    let logs = logging::start(&environment, cli.is_verbose(), cli.is_daemon());
    dumps::disable();
    let result = resources::runtime().and_then(|runtime| {
        if cli.needs_threads() {
            resources::secure_thread(&runtime)?;
        }
        let result = runtime.block_on(async {
            file_limit::handle();
            Box::pin(dispatch(cli, environment, prepared)).await
        });
        // A thread that waits for a reader must not delay the end of the program.
        runtime.shutdown_background();
        result
    });
    let code = match result {
        Ok(()) => 0,
        Err(failure) => {
            if !failure.message.is_empty() {
                let lines: Vec<String> = failure.lines().collect();
                logs.write_last(&format!("enphased: {}\n", lines.join("\n")));
            }
            failure.code as u8
        }
    };
    logs.finish();
    code
}

fn usage(error: &clap::Error) -> u8 {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            write(&mut io::stdout(), &error.to_string());
            0
        }
        _ => {
            // The error repeats the arguments, which may contain control characters.
            write(&mut Cleaned(io::stderr()), &error.to_string());
            Code::Usage as u8
        }
    }
}

/// Writes a final text. A failure is ignored, because it could not be reported.
fn write(out: &mut dyn Write, text: &str) {
    out.write_all(text.as_bytes()).ok();
}

/// The files that are read and opened before the process starts threads and, if root started it, changes its user.
struct Prepared {
    config: Result<Context, configuration::Error>,
    input: Result<Box<dyn Read>, Failure>,
}

impl Prepared {
    /// Reads the configuration and the input. A process of root becomes the owner of the state directory here, because a
    /// thread that exists already would keep running as root.
    fn new(cli: &Cli, environment: &Environment) -> Option<Self> {
        if !cli.needs_configuration() {
            return None;
        }
        let input = match &cli.command {
            Command::Token(TokenCommand::Import { file }) => input(file.as_deref()),
            _ => Ok(Box::new(io::empty()) as Box<dyn Read>),
        };
        let config = configuration::load(cli.config.as_deref(), environment).map(|config| {
            let mut context = Context::new(config, environment.clone(), Clock::of_process(), Rng::new());
            if cli.uses_state() {
                // An error is reported where the directory is used.
                context.state().ok();
            }
            context
        });
        Some(Self { config, input })
    }
}

async fn gateway_command(
    context: &mut Context,
    command: GatewayCommand,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let answers = &mut io::stdin().lock();
    match command {
        GatewayCommand::Trust { yes } => gateway::trust(context, yes, answers, out).await,
        GatewayCommand::ResetTotals { gateway, only, yes } => {
            let counters = only.into_iter().map(Counter::from).collect();
            let options = reset_totals::Options { gateway: gateway.gateway, counters, assume_yes: yes };
            reset_totals::reset_totals(context, options, answers, out).await
        }
    }
}

async fn dispatch(cli: Cli, environment: Environment, prepared: Option<Prepared>) -> Result<(), Failure> {
    let terminal = io::stdout();
    let colour = terminal.is_terminal() && !environment.no_color;
    let mut out: Box<dyn Write> = match &cli.command {
        // Cleaning would remove colours. A table cleans its own text, and the other formats escape it.
        Command::Read { .. } => Box::new(Output(terminal)),
        _ => Box::new(Cleaned(Output(terminal))),
    };
    let out = &mut *out;
    match &cli.command {
        Command::Config(ConfigCommand::Example) => return config::example(out),
        Command::Domoticz(DomoticzCommand::Example) => return domoticz::example(out),
        Command::Discover => return discover::discover(out).await,
        Command::Demo => return demo::demo(Rng::new(), Notify::new(&environment), out).await,
        _ => {}
    }
    let Some(Prepared { config, input }) = prepared else { return Ok(()) };
    let mut context = match config {
        Ok(context) => context,
        Err(_) if matches!(cli.command, Command::Check { bundle: true }) => {
            return check::bundle::without_configuration(&environment, out);
        }
        Err(error) if matches!(cli.command, Command::Check { .. }) => {
            return check::without_configuration(error, out);
        }
        Err(error) => return Err(error.into()),
    };
    match cli.command {
        Command::Run { once: false } => run::run(context, cli.config).await,
        Command::Run { once: true } => run::once(context).await,
        Command::Read { format } => {
            let display = read::Display { format: format.map(Format::from), colour, width: terminal::WIDTH };
            read::read(&mut context, display, out).await
        }
        Command::Check { bundle: false } => check::check(&mut context, out).await,
        Command::Check { bundle: true } => check::bundle::bundle(&mut context, out).await,
        Command::Token(TokenCommand::Refresh(args)) | Command::TokenRefresh(args) => {
            let wanted = args.gateway.gateway.as_ref();
            token::refresh::refresh(&mut context, wanted, args.force, &mut Terminal, out).await
        }
        Command::Token(TokenCommand::Status(args)) => {
            token::status::status(&mut context, args.gateway.as_ref(), out).await
        }
        Command::Token(TokenCommand::Import { .. }) => {
            token::import::import(&mut context, &mut *input?, out).await
        }
        Command::Token(TokenCommand::Forget(args)) => {
            token::forget(&mut context, args.gateway.as_ref(), out).await
        }
        Command::Gateway(command) => Box::pin(gateway_command(&mut context, command, out)).await,
        Command::Domoticz(_) => domoticz::check(&mut context, domoticz::RESPONSE_TIMEOUT, out).await,
        Command::Config(ConfigCommand::Validate { reload }) => {
            config::validate(&mut context, reload, out).await
        }
        Command::Config(ConfigCommand::Example) | Command::Demo | Command::Discover => Ok(()),
    }
}

fn input(file: Option<&Path>) -> Result<Box<dyn Read>, Failure> {
    let Some(path) = file.filter(|path| path.as_os_str() != "-") else { return Ok(Box::new(io::stdin())) };
    match File::open(path) {
        Ok(file) => Ok(Box::new(file)),
        Err(error) => Err(Failure::new(Code::Data, format!("cannot read {}: {error}", path.display()))),
    }
}
