//! The command line: parses the arguments and runs the command.

mod arguments;
mod consumer;
mod dumps;
mod file_limit;
mod gateway;
mod history;
mod log_queue;
pub mod logging;
mod output;
mod prepared;
mod resources;
mod terminal;
mod token;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use fastrand::Rng;

use crate::app::commands::failure::{Code, Failure};
use crate::app::commands::{Context, alerts, check, config, demo, discover, domoticz, read, run};
use crate::app::config::environment::Environment;
use crate::app::config::options::MqttService;
use crate::app::config::{self as configuration, Format};
use crate::app::daemon::notify::Notify;
use crate::base::printable::Cleaned;
use crate::io::supervisor;
use arguments::{AlertsCommand, Cli, Command, ConfigCommand, DomoticzCommand};
use output::Output;
use prepared::Prepared;
use token::TokenCommand;

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
        let shown = prepared.map_or(Ok(()), |prepared| history::run(prepared.config, args));
        return end(shown, &logs);
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
    if is_health_check || !cli.needs_configuration() || environment.options.is_none() {
        return environment;
    }
    let Some(token) = &environment.supervisor_token else { return environment };
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
        Command::Token(command) => token::run(&mut context, command, input, out).await,
        Command::TokenRefresh(args) => {
            token::run(&mut context, TokenCommand::Refresh(args), input, out).await
        }
        Command::Gateway(command) => Box::pin(gateway::run(&mut context, command, out)).await,
        Command::Consumer(command) => consumer::run(&mut context, command, out).await,
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
