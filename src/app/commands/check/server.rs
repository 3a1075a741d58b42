//! Checks the server and the proxies: who listens at their addresses, with which key, and who uses them.

use std::time::Duration;

use super::super::consumer::listed;
use super::super::failure::{Code, Failure};
use super::report::Report;
use crate::app::config::{Config, Service};
use crate::io::http::{self, Certificate, Listen, Listener, local_request};
use crate::io::state_dir::StateDir;

/// The time limit for a response.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The daemon's responses to a health check: that of the server, and that of a proxy, which has no such page.
const SIGNS: [&str; 2] = ["\"status\":\"pass\"", "the proxy has no such page"];
/// The maximum number of programs to name.
const MOST: usize = 8;

/// Checks each address of the server and of the proxies.
pub(super) async fn check(
    config: &Config,
    state: Option<&StateDir>,
    report: &mut Report<'_>,
) -> Result<(), Failure> {
    for (service, listen) in config.listens() {
        let (what, about) = match service {
            Service::Server => ("server", String::new()),
            Service::Proxy(place) => {
                let gateway = config.gateways.get(place).map(ToString::to_string).unwrap_or_default();
                let users = users(listen.address.port(), state).await;
                ("proxy", format!(", for {gateway}; {users}"))
            }
        };
        address(what, listen, &about, report).await?;
    }
    if let (true, Some(state)) = (config.listens().any(|(_, listen)| listen.tls), state) {
        let stored = Certificate::stored(state).await.ok().flatten();
        if let Some(fingerprint) = stored.and_then(|key| key.fingerprint().ok()) {
            report.good("server", &format!("its TLS key has the fingerprint {fingerprint}"))?;
        } else {
            report.note("server", "its TLS key is made when the daemon starts with this configuration")?;
        }
    }
    Ok(())
}

/// Names the programs that have asked at `port`, as of the last time that the daemon has saved them.
async fn users(port: u16, state: Option<&StateDir>) -> String {
    let Some(state) = state else { return "who uses it is not known".to_owned() };
    let all = listed(state).await.unwrap_or_default();
    let names: Vec<String> = all
        .into_iter()
        .filter(|one| one.ports.contains(&port))
        .map(|one| format!("{} ({})", one.name, one.address))
        .collect();
    match names.len() {
        0 => "nobody has used it yet".to_owned(),
        known => {
            let more = known.saturating_sub(MOST);
            let others = if more > 0 { format!(" and {more} more") } else { String::new() };
            let shown: Vec<String> = names.into_iter().take(MOST).collect();
            format!("used by {}{others}", shown.join(", "))
        }
    }
}

async fn address(what: &str, listen: Listen, about: &str, report: &mut Report<'_>) -> Result<(), Failure> {
    match Listener::open(listen, true) {
        Ok(_) => report
            .note(what, &format!("nothing listens at {listen} now; the daemon will, when it runs{about}")),
        Err(http::Error::Busy { .. }) if is_ours(listen).await => {
            report.good(what, &format!("the daemon serves at {listen}{about}"))
        }
        Err(error @ http::Error::Busy { .. }) => {
            report.wrong(what, &Failure::new(Code::Unavailable, error.to_string()))
        }
        Err(error) => report.wrong(what, &Failure::new(Code::Configuration, error.to_string())),
    }
}

/// Returns whether the program that listens there answers as the daemon does.
async fn is_ours(listen: Listen) -> bool {
    let Ok(response) = local_request::get(listen, "/livez", TIMEOUT).await else { return false };
    let body = String::from_utf8_lossy(&response.body);
    SIGNS.iter().any(|sign| body.contains(sign))
}
