//! The reading, put together from the pages.

use jiff::{SignedDuration, Timestamp};

use super::ensemble::View;
use super::meters::{self, Batteries, Groups, Unmetered};
use super::oddities::Oddity;
use super::pages::Kept;
use super::{Cycle, Metering, Sources, acb, age, ensemble, inverters, slow};
use crate::gateway::wire::livedata::LiveData;
use crate::gateway::wire::readings::MeterReading;
use crate::reading::{GatewayFacts, Reading};

impl Sources {
    /// What this cycle yields, at `time` by our clock. The cycle is over then.
    pub fn cycle(&mut self, time: Timestamp) -> Cycle {
        let cycle = if self.course.yielded {
            let groups = self.metered_groups();
            if groups.negative_house {
                self.say(Oddity::NegativeHouse);
            }
            Cycle::Reading(Box::new(self.reading(groups, time)))
        } else if self.course.missed || self.pages.is_empty() {
            Cycle::Nothing
        } else {
            Cycle::NotDue
        };
        self.pages.drop_momentary();
        cycle
    }

    fn reading(&self, groups: Groups, time: Timestamp) -> Reading {
        let mut reading = Reading::empty(time, self.gateway_facts());
        let view = self.view();
        reading.production = groups.production.or_else(|| self.total_production());
        reading.consumption = groups.consumption;
        reading.grid = groups.grid;
        reading.storage = ensemble::storage(groups.storage, &view);
        reading.phases = groups.phases;
        let detailed = Kept::page(self.pages.device_data.as_ref());
        reading.inverters =
            inverters::inverters(detailed, Kept::page(self.pages.inverters.as_ref()), view.clock);
        reading.batteries = ensemble::batteries(&view);
        let inventory = Kept::page(self.pages.inventory.as_ref());
        reading.grid_connection = inventory.and_then(ensemble::grid_connection);
        reading.dry_contacts = ensemble::dry_contacts(&self.pages);
        reading.generator = Kept::page(self.pages.generator.as_ref()).and_then(ensemble::generator);
        reading.tariff = ensemble::tariff(&self.pages);
        reading
    }

    fn gateway_facts(&self) -> GatewayFacts {
        GatewayFacts {
            serial: self.facts.serial.clone(),
            firmware: self.facts.firmware_name.clone(),
            part_number: self.facts.part_number.clone(),
            metered: self.metering() == Metering::Listed || self.meter_seen,
        }
    }

    fn view(&self) -> View<'_> {
        View { pages: &self.pages, live: self.live(), clock: self.gateway_clock() }
    }

    fn metered_groups(&self) -> Groups {
        let view = self.view();
        let batteries = if self.batteries_listed() == 0 && !acb::known(&self.pages) {
            Batteries::None
        } else {
            Batteries::Power(ensemble::power(&view))
        };
        let unmetered = Unmetered { batteries, generator: ensemble::generator_power(&view) };
        let clock = view.clock;
        let list = Kept::page(self.pages.meters.as_ref()).filter(|_| self.metering() == Metering::Listed);
        match (list, Kept::page(self.pages.readings.as_ref())) {
            (Some(list), Some(readings)) => {
                let fresh = |row: &&MeterReading| !age::is_stale(row.timestamp, clock, age::METER);
                let readings: Vec<&MeterReading> = readings.0.iter().filter(fresh).collect();
                meters::groups(list, &readings, unmetered, self.facts.firmware)
            }
            (None, _) if self.metering() == Metering::Unlisted => self
                .slow_page()
                .map(|page| slow::groups(page, unmetered, self.facts.firmware, clock))
                .unwrap_or_default(),
            _ => Groups::default(),
        }
    }

    /// The live values, when they move.
    pub(super) fn live(&self) -> Option<&LiveData> {
        let stale = |page: &LiveData| age::is_stale(page.updated_at, self.gateway_clock(), age::LIVE);
        Kept::page(self.pages.live.as_ref()).filter(|page| page.streaming && !stale(page))
    }

    /// The gateway's clock, for judging the age of its values: see [`age`].
    fn gateway_clock(&self) -> Option<Timestamp> {
        let asked = self.clock.map_or(self.began, |(_, at)| at);
        let since = self.began.saturating_duration_since(asked);
        let since = SignedDuration::try_from(since).unwrap_or(SignedDuration::MAX);
        age::gateway_clock(self.clock.map(|(info, _)| info), since, self.pages.stamps())
    }
}
