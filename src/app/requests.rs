//! Requests that arrive over MQTT, on their way from the publisher to the poller of the gateway.
//!
//! A request is not a command. Any client of the broker can send one, by mistake a thousand times a second. So it never
//! causes what the daemon would not do on its own: the minimum time between polls applies, and a token is checked by the
//! rules of every automatic attempt. At most one request of each kind waits.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::watch;

use crate::base::reading::Serial;

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Request {
    /// Poll now.
    Poll,
    /// Check the token now.
    RefreshToken,
    /// Not a known request. The response lists the known ones.
    Unknown,
}

impl Request {
    /// Parses a payload, `poll` or `refresh_token`. Returns `None` for an empty one, which removes a retained message.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        match payload.trim_ascii() {
            b"" => None,
            b"poll" => Some(Self::Poll),
            b"refresh_token" => Some(Self::RefreshToken),
            _ => Some(Self::Unknown),
        }
    }

    /// Returns the kind of the event that responds to the request.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Poll => "asked_poll",
            Self::RefreshToken => "asked_refresh_token",
            Self::Unknown => "asked_unknown",
        }
    }
}

/// The waiting requests. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Requests(watch::Sender<BTreeMap<Serial, BTreeSet<Request>>>);

impl Requests {
    /// Creates an empty instance.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a request to the poller of `serial`, unless the same request is waiting already.
    pub fn put(&self, serial: &Serial, request: Request) {
        self.0.send_if_modified(|waiting| waiting.entry(serial.clone()).or_default().insert(request));
    }

    /// Waits for the next request for `serial`, forever if the serial number is not known. Can be cancelled at any time.
    pub async fn next(&self, serial: Option<&Serial>) -> Request {
        let Some(serial) = serial else { return std::future::pending().await };
        let mut waiting = self.0.subscribe();
        loop {
            if let Some(request) = self.take(serial) {
                return request;
            }
            if waiting.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    fn take(&self, serial: &Serial) -> Option<Request> {
        let mut taken = None;
        // Removing a request wakes no reader.
        self.0.send_if_modified(|waiting| {
            taken = waiting.get_mut(serial).and_then(BTreeSet::pop_first);
            false
        });
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_words_are_requests() {
        assert_eq!(Request::parse(b"poll"), Some(Request::Poll));
        assert_eq!(Request::parse(b" refresh_token\n"), Some(Request::RefreshToken));
        assert_eq!(Request::parse(b""), None);
        for odd in [&b"polls"[..], b"POLL", b"{\"poll\":true}", b"\xff\xfe", &vec![b'a'; 1 << 20]] {
            assert_eq!(Request::parse(odd), Some(Request::Unknown));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_sent_a_thousand_times_is_handled_once() {
        let (requests, serial) = (Requests::new(), Serial::parse("1").unwrap());
        for _ in 0..1000 {
            requests.put(&serial, Request::Poll);
            requests.put(&Serial::parse("2").unwrap(), Request::RefreshToken);
        }
        assert_eq!(requests.next(Some(&serial)).await, Request::Poll);
        let more = tokio::time::timeout(std::time::Duration::from_secs(3600), requests.next(Some(&serial)));
        assert!(more.await.is_err());
    }

    #[tokio::test]
    async fn a_waiting_poller_is_woken() {
        let (requests, serial) = (Requests::new(), Serial::parse("1").unwrap());
        let waiting = requests.clone();
        let waiter = tokio::spawn(async move { waiting.next(Some(&Serial::parse("1").unwrap())).await });
        tokio::task::yield_now().await;
        requests.put(&serial, Request::RefreshToken);
        assert_eq!(waiter.await.unwrap(), Request::RefreshToken);
    }
}
