//! Fields that a page showed before and shows no longer although it is read: a number that is impossible, `null`, or gone. Where
//! no other page has the value it is missing, and that is reported like a page that fails.
//!
//! The power factor is left out: without a current there is none. Power and energy of production, house and grid are left out: for them the choice of a way looks at the field itself.

use std::collections::BTreeMap;

use super::choice::Choices;
use super::table::{Value, Way};
use crate::base::reading::{Battery, Inverter, PhaseValues, Reading};
use crate::io::gateway::Endpoint;

/// So many fields are named.
const NAMED: usize = 4;

/// A field of the reading: the page that shows it, and whether it does; `None` where that cannot be said.
struct Field {
    page: Option<Endpoint>,
    /// The name, and of what.
    name: (&'static str, &'static str),
    /// The phase, if it is on one.
    phase: Option<usize>,
    shown: Option<bool>,
}

/// The fields that each page has shown, a bit for each field.
#[derive(Debug, Default)]
pub(super) struct ShownFields(BTreeMap<Endpoint, u128>);

impl ShownFields {
    /// Takes a reading and its choices. Adds to `short`, for each page that is not in it, the fields that it has lost, in words.
    /// The list of meters does not lose what is missing because another page is short, or because the house is `negative`.
    pub(super) fn see(
        &mut self,
        (reading, negative): (&Reading, bool),
        choices: &Choices,
        short: &mut BTreeMap<Endpoint, String>,
    ) {
        let is_explained = negative || !short.is_empty();
        let mut lost: BTreeMap<Endpoint, Vec<String>> = BTreeMap::new();
        for (place, field) in fields(reading, choices).into_iter().enumerate() {
            let (Some(page), Some(shown)) = (field.page, field.shown) else { continue };
            let (known, bit) = (self.0.entry(page).or_default(), 1 << place);
            if shown {
                *known |= bit;
            } else if *known & bit != 0 && !(is_explained && field.is_of_site()) {
                lost.entry(page).or_default().push(field.in_words());
            }
        }
        // A meter that is not listed any more is missing on the phases too; a battery without power leaves the house out.
        let by_others = lost.keys().any(|page| !matches!(page, Endpoint::Meters | Endpoint::MeterReadings));
        if by_others {
            lost.remove(&Endpoint::Meters);
        } else if lost.contains_key(&Endpoint::Meters) {
            lost.remove(&Endpoint::MeterReadings);
        }
        for (page, names) in lost {
            short.entry(page).or_insert_with(|| format!("no longer shows {}", listed(&names)));
        }
    }
}

impl Field {
    fn is_of_site(&self) -> bool {
        matches!(self.name.1, "the grid" | "the house")
    }

    fn in_words(&self) -> String {
        let (name, of) = self.name;
        match self.phase {
            Some(index) => format!("{name} of {of} on L{}", index + 1),
            None => format!("{name} of {of}"),
        }
    }
}

fn listed(names: &[String]) -> String {
    let first: Vec<&str> = names.iter().take(NAMED).map(String::as_str).collect();
    match names.len().saturating_sub(NAMED) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// Every field, in an order that never changes.
fn fields(reading: &Reading, choices: &Choices) -> Vec<Field> {
    let mut fields = Vec::new();
    for index in 0..3 {
        of_phase(reading, choices, index, &mut fields);
    }
    of_site(reading, choices, &mut fields);
    of_storage(reading, choices, &mut fields);
    of_batteries(&reading.batteries, &mut fields);
    of_inverters(&reading.inverters, choices, &mut fields);
    fields
}

fn of_phase(reading: &Reading, choices: &Choices, index: usize, fields: &mut Vec<Field>) {
    let way = choices.of(Value::Phases);
    let name = ["L1", "L2", "L3"].get(index).copied().unwrap_or_default();
    let phase = reading.phases.iter().find(|phase| phase.phase == name);
    let [production, grid, storage, house] = match phase {
        Some(phase) => {
            [&phase.production, &phase.grid, &phase.storage, &phase.consumption].map(Option::as_ref)
        }
        None => [None; 4],
    };
    // The meters' house is computed, and absent where it would be below nothing.
    let house = house.filter(|_| way == Some(Way::MeterRows));
    for (of, values, may_go) in [
        ("production", production, false),
        ("grid", grid, false),
        ("storage", storage, false),
        ("house", house, true),
    ] {
        let empty = PhaseValues::default();
        let it = values.unwrap_or(&empty);
        let energies = [it.energy_wh, it.import_wh, it.export_wh, it.charged_wh, it.discharged_wh];
        let shown = [
            ("power", it.power_w.is_some()),
            ("energy", energies.iter().any(Option::is_some)),
            ("voltage", it.voltage_v.is_some()),
            ("current", it.current_a.is_some()),
            ("frequency", it.frequency_hz.is_some()),
        ];
        fields.extend(shown.map(|(name, shown)| Field {
            page: way.map(Way::page),
            name: (name, of),
            phase: Some(index),
            shown: (values.is_some() || !may_go).then_some(shown),
        }));
    }
}

/// House and grid: by the list of meters, which may name fewer than before, or by the page that has them all.
fn of_site(reading: &Reading, choices: &Choices, fields: &mut Vec<Field>) {
    let (grid, house) = (reading.grid.as_ref(), reading.consumption.as_ref());
    let each = [
        (Value::GridPower, ("power", "the grid"), grid.is_some_and(|it| it.power_w.is_some())),
        (Value::GridEnergy, ("import and export", "the grid"), grid.is_some_and(|it| it.import_wh.is_some())),
        (Value::HousePower, ("power", "the house"), house.is_some_and(|it| it.power_w.is_some())),
        (Value::HouseEnergy, ("energy", "the house"), house.is_some_and(|it| it.energy_wh.is_some())),
    ];
    for (value, name, shown) in each {
        for (page, way) in [(Endpoint::Meters, Way::Meters), (Endpoint::ProductionJson, Way::MeterRows)] {
            // What no way has any more is missing on the page that had it.
            let shown = match choices.of(value) {
                None => Some(false),
                Some(chosen) => (chosen == way).then_some(shown),
            };
            fields.push(Field { page: Some(page), name, phase: None, shown });
        }
    }
}

fn of_storage(reading: &Reading, choices: &Choices, fields: &mut Vec<Field>) {
    let has_meter = choices.of(Value::Storage).is_some();
    let is_there = has_meter || !reading.batteries.is_empty();
    let storage = reading.storage.clone().unwrap_or_default();
    let together = choices.of(Value::BatteryTotals).map(Way::page);
    let by_meter = if has_meter { choices.of(Value::Storage) } else { choices.of(Value::BatteryPowers) };
    let by_meter = by_meter.map(Way::page);
    let of_both = reading.batteries.iter().any(|battery| battery.kind == "acb");
    let held = !reading.batteries.is_empty();
    let each = [
        (by_meter, "power", storage.power_w.is_some(), is_there),
        (by_meter, "charged energy", storage.charged_wh.is_some(), has_meter),
        (by_meter, "discharged energy", storage.discharged_wh.is_some(), has_meter),
        (together, "state of charge", storage.soc_percent.is_some(), held),
        (together, "available energy", storage.available_wh.is_some(), held),
        // Of batteries of two kinds it is shown while it agrees with what they hold.
        (together, "capacity", storage.capacity_wh.is_some(), held && !of_both),
    ];
    fields.extend(each.map(|(page, name, shown, is_there)| Field {
        page,
        name: (name, "storage"),
        phase: None,
        shown: is_there.then_some(shown),
    }));
}

fn of_batteries(batteries: &[Battery], fields: &mut Vec<Field>) {
    let all = |has: fn(&Battery) -> bool| (!batteries.is_empty()).then(|| batteries.iter().all(has));
    let (powers, inventory) = (Endpoint::EnsemblePower, Endpoint::EnsembleInventory);
    let each = [
        (powers, "state of charge", all(|it| it.soc_percent.is_some())),
        (powers, "power", all(|it| it.power_w.is_some())),
        (inventory, "temperature", all(|it| it.temperature_c.is_some())),
        (inventory, "capacity", all(|it| it.capacity_wh.is_some())),
    ];
    fields.extend(each.map(|(page, name, shown)| Field {
        page: Some(page),
        name: (name, "each battery"),
        phase: None,
        shown,
    }));
}

/// One inverter that shows less than others is no fault of the page; and after the restart by night none has reported.
fn of_inverters(inverters: &[Inverter], choices: &Choices, fields: &mut Vec<Field>) {
    let reported = inverters.iter().any(|inverter| inverter.reported_at.is_some());
    let any = |has: fn(&Inverter) -> bool| reported.then(|| inverters.iter().any(has));
    let each = [
        ("power", any(|it| it.power_w.is_some())),
        ("maximum power", any(|it| it.max_power_w.is_some())),
        ("energy", any(|it| it.energy_wh.is_some())),
        ("voltage", any(|it| it.voltage_v.is_some())),
        ("current", any(|it| it.current_a.is_some())),
        ("frequency", any(|it| it.frequency_hz.is_some())),
        ("DC voltage", any(|it| it.dc_voltage_v.is_some())),
        ("DC current", any(|it| it.dc_current_a.is_some())),
        ("temperature", any(|it| it.temperature_c.is_some())),
    ];
    let page = choices.of(Value::Inverters).map(Way::page);
    fields.extend(each.map(|(name, shown)| Field {
        page,
        name: (name, "the inverters"),
        phase: None,
        shown,
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::reading::GatewayFacts;

    #[test]
    fn there_is_a_bit_for_each_field() {
        let serial = crate::base::reading::Serial::parse("122300000001").unwrap();
        let facts = GatewayFacts { serial, firmware: String::new(), part_number: None, metered: true };
        let reading = Reading::empty(jiff::Timestamp::UNIX_EPOCH, facts);
        assert!(fields(&reading, &Choices::none()).len() <= 128);
    }

    #[test]
    fn not_every_field_is_named() {
        let names = ["a", "b", "c", "d", "e", "f"].map(str::to_owned);
        assert_eq!(listed(&names[..2]), "a, b");
        assert_eq!(listed(&names), "a, b, c, d and 2 more");
    }
}
