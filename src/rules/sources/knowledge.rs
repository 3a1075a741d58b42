//! The knowledge about a gateway: its identity, its pages, and the results of their requests.

use std::time::Duration;

use tokio::time::Instant;

use super::gateway_clock::GatewayClock;
use super::notices::Notices;
use super::oddities::Oddity;
use super::pages::Pages;
use super::past::Past;
use super::request_log::{Failure, RequestLog, RequestTime};
use super::site::{Metering, Site};
use super::values::Value;
use super::{Level, Options, Refusal, acb};
use crate::io::gateway::Endpoint;
use crate::io::gateway::endpoint::Cost;
use crate::io::gateway::info::Info;
use crate::io::gateway::wire::{self, Malformed};

/// The time after the identification during which the gateway may still be starting.
const STARTING: Duration = Duration::from_secs(10 * 60);

/// The period of a slow page that has not yielded any value yet.
const IDLE: Duration = Duration::from_secs(15 * 60);

/// The knowledge about one gateway.
#[derive(Debug)]
pub(super) struct Knowledge {
    pub(super) info: Info,
    pub(super) options: Options,
    pub(super) clock: GatewayClock,
    pub(super) pages: Pages,
    pub(super) requests: RequestLog,
    pub(super) past: Past,
    pub(super) cycle: u64,
    /// `true` if batteries count as removed since the last call of [`Self::take_removed_batteries`].
    removed_batteries: bool,
    /// The time of the identification.
    since: Instant,
    /// The current time, as of the last call.
    pub(super) now: Instant,
}

impl Knowledge {
    /// Creates the knowledge about a gateway that was identified at `now`.
    pub(super) fn new(info: Info, options: Options, now: Instant) -> Self {
        Self {
            clock: GatewayClock::new(info.time, now, options.clock_speed),
            info,
            options,
            pages: Pages::default(),
            requests: RequestLog::default(),
            past: Past::default(),
            cycle: 0,
            removed_batteries: false,
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

    /// Returns a view of the site.
    pub(super) fn site(&self) -> Site<'_> {
        Site {
            info: &self.info,
            options: self.options,
            pages: &self.pages,
            requests: &self.requests,
            past: &self.past,
            clock: &self.clock,
            time: self.clock.now(self.pages.stamps()),
            is_new: self.now.saturating_duration_since(self.since) < STARTING,
        }
    }

    /// Returns the current cycle and time.
    pub(super) const fn when(&self) -> RequestTime {
        RequestTime { cycle: self.cycle, at: self.now }
    }

    /// Stores a page. Returns an error if the body is malformed.
    pub(super) fn store(
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
        if let Err(malformed) = self.pages.store(endpoint, body, when) {
            let missing = malformed == Malformed::ErrorInside;
            let failure = if missing { Failure::Refused(Refusal::Missing) } else { Failure::Other };
            self.failed(endpoint, failure, malformed.to_string());
            return Err(malformed);
        }
        self.removed_batteries |= match endpoint {
            Endpoint::EnsembleInventory => self.past.record_iq(self.site().batteries_listed() > 0),
            Endpoint::DeviceData if !self.site().device_data_has_no_room() => {
                self.past.record_acb(acb::known(&self.pages))
            }
            _ => false,
        };
        self.past.record_numbers(endpoint, wire::contains_non_numbers(body));
        // If batteries have disappeared, the page is requested as often as before.
        let empty = !self.site().has_ensemble() && !self.past.had(Value::Batteries);
        let period = match endpoint {
            Endpoint::EnsembleInventory => self.past.inventory_period(empty),
            _ => endpoint.period(),
        };
        self.requests.answered(endpoint, when, period);
        notices.permitted(endpoint);
        if endpoint == Endpoint::Meters {
            self.past.hidden_feed = self.site().lists_hidden_feed();
        }
        if let Some(message) = self.clock.record(self.pages.meter_stamps()) {
            notices.add(Level::Warn, "clocks_disagree", message);
        }
        let meter = self.site().slow_page().is_some_and(|page| page.production_meter().is_some());
        self.past.meter_seen |= endpoint == Endpoint::ProductionJson && meter;
        self.oddity(endpoint).into_iter().for_each(|oddity| notices.oddity(oddity));
        Ok(())
    }

    /// Returns whether batteries have been found to be removed since the last call.
    pub(super) fn take_removed_batteries(&mut self) -> bool {
        std::mem::take(&mut self.removed_batteries)
    }

    /// Returns `true` if the list of meters in `body` is empty and not trusted yet.
    fn hides_its_meters(&mut self, body: &[u8]) -> bool {
        let empty = wire::meters::Meters::parse(body).is_ok_and(|list| list.0.is_empty());
        let at_work = self.site().slow_page().map(|page| page.production_meter().is_some());
        !self.past.trusts_list(empty, at_work)
    }

    /// Requests the slow pages that have not yielded any value less often, except those that `is_short`.
    pub(super) fn hold_off_idle_pages(&mut self, is_short: impl Fn(Endpoint) -> bool) {
        for endpoint in Endpoint::ALL {
            let page = endpoint.page();
            let is_idle = page.cost == Cost::Slow
                && page.period < IDLE
                && !self.past.has_served(endpoint)
                && !is_short(endpoint);
            if is_idle
                && self.requests.was_requested(endpoint, self.cycle)
                && self.requests.succeeded(endpoint)
            {
                self.requests.set_hold_off(endpoint, IDLE);
            }
        }
    }

    /// Returns the oddity that is visible on the page `endpoint`.
    fn oddity(&self, endpoint: Endpoint) -> Option<Oddity> {
        let site = self.site();
        match endpoint {
            Endpoint::Production if site.totals_are_zero() => Some(Oddity::ZeroTotals),
            Endpoint::Meters if site.metering() == Metering::Without && site.totals_are_stalled() => {
                Some(Oddity::StalledTotals)
            }
            Endpoint::DeviceData if site.device_data_has_no_room() => Some(Oddity::CutDeviceData),
            _ => None,
        }
    }

    /// Records a failed request, with a description.
    pub(super) fn failed(&mut self, endpoint: Endpoint, failure: Failure, why: String) {
        tracing::debug!(path = endpoint.path(), why, "a page failed");
        let certain = endpoint.page().is_certain(self.info.firmware);
        self.requests.failed(endpoint, self.when(), (failure, why), certain);
        // The meters may have been reconfigured.
        if endpoint == Endpoint::MeterReadings && self.requests.failures(endpoint) == 1 {
            self.requests.make_due(Endpoint::Meters);
        }
    }
}
