//! Which page is asked for when, what is read from it, and what happens when one fails.
//!
//! [`Sources`] decides and never does: it names the next page to ask for, takes the answers, and makes the reading. For
//! each value there is an ordered list of the pages that can yield it (`table`); the first that has it is read
//! (`choice`), each page at most once a cycle. A page that falls short is reported once (`trouble`); one that is refused
//! is left alone ever longer, but only while the gateway works otherwise (`visits`).

mod acb;
mod age;
mod bridge;
mod choice;
mod course;
mod cycle;
mod document;
mod ensemble;
mod flow;
mod gateway_clock;
mod inverters;
mod knowledge;
mod lost;
mod meters;
mod notices;
pub mod oddities;
mod pages;
mod past;
mod place;
mod production;
mod site;
mod slow;
mod stream;
mod table;
mod trouble;
mod visits;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

pub use self::cycle::{Cycle, Level, Notice, Options};
pub use self::visits::Refusal;

use self::bridge::Bridges;
use self::choice::Choices;
use self::course::Course;
use self::knowledge::Knowledge;
use self::lost::ShownFields;
use self::notices::Notices;
use self::oddities::Oddity;
use self::pages::Pages;
use self::stream::Stream;
use self::trouble::Troubles;
use self::visits::{Failure, When};
use crate::base::reading::Reading;
use crate::io::gateway::endpoint::Cost;
use crate::io::gateway::info::Info;
use crate::io::gateway::wire::Malformed;
use crate::io::gateway::{Endpoint, Error};

/// A slow page that yields nothing is asked for this often, to see whether it does by now.
const IDLE: Duration = Duration::from_secs(15 * 60);

/// A list of meters that names fewer than before is asked for again so soon.
const DOUBTFUL: Duration = Duration::from_secs(5 * 60);

/// The sources of one gateway.
#[derive(Debug)]
pub struct Sources {
    known: Knowledge,
    course: Course,
    troubles: Troubles,
    bridges: Bridges,
    shown: ShownFields,
    stream: Stream,
    notices: Notices,
    /// The choices of the last reading.
    chosen: Choices,
    /// What each page fell short of in the last cycle, in words.
    short: BTreeMap<Endpoint, String>,
}

impl Sources {
    /// For a gateway that has just been identified, at `now`.
    pub fn new(info: Info, options: Options, now: Instant) -> Self {
        Self {
            known: Knowledge::new(info, options, now),
            course: Course::over(),
            troubles: Troubles::default(),
            bridges: Bridges::default(),
            shown: ShownFields::default(),
            stream: Stream::default(),
            notices: Notices::default(),
            chosen: Choices::none(),
            short: BTreeMap::new(),
        }
    }

    /// Takes what `/info` of the same gateway says now. Another firmware means that everything is found out anew.
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

    /// The token's role may be another: what was refused is asked for again.
    pub fn role_changed(&mut self) {
        self.known.visits.forget_refusals();
    }

    /// Begins a poll.
    pub fn begin_cycle(&mut self, now: Instant) {
        self.course = Course::default();
        self.known.begin_cycle(now);
    }

    /// The page to ask for now, or `None` when the poll has all it needs.
    pub fn next(&mut self, now: Instant) -> Option<Endpoint> {
        if self.course.has_ended() {
            return None;
        }
        self.known.now = now;
        let spared = |page: Endpoint| self.course.spares_hanging() && self.known.visits.hangs(page);
        choice::next_page(&self.known.site(), self.known.when(), spared)
    }

    /// Takes the answer to the page that [`Sources::next`] named. Returns why a body that came cannot be understood.
    pub fn take(
        &mut self,
        endpoint: Endpoint,
        answer: Result<&[u8], &Error>,
        now: Instant,
    ) -> Option<Malformed> {
        self.known.now = now;
        match answer {
            Ok(body) => {
                let kept = self.known.keep(endpoint, body, &mut self.notices);
                self.course.respond(kept.is_ok());
                kept.err()
            }
            Err(error) => {
                self.course.fail(error, self.known.visits.why(endpoint).is_some());
                self.known.failed(endpoint, Failure::of(error), error.in_short());
                None
            }
        }
    }

    /// What this cycle yields, at `time` by our clock. The cycle is over then.
    pub fn cycle(&mut self, time: Timestamp) -> Cycle {
        let cycle = self.outcome(time);
        if matches!(cycle, Cycle::Nothing | Cycle::NoProduction { .. }) {
            self.known.visits.excuse();
        }
        self.known.pages.drop_momentary();
        cycle
    }

    fn outcome(&mut self, time: Timestamp) -> Cycle {
        if self.course.has_ended() && !self.course.has_answered() {
            return Cycle::Nothing;
        }
        let site = self.known.site();
        let choices = Choices::new(&site);
        let (reading, negative_house) = document::reading(&site, &choices, &mut self.bridges, time);
        let bare = is_bare(&reading);
        if bare || reading.production.is_none() {
            let why = choice::why_no_production(&site, reading.inverters.len());
            match why.or_else(|| bare.then(|| "it measures nothing".to_owned())) {
                Some(_) if self.course.has_ended() => return Cycle::Nothing,
                Some(why) => return Cycle::NoProduction { why, rest: (!bare).then(|| Box::new(reading)) },
                None => {}
            }
        }
        if !self.course.has_ended() {
            self.short = trouble::shortfalls(&site, &choices);
            if self.course.has_answered() {
                self.shown.see((&reading, negative_house), &choices, &mut self.short);
            }
            if self.short.contains_key(&Endpoint::Meters) && self.known.visits.succeeded(Endpoint::Meters) {
                self.known.visits.hold(Endpoint::Meters, DOUBTFUL);
            }
            let asked = |page| self.known.visits.asked(page, self.known.cycle);
            self.notices.extend(self.troubles.see(&self.short, asked, self.known.now));
        }
        if !self.course.has_answered() {
            return Cycle::NotDue;
        }
        self.chosen = choices;
        self.learn(&choices, &reading, negative_house);
        Cycle::Reading(Box::new(reading))
    }

    /// Learns from a cycle that yielded a reading.
    fn learn(&mut self, choices: &Choices, reading: &Reading, negative_house: bool) {
        let known = &mut self.known;
        if negative_house {
            self.notices.oddity(Oddity::NegativeHouse);
        }
        for (endpoint, refusal) in known.visits.refusals() {
            // Of one that answered before it is said that it fails.
            let always = known.visits.always_refused(endpoint).is_some();
            if refusal == Refusal::Role && always && !endpoint.page().is_certain(known.info.firmware) {
                self.notices.forbidden(&known.info, endpoint);
            }
        }
        known.past.learn(choices.iter(), reading);
        for endpoint in Endpoint::ALL {
            let page = endpoint.page();
            let idle = page.cost == Cost::Slow
                && page.period < IDLE
                && !known.past.has_served(endpoint)
                // What it falls short of is over when the page says so, not when it is forgotten.
                && !self.short.contains_key(&endpoint);
            if idle && known.visits.asked(endpoint, known.cycle) && known.visits.succeeded(endpoint) {
                known.visits.hold(endpoint, IDLE);
            }
        }
    }

    /// The notices since the last call.
    pub fn notices(&mut self) -> Vec<Notice> {
        self.notices.take()
    }

    /// The pages that refuse, and why.
    pub fn unavailable(&self) -> Vec<(Endpoint, Refusal)> {
        self.known.visits.refusals().collect()
    }

    /// The pages that fell short in the last cycle, and of what, in words.
    pub fn shortfalls(&self) -> impl Iterator<Item = (Endpoint, &str)> {
        self.short.iter().map(|(endpoint, words)| (*endpoint, words.as_str()))
    }

    /// The page that each value of the last reading came from, by the value's name.
    pub fn chosen(&self) -> Vec<(&'static str, Endpoint)> {
        let chosen = self.chosen.iter().filter_map(|(value, way)| Some((value, way?)));
        let chosen = chosen.filter(|(value, way)| self.known.past.served(*value, *way));
        chosen.map(|(value, way)| (value.name(), way.page())).collect()
    }

    /// Whether the stream of live values is to be enabled now, because the page that this cycle read stands
    /// still; [`Sources::stream_asked`] takes what came of it.
    pub fn wants_stream(&self, now: Instant) -> bool {
        let read = self.known.pages.live.as_ref().filter(|kept| kept.read.cycle == self.known.cycle);
        read.is_some() && self.known.site().live().is_none() && self.stream.may_ask(now)
    }

    /// The gateway has `accepted` to enable the stream, or not.
    pub fn stream_asked(&mut self, accepted: bool, now: Instant) {
        self.stream.asked(accepted, now);
    }
}

/// Whether `body` can be what `endpoint` shows.
pub fn understand(endpoint: Endpoint, body: &[u8]) -> Result<(), Malformed> {
    Pages::default().keep(endpoint, body, When { cycle: 0, at: Instant::now() })
}

/// Whether nothing at all is measured.
fn is_bare(reading: &Reading) -> bool {
    *reading == Reading::empty(reading.time, reading.gateway.clone())
}

#[cfg(test)]
mod tests;
