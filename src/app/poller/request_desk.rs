//! Requests received over MQTT. A request is accepted if the schedule allows a poll now; its result is published as an
//! event.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::Shared;
use super::page_desk::PageDesk;
use super::trouble::Trouble;
use crate::app::requests::Request;
use crate::base::durations::length;
use crate::base::heartbeat::{BEAT, Heartbeat};
use crate::base::reading::{Reading, Serial};
use crate::rules::proxy::pages::Page;
use crate::rules::schedule::{OnDemand, Schedule};

/// The shortest interval between two reported refusals, so that refusals do not displace the other events of a gateway.
const REFUSAL_INTERVAL: Duration = Duration::from_secs(10);

/// The next action of the poller.
#[derive(Debug)]
pub(super) enum Due {
    /// A poll, perhaps because of a request.
    Poll(Option<Request>),
    /// A page that a program wants.
    Page(Page),
}

/// Accepts and answers the requests for one gateway.
#[derive(Debug)]
pub(super) struct RequestDesk {
    shared: Arc<Shared>,
    heartbeat: Heartbeat,
    /// When a refused request was last reported.
    refused: Option<Instant>,
}

impl RequestDesk {
    pub(super) const fn new(shared: Arc<Shared>, heartbeat: Heartbeat) -> Self {
        Self { shared, heartbeat, refused: None }
    }

    /// Waits for the next scheduled poll, for a request for `serial` that can be carried out now, or for a page that a
    /// program wants. A poll that is due comes first.
    pub(super) async fn wait(
        &mut self,
        schedule: &Schedule,
        serial: Option<&Serial>,
        pages: &PageDesk,
    ) -> Due {
        while Instant::now() < schedule.next() {
            let beat = schedule.next().min(Instant::now() + BEAT);
            tokio::select! {
                biased;
                () = sleep_until(beat) => {}
                request = self.shared.requests.next(serial) => {
                    match granted(request, schedule.early(Instant::now())) {
                        Ok(()) => return Due::Poll(Some(request)),
                        Err(why) => self.refuse(request, serial, &why),
                    }
                }
                page = pages.next() => return Due::Page(page),
            }
            self.heartbeat.beat();
        }
        Due::Poll(None)
    }

    fn refuse(&mut self, request: Request, serial: Option<&Serial>, why: &str) {
        tracing::debug!(?request, why, "refused an MQTT request");
        let now = Instant::now();
        if self.refused.is_none_or(|last| now.saturating_duration_since(last) >= REFUSAL_INTERVAL) {
            self.refused = Some(now);
            self.event(serial, request, why.to_owned());
        }
    }

    /// Publishes the result of an accepted request after its poll.
    pub(super) fn report(
        &self,
        request: Request,
        polled: &Result<Option<Reading>, Trouble>,
        serial: Option<&Serial>,
    ) {
        let outcome = match (request, polled) {
            (Request::RefreshToken, Ok(_)) => self.token_outcome(serial),
            (Request::RefreshToken, Err(trouble)) => format!("the token could not be checked: {trouble}"),
            (_, Ok(Some(_))) => "done: the gateway was polled".to_owned(),
            (_, Ok(None)) => "done: no page was due yet".to_owned(),
            (_, Err(trouble)) => format!("poll failed: {trouble}"),
        };
        tracing::debug!(?request, outcome, "finished an MQTT request");
        self.event(serial, request, outcome);
    }

    fn event(&self, serial: Option<&Serial>, request: Request, message: String) {
        if let Some(serial) = serial {
            self.shared.event(serial, request.kind(), message);
        }
    }

    /// Describes the state of the token after a check by the rules for automatic attempts.
    fn token_outcome(&self, serial: Option<&Serial>) -> String {
        let snapshot = self.shared.latest.reader();
        let snapshot = snapshot.borrow();
        let token = serial.and_then(|serial| snapshot.gateway(serial)?.token.clone());
        let words = token.map_or_else(
            || "the firmware of this gateway does not use tokens".to_owned(),
            |token| token.value.message.clone(),
        );
        format!("checked by the rules for automatic attempts: {words}")
    }
}

fn granted(request: Request, early: OnDemand) -> Result<(), String> {
    match (request, early) {
        (Request::Unknown, _) => {
            Err("unknown request; supported are \"poll\" and \"refresh_token\"".to_owned())
        }
        (_, OnDemand::Now) => Ok(()),
        (_, OnDemand::TooSoon(left)) => {
            Err(format!("refused: the gateway was polled just now; possible again in {}", rounded_up(left)))
        }
        (_, OnDemand::BackOff(left)) => {
            let gateway = "refused: the gateway asked clients to back off";
            Err(format!("{gateway}; possible again in {}", rounded_up(left)))
        }
    }
}

/// Formats `left` in seconds, rounded up so that it never shows "0 s".
fn rounded_up(left: Duration) -> String {
    length(Duration::from_secs(left.as_secs() + u64::from(left.subsec_nanos() > 0)))
}
