//! Production without a list of meters: the fast total, else the inverters' sum, else the slow page; and when each
//! of them is worth a request.

use jiff::Timestamp;
use tokio::time::Instant;

use super::acb;
use super::oddities::Oddity;
use super::pages::Kept;
use super::{Metering, Sources, enabled};
use crate::gateway::Endpoint;
use crate::gateway::wire::production::Production;
use crate::gateway::wire::production_json::ProductionJson;
use crate::reading::{self, Source};
use crate::units::{WattHours, Watts};

impl Sources {
    /// Whether `endpoint` gives something for this gateway that nothing cheaper gives.
    pub(super) fn useful(&self, endpoint: Endpoint) -> bool {
        match endpoint {
            // A model without meters has none to list.
            Endpoint::Meters => self.facts.metered_model != Some(false) && !self.is_for_people(),
            Endpoint::MeterReadings => self.metering() == Metering::Listed,
            Endpoint::Production => self.needs_totals() && !self.totals_stand_still(),
            Endpoint::Energy => self.needs_sum() && self.facts.firmware >= (8, 2, 4000),
            Endpoint::ProductionJson => {
                self.needs_slow_page() || (self.needs_ac_batteries() && self.facts.firmware >= (4, 0, 0))
            }
            Endpoint::ProductionHtml => self.is_for_people() && self.needs_sum(),
            Endpoint::Inventory => self.needs_ac_batteries(),
            Endpoint::EnsembleInventory | Endpoint::Tariff => self.facts.firmware >= (5, 0, 0),
            Endpoint::EnsembleSecctrl => self.batteries_listed() > 0 || acb::known(&self.pages),
            Endpoint::EnsemblePower => self.batteries_listed() > 0,
            Endpoint::DryContacts | Endpoint::DryContactSettings | Endpoint::EnsembleGenerator => {
                self.has_controller()
            }
            Endpoint::DeviceData => self.facts.firmware >= (8, 2, 0),
            Endpoint::Inverters => self.needs_plain_inverters(),
            Endpoint::LiveData => self.needs_live_data(),
        }
    }

    pub(super) fn metering(&self) -> Metering {
        if self.facts.metered_model == Some(false) || self.is_for_people() {
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

    /// Firmware 3 has no meters, and its `production.json` is a page for people.
    fn is_for_people(&self) -> bool {
        self.facts.firmware < (4, 0, 0)
    }

    fn needs_live_data(&self) -> bool {
        let list = Kept::page(self.pages.meters.as_ref());
        let metered = list.is_some_and(|list| enabled(&list.0, "storage"));
        self.options.live_data && !metered && (self.batteries_listed() > 0 || acb::known(&self.pages))
    }

    fn needs_ac_batteries(&self) -> bool {
        acb::known(&self.pages) && !acb::known_in_detail(&self.pages)
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
            _ => self.needs_sum() && !counted && !self.is_for_people(),
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
        if let Some(row) = self.slow_page().and_then(ProductionJson::inverters) {
            return Some(sum(row.power, row.energy(), row.measured_at));
        }
        let kept = self.pages.production_html.as_ref()?;
        let (page, shown_at) = (&kept.page, self.shown_at(kept.read.at));
        Some(reading::Production { today_wh: page.today, ..sum(page.power, page.lifetime, shown_at) })
    }

    /// A page without a stamp was measured when the gateway gave it.
    fn shown_at(&self, at: Instant) -> Option<Timestamp> {
        self.gateway_time(at)
    }
}

/// Production as the inverters sum it up.
pub(super) fn sum(
    power_w: Option<Watts>,
    energy_wh: Option<WattHours>,
    measured_at: Option<Timestamp>,
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
