//! Detects fields that a page contained before and does not contain any more, or only with an impossible number or `null`.
//!
//! If no other page has the value, it is missing, which is reported like a failing page. The power factor is not checked,
//! because there is none without a current. Power and energy of production are not checked either: the choice of a route
//! examines these fields itself.

use std::collections::BTreeMap;

use super::choice::Choices;
use super::values::{Route, Value};
use crate::base::reading::{Battery, Inverter, PhaseValues, Reading};
use crate::io::gateway::Endpoint;

/// The maximum number of fields named in a message.
const NAMED: usize = 4;

/// A field of the reading.
struct Field {
    /// The page that contains the field.
    page: Option<Endpoint>,
    /// The name of the field, and of its group.
    name: (&'static str, &'static str),
    /// The phase, if the field belongs to one.
    phase: Option<usize>,
    /// The field has a value; `None` if it may be absent.
    shown: Option<bool>,
}

/// The fields that each page has contained, with one bit for each field.
#[derive(Debug, Default)]
pub(super) struct ShownFields(BTreeMap<Endpoint, u128>);

impl ShownFields {
    /// Records the fields of a reading, and adds a description of the lost fields of each page to `short`.
    ///
    /// Pages that are in `short` already are not changed. The list of meters is not reported for values that are missing
    /// because another page failed, or because the house is `negative`.
    pub(super) fn record(
        &mut self,
        (reading, negative): (&Reading, bool),
        choices: &Choices,
        short: &mut BTreeMap<Endpoint, String>,
    ) {
        let is_explained = negative || !short.is_empty();
        let mut lost: BTreeMap<Endpoint, Vec<String>> = BTreeMap::new();
        for (index, field) in fields(reading, choices).into_iter().enumerate() {
            let (Some(page), Some(shown)) = (field.page, field.shown) else { continue };
            let (known, bit) = (self.0.entry(page).or_default(), 1 << index);
            if shown {
                *known |= bit;
            } else if *known & bit != 0 && !(is_explained && field.is_of_site()) {
                lost.entry(page).or_default().push(field.in_words());
            }
        }
        // A meter that is not listed any more is missing on the phases too. Without the power of a battery, the house is
        // absent.
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

/// Returns all fields, always in the same order.
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
    let route = choices.of(Value::Phases);
    let name = ["L1", "L2", "L3"].get(index).copied().unwrap_or_default();
    let phase = reading.phases.iter().find(|phase| phase.phase == name);
    let [production, grid, storage, house] = match phase {
        Some(phase) => {
            [&phase.production, &phase.grid, &phase.storage, &phase.consumption].map(Option::as_ref)
        }
        None => [None; 4],
    };
    // From the meters the house is computed, and absent if it would be negative.
    let house = if route == Some(Route::MeterRows) { house } else { None };
    for (of, values, may_go) in [
        ("production", production, false),
        ("grid", grid, false),
        ("storage", storage, false),
        ("house", house, true),
    ] {
        let empty = PhaseValues::default();
        let shown = values.unwrap_or(&empty);
        let energies = match of {
            "grid" => vec![("import", shown.import_wh), ("export", shown.export_wh)],
            "storage" => {
                vec![("charged energy", shown.charged_wh), ("discharged energy", shown.discharged_wh)]
            }
            _ => vec![("energy", shown.energy_wh)],
        };
        let energies = energies.into_iter().map(|(name, energy)| (name, energy.is_some()));
        let electrical = [
            ("power", shown.power_w.is_some()),
            ("voltage", shown.voltage_v.is_some()),
            ("current", shown.current_a.is_some()),
            ("frequency", shown.frequency_hz.is_some()),
        ];
        let shown = electrical.into_iter().chain(energies);
        fields.extend(shown.map(|(name, shown)| Field {
            page: route.map(Route::page),
            name: (name, of),
            phase: Some(index),
            shown: (values.is_some() || !may_go).then_some(shown),
        }));
    }
}

/// Adds house and grid, from the list of meters, which may have become shorter, or from `production.json`.
fn of_site(reading: &Reading, choices: &Choices, fields: &mut Vec<Field>) {
    let (grid, house) = (reading.grid.as_ref(), reading.consumption.as_ref());
    let each = [
        (Value::GridPower, ("power", "the grid"), grid.is_some_and(|grid| grid.power_w.is_some())),
        (
            Value::GridEnergy,
            ("import and export", "the grid"),
            grid.is_some_and(|grid| grid.import_wh.is_some()),
        ),
        (Value::HousePower, ("power", "the house"), house.is_some_and(|house| house.power_w.is_some())),
        (Value::HouseEnergy, ("energy", "the house"), house.is_some_and(|house| house.energy_wh.is_some())),
    ];
    for (value, name, shown) in each {
        for (page, route) in [(Endpoint::Meters, Route::Meters), (Endpoint::ProductionJson, Route::MeterRows)]
        {
            // A value without any route is missing on the page that had it.
            let shown = match choices.of(value) {
                None => Some(false),
                Some(chosen) => (chosen == route).then_some(shown),
            };
            fields.push(Field { page: Some(page), name, phase: None, shown });
        }
    }
}

fn of_storage(reading: &Reading, choices: &Choices, fields: &mut Vec<Field>) {
    let has_meter = choices.of(Value::Storage).is_some();
    let is_there = has_meter || !reading.batteries.is_empty();
    let storage = reading.storage.clone().unwrap_or_default();
    let together = choices.of(Value::BatteryTotals).map(Route::page);
    let by_meter = if has_meter { choices.of(Value::Storage) } else { choices.of(Value::BatteryPowers) };
    let by_meter = by_meter.map(Route::page);
    let of_both = reading.batteries.iter().any(|battery| battery.kind == "acb");
    let has_batteries = !reading.batteries.is_empty();
    let each = [
        (by_meter, "power", storage.power_w.is_some(), is_there),
        (by_meter, "charged energy", storage.charged_wh.is_some(), has_meter),
        (by_meter, "discharged energy", storage.discharged_wh.is_some(), has_meter),
        (together, "state of charge", storage.soc_percent.is_some(), has_batteries),
        (together, "available energy", storage.available_wh.is_some(), has_batteries),
        // With batteries of two kinds, the capacity is shown only while it agrees with their charge.
        (together, "capacity", storage.capacity_wh.is_some(), has_batteries && !of_both),
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
        (powers, "state of charge", all(|battery| battery.soc_percent.is_some())),
        (powers, "power", all(|battery| battery.power_w.is_some())),
        (inventory, "temperature", all(|battery| battery.temperature_c.is_some())),
        (inventory, "capacity", all(|battery| battery.capacity_wh.is_some())),
    ];
    fields.extend(each.map(|(page, name, shown)| Field {
        page: Some(page),
        name: (name, "each battery"),
        phase: None,
        shown,
    }));
}

/// Adds the inverters, if any of them has reported since the restart of the gateway. A field counts as present if any
/// inverter has it: a single inverter may lack some.
fn of_inverters(inverters: &[Inverter], choices: &Choices, fields: &mut Vec<Field>) {
    let reported = inverters.iter().any(|inverter| inverter.reported_at.is_some());
    let any = |has: fn(&Inverter) -> bool| reported.then(|| inverters.iter().any(has));
    let each = [
        ("power", any(|inverter| inverter.power_w.is_some())),
        ("maximum power", any(|inverter| inverter.max_power_w.is_some())),
        ("energy", any(|inverter| inverter.energy_wh.is_some())),
        ("voltage", any(|inverter| inverter.voltage_v.is_some())),
        ("current", any(|inverter| inverter.current_a.is_some())),
        ("frequency", any(|inverter| inverter.frequency_hz.is_some())),
        ("DC voltage", any(|inverter| inverter.dc_voltage_v.is_some())),
        ("DC current", any(|inverter| inverter.dc_current_a.is_some())),
        ("temperature", any(|inverter| inverter.temperature_c.is_some())),
    ];
    let page = choices.of(Value::Inverters).map(Route::page);
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
        let facts =
            GatewayFacts { serial, name: None, firmware: String::new(), part_number: None, metered: true };
        let reading = Reading::empty(jiff::Timestamp::UNIX_EPOCH, facts);
        assert!(fields(&reading, &Choices::empty()).len() <= 128);
    }

    #[test]
    fn not_every_field_is_named() {
        let names = ["a", "b", "c", "d", "e", "f"].map(str::to_owned);
        assert_eq!(listed(&names[..2]), "a, b");
        assert_eq!(listed(&names), "a, b, c, d and 2 more");
    }
}
