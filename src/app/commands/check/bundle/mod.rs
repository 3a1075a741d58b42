//! `enphased check --bundle`: prints a redacted report to attach to a bug report. Never logs in.

mod configuration;
mod gateways;
mod platform;
mod redaction;
mod state;

use std::io::Write;

use self::redaction::{Kind, Redaction};
use super::super::Context;
use super::super::failure::Failure;
use super::check;
use crate::app::config;
use crate::base::printable::one_line;
use crate::io::state_dir::StateDir;

const HEAD: &str = "\
# enphased report

Serial numbers, IP addresses, host names, e-mail addresses, tokens and keys are replaced by placeholders, the same value
always by the same one. Passwords and measured values are left out. Review the report before you share it.
";

/// The maximum number of characters in a line: the description of the largest page has about 2,000.
const LONGEST: usize = 4000;

/// A heading and the lines below it.
type Section = (&'static str, Vec<String>);

/// Writes the report. Problems appear in the report and do not change the exit code.
pub async fn bundle(context: &mut Context, out: &mut dyn Write) -> Result<(), Failure> {
    let mut sections: Vec<Section> = vec![
        ("program", platform::lines(&context.environment, context.clock.now())),
        ("configuration", configuration::lines(&context.config)),
    ];
    match context.state() {
        Ok(state) => add_state(context, &state, &mut sections).await,
        Err(failure) => sections.push(("state", vec![failure.message])),
    }
    let mut lines = Vec::new();
    // The lines show the result.
    check(context, &mut lines).await.ok();
    sections.push(("check", String::from_utf8_lossy(&lines).lines().map(str::to_owned).collect()));
    write(&sections, &mut redaction(&context.config), out)
}

async fn add_state(context: &mut Context, state: &StateDir, sections: &mut Vec<Section>) {
    sections.push(("state", state::files(state, context.clock.now()).await));
    sections.push(("logins", state::logins(context, state).await));
    sections.push(("tokens", state::tokens(state).await));
    for settings in &context.config.gateways.clone() {
        sections.push(("gateway", gateways::lines(context, settings, state).await));
    }
}

/// Writes the report when the configuration is invalid. The errors are left to `config validate`, because they quote the
/// file.
pub fn without_configuration(
    environment: &config::environment::Environment,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let now = crate::base::clock::Clock::system().now();
    let words = "unreadable or invalid; run `enphased config validate` to see the errors".to_owned();
    let sections = [("program", platform::lines(environment, now)), ("configuration", vec![words])];
    write(&sections, &mut Redaction::default(), out)
}

fn write(sections: &[Section], redaction: &mut Redaction, out: &mut dyn Write) -> Result<(), Failure> {
    write!(out, "{HEAD}")?;
    for (heading, lines) in sections {
        writeln!(out, "\n## {heading}\n")?;
        for line in lines {
            // Markdown shows indented lines unchanged.
            writeln!(out, "    {}", one_line(&redaction.redact(line), LONGEST))?;
        }
    }
    Ok(())
}

/// Returns a redaction that knows the configured values that cannot be recognised by their format.
fn redaction(config: &config::Config) -> Redaction {
    let mut redaction = Redaction::default();
    if let Some(name) = platform::host() {
        redaction.add(&name, Kind::Host);
    }
    if let Some(username) = &config.account.username {
        redaction.add(username, Kind::Email);
    }
    if let Ok(Some(credentials)) = config.account.credentials() {
        redaction.add(credentials.password.expose(), Kind::Secret);
    }
    for gateway in &config.gateways {
        let host = gateway.address.as_ref().map(|address| address.host().to_owned());
        let serial = gateway.serial.as_ref().map(ToString::to_string);
        for (text, kind) in [(host, Kind::Host), (gateway.user.clone(), Kind::User), (serial, Kind::Serial)] {
            add_name(&mut redaction, text.as_deref(), kind);
        }
    }
    if let Some(broker) = &config.mqtt {
        add_name(&mut redaction, Some(&broker.address.host), Kind::Host);
        add_name(&mut redaction, broker.user.as_deref(), Kind::User);
        if let Some(password) = &broker.password {
            redaction.add(password.expose(), Kind::Secret);
        }
    }
    if let Some(alerts) = &config.alerts {
        redaction.add(alerts.address.expose(), Kind::Secret);
    }
    redaction
}

/// Adds a host or user name. An IP address is recognised by its format, and the default names are not private.
fn add_name(redaction: &mut Redaction, text: Option<&str>, kind: Kind) {
    let Some(text) = text else { return };
    let address = text.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
    if !address && text != "localhost" && text != "envoy" {
        redaction.add(text, kind);
    }
}
