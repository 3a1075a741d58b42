//! Which endpoint gives what for this gateway, and the oddities of each firmware.
//!
//! [`Sources`] decides and never does: it names the next page to ask for, takes the answers, and makes the
//! reading. It asks for meters before everything slow, for each page at most once a cycle, and for a page that
//! is refused not again for hours.

mod acb;
mod age;
mod document;
mod ensemble;
mod facts;
mod flow;
mod inverters;
mod meters;
pub mod oddities;
mod pages;
mod place;
mod slow;
mod stream;
mod totals;
mod visits;

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

pub use self::facts::{Cycle, Facts, Notice, Options};
pub use self::visits::Refusal;

use self::oddities::Oddity;
use self::pages::{Pages, Read, period};
use self::stream::Stream;
use self::visits::{Trouble, Visits};
use crate::gateway::wire::Malformed;
use crate::gateway::wire::meters::Meter;
use crate::gateway::{Endpoint, Error};

/// Where the production comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Metering {
    /// Not known yet: the list of meters did not come.
    Unknown,
    /// The list of meters has one that is switched on.
    Listed,
    /// There is no list of meters; `production.json` tells.
    Unlisted,
    /// No meter is switched on.
    Without,
}

/// In this order pages are asked for: what costs little and tells most comes first.
const ORDER: [Endpoint; 17] = [
    Endpoint::Meters,
    Endpoint::MeterReadings,
    Endpoint::Production,
    Endpoint::Energy,
    Endpoint::ProductionJson,
    Endpoint::ProductionHtml,
    Endpoint::EnsembleInventory,
    Endpoint::EnsembleSecctrl,
    Endpoint::EnsemblePower,
    Endpoint::LiveData,
    Endpoint::DeviceData,
    Endpoint::Inverters,
    Endpoint::DryContacts,
    Endpoint::DryContactSettings,
    Endpoint::EnsembleGenerator,
    Endpoint::Tariff,
    Endpoint::Inventory,
];

/// How the cycle goes.
#[derive(Clone, Copy, Debug, Default)]
struct Course {
    /// There is no point in asking on.
    ended: bool,
    /// A page was understood.
    yielded: bool,
    /// A page that belongs to each cycle did not come.
    missed: bool,
}

/// The sources of one gateway.
#[derive(Debug)]
pub struct Sources {
    facts: Facts,
    options: Options,
    /// The gateway's clock as `/info` showed it, and when.
    clock: Option<(Timestamp, Instant)>,
    pages: Pages,
    visits: Visits,
    stream: Stream,
    cycle: u64,
    /// When the cycle began.
    began: Instant,
    course: Course,
    /// `production.json` has shown a production meter: see [`Oddity::FlickeringMeter`].
    meter_seen: bool,
    notices: Vec<Notice>,
    said: BTreeSet<Oddity>,
}

impl Sources {
    /// For a gateway that has just been identified, at `now`.
    pub fn new(facts: Facts, options: Options, now: Instant) -> Self {
        Self {
            clock: facts.time.map(|time| (time, now)),
            facts,
            options,
            pages: Pages::default(),
            visits: Visits::default(),
            stream: Stream::default(),
            cycle: 0,
            began: now,
            course: Course { ended: true, ..Course::default() },
            meter_seen: false,
            notices: Vec::new(),
            said: BTreeSet::new(),
        }
    }

    /// Takes what `/info` of the same gateway says now. Another firmware means that everything is found out anew.
    pub fn identified(&mut self, facts: Facts, now: Instant) {
        if facts.firmware_name == self.facts.firmware_name {
            self.clock = facts.time.map(|time| (time, now)).or(self.clock);
            self.facts = facts;
            return;
        }
        let (old, new) = (&self.facts.firmware_name, &facts.firmware_name);
        let message = format!("the gateway's firmware changed from {old} to {new}");
        let mut notices = std::mem::take(&mut self.notices);
        notices.push(Notice { kind: "firmware_changed", message });
        let cycle = self.cycle;
        *self = Self { cycle, notices, ..Self::new(facts, self.options, now) };
    }

    /// The token's role may be another: what was refused is asked for again.
    pub fn role_changed(&mut self) {
        self.visits.forget_refusals();
    }

    /// Begins a poll.
    pub fn begin_cycle(&mut self, now: Instant) {
        self.cycle += 1;
        self.began = now;
        self.course = Course::default();
        self.pages.drop_stale(self.cycle, now);
    }

    /// The page to ask for now, or `None` when the poll has all it needs.
    pub fn next(&mut self, now: Instant) -> Option<Endpoint> {
        if self.course.ended {
            return None;
        }
        let cycle = self.cycle;
        ORDER.into_iter().find(|endpoint| self.useful(*endpoint) && self.visits.due(*endpoint, cycle, now))
    }

    /// Takes the answer to the page that [`Sources::next`] named. Returns why a body that came cannot be understood.
    pub fn take(
        &mut self,
        endpoint: Endpoint,
        answer: Result<&[u8], &Error>,
        now: Instant,
    ) -> Option<Malformed> {
        let mut odd = None;
        let first = !self.visits.asked_in(self.cycle);
        let read = Read { cycle: self.cycle, at: now };
        let trouble = match answer {
            Ok(body) => match self.pages.keep(endpoint, body, read) {
                Ok(()) => {
                    self.answered(endpoint, now);
                    return None;
                }
                Err(Malformed::ErrorInside) => {
                    odd = Some(Malformed::ErrorInside);
                    Trouble::Refused(Refusal::Missing)
                }
                Err(malformed) => {
                    tracing::debug!(path = endpoint.path(), why = %malformed, "a page cannot be understood");
                    odd = Some(malformed);
                    Trouble::Other
                }
            },
            Err(error) => {
                self.course.ended |= ends_the_cycle(error, first);
                Trouble::of(endpoint, error)
            }
        };
        self.course.missed |= self.course.ended || period(endpoint).is_zero();
        let refused = self.visits.went_wrong(endpoint, self.cycle, now, trouble);
        if refused == Some(Refusal::Role) {
            let message = format!("the token's role may not read {}; it is left out", endpoint.path());
            self.notices.push(Notice { kind: "endpoint_forbidden", message });
        }
        if endpoint == Endpoint::MeterReadings {
            self.visits.forget(Endpoint::Meters);
        }
        odd
    }

    fn answered(&mut self, endpoint: Endpoint, now: Instant) {
        let hold = match endpoint {
            // Batteries are not bought every day.
            Endpoint::EnsembleInventory if !self.has_ensemble() => period(Endpoint::Meters),
            _ => period(endpoint),
        };
        self.course.yielded = true;
        self.visits.answered(endpoint, self.cycle, now, hold);
        if endpoint == Endpoint::ProductionJson {
            self.meter_seen |= self.slow_page().is_some_and(|page| page.production_meter().is_some());
        }
        if endpoint == Endpoint::Production && self.totals_are_zero() {
            self.say(Oddity::ZeroTotals);
        }
        if endpoint == Endpoint::Meters && self.metering() == Metering::Without && self.totals_stand_still() {
            self.say(Oddity::StalledTotals);
        }
        if endpoint == Endpoint::DeviceData && self.device_data_is_cut() {
            self.say(Oddity::CutDeviceData);
        }
    }

    fn say(&mut self, oddity: Oddity) {
        let news = self.said.insert(oddity);
        if let Some(row) = oddity.row().filter(|_| news) {
            self.notices
                .push(Notice { kind: "firmware_oddity", message: format!("{}: {}", row.sign, row.remedy) });
        }
    }

    /// The notices since the last call.
    pub fn notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// The endpoints that refuse, and why.
    pub fn unavailable(&self) -> Vec<(Endpoint, Refusal)> {
        self.visits.refusals().collect()
    }

    /// The gateway's clock at `now`, if it ever told.
    pub fn gateway_time(&self, now: Instant) -> Option<Timestamp> {
        let (shown, at) = self.clock?;
        let passed = SignedDuration::try_from(now.saturating_duration_since(at)).ok()?;
        shown.checked_add(passed).ok()
    }

    /// Whether the stream of live values is to be enabled now, because the page that this cycle read stands
    /// still; [`Sources::stream_asked`] takes what came of it.
    pub fn wants_stream(&self, now: Instant) -> bool {
        let read = self.pages.live.as_ref().filter(|kept| kept.read.cycle == self.cycle);
        read.is_some() && self.live().is_none() && self.stream.may_ask(now)
    }

    /// The gateway has `accepted` to enable the stream, or not.
    pub fn stream_asked(&mut self, accepted: bool, now: Instant) {
        self.stream.asked(accepted, now);
    }
}

/// Whether there is no point in asking on: the gateway itself does not answer, or somebody else does.
fn ends_the_cycle(error: &Error, first: bool) -> bool {
    match error {
        _ if error.is_about_identity() => true,
        Error::Certificate { .. } | Error::Incompatible { .. } | Error::NoToken | Error::TokenRefused => true,
        Error::Unreachable { .. } | Error::Busy { .. } => first,
        _ => false,
    }
}

fn enabled(meters: &[Meter], kind: &str) -> bool {
    meters.iter().any(|meter| meter.enabled() && meter.measurement_type.as_deref() == Some(kind))
}

#[cfg(test)]
mod tests;
