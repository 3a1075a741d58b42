//! Everything that is known of a gateway: its pages, how their requests went, and what follows for the site.

use std::time::Duration;

use tokio::time::Instant;

use super::gateway_clock::GatewayClock;
use super::notices::Notices;
use super::oddities::Oddity;
use super::pages::Pages;
use super::past::Past;
use super::site::{Metering, Site};
use super::table::Value;
use super::visits::{Failure, Visits, When};
use super::{Level, Options, Refusal};
use crate::io::gateway::Endpoint;
use crate::io::gateway::info::Info;
use crate::io::gateway::wire::{self, Malformed};

/// A gateway that was identified this long ago has started.
const STARTING: Duration = Duration::from_secs(10 * 60);

/// What is known of one gateway.
#[derive(Debug)]
pub(super) struct Knowledge {
    pub(super) info: Info,
    pub(super) options: Options,
    pub(super) clock: GatewayClock,
    pub(super) pages: Pages,
    pub(super) visits: Visits,
    pub(super) past: Past,
    pub(super) cycle: u64,
    /// When the gateway was identified, and the newest moment that is known.
    since: Instant,
    pub(super) now: Instant,
}

impl Knowledge {
    /// Of a gateway that has just been identified, at `now`.
    pub(super) fn new(info: Info, options: Options, now: Instant) -> Self {
        Self {
            clock: GatewayClock::new(info.time, now),
            info,
            options,
            pages: Pages::default(),
            visits: Visits::default(),
            past: Past::default(),
            cycle: 0,
            since: now,
            now,
        }
    }

    /// Begins a cycle at `now`.
    pub(super) fn begin_cycle(&mut self, now: Instant) {
        self.cycle += 1;
        self.now = now;
        self.clock.begin(now);
        self.pages.drop_stale(self.cycle, now);
    }

    /// The site as it is known now.
    pub(super) fn site(&self) -> Site<'_> {
        Site {
            info: &self.info,
            options: self.options,
            pages: &self.pages,
            visits: &self.visits,
            past: &self.past,
            clock: &self.clock,
            time: self.clock.now(self.pages.stamps()),
            is_new: self.now.saturating_duration_since(self.since) < STARTING,
        }
    }

    /// This cycle, now.
    pub(super) const fn when(&self) -> When {
        When { cycle: self.cycle, at: self.now }
    }

    /// Takes a page; the error is why it cannot be understood.
    pub(super) fn keep(
        &mut self,
        endpoint: Endpoint,
        body: &[u8],
        notices: &mut Notices,
    ) -> Result<(), Malformed> {
        if endpoint == Endpoint::Meters && self.hides_its_meters(body) {
            self.failed(endpoint, Failure::Other, "it lists no meter".to_owned());
            return Ok(());
        }
        let when = self.when();
        if let Err(malformed) = self.pages.keep(endpoint, body, when) {
            let missing = malformed == Malformed::ErrorInside;
            let failure = if missing { Failure::Refused(Refusal::Missing) } else { Failure::Other };
            self.failed(endpoint, failure, malformed.to_string());
            return Err(malformed);
        }
        self.past.shows(endpoint, wire::holds_no_number(body));
        // Batteries that were there are missing, and looked for as often as before.
        let empty = !self.site().has_ensemble() && !self.past.had(Value::Batteries);
        let hold = match endpoint {
            Endpoint::EnsembleInventory => self.past.inventory_hold(empty),
            _ => endpoint.period(),
        };
        self.visits.answered(endpoint, when, hold);
        notices.permitted(endpoint);
        if endpoint == Endpoint::Meters {
            self.past.hidden_feed = self.site().lists_hidden_feed();
        }
        if let Some(message) = self.clock.see(self.pages.meter_stamps()) {
            notices.add(Level::Warn, "clocks_disagree", message);
        }
        let meter = self.site().slow_page().is_some_and(|page| page.production_meter().is_some());
        self.past.meter_seen |= endpoint == Endpoint::ProductionJson && meter;
        self.oddity(endpoint).into_iter().for_each(|oddity| notices.oddity(oddity));
        Ok(())
    }

    /// Whether the list of meters in `body` is not to be believed.
    fn hides_its_meters(&mut self, body: &[u8]) -> bool {
        let empty = wire::meters::Meters::parse(body).is_ok_and(|list| list.0.is_empty());
        let at_work = self.site().slow_page().map(|page| page.production_meter().is_some());
        !self.past.believes_list(empty, at_work)
    }

    /// The oddity that the answer of `endpoint` shows.
    fn oddity(&self, endpoint: Endpoint) -> Option<Oddity> {
        let site = self.site();
        match endpoint {
            Endpoint::Production if site.totals_are_zero() => Some(Oddity::ZeroTotals),
            Endpoint::Meters if site.metering() == Metering::Without && site.totals_stand_still() => {
                Some(Oddity::StalledTotals)
            }
            Endpoint::DeviceData if site.device_data_has_no_room() => Some(Oddity::CutDeviceData),
            _ => None,
        }
    }

    /// Takes a failure, and why in words.
    pub(super) fn failed(&mut self, endpoint: Endpoint, failure: Failure, why: String) {
        tracing::debug!(path = endpoint.path(), why, "a page failed");
        let certain = endpoint.page().is_certain(self.info.firmware);
        self.visits.failed(endpoint, self.when(), (failure, why), certain);
        // The meters may have been configured anew.
        if endpoint == Endpoint::MeterReadings && self.visits.failures(endpoint) == 1 {
            self.visits.ask_soon(Endpoint::Meters);
        }
    }
}
