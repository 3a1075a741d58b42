//! `enphased check`: what a user runs when it does not work. One line for each thing, good or what to do. It
//! never logs in.

pub mod bundle;
mod gateway;
mod pages;
mod permissions;
pub(in crate::app::commands) mod report;
mod shape;

use std::io::Write;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Context;
use super::failure::{Code, Failure};
use crate::app::config;
use crate::app::config::secret::STRIPPED;
use crate::app::daemon::outputs;
use crate::app::poller::claims::Claims;
use crate::io::mqtt::{self, Happened};
use crate::io::state_dir::StateDir;
use report::Report;

/// How long a name may take to be resolved, and a broker to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks at a configuration that could not even be read.
pub fn unreadable(error: config::Error, out: &mut dyn Write) -> Result<(), Failure> {
    let mut report = Report::new(out, 14);
    let failure = Failure::from(error);
    report.wrong("configuration", &failure)?;
    Err(Failure::new(failure.code, ""))
}

/// Looks at everything.
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
    report.wrong.map_or(Ok(()), |code| Err(Failure::new(code, "")))
}

fn configuration(context: &Context, report: &mut Report<'_>) -> Result<(), Failure> {
    match &context.config.path {
        Some(path) => report.good("configuration", &path.display().to_string())?,
        None => report.note(
            "configuration",
            "no file; every key has its default, and the gateway is looked for by mDNS. `enphased config example` \
             shows what can be written",
        )?,
    }
    for warning in &context.config.warnings {
        report.note("configuration", warning)?;
    }
    Ok(())
}

/// Writes and removes a file, as the daemon will.
async fn state(context: &mut Context, report: &mut Report<'_>) -> Result<Option<StateDir>, Failure> {
    match tried(context).await {
        Ok(state) => {
            report.good("state", &format!("{} can be written", state.path().display()))?;
            Ok(Some(state))
        }
        Err(failure) => {
            report.wrong("state", &failure)?;
            Ok(context.state().ok())
        }
    }
}

async fn tried(context: &mut Context) -> Result<StateDir, Failure> {
    let state = context.state()?;
    state.write("check.tmp", &()).await?;
    state.remove("check.tmp").await?;
    Ok(state)
}

async fn names(context: &Context, report: &mut Report<'_>) -> Result<(), Failure> {
    for url in [&context.config.cloud.enlighten, &context.config.cloud.entrez] {
        let host = reqwest::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
        let Some(host) = host else { continue };
        match timeout(PATIENCE, tokio::net::lookup_host((host.as_str(), 443))).await {
            Ok(Ok(_)) => report.good("name", &format!("{host} is known"))?,
            Ok(Err(_)) | Err(_) => report.note(
                "name",
                &format!(
                    "{host} cannot be resolved: this machine has no internet just now, or its DNS does not work. Only \
                     a login needs it, about once a year"
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
            report.good("account", "there is a username and a password; they are not tried here")
        }
        Ok(None) => report.note(
            "account",
            "none is configured, so tokens come from `enphased token refresh` or `enphased token import`",
        ),
        Err(error) => report.wrong("account", &Failure::new(Code::Configuration, error.to_string())),
    }
}

async fn broker(context: &mut Context, report: &mut Report<'_>) -> Result<(), Failure> {
    let Some(settings) = &context.config.mqtt else {
        return report.note("broker", "none is configured");
    };
    let place = format!("{}:{}", settings.address.host, settings.address.port);
    let client_id = format!("enphased-check-{:08x}", context.rng.u32(..));
    // Without a last will: it would declare the running daemon offline.
    let options = mqtt::Options { will: None, ..outputs::broker(settings, &client_id) };
    let (tell, mut happened) = mpsc::channel(4);
    let connection = mqtt::keep_connected(options, context.rng.fork(), tell);
    let first = async {
        loop {
            match happened.recv().await {
                Some(Happened::Connected(_)) => return Ok(()),
                Some(Happened::Lost(error)) => return Err(error.to_string()),
                Some(Happened::Incoming { .. } | Happened::Rests(..) | Happened::Awake) => {}
                None => return Err("the connection ended".to_owned()),
            }
        }
    };
    let outcome = tokio::select! {
        outcome = timeout(PATIENCE, first) => outcome.unwrap_or_else(|_late| Err(format!("{place} did not answer"))),
        () = connection => Err("the connection ended".to_owned()),
    };
    match outcome {
        Ok(()) => report.good("broker", &format!("{place} takes us")),
        Err(why) => report.wrong("broker", &Failure::new(Code::TryLater, why)),
    }
}
