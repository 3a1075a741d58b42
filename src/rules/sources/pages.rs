//! A cache of the last good response of each endpoint.

use jiff::Timestamp;
use tokio::time::Instant;

use super::request_log::RequestTime;
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

/// A page with the time of its request.
#[derive(Debug)]
pub(super) struct Cached<T> {
    pub(super) page: T,
    pub(super) read: RequestTime,
}

macro_rules! pages {
    ($($field:ident: $page:ty = $endpoint:ident, $parse:expr;)*) => {
        /// The last good response of each endpoint.
        #[derive(Debug, Default)]
        pub(super) struct Pages {
            $(pub(super) $field: Option<Cached<$page>>,)*
        }

        impl Pages {
            /// Parses `body` and stores the page.
            pub(super) fn store(&mut self, endpoint: Endpoint, body: &[u8], read: RequestTime) -> Result<(), Malformed> {
                match endpoint {
                    $(Endpoint::$endpoint => self.$field = Some(Cached { page: $parse(body)?, read }),)*
                }
                Ok(())
            }

            /// Returns `true` if a page of `endpoint` is stored.
            pub(super) fn has(&self, endpoint: Endpoint) -> bool {
                match endpoint {
                    $(Endpoint::$endpoint => self.$field.is_some(),)*
                }
            }

            /// Drops the pages that are requested in each cycle, to save memory between cycles.
            pub(super) fn drop_momentary(&mut self) {
                $(self.$field.take_if(|_| Endpoint::$endpoint.period().is_zero());)*
            }

            /// Drops pages that are too old at `now`, in the cycle `cycle`. The list of meters does not expire: it
            /// changes only when an installer configures the meters.
            pub(super) fn drop_stale(&mut self, cycle: u64, now: Instant) {
                $(
                    let fresh = |read: RequestTime| read.cycle == cycle
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
    /// Returns the timestamps of the meters, which are at most minutes old while the meters work.
    pub(super) fn meter_stamps(&self) -> impl Iterator<Item = Timestamp> + Clone {
        let readings = Cached::page(self.readings.as_ref()).map_or(&[][..], |page| &page.0);
        let slow = Cached::page(self.production_json.as_ref());
        let meters = |row: &&Row| row.kind.as_deref() == Some("eim");
        let slow = slow.map(|page| page.production.iter().chain(&page.consumption).filter(meters));
        (readings.iter().filter_map(|row| row.timestamp))
            .chain(slow.into_iter().flatten().filter_map(|row| row.measured_at))
    }

    /// Returns all timestamps of the pages, from which the gateway's clock is derived.
    pub(super) fn stamps(&self) -> impl Iterator<Item = Timestamp> {
        let inverters = Cached::page(self.inverters.as_ref()).map_or(&[][..], |page| &page.0);
        let devices = Cached::page(self.device_data.as_ref()).map_or(&[][..], |page| &page.inverters);
        let batteries = Cached::page(self.inventory.as_ref()).map_or(&[][..], |page| &page.batteries);
        let slow = Cached::page(self.production_json.as_ref());
        let sum = slow.and_then(|page| page.inverters()?.measured_at);
        let live = Cached::page(self.live.as_ref()).and_then(|page| page.updated_at);
        self.meter_stamps()
            .chain(sum)
            .chain(live)
            .chain(inverters.iter().filter_map(|row| row.reported.at()))
            .chain(devices.iter().filter_map(|device| device.reported.at()))
            .chain(batteries.iter().filter_map(|battery| battery.reported.at()))
    }
}

impl<T> Cached<T> {
    /// Returns the page without its time.
    pub(super) fn page(kept: Option<&Self>) -> Option<&T> {
        kept.map(|kept| &kept.page)
    }
}
