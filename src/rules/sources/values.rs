//! The table of values: for each value of a reading, the pages that can yield it, in order of preference.
//!
//! The table of pages, with path, cost and period, is in [`crate::io::gateway::endpoint`].

use crate::io::gateway::Endpoint;

/// A value of a reading, or a group of values from the same page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Value {
    ProductionPower,
    ProductionEnergy,
    HousePower,
    HouseEnergy,
    GridPower,
    /// Import and export.
    GridEnergy,
    Phases,
    /// Storage as measured by the storage meter.
    Storage,
    /// The batteries of the ensemble, the system controller and the collar.
    Batteries,
    BatteryTotals,
    BatteryPowers,
    LiveValues,
    Inverters,
    /// The sums of all AC batteries.
    AcBatteryTotals,
    /// The individual AC batteries.
    AcBatteries,
    DryContacts,
    DryContactNames,
    Generator,
    Tariff,
}

/// A route to a value: one page, or two that are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Route {
    /// The list of meters joined with their readings, about a second old.
    Meters,
    /// The meters of `production.json`: the same transformers, with the same lifetime totals.
    MeterRows,
    /// The sum of the inverters in `production.json`.
    InverterRow,
    /// The fast page `/api/v1/production`.
    Totals,
    /// The fast page `/ivp/pdm/energy`.
    Counters,
    /// The HTML table of firmware 3.
    Table,
    /// The sum over the detailed list of inverters.
    Details,
    /// The sum over the last reports of the inverters.
    Reports,
    /// A single page.
    Page(Endpoint),
}

/// The device that measures production.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A production meter. Its lifetime total differs from that of the inverters, and is never replaced by it.
    Meter,
    /// Not known yet: a starting model with meters has not listed them. There is no total until then.
    Undecided,
    /// Not known from a list of meters, only from `production.json`.
    Unknown,
    /// The inverters, by their reports.
    Inverters,
}

impl Value {
    /// All values, most important first.
    pub(super) const ALL: [Self; 19] = [
        Self::ProductionPower,
        Self::ProductionEnergy,
        Self::HousePower,
        Self::HouseEnergy,
        Self::GridPower,
        Self::GridEnergy,
        Self::Phases,
        Self::Storage,
        Self::Batteries,
        Self::BatteryTotals,
        Self::BatteryPowers,
        Self::LiveValues,
        Self::Inverters,
        Self::DryContacts,
        Self::DryContactNames,
        Self::Generator,
        Self::Tariff,
        Self::AcBatteryTotals,
        Self::AcBatteries,
    ];

    /// Returns the name used in messages.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::ProductionPower => "production power",
            Self::ProductionEnergy => "production energy",
            Self::HousePower => "house power",
            Self::HouseEnergy => "house energy",
            Self::GridPower => "grid power",
            Self::GridEnergy => "import and export",
            Self::Phases => "phases",
            Self::Storage => "metered storage",
            Self::Batteries => "batteries",
            Self::BatteryTotals => "battery totals",
            Self::BatteryPowers => "battery powers",
            Self::LiveValues => "live values",
            Self::Inverters => "inverters",
            Self::AcBatteryTotals => "AC battery totals",
            Self::AcBatteries => "AC batteries",
            Self::DryContacts => "dry contacts",
            Self::DryContactNames => "names of dry contacts",
            Self::Generator => "generator",
            Self::Tariff => "tariff",
        }
    }

    /// Returns the routes to the value, best first.
    pub(super) const fn routes(self, origin: Origin) -> &'static [Route] {
        use Route::{Counters, Details, InverterRow, MeterRows, Meters, Page, Reports, Table, Totals};
        match self {
            // On metered gateways the fast page lags by minutes, and on 8.3.5433 it is another quantity: it comes last.
            Self::ProductionPower => match origin {
                Origin::Meter => &[Meters, MeterRows, InverterRow, Details, Reports, Totals],
                Origin::Undecided | Origin::Unknown => {
                    &[Meters, MeterRows, Totals, Counters, InverterRow, Details, Reports]
                }
                Origin::Inverters => &[Totals, Counters, InverterRow, Table, Details, Reports],
            },
            Self::ProductionEnergy => match origin {
                Origin::Meter | Origin::Undecided => &[Meters, MeterRows],
                Origin::Unknown => &[Meters, MeterRows, Totals, Counters, InverterRow],
                Origin::Inverters => &[Totals, Counters, InverterRow, Table],
            },
            Self::HousePower | Self::HouseEnergy | Self::GridPower | Self::Phases => &[Meters, MeterRows],
            Self::GridEnergy | Self::Storage => &[Meters],
            Self::Batteries => &[Page(Endpoint::EnsembleInventory)],
            Self::BatteryTotals => &[Page(Endpoint::EnsembleSecctrl)],
            Self::BatteryPowers => &[Page(Endpoint::EnsemblePower)],
            Self::LiveValues => &[Page(Endpoint::LiveData)],
            Self::Inverters => &[Details, Reports],
            Self::AcBatteryTotals => &[Page(Endpoint::ProductionJson)],
            Self::AcBatteries => &[Page(Endpoint::Inventory)],
            Self::DryContacts => &[Page(Endpoint::DryContacts)],
            Self::DryContactNames => &[Page(Endpoint::DryContactSettings)],
            Self::Generator => &[Page(Endpoint::EnsembleGenerator)],
            Self::Tariff => &[Page(Endpoint::Tariff)],
        }
    }
}

impl Route {
    /// Returns the pages to request, in order. The last one contains the value.
    pub(super) const fn pages(&self) -> &[Endpoint] {
        match self {
            Self::Meters => &[Endpoint::Meters, Endpoint::MeterReadings],
            Self::MeterRows | Self::InverterRow => &[Endpoint::ProductionJson],
            Self::Totals => &[Endpoint::Production],
            Self::Counters => &[Endpoint::Energy],
            Self::Table => &[Endpoint::ProductionHtml],
            Self::Details => &[Endpoint::DeviceData],
            Self::Reports => &[Endpoint::Inverters],
            Self::Page(endpoint) => std::slice::from_ref(endpoint),
        }
    }

    /// Returns the page that contains the value.
    pub(super) const fn page(self) -> Endpoint {
        match self {
            Self::Meters => Endpoint::MeterReadings,
            Self::MeterRows | Self::InverterRow => Endpoint::ProductionJson,
            Self::Totals => Endpoint::Production,
            Self::Counters => Endpoint::Energy,
            Self::Table => Endpoint::ProductionHtml,
            Self::Details => Endpoint::DeviceData,
            Self::Reports => Endpoint::Inverters,
            Self::Page(endpoint) => endpoint,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::io::gateway::endpoint::Cost;

    const ORIGINS: [Origin; 4] = [Origin::Meter, Origin::Undecided, Origin::Unknown, Origin::Inverters];

    #[test]
    fn every_page_yields_a_value_and_every_value_has_a_way() {
        let mut pages = BTreeSet::new();
        for (value, origin) in Value::ALL.into_iter().flat_map(|value| ORIGINS.map(|origin| (value, origin)))
        {
            let routes = value.routes(origin);
            assert!(!routes.is_empty(), "{value:?}");
            assert_eq!(
                routes.iter().collect::<BTreeSet<_>>().len(),
                routes.len(),
                "{value:?}: a route twice"
            );
            pages.extend(routes.iter().flat_map(|route| route.pages().to_vec()));
            assert!(routes.iter().all(|route| route.pages().last() == Some(&route.page())));
        }
        assert_eq!(pages, Endpoint::ALL.into_iter().collect());
    }

    #[test]
    fn no_slow_page_comes_first_where_a_fast_one_has_the_value() {
        for (value, origin) in Value::ALL.into_iter().flat_map(|value| ORIGINS.map(|origin| (value, origin)))
        {
            let first = value.routes(origin)[0].page();
            let fast = value.routes(origin).iter().any(|route| route.page().page().cost == Cost::Fast);
            assert!(first.page().cost == Cost::Fast || !fast, "{value:?} {origin:?}");
        }
    }

    #[test]
    fn the_total_of_a_meter_is_never_replaced_by_that_of_the_inverters() {
        assert_eq!(Value::ProductionEnergy.routes(Origin::Meter), [Route::Meters, Route::MeterRows]);
        assert_eq!(Value::ProductionEnergy.routes(Origin::Undecided), [Route::Meters, Route::MeterRows]);
    }
}
