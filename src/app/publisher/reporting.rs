//! What the log says of the broker and of those who publish there: a line when something begins, and one when it ends.

use std::mem::{Discriminant, discriminant};
use std::time::Duration;

use tokio::time::Instant;

use super::complaint::Complaint;
use super::repeats::{Ended, Repeats};
use crate::base::outage::{Outage, Say};
use crate::io::mqtt::{Error, Flood};

/// A connection that has held for this long is a good one.
const STEADY: Duration = Duration::from_secs(10 * 60);

/// What has been said.
#[derive(Debug)]
pub(super) struct Reporting {
    outage: Outage<Discriminant<Error>>,
    births: Repeats,
    denials: Repeats,
    twins: Repeats,
    floods: Repeats,
    too_long: Repeats,
    too_many: Repeats,
}

impl Default for Reporting {
    fn default() -> Self {
        let none = Repeats::default;
        Self {
            outage: Outage::new(STEADY),
            births: none(),
            denials: none(),
            twins: none(),
            floods: none(),
            too_long: none(),
            too_many: none(),
        }
    }
}

impl Reporting {
    /// There is a connection.
    pub(super) fn connected(&mut self, now: Instant) {
        if let Say::Back(away) = self.outage.ended(now) {
            tracing::info!(outage_s = away.map(|away| away.as_secs()), "connected to the MQTT broker");
        } else {
            tracing::debug!("connected to the MQTT broker");
        }
    }

    /// There is none, because of `error`.
    pub(super) fn lost(&mut self, error: &Error, now: Instant) {
        match self.outage.failed(discriminant(error), false, now) {
            Say::Gone => tracing::warn!(%error, "no MQTT broker; it is tried again, readings go on"),
            Say::Flaps(times) => tracing::warn!(
                %error,
                times,
                "the connection to the MQTT broker breaks again and again; that is said once more when it holds. Does its \
                 log tell why? Another client with the same client id would do this"
            ),
            _ => tracing::debug!(%error, "still no MQTT broker"),
        }
    }

    /// A consumer came up, and said so on `topic`.
    pub(super) fn birth(&mut self, topic: &str, now: Instant) {
        if self.births.happened(now) {
            tracing::info!(%topic, "a consumer came up; everything is announced again");
        }
    }

    /// Somebody declared this daemon offline on `topic`.
    pub(super) fn denied(&mut self, topic: &str, now: Instant) {
        if self.denials.happened(now) {
            let advice = "another enphased with the same MQTT prefix? Give each its own";
            tracing::warn!(%topic, advice, "somebody declared this daemon offline");
        }
    }

    /// Another daemon says on `topic` that it is `client_id`.
    pub(super) fn twin(&mut self, topic: &str, client_id: &str, now: Instant) {
        if self.twins.happened(now) {
            tracing::warn!(
                %topic,
                %client_id,
                "another enphased publishes under the same MQTT prefix, so their values mix: stop one of them, or give each \
                 its own prefix in [mqtt]. The broker's log shows by its client id where it runs"
            );
        } else {
            tracing::debug!(%topic, %client_id, "and another one");
        }
    }

    /// So much came in that nothing is listened to until then.
    pub(super) fn rests(&mut self, flood: Flood, until: Instant, now: Instant) {
        let seconds = until.saturating_duration_since(now).as_secs();
        if !self.floods.lasts(now, until) {
            tracing::debug!(?flood, seconds, "still too much comes from the MQTT broker");
            return;
        }
        let what = match flood {
            Flood::TooMany => "more messages than can be meant",
            Flood::TooLong => "a message that is far too long",
        };
        tracing::warn!(
            seconds,
            "somebody publishes {what} on a topic that this daemon listens to (births, requests, its own status). It does not \
             listen for a while, and goes on publishing"
        );
    }

    /// Something is not published.
    pub(super) fn complaint(&mut self, complaint: &Complaint, now: Instant) {
        match complaint {
            Complaint::TooLong { topic, bytes } if self.too_long.happened(now) => tracing::warn!(
                %topic,
                bytes,
                "a message is longer than MQTT brokers take, and is not published"
            ),
            Complaint::TooMany { serial, left_out } if self.too_many.happened(now) => tracing::warn!(
                gateway = %serial,
                left_out,
                "the gateway names more devices than any has; the rest is not published. Is it an Enphase gateway?"
            ),
            known => tracing::debug!(?known, "still not published"),
        }
    }

    /// Time has passed: says what has ended.
    pub(super) fn passed(&mut self, now: Instant) {
        if let Say::Holds(times, length) = self.outage.steady(now) {
            let within_s = length.as_secs();
            tracing::info!(times, within_s, "the connection to the MQTT broker holds again");
        }
        let rows = [
            (&mut self.births, "consumers have stopped coming up again and again"),
            (&mut self.denials, "nobody declares this daemon offline any more"),
            (&mut self.twins, "no more daemons come up under the same MQTT prefix"),
            (&mut self.floods, "the flood of messages from the MQTT broker has ended"),
            (&mut self.too_long, "all messages are short enough to be published again"),
            (&mut self.too_many, "all devices are published again"),
        ];
        for (row, words) in rows {
            if let Some(Ended { times, length }) = row.ended(now) {
                tracing::info!(times, within_s = Duration::as_secs(&length), "{words}");
            }
        }
    }
}
