//! The newest good answer of each endpoint.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::gateway::Endpoint;
use crate::gateway::wire::Malformed;
use crate::gateway::wire::device_data::DeviceData;
use crate::gateway::wire::energy::Energy;
use crate::gateway::wire::ensemble::{Inventory, Power, Secctrl};
use crate::gateway::wire::inventory::AcBatteries;
use crate::gateway::wire::inverters::Inverters;
use crate::gateway::wire::livedata::LiveData;
use crate::gateway::wire::meters::Meters;
use crate::gateway::wire::production::Production;
use crate::gateway::wire::production_html::ProductionHtml;
use crate::gateway::wire::production_json::ProductionJson;
use crate::gateway::wire::readings::Readings;
use crate::gateway::wire::switches::{DryContacts, Generator};
use crate::gateway::wire::tariff::Tariff;

/// When a page was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    /// In which cycle.
    pub(super) cycle: u64,
    /// At which moment.
    pub(super) at: Instant,
}

/// A page and when it was read.
#[derive(Debug)]
pub(super) struct Kept<T> {
    /// The page.
    pub(super) page: T,
    /// When it was read.
    pub(super) read: Read,
}

/// How often a page is asked for: zero for each cycle. It is shown from memory for twice as long.
pub(super) fn period(endpoint: Endpoint) -> Duration {
    const MINUTE: u64 = 60;
    Duration::from_secs(match endpoint {
        Endpoint::MeterReadings | Endpoint::Production | Endpoint::LiveData => 0,
        // The last three are slow pages, asked for only where nothing else has the value.
        Endpoint::EnsemblePower
        | Endpoint::EnsembleSecctrl
        | Endpoint::Energy
        | Endpoint::ProductionJson
        | Endpoint::ProductionHtml => MINUTE,
        // Inverters report every 5 to 15 minutes; asking more often gives nothing.
        Endpoint::Inverters
        | Endpoint::DeviceData
        | Endpoint::EnsembleInventory
        | Endpoint::DryContacts
        | Endpoint::EnsembleGenerator => 5 * MINUTE,
        Endpoint::Inventory => 15 * MINUTE,
        Endpoint::Meters | Endpoint::Tariff | Endpoint::DryContactSettings => 60 * MINUTE,
    })
}

macro_rules! pages {
    ($($field:ident: $page:ty = $endpoint:ident, $parse:expr;)*) => {
        /// The newest good answer of each endpoint.
        #[derive(Debug, Default)]
        pub(super) struct Pages {
            $(pub(super) $field: Option<Kept<$page>>,)*
        }

        impl Pages {
            /// Reads `body` and keeps it.
            pub(super) fn keep(&mut self, endpoint: Endpoint, body: &[u8], read: Read) -> Result<(), Malformed> {
                match endpoint {
                    $(Endpoint::$endpoint => self.$field = Some(Kept { page: $parse(body)?, read }),)*
                }
                Ok(())
            }

            /// Whether nothing is kept.
            pub(super) fn is_empty(&self) -> bool {
                $(self.$field.is_none())&&*
            }

            /// Drops what is asked for in each cycle, so that it takes no memory until the next.
            pub(super) fn drop_momentary(&mut self) {
                $(self.$field.take_if(|_| period(Endpoint::$endpoint).is_zero());)*
            }

            /// Drops what is too old to be shown at `now`, in the cycle `cycle`.
            pub(super) fn drop_stale(&mut self, cycle: u64, now: Instant) {
                $(
                    let fresh = |read: Read| read.cycle == cycle
                        || now.saturating_duration_since(read.at) < 2 * period(Endpoint::$endpoint);
                    self.$field.take_if(|kept| !fresh(kept.read));
                )*
            }
        }
    };
}

pages! {
    readings: Readings = MeterReadings, Readings::parse;
    production: Production = Production, Production::parse;
    energy: Energy = Energy, Energy::parse;
    production_json: ProductionJson = ProductionJson, ProductionJson::parse;
    production_html: ProductionHtml = ProductionHtml, ProductionHtml::parse;
    inverters: Inverters = Inverters, Inverters::parse;
    device_data: DeviceData = DeviceData, DeviceData::parse;
    inventory: Inventory = EnsembleInventory, Inventory::parse;
    power: Power = EnsemblePower, Power::parse;
    secctrl: Secctrl = EnsembleSecctrl, Secctrl::parse;
    contacts: DryContacts = DryContacts, DryContacts::parse;
    contact_settings: DryContacts = DryContactSettings, DryContacts::parse;
    generator: Generator = EnsembleGenerator, Generator::parse;
    tariff: Option<Tariff> = Tariff, Tariff::parse;
    ac_batteries: AcBatteries = Inventory, AcBatteries::parse;
    live: LiveData = LiveData, LiveData::parse;
    meters: Meters = Meters, Meters::parse;
}

impl Pages {
    /// Every time stamp in the answers, for knowing the gateway's clock.
    pub(super) fn stamps(&self) -> impl Iterator<Item = Timestamp> {
        let readings = Kept::page(self.readings.as_ref()).map_or(&[][..], |page| &page.0);
        let slow = Kept::page(self.production_json.as_ref());
        let slow = slow.map(|page| page.production.iter().chain(&page.consumption));
        let inverters = Kept::page(self.inverters.as_ref()).map_or(&[][..], |page| &page.0);
        let devices = Kept::page(self.device_data.as_ref()).map_or(&[][..], |page| &page.inverters);
        let batteries = Kept::page(self.inventory.as_ref()).map_or(&[][..], |page| &page.batteries);
        let live = Kept::page(self.live.as_ref()).and_then(|page| page.updated_at);
        (readings.iter().filter_map(|row| row.timestamp))
            .chain(slow.into_iter().flatten().filter_map(|row| row.measured_at))
            .chain(inverters.iter().filter_map(|row| row.reported.at()))
            .chain(devices.iter().filter_map(|device| device.reported.at()))
            .chain(batteries.iter().filter_map(|battery| battery.reported.at()))
            .chain(live)
    }
}

impl<T> Kept<T> {
    /// The page alone.
    pub(super) fn page(kept: Option<&Self>) -> Option<&T> {
        kept.map(|kept| &kept.page)
    }
}
