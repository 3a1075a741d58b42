//! What is asked for over MQTT, on its way from the publisher to the poller of the gateway.
//!
//! A wish is not an order. Whoever may write to the broker can make one, by mistake a thousand times a second, so
//! it never does what the daemon would not do by itself: a poll keeps its distance to the one before, and a token
//! is looked at by the rules of every automatic attempt. Of the same wish one waits at most.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::watch;

use crate::base::reading::Serial;

/// What may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wish {
    /// A poll now.
    Poll,
    /// A look at the token now.
    RefreshToken,
    /// Something that cannot be understood; it is answered with what can.
    Unknown,
}

impl Wish {
    /// The wish in a payload, `poll` or `refresh_token`; none in an empty one, which removes a retained message.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        match payload.trim_ascii() {
            b"" => None,
            b"poll" => Some(Self::Poll),
            b"refresh_token" => Some(Self::RefreshToken),
            _ => Some(Self::Unknown),
        }
    }

    /// The kind of the event that answers it.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Poll => "asked_poll",
            Self::RefreshToken => "asked_refresh_token",
            Self::Unknown => "asked_unknown",
        }
    }
}

/// The wishes that wait. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Wishes(watch::Sender<BTreeMap<Serial, BTreeSet<Wish>>>);

impl Wishes {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the poller of `serial`. What waits already is not asked twice.
    pub fn put(&self, serial: &Serial, wish: Wish) {
        self.0.send_if_modified(|waiting| waiting.entry(serial.clone()).or_default().insert(wish));
    }

    /// The next wish for `serial`, once there is one; for ever while the serial is not known. May be given up at
    /// any time.
    pub async fn next(&self, serial: Option<&Serial>) -> Wish {
        let Some(serial) = serial else { return std::future::pending().await };
        let mut waiting = self.0.subscribe();
        loop {
            if let Some(wish) = self.take(serial) {
                return wish;
            }
            if waiting.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    fn take(&self, serial: &Serial) -> Option<Wish> {
        let mut taken = None;
        // Nobody waits for a wish to be taken.
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
    fn only_whole_words_are_wishes() {
        assert_eq!(Wish::parse(b"poll"), Some(Wish::Poll));
        assert_eq!(Wish::parse(b" refresh_token\n"), Some(Wish::RefreshToken));
        assert_eq!(Wish::parse(b""), None);
        for odd in [&b"polls"[..], b"POLL", b"{\"poll\":true}", b"\xff\xfe", &vec![b'a'; 1 << 20]] {
            assert_eq!(Wish::parse(odd), Some(Wish::Unknown));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_wish_made_a_thousand_times_is_granted_once() {
        let (wishes, serial) = (Wishes::new(), Serial::parse("1").unwrap());
        for _ in 0..1000 {
            wishes.put(&serial, Wish::Poll);
            wishes.put(&Serial::parse("2").unwrap(), Wish::RefreshToken);
        }
        assert_eq!(wishes.next(Some(&serial)).await, Wish::Poll);
        let more = tokio::time::timeout(std::time::Duration::from_secs(3600), wishes.next(Some(&serial)));
        assert!(more.await.is_err());
    }

    #[tokio::test]
    async fn who_waits_is_woken() {
        let (wishes, serial) = (Wishes::new(), Serial::parse("1").unwrap());
        let waiting = wishes.clone();
        let waiter = tokio::spawn(async move { waiting.next(Some(&Serial::parse("1").unwrap())).await });
        tokio::task::yield_now().await;
        wishes.put(&serial, Wish::RefreshToken);
        assert_eq!(waiter.await.unwrap(), Wish::RefreshToken);
    }
}
