//! The table of values: for each value of a reading, the pages that can yield it, in the order in which they are asked.
//!
//! The pages themselves, with path, cost and period, are the table in [`crate::io::gateway::endpoint`].

use crate::io::gateway::Endpoint;

/// A value of a reading, or several that come together.
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
    /// Storage as its meter measures it.
    Storage,
    /// The batteries of the ensemble, the system controller and the collar.
    Batteries,
    BatteryTotals,
    BatteryPowers,
    LiveValues,
    Inverters,
    /// The AC batteries together.
    AcBatteryTotals,
    /// Each AC battery.
    AcBatteries,
    DryContacts,
    DryContactNames,
    Generator,
    Tariff,
}

/// A way to a value: one page, or two that are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Way {
    /// The list of meters joined with their readings, about a second old.
    Meters,
    /// The meters of `production.json`: the same transformers, with the same lifetime totals.
    MeterRows,
    /// The inverters' sum of `production.json`.
    InverterRow,
    /// The fast page of totals.
    Totals,
    /// The fast page of counters, by inverters and meters.
    Counters,
    /// The table of firmware 3, for people.
    Table,
    /// The sum of the inverters in detail.
    Details,
    /// The sum of the inverters' last reports.
    Reports,
    /// A page that needs no other.
    Page(Endpoint),
}

/// What measures production.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A production meter. Its lifetime total is another than that of the inverters and never replaced by it.
    Meter,
    /// A model with meters has not shown yet whether it uses them: no total until that is known.
    Undecided,
    /// No list of meters says so; `production.json` does.
    Unknown,
    /// The inverters, by their reports.
    Inverters,
}

impl Value {
    /// Every value, the important ones first.
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

    /// Its name in messages.
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

    /// The ways to it, the best first.
    pub(super) const fn ways(self, origin: Origin) -> &'static [Way] {
        use Way::{Counters, Details, InverterRow, MeterRows, Meters, Page, Reports, Table, Totals};
        match self {
            // Of a metered gateway the fast total lags by minutes, and on 8.3.5433 it is another quantity: it comes last.
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

impl Way {
    /// The pages it takes, in the order in which they are asked for; the value is on the last.
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

    /// The page that shows the value.
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
            let ways = value.ways(origin);
            assert!(!ways.is_empty(), "{value:?}");
            assert_eq!(ways.iter().collect::<BTreeSet<_>>().len(), ways.len(), "{value:?}: a way twice");
            pages.extend(ways.iter().flat_map(|way| way.pages().to_vec()));
            assert!(ways.iter().all(|way| way.pages().last() == Some(&way.page())));
        }
        assert_eq!(pages, Endpoint::ALL.into_iter().collect());
    }

    #[test]
    fn no_slow_page_comes_first_where_a_fast_one_has_the_value() {
        for (value, origin) in Value::ALL.into_iter().flat_map(|value| ORIGINS.map(|origin| (value, origin)))
        {
            let first = value.ways(origin)[0].page();
            let fast = value.ways(origin).iter().any(|way| way.page().page().cost == Cost::Fast);
            assert!(first.page().cost == Cost::Fast || !fast, "{value:?} {origin:?}");
        }
    }

    #[test]
    fn the_total_of_a_meter_is_never_replaced_by_that_of_the_inverters() {
        assert_eq!(Value::ProductionEnergy.ways(Origin::Meter), [Way::Meters, Way::MeterRows]);
        assert_eq!(Value::ProductionEnergy.ways(Origin::Undecided), [Way::Meters, Way::MeterRows]);
    }
}
