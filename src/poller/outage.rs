//! What is said of a row of failures: once when it begins, once when it ends.

use std::time::Duration;

use tokio::time::Instant;

/// What to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Say {
    /// A trouble that is new.
    Warn,
    /// One that is known.
    Debug,
    /// It is over, after so long.
    Over(Duration),
    /// Nothing: all is well, as before.
    Nothing,
}

/// A row of failures, or none.
#[derive(Debug, Default)]
pub struct Outage {
    since: Option<Instant>,
    /// The kind that was warned about.
    warned: Option<&'static str>,
}

impl Outage {
    /// A poll failed with a trouble of `kind`. In a `quiet` time, such as the gateway's nightly restart,
    /// nothing is said until it is over.
    pub fn failed(&mut self, kind: &'static str, quiet: bool, now: Instant) -> Say {
        self.since.get_or_insert(now);
        if quiet || self.warned == Some(kind) {
            return Say::Debug;
        }
        self.warned = Some(kind);
        Say::Warn
    }

    /// A poll brought a reading.
    pub fn ended(&mut self, now: Instant) -> Say {
        let warned = self.warned.take().is_some();
        match self.since.take() {
            Some(since) if warned => Say::Over(now.saturating_duration_since(since)),
            _ => Say::Nothing,
        }
    }

    /// How long it has lasted.
    pub fn lasts(&self, now: Instant) -> Duration {
        self.since.map(|since| now.saturating_duration_since(since)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_told_when_it_begins_and_when_it_ends() {
        let (mut outage, start) = (Outage::default(), Instant::now());
        assert_eq!(outage.ended(start), Say::Nothing);
        assert_eq!(outage.failed("away", false, start), Say::Warn);
        assert_eq!(outage.failed("away", false, start + MINUTE), Say::Debug);
        assert_eq!(outage.failed("no_token", false, start + 2 * MINUTE), Say::Warn);
        assert_eq!(outage.ended(start + 3 * MINUTE), Say::Over(3 * MINUTE));
        assert_eq!(outage.ended(start + 4 * MINUTE), Say::Nothing);
    }

    #[tokio::test(start_paused = true)]
    async fn the_nightly_restart_is_quiet_unless_it_lasts() {
        let (mut outage, start) = (Outage::default(), Instant::now());
        assert_eq!(outage.failed("away", true, start), Say::Debug);
        assert_eq!(outage.ended(start + MINUTE), Say::Nothing);
        assert_eq!(outage.failed("away", true, start), Say::Debug);
        assert_eq!(outage.failed("away", false, start + 10 * MINUTE), Say::Warn);
        assert_eq!(outage.ended(start + 11 * MINUTE), Say::Over(11 * MINUTE));
    }
}
