//! `enphased check --health`: asks the running daemon whether it is ready, for container runtimes and monitoring.

use std::io::Write;
use std::time::Duration;

use serde::Deserialize;

use super::super::failure::{Code, Failure};
use crate::app::config::{self, Config};
use crate::base::printable::one_line;
use crate::io::http::Listen;
use crate::io::http::local_request::{self, LocalResponse, Unanswered};

/// The page of the server that is asked.
const PAGE: &str = "/readyz";
/// The time limit. Container runtimes wait for 30 s.
const LIMIT: Duration = Duration::from_secs(10);
/// The maximum number of characters about all gateways.
const LONGEST: usize = 1000;

/// The parts of the page that are shown.
#[derive(Debug, Deserialize)]
struct Page {
    status: String,
    gateways: Vec<Gateway>,
}

#[derive(Debug, Deserialize)]
struct Gateway {
    serial: Option<String>,
    status: String,
    age_s: Option<u64>,
    reason: Option<String>,
}

/// Asks the daemon that runs with this configuration. Returns a failure with [`Code::Unhealthy`] unless it is ready.
pub async fn health(config: Result<Config, config::Error>, out: &mut dyn Write) -> Result<(), Failure> {
    let config = config.map_err(|error| Failure { code: Code::Unhealthy, ..Failure::from(error) })?;
    let listens = config.server.as_ref().map(|server| server.listen.as_slice()).unwrap_or_default();
    // Without TLS it is a little quicker; they all answer the same.
    let Some(listen) = listens.iter().find(|listen| !listen.tls).or(listens.first()) else {
        return Err(Failure::new(
            Code::Unhealthy,
            "the daemon cannot be asked, because it has no server; write listen below [server], e.g. [\"127.0.0.1:8480\"]",
        ));
    };
    let words = judge(*listen, local_request::get(*listen, PAGE, LIMIT).await);
    let words = words.map_err(|words| Failure::new(Code::Unhealthy, words))?;
    writeln!(out, "{words}")?;
    Ok(())
}

/// Returns what the response means in words: `Ok` if the daemon is ready.
fn judge(listen: Listen, response: Result<LocalResponse, Unanswered>) -> Result<String, String> {
    let response = response
        .map_err(|why| format!("the daemon does not answer at {listen}: {why}; look whether it runs"))?;
    let page: Page = serde_json::from_slice(&response.body).map_err(|_other| {
        let status = response.status.as_u16();
        format!("another program than enphased answers at {listen} (HTTP {status}); choose another port")
    })?;
    let gateways: Vec<String> = page.gateways.iter().map(Gateway::in_words).collect();
    let gateways = gateways.join("; ");
    let gateways = one_line(&gateways, LONGEST);
    match (response.status.is_success(), page.status.as_str()) {
        (true, "warn") => Ok(format!("the daemon is ready, with a warning: {gateways}")),
        (true, _) => Ok(format!("the daemon is ready: {gateways}")),
        (false, _) => Err(format!("the daemon is not ready: {gateways}")),
    }
}

impl Gateway {
    fn in_words(&self) -> String {
        let name = self.serial.as_ref().map_or("a gateway".to_owned(), |serial| format!("gateway {serial}"));
        let age = self.age_s.map_or("not read yet".to_owned(), |age| format!("read {age} s ago"));
        match &self.reason {
            Some(reason) if self.status != "pass" => format!("{name}: {reason}"),
            _ => format!("{name} was {age}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;

    use super::*;

    fn judged(status: u16, body: &'static str) -> Result<String, String> {
        let response = LocalResponse { status: StatusCode::from_u16(status).unwrap(), body: body.into() };
        judge("127.0.0.1:8480".parse().unwrap(), Ok(response))
    }

    #[test]
    fn a_warning_is_healthy_and_each_gateway_that_fails_is_named() {
        let pass = r#"{"status":"pass","gateways":[{"serial":"12","status":"pass","age_s":7}]}"#;
        assert_eq!(judged(200, pass).unwrap(), "the daemon is ready: gateway 12 was read 7 s ago");
        let warn = r#"{"status":"warn","gateways":[{"serial":"12","status":"warn","age_s":300,"reason":"no recent reading"}]}"#;
        assert_eq!(
            judged(200, warn).unwrap(),
            "the daemon is ready, with a warning: gateway 12: no recent reading"
        );
        let fail = r#"{"status":"fail","gateways":[{"serial":"12","status":"pass","age_s":7},{"status":"fail","reason":"it\nhangs"}]}"#;
        assert_eq!(
            judged(503, fail).unwrap_err(),
            "the daemon is not ready: gateway 12 was read 7 s ago; a gateway: it\\nhangs"
        );
    }

    #[test]
    fn another_program_and_none_are_not_healthy() {
        let other = judged(200, "<html>").unwrap_err();
        assert!(other.contains("another program") && other.contains("HTTP 200"), "{other}");
        let late = Err(Unanswered::Late(LIMIT));
        let none = judge("tls://[::]:8443".parse().unwrap(), late).unwrap_err();
        assert_eq!(
            none,
            "the daemon does not answer at https://[::]:8443: no response came within 10 s; look whether it runs"
        );
    }
}
