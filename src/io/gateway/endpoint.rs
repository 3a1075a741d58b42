//! The table of the pages of the gateway: the path of each, its cost for the gateway, and how often it is requested.

use std::time::Duration;

use super::firmware::Firmware;

const MINUTE: Duration = Duration::from_secs(60);
const MINUTES_5: Duration = Duration::from_secs(5 * 60);
const MINUTES_15: Duration = Duration::from_secs(15 * 60);
const HOUR: Duration = Duration::from_secs(3600);

/// A page of the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// The list of meters and their states.
    Meters,
    /// The values of the meters, about a second old.
    MeterReadings,
    /// The power and the lifetime energy of production.
    Production,
    /// Production and consumption by inverters and by meters.
    Energy,
    /// Production and consumption in detail, with each phase.
    ProductionJson,
    /// The production page of firmware 3 and earlier, in HTML.
    ProductionHtml,
    /// The batteries, the system controller, and the meter collar.
    EnsembleInventory,
    /// The sums over all batteries.
    EnsembleSecctrl,
    /// The power of each battery.
    EnsemblePower,
    /// Live values, which are frozen unless their stream is enabled.
    LiveData,
    /// Each device in detail, limited to 50.
    DeviceData,
    /// The last report of each inverter.
    Inverters,
    /// The dry contacts of the system controller.
    DryContacts,
    /// The names that the owner gave to the loads at the dry contacts.
    DryContactSettings,
    /// The generator.
    EnsembleGenerator,
    /// The storage settings.
    Tariff,
    /// All devices, including AC batteries.
    Inventory,
}

/// The cost of a page for the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// A native handler responds in less than 0.1 s.
    Fast,
    /// The web application takes 0.7 to 11 s. Such a page is requested only if no fast page has the value.
    Slow,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// The request target.
    pub path: &'static str,
    /// The cost for the gateway.
    pub cost: Cost,
    /// The interval between requests; zero means at each poll. The values remain in use for twice as long.
    pub period: Duration,
    /// The first firmware for which the page is requested.
    pub since: Firmware,
    /// The first firmware with which every gateway shows the page to an owner. From there on a refusal is a fault;
    /// before, it means that this gateway or role does not have the page.
    pub certain_since: Option<Firmware>,
    /// The size limit of a response in bytes. Most pages describe the site and have less than 20 kB; the longest
    /// recorded one has 43 kB. The others have an entry for each device; their limits allow 600 inverters, more than
    /// any gateway serves.
    pub limit: usize,
}

const fn page(path: &'static str, cost: Cost, period: Duration) -> Page {
    Page { path, cost, period, since: Firmware::new(0, 0, 0), certain_since: None, limit: 64 << 10 }
}

impl Page {
    const fn since(self, major: u32, minor: u32, build: u32) -> Self {
        Self { since: Firmware::new(major, minor, build), ..self }
    }

    const fn certain(self, major: u32, minor: u32, build: u32) -> Self {
        Self { certain_since: Some(Firmware::new(major, minor, build)), ..self }
    }

    const fn limit(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// Returns whether every gateway with this firmware shows the page to an owner.
    pub fn is_certain(&self, firmware: Firmware) -> bool {
        self.certain_since.is_some_and(|since| since <= firmware)
    }
}

impl Endpoint {
    /// All pages, in the order of their requests: the cheapest and most informative first.
    pub const ALL: [Self; 17] = [
        Self::Meters,
        Self::MeterReadings,
        Self::Production,
        Self::Energy,
        Self::ProductionJson,
        Self::ProductionHtml,
        Self::EnsembleInventory,
        Self::EnsembleSecctrl,
        Self::EnsemblePower,
        Self::LiveData,
        Self::DeviceData,
        Self::Inverters,
        Self::DryContacts,
        Self::DryContactSettings,
        Self::EnsembleGenerator,
        Self::Tariff,
        Self::Inventory,
    ];

    /// Returns the row of the table.
    pub const fn page(self) -> Page {
        use Cost::{Fast, Slow};
        match self {
            // Changes only when an installer configures the meters.
            Self::Meters => page("/ivp/meters", Fast, HOUR).since(4, 0, 0).certain(7, 0, 0),
            Self::MeterReadings => {
                page("/ivp/meters/readings", Fast, Duration::ZERO).since(4, 0, 0).certain(0, 0, 0)
            }
            Self::Production => page("/api/v1/production", Fast, Duration::ZERO).certain(5, 0, 0),
            Self::Energy => page("/ivp/pdm/energy", Fast, MINUTE).since(8, 2, 4000),
            Self::ProductionJson => {
                page("/production.json?details=1", Slow, MINUTE).since(4, 0, 0).certain(4, 0, 0)
            }
            Self::ProductionHtml => page("/production", Slow, MINUTE),
            // 1160 bytes for each battery.
            Self::EnsembleInventory => {
                page("/ivp/ensemble/inventory", Fast, MINUTES_5).since(5, 0, 0).limit(128 << 10)
            }
            Self::EnsembleSecctrl => page("/ivp/ensemble/secctrl", Fast, MINUTE).since(5, 0, 0),
            Self::EnsemblePower => page("/ivp/ensemble/power", Fast, MINUTE).since(5, 0, 0),
            Self::LiveData => page("/ivp/livedata/status", Fast, Duration::ZERO).since(5, 0, 0),
            // 2200 bytes for each inverter; current firmware stops at 50.
            Self::DeviceData => page("/ivp/pdm/device_data", Fast, MINUTES_5).since(8, 2, 0).limit(512 << 10),
            // Inverters report every 5 to 15 minutes; 151 bytes for each of them.
            Self::Inverters => {
                page("/api/v1/production/inverters", Fast, MINUTES_5).certain(7, 0, 0).limit(256 << 10)
            }
            Self::DryContacts => page("/ivp/ensemble/dry_contacts", Fast, MINUTES_5).since(5, 0, 0),
            Self::DryContactSettings => page("/ivp/ss/dry_contact_settings", Fast, HOUR).since(5, 0, 0),
            Self::EnsembleGenerator => page("/ivp/ensemble/generator", Fast, MINUTES_5).since(5, 0, 0),
            // 13 kB with one season.
            Self::Tariff => page("/admin/lib/tariff", Slow, HOUR).since(5, 0, 0).limit(128 << 10),
            // 700 to 1160 bytes for each inverter and battery, removed ones included.
            Self::Inventory => {
                page("/inventory.json?deleted=1", Slow, MINUTES_15).since(4, 0, 0).limit(1 << 20)
            }
        }
    }

    /// Returns the request target.
    pub const fn path(self) -> &'static str {
        self.page().path
    }

    /// Returns the interval between requests; zero means at each poll.
    pub const fn period(self) -> Duration {
        self.page().period
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_page_has_one_row_of_its_own() {
        let paths: BTreeSet<&str> = Endpoint::ALL.into_iter().map(Endpoint::path).collect();
        assert_eq!(paths.len(), Endpoint::ALL.len());
        assert!(paths.iter().all(|path| path.starts_with('/')));
    }

    #[test]
    fn slow_pages_are_requested_at_most_once_a_minute() {
        for endpoint in Endpoint::ALL {
            let page = endpoint.page();
            assert!(page.cost == Cost::Fast || page.period >= MINUTE, "{endpoint:?}");
            assert!(
                page.certain_since
                    .is_none_or(|certain| certain >= page.since || certain == Firmware::new(0, 0, 0))
            );
        }
    }

    #[test]
    fn a_refusal_of_a_page_that_every_gateway_has_is_a_fault() {
        assert!(
            !Endpoint::Meters.page().is_certain(Firmware::new(5, 0, 62))
                && Endpoint::Meters.page().is_certain(Firmware::new(7, 0, 0))
        );
        assert!(!Endpoint::DeviceData.page().is_certain(Firmware::new(8, 3, 5289)));
    }
}
