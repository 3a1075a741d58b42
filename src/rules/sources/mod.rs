//! Decides which page of the gateway is requested when, and which page each value of a reading comes from.
//!
//! [`Sources`] makes no requests itself: it returns the next page to request, accepts the response, and assembles the
//! reading. Each value has an ordered list of pages that can yield it (`values`). The first page that has the value is
//! used (`choice`), and each page is requested at most once per cycle. A page that fails is reported once (`page_failures`).
//! A page that is refused is requested less and less often, but only while the gateway works otherwise (`request_log`).

mod acb;
mod age;
mod assemble;
mod bridge;
mod choice;
mod cycle;
mod ensemble;
mod flow;
mod gateway_clock;
mod inverters;
mod knowledge;
mod live_stream;
mod lost_fields;
mod meter_set;
mod meters;
mod notices;
pub mod oddities;
mod page_failures;
mod pages;
mod past;
mod production;
mod production_json;
mod progress;
mod request_log;
mod site;
mod values;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

pub use self::cycle::{Cycle, Level, Notice, Options};
pub use self::request_log::Refusal;

use self::bridge::Bridges;
use self::choice::Choices;
use self::knowledge::Knowledge;
use self::live_stream::LiveStream;
use self::lost_fields::ShownFields;
use self::notices::Notices;
use self::oddities::Oddity;
use self::page_failures::PageFailures;
use self::pages::Pages;
use self::progress::Progress;
use self::request_log::{Failure, RequestTime};
use crate::base::reading::Reading;
use crate::io::gateway::info::Info;
use crate::io::gateway::wire::Malformed;
use crate::io::gateway::{Endpoint, Error};

/// The time after which a list with fewer meters than before is requested again.
const DOUBTFUL: Duration = Duration::from_secs(5 * 60);

/// The pages of one gateway, as the sources of its readings.
#[derive(Debug)]
pub struct Sources {
    known: Knowledge,
    progress: Progress,
    page_failures: PageFailures,
    bridges: Bridges,
    shown: ShownFields,
    stream: LiveStream,
    notices: Notices,
    /// The choices of the last reading.
    chosen: Choices,
    /// The pages that failed or lacked values in the last cycle, with a description.
    shortfalls: BTreeMap<Endpoint, String>,
}

impl Sources {
    /// Creates the sources of a gateway that was identified at `now`.
    pub fn new(info: Info, options: Options, now: Instant) -> Self {
        Self {
            known: Knowledge::new(info, options, now),
            progress: Progress::over(),
            page_failures: PageFailures::default(),
            bridges: Bridges::default(),
            shown: ShownFields::default(),
            stream: LiveStream::default(),
            notices: Notices::default(),
            chosen: Choices::empty(),
            shortfalls: BTreeMap::new(),
        }
    }

    /// Updates the facts from a new `/info` of the same gateway. If the firmware has changed, everything is reset.
    pub fn identified(&mut self, info: Info, now: Instant) {
        let known = &mut self.known;
        if info.firmware == known.info.firmware {
            known.clock.set(info.time, now);
            known.info = info;
            return;
        }
        let (old, new) = (&known.info.firmware, &info.firmware);
        let message = format!("the gateway's firmware changed from {old} to {new}");
        let (cycle, notices) = (known.cycle, self.notices.take());
        *self = Self::new(info, self.known.options, now);
        self.known.cycle = cycle;
        self.notices.extend(notices);
        self.notices.add(Level::Info, "firmware_changed", message);
    }

    /// Makes refused pages due again, because a new token may have another role.
    pub fn role_changed(&mut self) {
        self.known.requests.forget_refusals();
    }

    /// Begins a poll.
    pub fn begin_cycle(&mut self, now: Instant) {
        self.progress = Progress::default();
        self.known.begin_cycle(now);
    }

    /// Returns the next page to request, or `None` if the poll is complete.
    pub fn next(&mut self, now: Instant) -> Option<Endpoint> {
        if self.progress.has_ended() {
            return None;
        }
        self.known.now = now;
        let skipped = |page: Endpoint| self.progress.skips_hanging() && self.known.requests.hangs(page);
        choice::next_page(&self.known.site(), self.known.when(), skipped)
    }

    /// Accepts the response for the page that [`Sources::next`] returned. Returns an error if the body is malformed.
    pub fn take(
        &mut self,
        endpoint: Endpoint,
        answer: Result<&[u8], &Error>,
        now: Instant,
    ) -> Option<Malformed> {
        self.known.now = now;
        match answer {
            Ok(body) => {
                let stored = self.known.store(endpoint, body, &mut self.notices);
                self.progress.respond(stored.is_ok());
                if self.known.take_removed_batteries() {
                    let message = "the gateway has listed no battery for a day, so the batteries count as removed: the house is \
                                   computed without them";
                    self.notices.add(Level::Info, "batteries_removed", message.to_owned());
                    // It does not work again: nothing is expected of it any more.
                    self.page_failures.forget(Endpoint::EnsembleInventory);
                }
                stored.err()
            }
            Err(error) => {
                self.progress.fail(error, self.known.requests.why(endpoint).is_some());
                self.known.failed(endpoint, Failure::of(error), error.in_short());
                None
            }
        }
    }

    /// Ends the cycle at `time` by our clock, and returns its result.
    pub fn cycle(&mut self, time: Timestamp) -> Cycle {
        let cycle = self.outcome(time);
        if matches!(cycle, Cycle::Nothing | Cycle::NoProduction { .. }) {
            self.known.requests.forgive_failures();
        }
        self.known.pages.drop_momentary();
        cycle
    }

    fn outcome(&mut self, time: Timestamp) -> Cycle {
        if self.progress.has_ended() && !self.progress.has_answered() {
            return Cycle::Nothing;
        }
        let site = self.known.site();
        let choices = Choices::new(&site);
        let (reading, negative_house) = assemble::reading(&site, &choices, &mut self.bridges, time);
        let bare = is_bare(&reading);
        if bare || reading.production.is_none() {
            let why = choice::why_no_production(&site, reading.inverters.len());
            match why.or_else(|| bare.then(|| "it measures nothing".to_owned())) {
                Some(_) if self.progress.has_ended() => return Cycle::Nothing,
                Some(why) => return Cycle::NoProduction { why, rest: (!bare).then(|| Box::new(reading)) },
                None => {}
            }
        }
        if !self.progress.has_ended() {
            self.shortfalls = page_failures::shortfalls(&site, &choices);
            if self.progress.has_answered() {
                self.shown.record((&reading, negative_house), &choices, &mut self.shortfalls);
            }
            if self.shortfalls.contains_key(&Endpoint::Meters)
                && self.known.requests.succeeded(Endpoint::Meters)
            {
                self.known.requests.set_hold_off(Endpoint::Meters, DOUBTFUL);
            }
            let was_requested = |page| self.known.requests.was_requested(page, self.known.cycle);
            self.notices.extend(self.page_failures.record(&self.shortfalls, was_requested, self.known.now));
        }
        if !self.progress.has_answered() {
            return Cycle::NotDue;
        }
        self.chosen = choices;
        self.learn(&choices, &reading, negative_house);
        Cycle::Reading(Box::new(reading))
    }

    /// Updates what is known of the gateway after a cycle with a reading.
    fn learn(&mut self, choices: &Choices, reading: &Reading, negative_house: bool) {
        let known = &mut self.known;
        if negative_house {
            self.notices.oddity(Oddity::NegativeHouse);
        }
        for (endpoint, refusal) in known.requests.refusals() {
            // A page that responded before is reported as failing instead.
            let always = known.requests.always_refused(endpoint).is_some();
            if refusal == Refusal::Role && always && !endpoint.page().is_certain(known.info.firmware) {
                self.notices.forbidden(&known.info, endpoint);
            }
        }
        known.past.learn(choices.iter(), reading);
        // The end of a failure is reported only after a good response.
        known.hold_off_idle_pages(|page| self.shortfalls.contains_key(&page));
    }

    /// Returns the notices since the last call.
    pub fn notices(&mut self) -> Vec<Notice> {
        self.notices.take()
    }

    /// Returns the pages that are refused, and the kind of refusal.
    pub fn unavailable(&self) -> Vec<(Endpoint, Refusal)> {
        self.known.requests.refusals().collect()
    }

    /// Returns the pages that failed or lacked values in the last cycle, with a description.
    pub fn shortfalls(&self) -> impl Iterator<Item = (Endpoint, &str)> {
        self.shortfalls.iter().map(|(endpoint, words)| (*endpoint, words.as_str()))
    }

    /// Returns the page of each value in the last reading, by the name of the value.
    pub fn chosen(&self) -> Vec<(&'static str, Endpoint)> {
        let chosen = self.chosen.iter().filter_map(|(value, route)| Some((value, route?)));
        let chosen = chosen.filter(|(value, route)| self.known.past.served(*value, *route));
        chosen.map(|(value, route)| (value.name(), route.page())).collect()
    }

    /// Returns `true` if the stream of live values should be enabled, because the page of this cycle is stale.
    ///
    /// Report the result with [`Sources::stream_asked`].
    pub fn wants_stream(&self, now: Instant) -> bool {
        let live = self.known.pages.live.as_ref();
        let was_read = live.is_some_and(|kept| kept.read.cycle == self.known.cycle);
        was_read && self.known.site().live().is_none() && self.stream.may_ask(now)
    }

    /// Records that the gateway `accepted` or refused the request to enable the stream.
    pub fn stream_asked(&mut self, accepted: bool, now: Instant) {
        self.stream.asked(accepted, now);
    }
}

/// Checks that `body` has the form of `endpoint`.
pub fn understand(endpoint: Endpoint, body: &[u8]) -> Result<(), Malformed> {
    Pages::default().store(endpoint, body, RequestTime { cycle: 0, at: Instant::now() })
}

/// Returns `true` if the reading has no measured value.
fn is_bare(reading: &Reading) -> bool {
    *reading == Reading::empty(reading.time, reading.gateway.clone())
}

#[cfg(test)]
mod tests;
