//! Checks the server: who listens at its addresses, and with which key.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::super::failure::{Code, Failure};
use super::report::Report;
use crate::app::config;
use crate::io::http::{self, Certificate, Listen, Listener};
use crate::io::state_dir::StateDir;

/// The time limit for a response.
const TIMEOUT: Duration = Duration::from_secs(5);
/// What the daemon answers to a health check.
const SIGN: &str = "application/health+json";

/// Checks each address of the server.
pub(super) async fn check(
    settings: Option<&config::Server>,
    state: Option<&StateDir>,
    report: &mut Report<'_>,
) -> Result<(), Failure> {
    let Some(settings) = settings else { return Ok(()) };
    for listen in &settings.listen {
        address(*listen, report).await?;
    }
    if let (true, Some(state)) = (settings.uses_tls(), state) {
        let stored = Certificate::stored(state).await.ok().flatten();
        if let Some(fingerprint) = stored.and_then(|key| key.fingerprint().ok()) {
            report.good("server", &format!("its TLS key has the fingerprint {fingerprint}"))?;
        } else {
            report.note("server", "its TLS key is made when the daemon starts with this configuration")?;
        }
    }
    Ok(())
}

async fn address(listen: Listen, report: &mut Report<'_>) -> Result<(), Failure> {
    match Listener::open(listen, true) {
        Ok(_) => {
            report.note("server", &format!("nothing listens at {listen} now; the daemon will, when it runs"))
        }
        Err(http::Error::Busy { .. }) if listen.tls => {
            report.good("server", &format!("{listen} is in use, by the daemon if it runs"))
        }
        Err(http::Error::Busy { .. }) if is_ours(listen).await => {
            report.good("server", &format!("the daemon serves at {listen}"))
        }
        Err(error @ http::Error::Busy { .. }) => {
            report.wrong("server", &Failure::new(Code::Unavailable, error.to_string()))
        }
        Err(error) => report.wrong("server", &Failure::new(Code::Configuration, error.to_string())),
    }
}

/// Returns whether the program that listens there answers as the daemon does.
async fn is_ours(listen: Listen) -> bool {
    let asked = async {
        let mut stream = TcpStream::connect(listen.reachable()).await.ok()?;
        stream
            .write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .await
            .ok()?;
        let mut response = Vec::new();
        stream.take(4096).read_to_end(&mut response).await.ok()?;
        Some(String::from_utf8_lossy(&response).contains(SIGN))
    };
    timeout(TIMEOUT, asked).await.ok().flatten().unwrap_or(false)
}
