//! Production without a list of meters: the fast total, else the inverters' sum, else the slow page; and when each
//! of them is worth a request.

use tokio::time::Instant;

use super::meters::{Batteries, Groups};
use super::oddities::{Firmware, Oddity};
use super::pages::Kept;
use super::{Metering, Sources, enabled};
use crate::gateway::Endpoint;
use crate::gateway::wire::production::Production;
use crate::gateway::wire::production_json::{ProductionJson, Row};
use crate::reading::{self, Consumption, Grid, Source};
use crate::units::{WattHours, Watts};

impl Sources {
    /// Whether `endpoint` gives something for this gateway that nothing cheaper gives.
    pub(super) fn useful(&self, endpoint: Endpoint) -> bool {
        match endpoint {
            // Firmware 3 has no meters; a model without them has none to list.
            Endpoint::Meters => self.facts.metered_model != Some(false) && self.facts.firmware >= (3, 18, 0),
            Endpoint::MeterReadings => self.metering() == Metering::Listed,
            Endpoint::Production => self.needs_totals() && !self.totals_stand_still(),
            Endpoint::Energy => self.needs_sum() && self.facts.firmware >= (8, 2, 4000),
            Endpoint::ProductionJson => self.needs_slow_page(),
            Endpoint::EnsembleInventory | Endpoint::Tariff => self.facts.firmware >= (5, 0, 0),
            Endpoint::EnsembleSecctrl | Endpoint::EnsemblePower => self.batteries_listed() > 0,
            Endpoint::DryContacts | Endpoint::DryContactSettings | Endpoint::EnsembleGenerator => {
                self.has_controller()
            }
            Endpoint::DeviceData => self.facts.firmware >= (8, 2, 0),
            Endpoint::Inverters => self.needs_plain_inverters(),
            Endpoint::LiveData => self.options.live_data,
            _ => false,
        }
    }

    pub(super) fn metering(&self) -> Metering {
        if self.facts.metered_model == Some(false) {
            return Metering::Without;
        }
        match Kept::page(self.pages.meters.as_ref()) {
            Some(list) if list.0.iter().any(super::Meter::enabled) => Metering::Listed,
            Some(_) => Metering::Without,
            None if self.visits.refusal(Endpoint::Meters).is_some() => Metering::Unlisted,
            None if !self.useful(Endpoint::Meters) => Metering::Unlisted,
            None => Metering::Unknown,
        }
    }

    fn has_production_meter(&self) -> bool {
        Kept::page(self.pages.meters.as_ref()).is_some_and(|list| enabled(&list.0, "production"))
    }

    /// Whether production must come from elsewhere than a listed meter.
    fn needs_totals(&self) -> bool {
        match self.metering() {
            Metering::Unknown => false,
            Metering::Listed => !self.has_production_meter(),
            Metering::Without => true,
            // The slow page comes first here, because only it tells a meter from a sum.
            Metering::Unlisted => !self.meter_seen && self.slow_page_told(),
        }
    }

    /// Whether the fast total is of no use, so that the inverters' sum is needed.
    fn needs_sum(&self) -> bool {
        self.needs_totals()
            && (self.totals_stand_still()
                || self.totals_are_zero()
                || self.visits.failed(Endpoint::Production))
    }

    fn needs_slow_page(&self) -> bool {
        let energy = Kept::page(self.pages.energy.as_ref());
        let counted = energy.is_some_and(|page| page.lifetime.is_some_and(|total| total != WattHours::ZERO));
        match self.metering() {
            Metering::Unlisted => true,
            _ => self.needs_sum() && !counted,
        }
    }

    /// Whether the slow page was read or cannot be.
    fn slow_page_told(&self) -> bool {
        self.slow_page().is_some() || self.visits.failed(Endpoint::ProductionJson)
    }

    pub(super) fn slow_page(&self) -> Option<&ProductionJson> {
        Kept::page(self.pages.production_json.as_ref())
    }

    pub(super) fn totals_are_zero(&self) -> bool {
        Kept::page(self.pages.production.as_ref()).is_some_and(Production::counts_nothing)
    }

    /// See [`Oddity::StalledTotals`].
    pub(super) fn totals_stand_still(&self) -> bool {
        self.facts.metered_model == Some(true)
            && !self.has_production_meter()
            && Oddity::StalledTotals.holds(self.facts.firmware)
    }

    pub(super) fn device_data_is_cut(&self) -> bool {
        Kept::page(self.pages.device_data.as_ref()).is_some_and(|page| !page.complete())
    }

    fn needs_plain_inverters(&self) -> bool {
        let detailed = self.useful(Endpoint::DeviceData);
        !detailed || self.visits.failed(Endpoint::DeviceData) || self.device_data_is_cut()
    }

    pub(super) fn batteries_listed(&self) -> usize {
        Kept::page(self.pages.inventory.as_ref()).map_or(0, |page| page.batteries.len())
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

    /// Production that no listed meter gives.
    pub(super) fn total_production(&self) -> Option<reading::Production> {
        if !self.needs_totals() || self.meter_seen {
            return None;
        }
        let fast = self.pages.production.as_ref();
        let fast = fast.filter(|kept| !kept.page.counts_nothing() && !self.totals_stand_still());
        if let Some(kept) = fast {
            return Some(sum(kept.page.power, kept.page.lifetime, self.shown_at(kept.read.at)));
        }
        let energy = self.pages.energy.as_ref();
        if let Some(kept) = energy.filter(|kept| kept.page.lifetime.is_some_and(|it| it != WattHours::ZERO)) {
            return Some(sum(kept.page.power, kept.page.lifetime, self.shown_at(kept.read.at)));
        }
        let row = self.slow_page()?.inverters()?;
        Some(sum(row.power, row.energy, row.measured_at))
    }

    /// A page without a stamp was measured when the gateway gave it.
    fn shown_at(&self, at: Instant) -> Option<jiff::Timestamp> {
        self.gateway_time(at)
    }
}

fn sum(
    power_w: Option<Watts>,
    energy_wh: Option<WattHours>,
    measured_at: Option<jiff::Timestamp>,
) -> reading::Production {
    reading::Production {
        power_w,
        energy_wh,
        today_wh: None,
        yesterday_wh: None,
        source: Source::Inverters,
        measured_at,
    }
}

/// What the meters of the slow page give. Of the grid it knows only import minus export, so both are absent.
pub(super) fn groups(page: &ProductionJson, batteries: Batteries, firmware: Firmware) -> Groups {
    let production = page.production_meter();
    let net = page.consumption_meter("net-consumption");
    let total = page.consumption_meter("total-consumption");
    Groups {
        production: production.map(|row| reading::Production {
            source: Source::Meter,
            ..sum(row.power, row.energy, row.measured_at)
        }),
        consumption: total.map(|row| house(row, net, production, batteries, firmware)),
        grid: net.map(|row| Grid { power_w: row.power, measured_at: row.measured_at, ..Grid::default() }),
        ..Groups::default()
    }
}

/// Total consumption, mended where it shows the net, and with what the batteries give.
fn house(
    total: &Row,
    net: Option<&Row>,
    production: Option<&Row>,
    batteries: Batteries,
    firmware: Firmware,
) -> Consumption {
    let same = net.is_some_and(|net| net.power == total.power && net.energy == total.energy);
    let mend = Oddity::TotalIsNet.holds(firmware) && same;
    let add = |value: Option<Watts>, more: Option<Watts>| Some(value? + more?);
    let mut consumption = Consumption {
        power_w: total.power,
        energy_wh: total.energy,
        measured_at: total.measured_at,
        ..Consumption::default()
    };
    if mend {
        consumption.power_w = add(total.power, production.and_then(|row| row.power));
        consumption.energy_wh =
            total.energy.and_then(|energy| Some(energy + production.and_then(|row| row.energy)?));
    }
    if let Batteries::Power(power) = batteries {
        consumption.power_w = add(consumption.power_w, power);
    }
    consumption
}
