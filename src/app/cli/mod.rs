//! The command line: parses the arguments and runs the command.

mod arguments;
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
use std::path::Path;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use fastrand::Rng;

use crate::app::commands::failure::{Code, Failure};
use crate::app::commands::{
    Context, alerts, check, config, consumer, demo, discover, domoticz, gateway, history, read, reset_totals,
    run, token,
};
use crate::app::config::environment::Environment;
use crate::app::config::options::MqttService;
use crate::app::config::{self as configuration, Format};
use crate::app::daemon::notify::Notify;
use crate::app::history::query::Words;
use crate::base::clock::Clock;
use crate::base::printable::Cleaned;
use crate::base::reading::Counter;
use crate::io::supervisor;
use arguments::{
    AlertsCommand, Cli, Command, ConfigCommand, ConsumerCommand, DomoticzCommand, GatewayCommand,
    HistoryArgs, ListFormat, TokenCommand,
};
use output::Output;
use terminal::Terminal;

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
    let environment = with_broker_of_home_assistant(&cli, environment);
    let prepared = Prepared::new(&cli, &environment);
    let logs = logging::start(&environment, cli.is_verbose(), cli.is_daemon());
    dumps::disable();
    if let Command::History(args) = &cli.command {
        return end(history_command(args, prepared), &logs);
    }
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
    end(result, &logs)
}

/// Asks the Supervisor of Home Assistant for the broker, if this is its add-on. Its runtime ends here, because a process of
/// root that changes its user has to have one thread.
fn with_broker_of_home_assistant(cli: &Cli, mut environment: Environment) -> Environment {
    let is_health_check = matches!(cli.command, Command::Check { health: true, .. });
    let Some(token) = environment.supervisor_token.as_ref().filter(|_| environment.options.is_some()) else {
        return environment;
    };
    if is_health_check || !cli.needs_configuration() {
        return environment;
    }
    let address = environment.supervisor.as_deref().unwrap_or(supervisor::ADDRESS);
    let asked = resources::runtime().map_err(|failure| failure.message).and_then(|runtime| {
        runtime.block_on(supervisor::mqtt_service(address, token)).map_err(|error| error.to_string())
    });
    match asked {
        Ok(response) => environment.mqtt_service = response.and_then(|body| MqttService::parse(&body)),
        Err(trouble) => environment.supervisor_trouble = Some(trouble),
    }
    environment
}

/// Logs the reason of a failure, and returns the exit code.
fn end(result: Result<(), Failure>, logs: &logging::Logs) -> u8 {
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
            if matches!(cli.command, Command::History(_)) {
                context.history_directory().ok();
            }
            context
        });
        Some(Self { config, input })
    }
}

/// Shows the history. Without the runtime, which needs files outside of the state directory.
fn history_command(args: &HistoryArgs, prepared: Option<Prepared>) -> Result<(), Failure> {
    let Some(Prepared { config, .. }) = prepared else { return Ok(()) };
    let words = Words {
        from: args.from.as_deref(),
        to: args.to.as_deref(),
        step: Some(&args.step),
        of: Some(&args.of),
    };
    let gateway = args.gateway.gateway.as_ref();
    let options = history::Options { words, gateway, format: args.format.into() };
    history::history(&mut config?, options, &mut Cleaned(Output(io::stdout())))
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

async fn token_command(
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

async fn check_command(
    config: Result<Context, configuration::Error>,
    environment: &Environment,
    bundle: bool,
    health: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if health {
        return check::health::health(config.map(|context| context.config), out).await;
    }
    match (config, bundle) {
        (Ok(mut context), false) => check::check(&mut context, out).await,
        (Ok(mut context), true) => check::bundle::bundle(&mut context, out).await,
        (Err(error), false) => check::without_configuration(error, out),
        (Err(_), true) => check::bundle::without_configuration(environment, out),
    }
}

async fn consumer_command(
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
    if let Command::Check { bundle, health } = cli.command {
        return check_command(config, &environment, bundle, health, out).await;
    }
    let mut context = config?;
    match cli.command {
        Command::Run { once: false } => run::run(context, cli.config).await,
        Command::Run { once: true } => run::once(context).await,
        Command::Read { format } => {
            let display = read::Display { format: format.map(Format::from), colour, width: terminal::WIDTH };
            read::read(&mut context, display, out).await
        }
        Command::Token(command) => token_command(&mut context, command, input, out).await,
        Command::TokenRefresh(args) => {
            token_command(&mut context, TokenCommand::Refresh(args), input, out).await
        }
        Command::Gateway(command) => Box::pin(gateway_command(&mut context, command, out)).await,
        Command::Consumer(command) => consumer_command(&mut context, command, out).await,
        Command::Alerts(AlertsCommand::Test) => alerts::test(&context, out).await,
        Command::Domoticz(_) => domoticz::check(&mut context, domoticz::RESPONSE_TIMEOUT, out).await,
        Command::Config(ConfigCommand::Validate { reload }) => {
            config::validate(&mut context, reload, out).await
        }
        // These have returned above.
        Command::Config(ConfigCommand::Example)
        | Command::Check { .. }
        | Command::Demo
        | Command::Discover
        | Command::History(_) => Ok(()),
    }
}

fn input(file: Option<&Path>) -> Result<Box<dyn Read>, Failure> {
    let Some(path) = file.filter(|path| path.as_os_str() != "-") else { return Ok(Box::new(io::stdin())) };
    match File::open(path) {
        Ok(file) => Ok(Box::new(file)),
        Err(error) => Err(Failure::new(Code::Data, format!("cannot read {}: {error}", path.display()))),
    }
}
