//! `enphased check --bundle`: all that a report of a bug needs, redacted, as text. Never logs in.

mod configuration;
mod gateways;
mod platform;
mod redaction;
mod stored;

use std::io::Write;

use self::redaction::{Kind, Redaction};
use super::super::Context;
use super::super::failure::Failure;
use super::check;
use crate::app::config;
use crate::base::printable::one_line;
use crate::io::state_dir::StateDir;

const HEAD: &str = "\
# enphased, a report

Serial numbers, addresses, names of machines, e-mail addresses, tokens and keys are replaced, each by the same word
wherever it stands; passwords and values of pages are not in it. Look through it before you send it.
";

/// The most characters of a line: the shape of the richest page has about 2,000.
const LONGEST: usize = 4000;

/// A heading and what is below it.
type Section = (&'static str, Vec<String>);

/// Writes the report. What is wrong is a part of it, not of the exit code.
pub async fn bundle(context: &mut Context, out: &mut dyn Write) -> Result<(), Failure> {
    let mut sections: Vec<Section> = vec![
        ("program", platform::lines(&context.environment, context.clock.now())),
        ("configuration", configuration::lines(&context.config)),
    ];
    match context.state() {
        Ok(state) => told(context, &state, &mut sections).await,
        Err(failure) => sections.push(("state", vec![failure.message])),
    }
    let mut found = Vec::new();
    // How it ends is in its lines.
    check(context, &mut found).await.ok();
    sections.push(("check", String::from_utf8_lossy(&found).lines().map(str::to_owned).collect()));
    write(&sections, &mut known(&context.config), out)
}

async fn told(context: &mut Context, state: &StateDir, sections: &mut Vec<Section>) {
    sections.push(("state", stored::files(state, context.clock.now()).await));
    sections.push(("logins", stored::logins(context, state).await));
    sections.push(("tokens", stored::tokens(state).await));
    for settings in &context.config.gateways.clone() {
        sections.push(("gateway", gateways::lines(context, settings, state).await));
    }
}

/// The report about a configuration that does not hold. What is wrong with it is left to `config validate`, which
/// shows it to its owner alone.
pub fn unreadable(context: &config::environment::Environment, out: &mut dyn Write) -> Result<(), Failure> {
    let now = crate::base::clock::Clock::system().now();
    let words = "it cannot be read or does not hold; `enphased config validate` tells why".to_owned();
    let sections = [("program", platform::lines(context, now)), ("configuration", vec![words])];
    write(&sections, &mut Redaction::default(), out)
}

fn write(sections: &[Section], redaction: &mut Redaction, out: &mut dyn Write) -> Result<(), Failure> {
    write!(out, "{HEAD}")?;
    for (heading, lines) in sections {
        writeln!(out, "\n## {heading}\n")?;
        for line in lines {
            // Indented, as Markdown shows it unchanged.
            writeln!(out, "    {}", one_line(&redaction.redact(line), LONGEST))?;
        }
    }
    Ok(())
}

/// What has no form of its own to be known by.
fn known(config: &config::Config) -> Redaction {
    let mut redaction = Redaction::default();
    if let Some(name) = platform::host() {
        redaction.know(&name, Kind::Host);
    }
    if let Some(username) = &config.account.username {
        redaction.know(username, Kind::Email);
    }
    if let Ok(Some(credentials)) = config.account.credentials() {
        redaction.know(credentials.password.expose(), Kind::Secret);
    }
    for gateway in &config.gateways {
        let host = gateway.address.as_ref().map(|address| address.host().to_owned());
        let serial = gateway.serial.as_ref().map(ToString::to_string);
        for (text, kind) in [(host, Kind::Host), (gateway.user.clone(), Kind::User), (serial, Kind::Serial)] {
            know_named(&mut redaction, text.as_deref(), kind);
        }
    }
    if let Some(broker) = &config.mqtt {
        know_named(&mut redaction, Some(&broker.address.host), Kind::Host);
        know_named(&mut redaction, broker.user.as_deref(), Kind::User);
        if let Some(password) = &broker.password {
            redaction.know(password.expose(), Kind::Secret);
        }
    }
    redaction
}

/// Addresses have a form, and this machine is no secret.
fn know_named(redaction: &mut Redaction, text: Option<&str>, kind: Kind) {
    let Some(text) = text else { return };
    let address = text.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
    if !address && text != "localhost" && text != "envoy" {
        redaction.know(text, kind);
    }
}
