//! Production, grid, house, storage and phases from the meters.

use jiff::Timestamp;

use super::oddities::{Firmware, Oddity};
use crate::gateway::wire::meters::{Meter, Meters};
use crate::gateway::wire::readings::MeterReading;
use crate::reading::{Consumption, Grid, Phase, PhaseValues, Production, Source, Storage};
use crate::units::{WattHours, Watts};

/// The house cannot give power; a little below zero is noise between two transformers.
const NOISE: f64 = -50.0;

/// What the meters give.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Groups {
    pub(super) production: Option<Production>,
    pub(super) consumption: Option<Consumption>,
    pub(super) grid: Option<Grid>,
    pub(super) storage: Option<Storage>,
    pub(super) phases: Vec<Phase>,
}

/// What is known of the batteries without a storage meter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Batteries {
    /// There are none.
    None,
    /// They are there; together they give so much, if that is known.
    Power(Option<Watts>),
}

/// The meters that work, of one place: the whole site or one phase.
#[derive(Clone, Copy, Debug, Default)]
struct Place<'a> {
    production: Option<&'a MeterReading>,
    net: Option<&'a MeterReading>,
    total: Option<&'a MeterReading>,
    storage: Option<&'a MeterReading>,
}

/// Joins the list of meters with those of their readings that are fresh.
pub(super) fn groups(
    meters: &Meters,
    readings: &[&MeterReading],
    batteries: Batteries,
    firmware: Firmware,
) -> Groups {
    let site = Place::new(meters, |meter| reading_of(meter, readings));
    let storage_power = site.storage_power(meters, batteries, firmware);
    let battery = match (site.storage, batteries) {
        (None, Batteries::None) => Some(Watts::ZERO),
        _ => storage_power,
    };
    // Where the storage transformer cannot be right, the batteries' own word may be (see `Oddity::NegativeHouse`).
    let own = match batteries {
        Batteries::Power(power) => power,
        Batteries::None => None,
    };
    let of_house = [battery, own].into_iter().find(|it| site.house_power(*it).is_some()).unwrap_or(battery);
    let stamp = |row: Option<&MeterReading>| row.and_then(|row| row.timestamp);
    Groups {
        production: site.production.map(|row| Production {
            power_w: row.power,
            energy_wh: row.delivered,
            today_wh: None,
            yesterday_wh: None,
            source: Source::Meter,
            measured_at: row.timestamp,
        }),
        consumption: site.consumption(of_house),
        grid: site.grid(battery),
        storage: site.storage.map(|row| Storage {
            power_w: storage_power,
            charged_wh: row.received,
            discharged_wh: row.delivered,
            measured_at: stamp(Some(row)),
            ..Storage::default()
        }),
        phases: phases(meters, readings, batteries),
    }
}

/// The row of a meter, if it is switched on and measures at all.
fn reading_of<'a>(meter: &Meter, readings: &[&'a MeterReading]) -> Option<&'a MeterReading> {
    let eid = meter.eid.filter(|_| meter.enabled())?;
    readings.iter().copied().find(|row| row.eid == Some(eid))
}

fn phases(meters: &Meters, readings: &[&MeterReading], batteries: Batteries) -> Vec<Phase> {
    let count = meters.0.iter().filter(|meter| meter.enabled()).map(Meter::phases).max().unwrap_or(0);
    (0..count)
        .map(|index| {
            let on_phase = |meter: &Meter| {
                let channels = &reading_of(meter, readings)?.channels;
                channels.get(index).filter(|_| index < meter.phases())?.as_ref()
            };
            let place = Place::new(meters, on_phase);
            let battery = match (place.storage, batteries) {
                (Some(row), _) => row.power,
                (None, Batteries::None) => Some(Watts::ZERO),
                (None, Batteries::Power(_)) => None,
            };
            place.phase(index, battery)
        })
        .filter(|phase| *phase != Phase { phase: phase.phase.clone(), ..Phase::default() })
        .collect()
}

impl<'a> Place<'a> {
    fn new(meters: &Meters, row: impl Fn(&Meter) -> Option<&'a MeterReading>) -> Self {
        let find = |kind: &str| {
            meters.0.iter().filter(|meter| meter.measurement_type.as_deref() == Some(kind)).find_map(&row)
        };
        Self {
            production: find("production"),
            net: find("net-consumption"),
            total: find("total-consumption"),
            storage: find("storage"),
        }
    }

    /// What the batteries give, from their meter or from themselves.
    fn storage_power(&self, meters: &Meters, batteries: Batteries, firmware: Firmware) -> Option<Watts> {
        let themselves = match batteries {
            Batteries::Power(power) => power,
            Batteries::None => None,
        };
        let Some(row) = self.storage else { return themselves };
        let split = meters.0.iter().any(|meter| {
            meter.enabled()
                && meter.measurement_type.as_deref() == Some("storage")
                && meter.phase_mode.as_deref() == Some("split")
        });
        if split && Oddity::HalfStorage.holds(firmware) && shows_half(row) {
            return themselves.or(row.power);
        }
        row.power
    }

    fn grid_power(&self, battery: Option<Watts>) -> Option<Watts> {
        match (self.net, self.total) {
            (Some(net), _) => net.power,
            (None, Some(total)) => Some(total.power? - self.production?.power? - battery?),
            (None, None) => None,
        }
    }

    fn house_power(&self, battery: Option<Watts>) -> Option<Watts> {
        let power = match (self.total, self.net) {
            (Some(total), _) => total.power,
            (None, Some(net)) => Some(self.production?.power? + net.power? + battery?),
            (None, None) => None,
        };
        power.filter(|power| power.value() > NOISE)
    }

    /// Produced and imported, not exported; and what the batteries gave back, less what they took.
    fn house_energy(&self) -> Option<WattHours> {
        if let Some(total) = self.total {
            return total.delivered;
        }
        let net = self.net?;
        let site = self.production?.delivered? + net.delivered? - net.received?;
        match self.storage {
            Some(storage) => Some(site + storage.delivered? - storage.received?),
            None => Some(site),
        }
    }

    fn consumption(&self, battery: Option<Watts>) -> Option<Consumption> {
        let (power_w, energy_wh) = (self.house_power(battery), self.house_energy());
        let measured_at = self.total.or(self.net)?.timestamp;
        (power_w.is_some() || energy_wh.is_some()).then(|| Consumption {
            power_w,
            energy_wh,
            measured_at,
            ..Consumption::default()
        })
    }

    fn grid(&self, battery: Option<Watts>) -> Option<Grid> {
        let measured_at: Option<Timestamp> = self.net.or(self.total)?.timestamp;
        let power_w = self.grid_power(battery);
        let import_wh = self.net.and_then(|net| net.delivered);
        let export_wh = self.net.and_then(|net| net.received);
        (power_w.is_some() || import_wh.is_some() || export_wh.is_some()).then(|| Grid {
            power_w,
            import_wh,
            export_wh,
            measured_at,
            ..Grid::default()
        })
    }

    fn phase(&self, index: usize, battery: Option<Watts>) -> Phase {
        let grid = self.net.map(|net| PhaseValues {
            import_wh: net.delivered,
            export_wh: net.received,
            ..electrical(net)
        });
        let of_total = |total: &MeterReading| PhaseValues {
            power_w: self.grid_power(battery),
            power_factor: None,
            current_a: None,
            ..electrical(total)
        };
        let house = PhaseValues {
            power_w: self.house_power(battery),
            energy_wh: self.house_energy(),
            ..PhaseValues::default()
        };
        Phase {
            phase: format!("L{}", index + 1),
            production: self
                .production
                .map(|row| PhaseValues { energy_wh: row.delivered, ..electrical(row) }),
            grid: grid.or_else(|| self.total.map(of_total).filter(|grid| grid.power_w.is_some())),
            consumption: Some(house).filter(|house| *house != PhaseValues::default()),
            storage: self.storage.map(|row| PhaseValues {
                charged_wh: row.received,
                discharged_wh: row.delivered,
                ..electrical(row)
            }),
        }
    }
}

/// One of two channels shows nothing and the total is the other: see [`Oddity::HalfStorage`].
fn shows_half(row: &MeterReading) -> bool {
    let power = |index: usize| row.channels.get(index)?.as_ref()?.power;
    match (power(0), power(1), row.power) {
        (Some(one), Some(other), Some(total)) if total != Watts::ZERO => {
            (one == Watts::ZERO && other == total) || (other == Watts::ZERO && one == total)
        }
        _ => false,
    }
}

fn electrical(row: &MeterReading) -> PhaseValues {
    PhaseValues {
        power_w: row.power,
        voltage_v: row.voltage,
        current_a: row.current,
        frequency_hz: row.frequency,
        power_factor: row.power_factor,
        ..PhaseValues::default()
    }
}
