//! The requests that a simulated server received, for tests that count them.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use tokio::sync::watch;

/// The number of requests in the log, so that a month of polls fits in memory.
const KEPT: usize = 20_000;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The time, by the server's clock.
    pub time: Timestamp,
    /// The path and query.
    pub path: String,
    /// The status of the response; `None` if none was sent.
    pub status: Option<u16>,
}

/// The newest requests, and the number of requests for each path.
#[derive(Debug, Default)]
pub(super) struct Log {
    newest: VecDeque<Request>,
    by_path: BTreeMap<String, u64>,
    arrived: watch::Sender<u64>,
}

impl Log {
    pub(super) fn add(&mut self, request: Request) {
        *self.by_path.entry(request.path.clone()).or_default() += 1;
        if self.newest.len() == KEPT {
            self.newest.pop_front();
        }
        self.newest.push_back(request);
        self.arrived.send_modify(|count| *count += 1);
    }

    pub(super) fn arrived(&self) -> watch::Receiver<u64> {
        self.arrived.subscribe()
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.newest.iter().cloned().collect()
    }

    pub(super) fn by_path(&self) -> &BTreeMap<String, u64> {
        &self.by_path
    }

    pub(super) fn total(&self) -> u64 {
        self.by_path.values().sum()
    }
}

/// The requests that a gateway has received since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayCounts {
    /// The accepted connections.
    pub connections: u64,
    /// The completed TLS handshakes.
    pub handshakes: u64,
    /// All requests.
    pub requests: u64,
    /// The requests for `/auth/check_jwt`.
    pub check_jwt: u64,
    /// The opened sessions.
    pub sessions: u64,
    /// The requests without credentials for pages that need them.
    pub without_credentials: u64,
    /// The requests for each path and query.
    pub paths: BTreeMap<String, u64>,
}

/// The requests that the cloud has received since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloudCounts {
    /// The attempts to log in with a password, successful or not.
    pub login_attempts: u64,
    /// The attempts that opened a session, by password or second factor.
    pub logins: u64,
    /// The codes of a second factor that were tried.
    pub codes_tried: u64,
    /// The requests for another code.
    pub codes_sent: u64,
    /// The requests for a token at Entrez.
    pub token_fetches: u64,
    /// The requests for a token at Enlighten.
    pub other_token_fetches: u64,
    /// The issued tokens.
    pub tokens: u64,
    /// All other requests.
    pub other: u64,
    /// The time of each login attempt.
    pub login_times: Vec<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_drops_the_oldest_requests_but_counts_all() {
        let mut log = Log::default();
        for status in 0..25_000_u16 {
            log.add(Request { time: Timestamp::UNIX_EPOCH, path: "/info".into(), status: Some(status) });
        }
        assert_eq!(log.requests().len(), KEPT);
        assert_eq!(log.requests().last().unwrap().status, Some(24_999));
        assert_eq!(log.total(), 25_000);
    }
}
