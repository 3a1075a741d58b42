//! Delivers notices to the webhook, one at a time, with growing delays while that fails.
//!
//! There is no queue: what has to be delivered are the newest announcements that the rules still owe, so a webhook that was
//! unreachable for a week gets one message for each problem.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use fastrand::Rng;
use jiff::tz::TimeZone;
use tokio::time::{Instant, sleep_until};

use crate::app::config::{self, AlertFormat};
use crate::base::backoff::{Delays, with_jitter};
use crate::base::clock::Clock;
use crate::base::durations::length;
use crate::base::outage::{Outage, OutageReport};
use crate::io::webhook::{self, Error};
use crate::output::alerts::{Format, message};
use crate::rules::alerts::Notice;

/// The first delay after a failure, and the longest.
const FIRST_DELAY: Duration = Duration::from_secs(30);
const LONGEST_DELAY: Duration = Duration::from_secs(3600);
/// The cap on the delay that a server asks for.
const LONGEST_ASKED: Duration = Duration::from_secs(24 * 3600);
/// The time without a failure after which the webhook counts as stable.
const STEADY: Duration = Duration::from_secs(3600);

type Sending = Pin<Box<dyn Future<Output = Result<u16, Error>> + Send>>;

/// Delivers notices.
pub(super) struct Courier {
    settings: config::Alerts,
    zone: TimeZone,
    clock: Clock,
    rng: Rng,
    delays: Delays,
    outage: Outage<&'static str>,
    /// The time before which nothing is sent, after a failure.
    opens: Option<Instant>,
    /// The message that is being sent.
    sending: Option<(Notice, Sending)>,
}

impl fmt::Debug for Courier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Courier").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Courier {
    pub(super) fn new(settings: config::Alerts, zone: TimeZone, clock: Clock, rng: Rng) -> Self {
        Self {
            settings,
            zone,
            clock,
            rng,
            delays: Delays::new(FIRST_DELAY, LONGEST_DELAY),
            outage: Outage::new(STEADY),
            opens: None,
            sending: None,
        }
    }

    /// Sends the first of the notices that are owed, or continues to send one. Returns it when it was delivered, or `None`
    /// after a failure. Can be cancelled at any time: a message that is being sent continues at the next call.
    pub(super) async fn deliver(&mut self, owed: &[Notice]) -> Option<Notice> {
        if self.sending.is_none() {
            let Some(notice) = owed.first() else { return std::future::pending().await };
            if let Some(opens) = self.opens {
                sleep_until(opens).await;
            }
            self.sending = Some((notice.clone(), self.send(notice)));
        }
        let (_, sending) = self.sending.as_mut()?;
        let outcome = sending.await;
        let (notice, _) = self.sending.take()?;
        match outcome {
            Ok(_) => {
                self.succeeded();
                Some(notice)
            }
            Err(error) => {
                self.failed(&error);
                None
            }
        }
    }

    fn send(&self, notice: &Notice) -> Sending {
        let message = message(notice, format(self.settings.format), &self.zone);
        let (address, now) = (self.settings.address.clone(), self.clock.now());
        Box::pin(async move { webhook::send(&address, &message, now).await })
    }

    fn succeeded(&mut self) {
        self.delays.reset();
        self.opens = None;
        match self.outage.ended(Instant::now()) {
            OutageReport::Ended(Some(after)) => {
                tracing::info!(after = %length(after), "alerts are delivered again");
            }
            OutageReport::Stable(times, within) => {
                tracing::info!(times, within = %length(within), "the delivery of alerts is stable again");
            }
            _ => {}
        }
    }

    fn failed(&mut self, error: &Error) {
        let now = Instant::now();
        let asked = error.retry_after().unwrap_or_default().min(LONGEST_ASKED);
        let delay = with_jitter(self.delays.next_delay(), &mut self.rng).max(asked);
        self.opens = Some(now + delay);
        match self.outage.failed(error.kind(), false, now) {
            OutageReport::Begun => {
                tracing::warn!(
                    "cannot deliver an alert to the url below [alerts]: {error}; retrying up to once an hour"
                );
            }
            OutageReport::Flapping(times) => tracing::warn!(
                times,
                "cannot deliver an alert to the url below [alerts]: {error}. This fails repeatedly; further failures are \
                 not logged until it has worked for an hour"
            ),
            _ => tracing::debug!("cannot deliver an alert: {error}; retrying in {}", length(delay)),
        }
    }
}

/// Returns the format of messages.
pub(super) const fn format(format: AlertFormat) -> Format {
    match format {
        AlertFormat::Text => Format::Text,
        AlertFormat::Json => Format::Json,
    }
}
