//! What was asked over MQTT: granted where the poller would do the same by itself, and answered by an event.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::Poller;
use super::trouble::Trouble;
use crate::app::requests::Request;
use crate::base::durations::length;
use crate::base::heartbeat::BEAT;
use crate::base::reading::Reading;
use crate::rules::schedule::{OnDemand, Schedule};

/// Refusals are told no more often than this: the events of a gateway must not drown in them.
const QUIET: Duration = Duration::from_secs(10);

impl Poller {
    /// Waits for the next tick, or for a request that can be granted now.
    pub(super) async fn wait(&mut self, schedule: &Schedule) -> Option<Request> {
        let requests = self.shared.requests.clone();
        while Instant::now() < schedule.next() {
            let beat = schedule.next().min(Instant::now() + BEAT);
            tokio::select! {
                biased;
                () = sleep_until(beat) => {}
                request = requests.next(self.named.as_ref()) => {
                    match granted(request, schedule.early(Instant::now())) {
                        Ok(()) => return Some(request),
                        Err(why) => self.refuse(request, &why),
                    }
                }
            }
            self.heartbeat.beat();
        }
        None
    }

    fn refuse(&mut self, request: Request, why: &str) {
        tracing::debug!(?request, why, "what was asked over MQTT is not done");
        let now = Instant::now();
        if self.refused.is_none_or(|last| now.saturating_duration_since(last) >= QUIET) {
            self.refused = Some(now);
            self.event(request.kind(), why.to_owned());
        }
    }

    /// Tells what came of a request that was granted, after its poll.
    pub(super) fn answer(&self, request: Request, polled: &Result<Option<Reading>, Trouble>) {
        let outcome = match (request, polled) {
            (Request::RefreshToken, _) => self.token_outcome(polled),
            (_, Ok(Some(_))) => "done: the gateway was read".to_owned(),
            (_, Ok(None)) => "done: nothing new could be asked for yet".to_owned(),
            (_, Err(trouble)) => format!("the gateway was asked in vain: {trouble}"),
        };
        tracing::debug!(?request, outcome, "asked over MQTT");
        self.event(request.kind(), outcome);
    }

    /// How the token is after a look at it by the rules of every automatic attempt.
    fn token_outcome(&self, polled: &Result<Option<Reading>, Trouble>) -> String {
        if let Err(trouble) = polled {
            return format!("the token could not be looked after: {trouble}");
        }
        let snapshot = self.shared.latest.reader();
        let snapshot = snapshot.borrow();
        let token = self.named.as_ref().and_then(|serial| snapshot.gateway(serial)?.token.clone());
        let words = token.map_or_else(
            || "this gateway's firmware asks for no token".to_owned(),
            |token| token.value.message.clone(),
        );
        format!("looked at by the rules of every automatic attempt: {words}")
    }
}

fn granted(request: Request, early: OnDemand) -> Result<(), String> {
    match (request, early) {
        (Request::Unknown, _) => Err("this is not understood; \"poll\" and \"refresh_token\" are".to_owned()),
        (_, OnDemand::Now) => Ok(()),
        (_, OnDemand::TooSoon(left)) => {
            Err(format!("not done: the gateway was asked just now; possible again in {}", whole(left)))
        }
        (_, OnDemand::BackOff(left)) => {
            let gateway = "not done: the gateway has asked to be left alone";
            Err(format!("{gateway}; possible again in {}", whole(left)))
        }
    }
}

/// In seconds rounded up: "0 s" would be no answer.
fn whole(left: Duration) -> String {
    length(Duration::from_secs(left.as_secs() + u64::from(left.subsec_nanos() > 0)))
}
