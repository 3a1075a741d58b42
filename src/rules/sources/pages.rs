//! The newest good answer of each endpoint.

use jiff::Timestamp;
use tokio::time::Instant;

use super::visits::When;
use crate::io::gateway::Endpoint;
use crate::io::gateway::wire::Malformed;
use crate::io::gateway::wire::device_data::DeviceData;
use crate::io::gateway::wire::energy::Energy;
use crate::io::gateway::wire::ensemble::{Inventory, Power, Secctrl};
use crate::io::gateway::wire::inventory::AcBatteries;
use crate::io::gateway::wire::inverters::Inverters;
use crate::io::gateway::wire::livedata::LiveData;
use crate::io::gateway::wire::meters::Meters;
use crate::io::gateway::wire::production::Production;
use crate::io::gateway::wire::production_html::ProductionHtml;
use crate::io::gateway::wire::production_json::{ProductionJson, Row};
use crate::io::gateway::wire::readings::Readings;
use crate::io::gateway::wire::switches::{DryContacts, Generator};
use crate::io::gateway::wire::tariff::Tariff;

/// A page and when it was read.
#[derive(Debug)]
pub(super) struct Kept<T> {
    /// The page.
    pub(super) page: T,
    /// When it was read.
    pub(super) read: When,
}

macro_rules! pages {
    ($($field:ident: $page:ty = $endpoint:ident, $parse:expr;)*) => {
        /// The newest good answer of each endpoint.
        #[derive(Debug, Default)]
        pub(super) struct Pages {
            $(pub(super) $field: Option<Kept<$page>>,)*
        }

        impl Pages {
            /// Parses `body` and keeps it.
            pub(super) fn keep(&mut self, endpoint: Endpoint, body: &[u8], read: When) -> Result<(), Malformed> {
                match endpoint {
                    $(Endpoint::$endpoint => self.$field = Some(Kept { page: $parse(body)?, read }),)*
                }
                Ok(())
            }

            /// Whether an answer of `endpoint` is kept.
            pub(super) fn has(&self, endpoint: Endpoint) -> bool {
                match endpoint {
                    $(Endpoint::$endpoint => self.$field.is_some(),)*
                }
            }

            /// Drops what is asked for in each cycle, so that it takes no memory until the next.
            pub(super) fn drop_momentary(&mut self) {
                $(self.$field.take_if(|_| Endpoint::$endpoint.period().is_zero());)*
            }

            /// Drops what is too old to be shown at `now`, in the cycle `cycle`. The list of meters does not age: it
            /// changes when an installer configures them, and where its page fails the last one is as good.
            pub(super) fn drop_stale(&mut self, cycle: u64, now: Instant) {
                $(
                    let fresh = |read: When| read.cycle == cycle
                        || Endpoint::$endpoint == Endpoint::Meters
                        || now.saturating_duration_since(read.at) < 2 * Endpoint::$endpoint.period();
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
    /// The time stamps of what meters measure, at most minutes old while they work.
    pub(super) fn meter_stamps(&self) -> impl Iterator<Item = Timestamp> + Clone {
        let readings = Kept::page(self.readings.as_ref()).map_or(&[][..], |page| &page.0);
        let slow = Kept::page(self.production_json.as_ref());
        let meters = |row: &&Row| row.kind.as_deref() == Some("eim");
        let slow = slow.map(|page| page.production.iter().chain(&page.consumption).filter(meters));
        (readings.iter().filter_map(|row| row.timestamp))
            .chain(slow.into_iter().flatten().filter_map(|row| row.measured_at))
    }

    /// Every time stamp in the answers, for knowing the gateway's clock.
    pub(super) fn stamps(&self) -> impl Iterator<Item = Timestamp> {
        let inverters = Kept::page(self.inverters.as_ref()).map_or(&[][..], |page| &page.0);
        let devices = Kept::page(self.device_data.as_ref()).map_or(&[][..], |page| &page.inverters);
        let batteries = Kept::page(self.inventory.as_ref()).map_or(&[][..], |page| &page.batteries);
        let slow = Kept::page(self.production_json.as_ref());
        let sum = slow.and_then(|page| page.inverters()?.measured_at);
        let live = Kept::page(self.live.as_ref()).and_then(|page| page.updated_at);
        self.meter_stamps()
            .chain(sum)
            .chain(live)
            .chain(inverters.iter().filter_map(|row| row.reported.at()))
            .chain(devices.iter().filter_map(|device| device.reported.at()))
            .chain(batteries.iter().filter_map(|battery| battery.reported.at()))
    }
}

impl<T> Kept<T> {
    /// The page alone.
    pub(super) fn page(kept: Option<&Self>) -> Option<&T> {
        kept.map(|kept| &kept.page)
    }
}
