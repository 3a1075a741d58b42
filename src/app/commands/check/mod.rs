//! `enphased check`: checks everything that the daemon needs, and says what to do about each problem. Never logs in.

pub mod bundle;
mod gateway;
pub mod health;
mod pages;
mod permissions;
pub(in crate::app::commands) mod report;
mod server;

use std::io::Write;
use std::time::Duration;

use tokio::time::timeout;

use super::Context;
use super::broker::with_connection;
use super::failure::{Code, Failure};
use crate::app::config;
use crate::app::config::secret::STRIPPED;
use crate::app::poller::claims::Claims;
use crate::io::state_dir::StateDir;
use report::Report;

/// The time limit for resolving a host name.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Reports a configuration that could not be loaded.
pub fn without_configuration(error: config::Error, out: &mut dyn Write) -> Result<(), Failure> {
    let mut report = Report::new(out, 14);
    let failure = Failure::from(error);
    report.wrong("configuration", &failure)?;
    Err(Failure::new(failure.code, ""))
}

/// Checks everything.
pub async fn check(context: &mut Context, out: &mut dyn Write) -> Result<(), Failure> {
    let mut report = Report::new(out, 14);
    configuration(context, &mut report)?;
    let state = state(context, &mut report).await?;
    permissions::check(&context.config, state.as_ref(), &mut report).await?;
    names(context, &mut report).await?;
    account(context, &mut report)?;
    if let Some(state) = &state {
        let (claims, mut held) = (Claims::default(), Vec::new());
        for settings in &context.config.gateways.clone() {
            held.push(gateway::gateway(context, settings, state, &claims, &mut report).await?);
        }
    }
    broker(context, &mut report).await?;
    if context.config.alerts.is_some() {
        report.note("alerts", "configured; `enphased alerts test` sends a message")?;
    }
    server::check(&context.config, state.as_ref(), &mut report).await?;
    report.wrong.map_or(Ok(()), |code| Err(Failure::new(code, "")))
}

fn configuration(context: &Context, report: &mut Report<'_>) -> Result<(), Failure> {
    match &context.config.path {
        Some(path) => report.good("configuration", &path.display().to_string())?,
        None if context.environment.variables.names().next().is_some() => {
            let names: Vec<&str> = context.environment.variables.names().collect();
            report.good("configuration", &format!("no file; the environment sets {}", names.join(", ")))?;
        }
        None => report.note(
            "configuration",
            "no file: every key has its default, and the gateway is located by mDNS. `enphased config example` shows \
             every key",
        )?,
    }
    for warning in &context.config.warnings {
        report.note("configuration", warning)?;
    }
    Ok(())
}

/// Checks that the state directory is writable, by writing and removing a file.
async fn state(context: &mut Context, report: &mut Report<'_>) -> Result<Option<StateDir>, Failure> {
    match write_and_remove(context).await {
        Ok(state) => {
            report.good("state", &format!("{} is writable", state.path().display()))?;
            Ok(Some(state))
        }
        Err(failure) => {
            report.wrong("state", &failure)?;
            Ok(context.state().ok())
        }
    }
}

async fn write_and_remove(context: &mut Context) -> Result<StateDir, Failure> {
    let state = context.state()?;
    state.write("check.tmp", &()).await?;
    state.remove("check.tmp").await?;
    Ok(state)
}

async fn names(context: &Context, report: &mut Report<'_>) -> Result<(), Failure> {
    for url in [&context.config.cloud.enlighten, &context.config.cloud.entrez] {
        let host = reqwest::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
        let Some(host) = host else { continue };
        match timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host((host.as_str(), 443))).await {
            Ok(Ok(_)) => report.good("name", &format!("{host} can be resolved"))?,
            Ok(Err(_)) | Err(_) => report.note(
                "name",
                &format!(
                    "{host} cannot be resolved: there is no internet connection, or DNS does not work. Only a login \
                     needs it, about once a year"
                ),
            )?,
        }
    }
    Ok(())
}

fn account(context: &Context, report: &mut Report<'_>) -> Result<(), Failure> {
    match context.config.account.complete() {
        Ok(Some(complete)) => {
            if complete.password_was_stripped {
                report.note("account", STRIPPED)?;
            }
            report.good("account", "username and password are configured; this check does not try them")
        }
        Ok(None) => report.note(
            "account",
            "no account is configured; get tokens with `enphased token refresh` or `enphased token import`",
        ),
        Err(error) => report.wrong("account", &Failure::new(Code::Configuration, error.to_string())),
    }
}

async fn broker(context: &mut Context, report: &mut Report<'_>) -> Result<(), Failure> {
    let Some(settings) = context.config.mqtt.clone() else {
        return report.note("broker", "no broker is configured");
    };
    let address = format!("{}:{}", settings.address.host, settings.address.port);
    match with_connection(context, &settings, None, async |_| Ok(())).await {
        Ok(()) => report.good("broker", &format!("{address} accepted the connection")),
        Err(failure) => report.wrong("broker", &failure),
    }
}
