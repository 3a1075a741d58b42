//! What a simulated server was asked, for tests that count.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use tokio::sync::watch;

/// The log keeps this many requests, so that a month of polls fits into memory.
const KEPT: usize = 20_000;

/// One request, as the server saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// When, by the server's clock.
    pub time: Timestamp,
    /// Path and query.
    pub path: String,
    /// What was answered; `None` when the answer never came.
    pub status: Option<u16>,
}

/// The newest requests, and how many there were of each path.
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

/// What a gateway was asked since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayCounts {
    /// Connections accepted.
    pub connections: u64,
    /// TLS handshakes that were completed.
    pub handshakes: u64,
    /// Requests of any kind.
    pub requests: u64,
    /// Requests of `/auth/check_jwt`.
    pub check_jwt: u64,
    /// Sessions that were opened.
    pub sessions: u64,
    /// Requests of pages that need credentials, without any.
    pub without_credentials: u64,
    /// Requests by path and query.
    pub paths: BTreeMap<String, u64>,
}

/// What the cloud was asked since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloudCounts {
    /// Attempts to log in with a password, whatever became of them.
    pub login_attempts: u64,
    /// Attempts that opened a session, by password or by second factor.
    pub logins: u64,
    /// Codes of a second factor that were tried.
    pub codes_tried: u64,
    /// Wishes for another code.
    pub codes_sent: u64,
    /// Requests for a token at Entrez.
    pub token_fetches: u64,
    /// Requests for a token by the other way, at Enlighten.
    pub other_token_fetches: u64,
    /// Tokens handed out.
    pub tokens: u64,
    /// Requests of anything else.
    pub other: u64,
    /// When each attempt to log in arrived.
    pub login_times: Vec<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_forgets_the_oldest_and_the_counts_forget_nothing() {
        let mut log = Log::default();
        for status in 0..25_000_u16 {
            log.add(Request { time: Timestamp::UNIX_EPOCH, path: "/info".into(), status: Some(status) });
        }
        assert_eq!(log.requests().len(), KEPT);
        assert_eq!(log.requests().last().unwrap().status, Some(24_999));
        assert_eq!(log.total(), 25_000);
    }
}
