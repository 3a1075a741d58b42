//! When the stream of live values is to be enabled: it ends by itself after some 15 minutes, and without it the page
//! stands still (see `Oddity::FrozenLiveData`).

use std::time::Duration;

use tokio::time::Instant;

/// An enabled stream moves the page within seconds; before that it is not asked for again.
const PAUSE: Duration = Duration::from_secs(60);
/// A gateway that refuses is left alone for so long.
const AFTER_REFUSAL: Duration = Duration::from_secs(3600);

/// The stream of one gateway.
#[derive(Debug, Default)]
pub(super) struct Stream {
    not_before: Option<Instant>,
}

impl Stream {
    /// Whether it may be asked for at `now`.
    pub(super) fn may_ask(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|moment| now >= moment)
    }

    /// It was asked for.
    pub(super) fn asked(&mut self, accepted: bool, now: Instant) {
        self.not_before = Some(now + if accepted { PAUSE } else { AFTER_REFUSAL });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_taken_for_an_hour_and_a_success_for_a_minute() {
        let (mut stream, now) = (Stream::default(), Instant::now());
        assert!(stream.may_ask(now));
        stream.asked(true, now);
        assert!(!stream.may_ask(now + PAUSE / 2) && stream.may_ask(now + PAUSE));
        stream.asked(false, now);
        assert!(!stream.may_ask(now + PAUSE) && stream.may_ask(now + AFTER_REFUSAL));
    }
}
