//! The site as far as it is known: what measures it, which pages its gateway has, and which values it wants.

use jiff::Timestamp;

use super::ensemble::View;
use super::gateway_clock::GatewayClock;
use super::oddities::Oddity;
use super::pages::{Kept, Pages};
use super::past::Past;
use super::place::Place;
use super::table::{Origin, Value};
use super::visits::Visits;
use super::{Options, acb, age, meters};
use crate::io::gateway::Endpoint;
use crate::io::gateway::firmware::Firmware;
use crate::io::gateway::info::Info;
use crate::io::gateway::wire::livedata::LiveData;
use crate::io::gateway::wire::meters::{Meter, Meters};
use crate::io::gateway::wire::production::Production;
use crate::io::gateway::wire::production_json::ProductionJson;
use crate::io::gateway::wire::readings::MeterReading;

/// Everything that is known of a site in the middle of a cycle.
#[derive(Clone, Copy)]
pub(super) struct Site<'a> {
    pub(super) info: &'a Info,
    pub(super) options: Options,
    pub(super) pages: &'a Pages,
    pub(super) visits: &'a Visits,
    pub(super) past: &'a Past,
    pub(super) clock: &'a GatewayClock,
    /// The gateway's clock, for judging the age of its values.
    pub(super) time: Option<Timestamp>,
    /// It was identified a short while ago, and may be starting.
    pub(super) is_new: bool,
}

/// Where the meters are known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Metering {
    /// The list of meters has one that is switched on.
    Listed,
    /// There is no list of meters, or not now; `production.json` says which there are.
    Unlisted,
    /// No meter is switched on.
    Without,
}

impl<'a> Site<'a> {
    pub(super) fn metering(&self) -> Metering {
        if self.is_for_people() {
            return Metering::Without;
        }
        match Kept::page(self.pages.meters.as_ref()) {
            Some(list) if list.0.iter().any(Meter::enabled) => Metering::Listed,
            // Firmware 4.2.27 says that the model has no meters, and shows them in `production.json`.
            _ if self.past.meter_seen => Metering::Unlisted,
            Some(_) => Metering::Without,
            None if self.info.metered_model == Some(false) => Metering::Without,
            None => Metering::Unlisted,
        }
    }

    /// The list of meters, if one of them is switched on.
    pub(super) fn listed(&self) -> Option<&'a Meters> {
        Kept::page(self.pages.meters.as_ref()).filter(|_| self.metering() == Metering::Listed)
    }

    /// Whether a meter of this kind is listed and switched on.
    pub(super) fn lists(&self, kind: &str) -> bool {
        let is = |meter: &Meter| meter.enabled() && meter.measurement_type.as_deref() == Some(kind);
        self.listed().is_some_and(|list| list.0.iter().any(is))
    }

    /// Whether a meter is listed that feeds the house and is on no row of `production.json`: third-party PV, or storage. A
    /// meter that measures the house itself has them all.
    pub(super) fn lists_hidden_feed(&self) -> bool {
        (self.lists("pv3p") || self.lists("storage")) && !self.lists("total-consumption")
    }

    /// Whether something feeds the house of which `production.json` does not know, and nothing else does either: batteries
    /// can be added to its rows where they are known.
    pub(super) fn has_hidden_feed(&self) -> bool {
        let unknown = self.lists("pv3p") || !self.has_batteries() || self.listed().is_none();
        self.past.hidden_feed && unknown
    }

    /// The readings of the meters, those that stand still left out.
    pub(super) fn fresh_readings(&self) -> Vec<&'a MeterReading> {
        self.readings().iter().filter(|row| !self.is_stale(row.timestamp)).collect()
    }

    /// What the listed meters show.
    pub(super) fn place(&self) -> Option<Place> {
        Some(meters::site(self.listed().filter(|_| self.pages.readings.is_some())?, &self.fresh_readings()))
    }

    /// The oldest stamp of a listed meter that stands still.
    pub(super) fn stale_meter(&self) -> Option<Timestamp> {
        let listed = self.listed()?.0.iter().filter(|meter| meter.enabled());
        let eids: Vec<u32> = listed.filter_map(|meter| meter.eid).collect();
        let listed = |row: &&MeterReading| row.eid.is_some_and(|eid| eids.contains(&eid));
        let stamps = self.readings().iter().filter(listed).filter_map(|row| row.timestamp);
        stamps.filter(|stamp| self.is_stale(Some(*stamp))).min()
    }

    fn readings(&self) -> &'a [MeterReading] {
        Kept::page(self.pages.readings.as_ref()).map_or(&[][..], |page| &page.0)
    }

    /// Whether what a meter measured at `stamp` is too old to be shown.
    pub(super) fn is_stale(&self, stamp: Option<Timestamp>) -> bool {
        age::is_stale(stamp, self.time, age::METER)
    }

    /// The live values, when they move.
    pub(super) fn live(&self) -> Option<&'a LiveData> {
        let moves =
            |page: &&LiveData| page.streaming && !age::is_stale(page.updated_at, self.time, age::LIVE);
        Kept::page(self.pages.live.as_ref()).filter(moves)
    }

    /// The view of the batteries.
    pub(super) fn view(&self) -> View<'a> {
        View { pages: self.pages, live: self.live(), clock: self.time }
    }

    pub(super) fn slow_page(&self) -> Option<&'a ProductionJson> {
        Kept::page(self.pages.production_json.as_ref())
    }

    /// Whether `production.json` stands in for meters that are listed, or would be. The house's total is then made as it
    /// is from their readings: the gateway's own differs by up to a kilowatt-hour, and by what batteries took.
    pub(super) fn stands_in_for_meters(&self) -> bool {
        self.metering() == Metering::Listed
            || (self.offers(Endpoint::Meters) && self.visits.always_refused(Endpoint::Meters).is_none())
    }

    /// What measures production.
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

    /// Whether a model with meters does not list them, and may yet.
    fn is_undecided(&self) -> bool {
        self.is_new
            && self.info.metered_model == Some(true)
            && self.visits.why(Endpoint::Meters).is_some()
            && self.visits.refusal(Endpoint::Meters).is_none()
    }

    /// Firmware 3 has no meters, and its `production.json` is a page for people.
    pub(super) fn is_for_people(&self) -> bool {
        self.info.firmware < Firmware::new(4, 0, 0)
    }

    /// See [`Oddity::StalledTotals`].
    pub(super) fn totals_stand_still(&self) -> bool {
        self.info.metered_model == Some(true)
            && !self.lists("production")
            && !self.past.meter_seen
            && Oddity::StalledTotals.holds(self.info.firmware)
    }

    /// See [`Oddity::ZeroTotals`].
    pub(super) fn totals_are_zero(&self) -> bool {
        Kept::page(self.pages.production.as_ref()).is_some_and(Production::counts_nothing)
    }

    /// Whether this gateway may have `endpoint`, and it can mean something.
    pub(super) fn offers(&self, endpoint: Endpoint) -> bool {
        self.info.firmware >= endpoint.page().since
            && match endpoint {
                // A model without meters has none to list.
                Endpoint::Meters => self.info.metered_model != Some(false),
                Endpoint::MeterReadings => self.metering() == Metering::Listed,
                Endpoint::Production => !self.totals_stand_still(),
                Endpoint::ProductionHtml => self.is_for_people(),
                _ => true,
            }
    }

    /// Whether the site has, or may have, this value.
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

    /// Whether the gateway should have this value: its meters say so, or it had it.
    pub(super) fn promises(&self, value: Value) -> bool {
        self.past.had(value) || (self.wants(value) && self.listed().is_some())
    }

    pub(super) fn batteries_listed(&self) -> usize {
        Kept::page(self.pages.inventory.as_ref()).map_or(0, |page| page.batteries.len())
    }

    /// Whether there are batteries of any kind.
    pub(super) fn has_batteries(&self) -> bool {
        self.batteries_listed() > 0 || acb::known(self.pages)
    }

    /// Whether batteries of a kind that were there are not shown now: what is computed of all batteries is not known then.
    pub(super) fn misses_batteries(&self) -> bool {
        (self.past.had.iq && self.batteries_listed() == 0) || (self.past.had.acb && !acb::known(self.pages))
    }

    fn has_controller(&self) -> bool {
        Kept::page(self.pages.inventory.as_ref()).is_some_and(|page| page.controller.is_some())
    }

    pub(super) fn has_ensemble(&self) -> bool {
        let inventory = Kept::page(self.pages.inventory.as_ref());
        inventory.is_some_and(|page| {
            !page.batteries.is_empty() || page.controller.is_some() || page.collar.is_some()
        })
    }

    /// See [`Oddity::CutDeviceData`].
    pub(super) fn device_data_has_no_room(&self) -> bool {
        Kept::page(self.pages.device_data.as_ref()).is_some_and(|page| !page.has_room())
    }

    pub(super) fn device_data_is_cut(&self) -> bool {
        Kept::page(self.pages.device_data.as_ref()).is_some_and(|page| !page.complete())
    }
}
