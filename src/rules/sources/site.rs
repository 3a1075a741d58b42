//! A view of the site: its meters and devices, the pages of its gateway, and the values that it may have.

use jiff::Timestamp;

use super::ensemble::View;
use super::gateway_clock::GatewayClock;
use super::meter_set::MeterSet;
use super::oddities::Oddity;
use super::pages::{Cached, Pages};
use super::past::Past;
use super::request_log::RequestLog;
use super::values::{Origin, Value};
use super::{Options, acb, age, meters};
use crate::io::gateway::Endpoint;
use crate::io::gateway::firmware::Firmware;
use crate::io::gateway::info::Info;
use crate::io::gateway::wire::livedata::LiveData;
use crate::io::gateway::wire::meters::{Meter, Meters};
use crate::io::gateway::wire::production::Production;
use crate::io::gateway::wire::production_json::ProductionJson;
use crate::io::gateway::wire::readings::MeterReading;

/// A view of everything known about the site during a cycle.
#[derive(Clone, Copy)]
pub(super) struct Site<'a> {
    pub(super) info: &'a Info,
    pub(super) options: Options,
    pub(super) pages: &'a Pages,
    pub(super) requests: &'a RequestLog,
    pub(super) past: &'a Past,
    pub(super) clock: &'a GatewayClock,
    /// The gateway's current time, for the age of its values.
    pub(super) time: Option<Timestamp>,
    /// The gateway was identified a short while ago, and may be starting.
    pub(super) is_new: bool,
}

/// The source of knowledge about the meters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Metering {
    /// The list of meters has an enabled meter.
    Listed,
    /// There is no list of meters now; `production.json` shows which there are.
    Unlisted,
    /// No meter is enabled.
    Without,
}

impl<'a> Site<'a> {
    pub(super) fn metering(&self) -> Metering {
        if self.has_html_only() {
            return Metering::Without;
        }
        match Cached::page(self.pages.meters.as_ref()) {
            Some(list) if list.0.iter().any(Meter::enabled) => Metering::Listed,
            // Firmware 4.2.27 reports a model without meters, but shows them in `production.json`.
            _ if self.past.meter_seen => Metering::Unlisted,
            Some(_) => Metering::Without,
            None if self.info.metered_model == Some(false) => Metering::Without,
            None => Metering::Unlisted,
        }
    }

    /// Returns the list of meters, if one of them is enabled.
    pub(super) fn listed(&self) -> Option<&'a Meters> {
        if self.metering() == Metering::Listed { Cached::page(self.pages.meters.as_ref()) } else { None }
    }

    /// Returns `true` if a meter of this kind is listed and enabled.
    pub(super) fn lists(&self, kind: &str) -> bool {
        let is = |meter: &Meter| meter.enabled() && meter.measurement_type.as_deref() == Some(kind);
        self.listed().is_some_and(|list| list.0.iter().any(is))
    }

    /// Returns `true` if the list has a source of the house that is not in `production.json`: third-party PV or storage.
    ///
    /// A meter of the total consumption includes such sources.
    pub(super) fn lists_hidden_feed(&self) -> bool {
        (self.lists("pv3p") || self.lists("storage")) && !self.lists("total-consumption")
    }

    /// Returns `true` if a source of the house is neither in `production.json` nor known from another page.
    ///
    /// The power of batteries can be added if they are known.
    pub(super) fn has_hidden_feed(&self) -> bool {
        let unknown = self.lists("pv3p") || !self.has_batteries() || self.listed().is_none();
        self.past.hidden_feed && unknown
    }

    /// Returns the readings of the meters that are not stale.
    pub(super) fn fresh_readings(&self) -> Vec<&'a MeterReading> {
        self.readings().iter().filter(|row| !self.is_stale(row.timestamp)).collect()
    }

    /// Returns the values of the listed meters.
    pub(super) fn meter_set(&self) -> Option<MeterSet> {
        self.pages.readings.as_ref()?;
        Some(meters::site(self.listed()?, &self.fresh_readings()))
    }

    /// Returns the oldest stale timestamp of a listed meter.
    pub(super) fn stale_meter(&self) -> Option<Timestamp> {
        let listed = self.listed()?.0.iter().filter(|meter| meter.enabled());
        let eids: Vec<u32> = listed.filter_map(|meter| meter.eid).collect();
        let listed = |row: &&MeterReading| row.eid.is_some_and(|eid| eids.contains(&eid));
        let stamps = self.readings().iter().filter(listed).filter_map(|row| row.timestamp);
        stamps.filter(|stamp| self.is_stale(Some(*stamp))).min()
    }

    fn readings(&self) -> &'a [MeterReading] {
        Cached::page(self.pages.readings.as_ref()).map_or(&[][..], |page| &page.0)
    }

    /// Returns `true` if meter values from `stamp` are too old.
    pub(super) fn is_stale(&self, stamp: Option<Timestamp>) -> bool {
        age::is_stale(stamp, self.time, age::METER)
    }

    /// Returns the live values, if they are current.
    pub(super) fn live(&self) -> Option<&'a LiveData> {
        let is_current =
            |page: &&LiveData| page.streaming && !age::is_stale(page.updated_at, self.time, age::LIVE);
        Cached::page(self.pages.live.as_ref()).filter(is_current)
    }

    /// Returns the view of the batteries.
    pub(super) fn view(&self) -> View<'a> {
        View { pages: self.pages, live: self.live(), clock: self.time }
    }

    pub(super) fn slow_page(&self) -> Option<&'a ProductionJson> {
        Cached::page(self.pages.production_json.as_ref())
    }

    /// Returns `true` if `production.json` replaces the readings of listed meters.
    ///
    /// The house's total is then computed as from the readings. The gateway's own one differs by up to a kilowatt-hour,
    /// and by the energy of batteries.
    pub(super) fn replaces_meters(&self) -> bool {
        self.metering() == Metering::Listed
            || (self.offers(Endpoint::Meters) && self.requests.always_refused(Endpoint::Meters).is_none())
    }

    /// Returns the device that measures production.
    pub(super) fn origin(&self) -> Origin {
        if self.lists("production") || self.past.meter_seen {
            return Origin::Meter;
        }
        match self.metering() {
            Metering::Listed | Metering::Without => Origin::Inverters,
            Metering::Unlisted if self.is_undecided() => Origin::Undecided,
            Metering::Unlisted => Origin::Unknown,
        }
    }

    /// Returns `true` if a model with meters has not listed them yet.
    fn is_undecided(&self) -> bool {
        self.is_new
            && self.info.metered_model == Some(true)
            && self.requests.why(Endpoint::Meters).is_some()
            && self.requests.refusal(Endpoint::Meters).is_none()
    }

    /// Returns `true` for firmware 3, which has no meters, and an HTML page instead of `production.json`.
    pub(super) fn has_html_only(&self) -> bool {
        self.info.firmware < Firmware::new(4, 0, 0)
    }

    /// Returns `true` if the totals are not updated: see [`Oddity::StalledTotals`].
    pub(super) fn totals_are_stalled(&self) -> bool {
        self.info.metered_model == Some(true)
            && !self.lists("production")
            && !self.past.meter_seen
            && Oddity::StalledTotals.affects(self.info.firmware)
    }

    /// Returns `true` if all totals are zero: see [`Oddity::ZeroTotals`].
    pub(super) fn totals_are_zero(&self) -> bool {
        Cached::page(self.pages.production.as_ref()).is_some_and(Production::counts_nothing)
    }

    /// Returns `true` if this gateway may have `endpoint` with useful values.
    pub(super) fn offers(&self, endpoint: Endpoint) -> bool {
        self.info.firmware >= endpoint.page().since
            && match endpoint {
                // A model without meters has no list.
                Endpoint::Meters => self.info.metered_model != Some(false),
                Endpoint::MeterReadings => self.metering() == Metering::Listed,
                Endpoint::Production => !self.totals_are_stalled(),
                Endpoint::ProductionHtml => self.has_html_only(),
                _ => true,
            }
    }

    /// Returns `true` if the site has, or may have, this value.
    pub(super) fn wants(&self, value: Value) -> bool {
        let metering = self.metering();
        let metered =
            |listed: bool| metering == Metering::Unlisted || (metering == Metering::Listed && listed);
        let (total, net) = (self.lists("total-consumption"), self.lists("net-consumption"));
        let production = self.lists("production");
        match value {
            Value::HousePower | Value::HouseEnergy => metered(total || (net && production)),
            Value::GridPower => metered(net || (total && production)),
            Value::GridEnergy => net,
            Value::Phases => metered(true),
            Value::Storage => self.lists("storage"),
            Value::BatteryTotals => self.has_batteries(),
            Value::BatteryPowers => self.batteries_listed() > 0,
            Value::LiveValues => self.options.live_data && !self.lists("storage") && self.has_batteries(),
            Value::DryContacts | Value::DryContactNames | Value::Generator => self.has_controller(),
            Value::AcBatteryTotals | Value::AcBatteries => {
                acb::known(self.pages) && !acb::known_in_detail(self.pages)
            }
            Value::ProductionPower
            | Value::ProductionEnergy
            | Value::Batteries
            | Value::Inverters
            | Value::Tariff => true,
        }
    }

    /// Returns `true` if the gateway should have this value, according to its meters or earlier readings.
    pub(super) fn should_have(&self, value: Value) -> bool {
        self.past.had(value) || (self.wants(value) && self.listed().is_some())
    }

    pub(super) fn batteries_listed(&self) -> usize {
        Cached::page(self.pages.inventory.as_ref()).map_or(0, |page| page.batteries.len())
    }

    /// Returns `true` if there are batteries of any kind.
    pub(super) fn has_batteries(&self) -> bool {
        self.batteries_listed() > 0 || acb::known(self.pages)
    }

    /// Returns `true` if batteries of a kind have disappeared, so that values of all batteries are unknown.
    pub(super) fn misses_batteries(&self) -> bool {
        self.misses_iq_batteries() || (self.past.had.acb.had && !acb::known(self.pages))
    }

    /// Returns `true` if the IQ Batteries have disappeared.
    pub(super) fn misses_iq_batteries(&self) -> bool {
        self.past.had.iq.had && self.batteries_listed() == 0
    }

    fn has_controller(&self) -> bool {
        Cached::page(self.pages.inventory.as_ref()).is_some_and(|page| page.controller.is_some())
    }

    pub(super) fn has_ensemble(&self) -> bool {
        let inventory = Cached::page(self.pages.inventory.as_ref());
        inventory.is_some_and(|page| {
            !page.batteries.is_empty() || page.controller.is_some() || page.collar.is_some()
        })
    }

    /// Returns `true` if the page reaches its limit of devices: see [`Oddity::CutDeviceData`].
    pub(super) fn device_data_has_no_room(&self) -> bool {
        Cached::page(self.pages.device_data.as_ref()).is_some_and(|page| !page.has_room())
    }

    pub(super) fn device_data_is_cut(&self) -> bool {
        Cached::page(self.pages.device_data.as_ref()).is_some_and(|page| !page.complete())
    }
}
