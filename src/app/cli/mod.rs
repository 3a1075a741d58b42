//! The command line: what was asked, and which command does it.

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

/// Reads an Enphase gateway on the home network, on at most one cloud login per token lifetime.
#[derive(Debug, Parser)]
#[command(name = "enphased", version, disable_help_subcommand = true, max_term_width = 100)]
struct Cli {
    /// The configuration file, in place of the usual ones.
    #[arg(long, value_name = "FILE", global = true, value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The daemon: reads every 30 seconds, publishes, and goes on whatever fails.
    Run {
        /// Read once, publish, and end.
        #[arg(long)]
        once: bool,
    },
    /// The daemon against a simulated cloud and gateway; needs no hardware.
    Demo,
    /// One reading.
    Read {
        /// Without it a table for people.
        #[arg(long, value_enum)]
        format: Option<FormatName>,
    },
    /// Gateways that announce themselves on the network.
    Discover,
    /// What works and what does not, and what to do about it. Never logs in.
    Check {
        /// A report of everything for who has to find a bug, without secrets, serial numbers and addresses.
        #[arg(long)]
        bundle: bool,
    },
    /// The gateway's token.
    #[command(subcommand)]
    Token(TokenCommand),
    /// The same as `token refresh`.
    #[command(hide = true)]
    TokenRefresh(RefreshArgs),
    /// The gateway's key.
    #[command(subcommand)]
    Gateway(GatewayCommand),
    /// Devices in Domoticz by their idx.
    #[command(subcommand)]
    Domoticz(DomoticzCommand),
    /// The configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Whose it is, until when it is good, and when and why the next login may happen.
    Status(GatewayArgs),
    /// Fetches a new one from the cloud; asks for the password where none is configured, and does not keep it.
    Refresh(RefreshArgs),
    /// Stores one that you bring, from a file or from standard input.
    Import {
        /// The file; standard input without it.
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
    /// Forgets it.
    Forget(GatewayArgs),
}

#[derive(Debug, Args)]
struct GatewayArgs {
    /// Which gateway, where there are several or it does not answer.
    #[arg(long, value_name = "SERIAL")]
    gateway: Option<Serial>,
}

#[derive(Debug, Args)]
struct RefreshArgs {
    #[command(flatten)]
    gateway: GatewayArgs,
    /// Set the hold-offs aside; says what that risks.
    #[arg(long)]
    force: bool,
    /// Show on stderr what is sent to the cloud and what comes back, without passwords, codes and tokens.
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

    /// Whether the command reads or writes the state directory.
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

    /// Whether names are looked up, or readings are written while other things go on.
    const fn needs_threads(&self) -> bool {
        !matches!(self.command, Command::Config(_) | Command::Domoticz(DomoticzCommand::Example))
    }
}

#[derive(Debug, Subcommand)]
enum GatewayCommand {
    /// Accepts the key of a gateway that was replaced, reset or updated.
    Trust {
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Starts published totals again from what the gateway shows, even where that is less.
    ResetTotals {
        #[command(flatten)]
        gateway: GatewayArgs,
        /// Only this total, and others named in the same way; all of the gateway without it.
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
    /// Asks Domoticz over MQTT whether each configured idx exists and is of the right type.
    Check,
    /// Shows which devices can be made in Domoticz, and how.
    Example,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Shows every key with what it means.
    Example,
    /// Says whether the configuration holds.
    Validate {
        /// Refuse also what the running daemon would refuse at a reload, such as a file that has lost its gateways.
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

/// The commands as they are defined, for manual pages and the completions of shells.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Does what `arguments` ask for; gives the exit code.
pub fn main(arguments: impl Iterator<Item = OsString>, environment: Environment) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let prepared = Prepared::new(&cli, &environment);
    let logs = logging::start(&environment, cli.is_verbose(), cli.is_daemon());
    dumps::refuse();
    let done = resources::runtime().and_then(|runtime| {
        if cli.needs_threads() {
            resources::secure_thread(&runtime)?;
        }
        let done = runtime.block_on(async {
            file_limit::survive();
            Box::pin(dispatch(cli, environment, prepared)).await
        });
        // A reader that has stopped reading must not keep us from ending.
        runtime.shutdown_background();
        done
    });
    let code = match done {
        Ok(()) => 0,
        Err(failure) => {
            if !failure.message.is_empty() {
                let lines: Vec<String> = failure.lines().collect();
                logs.say(&format!("enphased: {}\n", lines.join("\n")));
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
            say(&mut io::stdout(), &error.to_string());
            0
        }
        _ => {
            // It repeats what was typed, or pasted.
            say(&mut Cleaned(io::stderr()), &error.to_string());
            Code::Usage as u8
        }
    }
}

/// There is nobody left to tell when this fails.
fn say(out: &mut dyn Write, text: &str) {
    out.write_all(text.as_bytes()).ok();
}

/// What is read and opened while the process has one thread and, started by root, is root's.
struct Prepared {
    config: Result<Context, configuration::Error>,
    input: Result<Box<dyn Read>, Failure>,
}

impl Prepared {
    /// Root becomes the owner of the state directory here: a thread that ran already would stay root's.
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
                // What is wrong with it is reported where it is used.
                context.state().ok();
            }
            context
        });
        Some(Self { config, input })
    }
}

async fn about_gateway(
    context: &mut Context,
    command: GatewayCommand,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let answers = &mut io::stdin().lock();
    match command {
        GatewayCommand::Trust { yes } => gateway::trust(context, yes, answers, out).await,
        GatewayCommand::ResetTotals { gateway, only, yes } => {
            let counters = only.into_iter().map(Counter::from).collect();
            let wanted = reset_totals::Wanted { gateway: gateway.gateway, counters, assume_yes: yes };
            reset_totals::reset_totals(context, wanted, answers, out).await
        }
    }
}

async fn dispatch(cli: Cli, environment: Environment, prepared: Option<Prepared>) -> Result<(), Failure> {
    let terminal = io::stdout();
    let colour = terminal.is_terminal() && !environment.no_color;
    let mut out: Box<dyn Write> = match &cli.command {
        // Colours are escape sequences too: a table cleans its own words, and the other forms escape.
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
            return check::bundle::unreadable(&environment, out);
        }
        Err(error) if matches!(cli.command, Command::Check { .. }) => {
            return check::unreadable(error, out);
        }
        Err(error) => return Err(error.into()),
    };
    match cli.command {
        Command::Run { once: false } => run::run(context, cli.config).await,
        Command::Run { once: true } => run::once(context).await,
        Command::Read { format } => {
            let look = read::Look { format: format.map(Format::from), colour, width: terminal::WIDTH };
            read::read(&mut context, look, out).await
        }
        Command::Check { bundle: false } => check::check(&mut context, out).await,
        Command::Check { bundle: true } => check::bundle::bundle(&mut context, out).await,
        Command::Token(TokenCommand::Refresh(args)) | Command::TokenRefresh(args) => {
            let asked = args.gateway.gateway.as_ref();
            token::refresh::refresh(&mut context, asked, args.force, &mut Terminal, out).await
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
        Command::Gateway(command) => Box::pin(about_gateway(&mut context, command, out)).await,
        Command::Domoticz(_) => domoticz::check(&mut context, domoticz::PATIENCE, out).await,
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
