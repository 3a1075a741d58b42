//! Decides when to enable the stream of live values. It ends after about 15 minutes, and without it the page is not
//! updated (see `Oddity::FrozenLiveData`).

use std::time::Duration;

use tokio::time::Instant;

/// The pause after enabling the stream, which updates the page within seconds.
const PAUSE: Duration = Duration::from_secs(60);
/// The pause after the gateway refused.
const AFTER_REFUSAL: Duration = Duration::from_secs(3600);

/// The state of the stream of one gateway.
#[derive(Debug, Default)]
pub(super) struct LiveStream {
    not_before: Option<Instant>,
}

impl LiveStream {
    /// Returns `true` if a request to enable the stream may be sent at `now`.
    pub(super) fn may_ask(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|moment| now >= moment)
    }

    /// Records the result of a request to enable the stream.
    pub(super) fn asked(&mut self, accepted: bool, now: Instant) {
        self.not_before = Some(now + if accepted { PAUSE } else { AFTER_REFUSAL });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_taken_for_an_hour_and_a_success_for_a_minute() {
        let (mut stream, now) = (LiveStream::default(), Instant::now());
        assert!(stream.may_ask(now));
        stream.asked(true, now);
        assert!(!stream.may_ask(now + PAUSE / 2) && stream.may_ask(now + PAUSE));
        stream.asked(false, now);
        assert!(!stream.may_ask(now + PAUSE) && stream.may_ask(now + AFTER_REFUSAL));
    }
}
