//! `enphased check`: what a user runs when it does not work. One line for each thing, good or what to do. It
//! never logs in.

use std::io::Write;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Context;
use super::failure::{Code, Failure};
use crate::config;
use crate::daemon::outputs;
use crate::gateway::client::Client;
use crate::gateway::{Endpoint, Error};
use crate::logins::age::{AGREEMENT, Sight};
use crate::logins::decision::Operator;
use crate::logins::words::length;
use crate::mqtt::{self, Happened};
use crate::poller::identity::{self, Identity};
use crate::poller::trouble::Trouble;
use crate::reading::Serial;
use crate::state::StateDir;

/// How long a name may take to be resolved, and a broker to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pages that readings are made of.
const PAGES: [(Endpoint, &str); 7] = [
    (Endpoint::MeterReadings, "meters"),
    (Endpoint::Production, "production"),
    (Endpoint::Inverters, "inverters"),
    (Endpoint::DeviceData, "inverter details"),
    (Endpoint::EnsembleInventory, "batteries"),
    (Endpoint::LiveData, "live data"),
    (Endpoint::Tariff, "tariff"),
];

/// What a check has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Good,
    Note,
    Wrong,
}

/// Writes the lines and remembers the first that is wrong.
struct Report<'a> {
    out: &'a mut dyn Write,
    wrong: Option<Code>,
}

impl Report<'_> {
    fn line(&mut self, mark: Mark, what: &str, words: &str) -> Result<(), Failure> {
        let mark = match mark {
            Mark::Good => "good ",
            Mark::Note => "note ",
            Mark::Wrong => "WRONG",
        };
        let indented = words.replace('\n', "\n                       ");
        writeln!(self.out, "{mark}  {what:<14}  {indented}")?;
        Ok(())
    }

    fn good(&mut self, what: &str, words: &str) -> Result<(), Failure> {
        self.line(Mark::Good, what, words)
    }

    fn note(&mut self, what: &str, words: &str) -> Result<(), Failure> {
        self.line(Mark::Note, what, words)
    }

    fn wrong(&mut self, what: &str, failure: &Failure) -> Result<(), Failure> {
        self.wrong.get_or_insert(failure.code);
        self.line(Mark::Wrong, what, &failure.message)
    }
}

/// Looks at a configuration that could not even be read.
pub fn unreadable(error: &config::Error, out: &mut dyn Write) -> Result<(), Failure> {
    let mut report = Report { out, wrong: None };
    report.wrong("configuration", &Failure::new(Code::Configuration, error.to_string()))?;
    Err(Failure::new(Code::Configuration, ""))
}

/// Looks at everything.
pub async fn check(context: &mut Context, out: &mut dyn Write) -> Result<(), Failure> {
    let mut report = Report { out, wrong: None };
    configuration(context, &mut report)?;
    let state = state(context, &mut report)?;
    names(context, &mut report).await?;
    account(context, &mut report)?;
    if let Some(state) = &state {
        for settings in &context.config.gateways.clone() {
            gateway(context, settings, state, &mut report).await?;
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
fn state(context: &Context, report: &mut Report<'_>) -> Result<Option<StateDir>, Failure> {
    let tried = context.state().and_then(|state| {
        state.write("check.tmp", &())?;
        state.remove("check.tmp")?;
        Ok(state)
    });
    match tried {
        Ok(state) => {
            report.good("state", &format!("{} can be written", state.path().display()))?;
            let open = state.readable_by_others();
            if !open.is_empty() {
                let message = format!("others can read {}; run chmod 600 on them", open.join(", "));
                report.wrong("state", &Failure::new(Code::CannotCreate, message))?;
            }
            Ok(Some(state))
        }
        Err(failure) => {
            report.wrong("state", &failure)?;
            Ok(StateDir::open(&context.config.state_dir).ok())
        }
    }
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
    match context.config.account.credentials() {
        Ok(Some(_)) => report.good("account", "there is a username and a password; they are not tried here"),
        Ok(None) => report.note(
            "account",
            "none is configured, so tokens come from `enphased token refresh` or `enphased token import`",
        ),
        Err(error) => report.wrong("account", &Failure::new(Code::Configuration, error.to_string())),
    }
}

async fn gateway(
    context: &mut Context,
    settings: &config::Gateway,
    state: &StateDir,
    report: &mut Report<'_>,
) -> Result<(), Failure> {
    let (mut client, identity) = match reach(context, settings, state).await {
        Ok(reached) => reached,
        Err(trouble) => return report.wrong("gateway", &trouble.into()),
    };
    let info = &identity.info;
    let firmware = &info.software;
    report.good("gateway", &format!("{} with firmware {firmware} answers", identity.serial))?;
    if settings.insecure {
        report.note("key", "any certificate is accepted (tls = \"insecure\"): whoever is in the network can pose as the gateway")?;
    } else if let Some(key) = client.trust().seen() {
        report.good("key", &format!("{key} is the one that is trusted"))?;
    } else {
        report.note("key", "this firmware speaks plain http; nothing proves that it is the gateway")?;
    }
    clock(context, &identity, report)?;
    if info.needs_token() && !token(context, &identity, state, &mut client, report).await? {
        return Ok(());
    }
    pages(&mut client, report).await
}

async fn reach(
    context: &Context,
    settings: &config::Gateway,
    state: &StateDir,
) -> Result<(Client, Identity), Trouble> {
    let address = identity::locate(settings).await?;
    let mut client = identity::client(settings, &address)?;
    let now = context.clock.now();
    let identity = identity::identify(&mut client, &address, settings, state, now).await?;
    Ok((client, identity))
}

fn clock(context: &Context, identity: &Identity, report: &mut Report<'_>) -> Result<(), Failure> {
    let now = context.clock.now();
    let Some(theirs) = identity.info.time else {
        return report.note("clock", "the gateway does not tell the time");
    };
    let sight = Sight { moment: context.clock.moment(), gateway: Some(theirs) };
    let difference = length(theirs.duration_since(now).unsigned_abs());
    if sight.clocks_agree() {
        return report.good("clock", &format!("{now:.0}; the gateway's differs by {difference}"));
    }
    report.note(
        "clock",
        &format!(
            "this machine says {now:.0}, the gateway {theirs:.0}: {difference} apart, and no more than {} is usual. \
             Readings do not suffer; a token is not replaced while they disagree. Does this machine's time come from \
             the network (timedatectl)?",
            length(AGREEMENT)
        ),
    )
}

/// `true` when the client can read pages with a token.
async fn token(
    context: &mut Context,
    identity: &Identity,
    state: &StateDir,
    client: &mut Client,
    report: &mut Report<'_>,
) -> Result<bool, Failure> {
    let shared = context.shared(state);
    let mut supply = shared.supply.lock().await;
    let serial: &Serial = &identity.serial;
    let tokens = supply.tokens(serial)?;
    let Some(kept) = tokens.in_use() else {
        let decision = supply.consider(serial, Some(identity.time(context.clock.now())), Operator::Absent)?;
        report.wrong("token", &Failure::new(Code::Refused, format!("there is none. {decision}")))?;
        return Ok(false);
    };
    client.use_token(Some(&kept.token.secret));
    let about = format!("{}, good until {:.0}", kept.token.role, kept.token.expires_at);
    match client.check_token(&kept.token.secret).await {
        Ok(()) => report.good("token", &format!("{about}; the gateway accepts it"))?,
        Err(error) => {
            report.wrong("token", &Failure::new(Code::Refused, format!("{about}; {error}")))?;
            return Ok(false);
        }
    }
    if !kept.token.is_long_lived() {
        report.note("token", "it lives for hours only, and is not renewed by itself")?;
    }
    Ok(true)
}

async fn pages(client: &mut Client, report: &mut Report<'_>) -> Result<(), Failure> {
    let (mut may, mut missing, mut forbidden, mut failed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (endpoint, name) in PAGES {
        match client.get(endpoint).await {
            Ok(_) => may.push(name),
            Err(Error::Missing { .. }) => missing.push(name),
            Err(Error::Forbidden { .. }) => forbidden.push(name),
            Err(error) => failed.push(format!("{name}: {error}")),
        }
    }
    report.good("pages", &format!("this token may read: {}", joined(&may)))?;
    if !missing.is_empty() {
        report.note("pages", &format!("this firmware does not have: {}", joined(&missing)))?;
    }
    if !forbidden.is_empty() {
        report.note("pages", &format!("for installers only: {}", joined(&forbidden)))?;
    }
    for failure in failed {
        report.wrong("pages", &Failure::new(Code::TryLater, failure))?;
    }
    Ok(())
}

fn joined(names: &[&str]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

async fn broker(context: &mut Context, report: &mut Report<'_>) -> Result<(), Failure> {
    let Some(settings) = &context.config.mqtt else {
        return report.note("broker", "none is configured");
    };
    let place = format!("{}:{}", settings.address.host, settings.address.port);
    let options = outputs::broker(settings, &format!("enphased-check-{:08x}", context.rng.u32(..)));
    let (tell, mut happened) = mpsc::channel(4);
    let connection = mqtt::keep_connected(options, context.rng.fork(), tell);
    let first = async {
        loop {
            match happened.recv().await {
                Some(Happened::Connected(_)) => return Ok(()),
                Some(Happened::Lost(error)) => return Err(error.to_string()),
                Some(Happened::Incoming { .. }) => {}
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
