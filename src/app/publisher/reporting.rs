//! The log lines about the broker and its other clients: one when a problem begins, and one when it ends.

use std::mem::{Discriminant, discriminant};
use std::time::Duration;

use tokio::time::Instant;

use super::repeats::{Ended, Repeats};
use super::unpublished::Unpublished;
use crate::base::outage::{Outage, OutageReport};
use crate::io::mqtt::{Error, Flood};

/// The time after which a connection counts as stable.
const STEADY: Duration = Duration::from_secs(10 * 60);

/// The time that the connection has to last after another client declared this daemon offline, before that is reported. A
/// broker that stops publishes the last wills of its clients, and this daemon receives its own.
const ENDING: Duration = Duration::from_secs(2);

/// The problems that have been reported.
#[derive(Debug)]
pub(super) struct Reporting {
    outage: Outage<Discriminant<Error>>,
    births: Repeats,
    declared_offline: Repeats,
    /// The topic on which this daemon was declared offline, until it is reported at this time.
    declaration: Option<(String, Instant)>,
    other_daemons: Repeats,
    floods: Repeats,
    too_long: Repeats,
    too_many: Repeats,
}

impl Default for Reporting {
    fn default() -> Self {
        let new = Repeats::default;
        Self {
            outage: Outage::new(STEADY),
            births: new(),
            declared_offline: new(),
            declaration: None,
            other_daemons: new(),
            floods: new(),
            too_long: new(),
            too_many: new(),
        }
    }
}

impl Reporting {
    /// Reports a new connection.
    pub(super) fn connected(&mut self, now: Instant) {
        if let OutageReport::Ended(away) = self.outage.ended(now) {
            tracing::info!(outage_s = away.map(|away| away.as_secs()), "connected to the MQTT broker");
        } else {
            tracing::debug!("connected to the MQTT broker");
        }
    }

    /// Reports a lost or failed connection.
    pub(super) fn lost(&mut self, error: &Error, now: Instant) {
        self.declaration = None;
        match self.outage.failed(discriminant(error), false, now) {
            OutageReport::Begun => {
                tracing::warn!(%error, "the MQTT broker is not available; retrying, readings continue");
            }
            OutageReport::Flapping(times) => tracing::warn!(
                %error,
                times,
                "the connection to the MQTT broker breaks repeatedly; the next line follows when it is stable. Look for the \
                 reason in the broker's log; another client with the same client id causes this"
            ),
            _ => tracing::debug!(%error, "the MQTT broker is still not available"),
        }
    }

    /// Reports a consumer that has started, with the topic of its birth message.
    pub(super) fn birth(&mut self, topic: &str, now: Instant) {
        if self.births.happened(now) {
            tracing::info!(%topic, "a consumer started; announcing everything again");
        }
    }

    /// Records that this daemon was declared offline on `topic`, to be reported if the connection lasts.
    pub(super) fn declared_offline(&mut self, topic: &str, now: Instant) {
        self.declaration.get_or_insert_with(|| (topic.to_owned(), now + ENDING));
    }

    /// Reports that another client declared this daemon offline.
    fn report_declaration(&mut self, now: Instant) {
        let Some((topic, _)) = self.declaration.take_if(|(_, due)| *due <= now) else { return };
        if self.declared_offline.happened(now) {
            let advice = "if another enphased uses the same MQTT prefix, give each its own";
            tracing::warn!(%topic, advice, "another client declared this daemon offline");
        }
    }

    /// Returns the next time at which [`Self::passed`] has something to report.
    pub(super) fn wakes(&self) -> Option<Instant> {
        self.declaration.as_ref().map(|(_, due)| *due)
    }

    /// Reports another daemon, which has published `client_id` on `topic`.
    pub(super) fn other_daemon(&mut self, topic: &str, client_id: &str, now: Instant) {
        if self.other_daemons.happened(now) {
            tracing::warn!(
                %topic,
                %client_id,
                "another enphased publishes under the same MQTT prefix, so their values mix: stop one of them, or give each \
                 its own prefix in [mqtt]. Find its host by the client id in the broker's log"
            );
        } else {
            tracing::debug!(%topic, %client_id, "one more enphased under the same MQTT prefix");
        }
    }

    /// Reports a flood of messages, because of which incoming messages are ignored until `until`.
    pub(super) fn rests(&mut self, flood: Flood, until: Instant, now: Instant) {
        let seconds = until.saturating_duration_since(now).as_secs();
        if !self.floods.lasts(now, until) {
            tracing::debug!(?flood, seconds, "the flood of messages from the MQTT broker continues");
            return;
        }
        let what = match flood {
            Flood::TooMany => "too many messages",
            Flood::TooLong => "a message that is far too long",
        };
        tracing::warn!(
            seconds,
            "another client publishes {what} on a topic that this daemon subscribes to (birth messages, requests, its own \
             status). It ignores incoming messages for a while, and continues to publish"
        );
    }

    /// Reports something that cannot be published.
    pub(super) fn unpublished(&mut self, unpublished: &Unpublished, now: Instant) {
        match unpublished {
            Unpublished::TooLong { topic, bytes } if self.too_long.happened(now) => tracing::warn!(
                %topic,
                bytes,
                "not publishing a message that is longer than MQTT brokers accept"
            ),
            Unpublished::TooMany { serial, left_out } if self.too_many.happened(now) => tracing::warn!(
                gateway = %serial,
                left_out,
                "the gateway lists more devices than a real one has; not publishing the rest. Is it an Enphase gateway?"
            ),
            known => tracing::debug!(?known, "still not published"),
        }
    }

    /// Reports what has lasted long enough by `now`, and the problems that have ended.
    pub(super) fn passed(&mut self, now: Instant) {
        self.report_declaration(now);
        if let OutageReport::Stable(times, length) = self.outage.steady(now) {
            let within_s = length.as_secs();
            tracing::info!(times, within_s, "the connection to the MQTT broker is stable again");
        }
        let series = [
            (&mut self.births, "consumers have stopped starting repeatedly"),
            (&mut self.declared_offline, "no other client declares this daemon offline any more"),
            (&mut self.other_daemons, "no more daemons start under the same MQTT prefix"),
            (&mut self.floods, "the flood of messages from the MQTT broker has ended"),
            (&mut self.too_long, "all messages are short enough to be published again"),
            (&mut self.too_many, "all devices are published again"),
        ];
        for (repeats, message) in series {
            if let Some(Ended { times, length }) = repeats.ended(now) {
                tracing::info!(times, within_s = Duration::as_secs(&length), "{message}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_is_reported_only_if_the_connection_lasts() {
        let (mut reporting, start) = (Reporting::default(), Instant::now());
        let lost = Error::Flood { broker: "mqtt://localhost".parse().unwrap() };
        reporting.declared_offline("e/status", start);
        reporting.passed(start + ENDING / 2);
        reporting.lost(&lost, start + ENDING / 2);
        reporting.passed(start + 2 * ENDING);
        assert!(reporting.wakes().is_none() && reporting.declared_offline.happened(start), "not reported");

        let mut reporting = Reporting::default();
        reporting.declared_offline("e/status", start);
        assert_eq!(reporting.wakes(), Some(start + ENDING));
        reporting.passed(start + ENDING);
        assert!(reporting.wakes().is_none() && !reporting.declared_offline.happened(start), "reported");
    }
}
