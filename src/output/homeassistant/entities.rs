//! The entities of a reading, from which both the discovery messages and their values are made.

use serde_json::Value;

use super::discovery::{Discovery, INVERTERS};
use crate::base::reading::{Battery, Inverter, Phase, PhaseValues, Reading, Serial};
use crate::base::units::{Amperes, Celsius, Hertz, Percent, Volts, WattHours, Watts};
use crate::output::topics;

/// The quantity that an entity measures, which determines its unit and classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantity {
    /// In W.
    Power,
    /// In Wh, of a guarded counter that never decreases.
    Total,
    /// In Wh, of a counter that may decrease.
    Counter,
    /// The state of charge in %.
    Charge,
    /// Another percentage.
    Share,
    /// In V.
    Voltage,
    /// In A.
    Current,
    /// In Hz.
    Frequency,
    /// In °C.
    Temperature,
    /// `closed` or `open`.
    Switch,
    /// A text of the gateway.
    Word,
}

/// The device that an entity belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The gateway.
    Gateway,
    /// An inverter.
    Inverter(Serial),
    /// A battery, with its kind.
    Battery(Serial, String),
}

/// A value with its description.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entity {
    pub(super) owner: Owner,
    /// The object id, unique within the owner, e.g. `production_power`.
    pub(super) id: String,
    pub(super) quantity: Quantity,
    /// The entity serves only diagnosis.
    pub(super) diagnostic: bool,
    /// The entity exists only if details are configured.
    pub(super) detail: bool,
    /// The published value; null if it is unknown.
    pub(super) value: Value,
}

impl Entity {
    /// Returns the name in the document's `entities`. It begins with a letter, as required in a path with dots.
    pub(super) fn name_in_document(&self) -> String {
        match &self.owner {
            Owner::Gateway => self.id.clone(),
            Owner::Inverter(serial) | Owner::Battery(serial, _) => {
                format!("sn{}_{}", topics::level(serial.as_str()), self.id)
            }
        }
    }

    fn new(owner: Owner, id: &str, quantity: Quantity, value: Option<Value>) -> Self {
        let (id, value) = (id.to_owned(), value.unwrap_or_default());
        Self { owner, id, quantity, diagnostic: false, detail: false, value }
    }

    /// Returns the name for people, without the name of the owner.
    pub(super) fn name(&self) -> String {
        let words = self.id.replace('_', " ").replace("soc", "state of charge").replace("dc ", "DC ");
        let mut letters = words.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
    }

    fn diagnostic(self) -> Self {
        Self { diagnostic: true, ..self }
    }

    fn detail(self) -> Self {
        Self { detail: true, ..self }
    }

    /// Returns the entry in the document's lists that the entity belongs to.
    pub(super) fn device(&self) -> Option<String> {
        let (list, serial) = match &self.owner {
            Owner::Gateway => return None,
            Owner::Inverter(serial) => (INVERTERS, serial),
            Owner::Battery(serial, _) => ("batteries", serial),
        };
        Some(format!("{list}/{}", topics::level(serial.as_str())))
    }
}

/// Returns all possible entities of this reading, with null for unknown values.
pub(super) fn entities(reading: &Reading, settings: &Discovery) -> Vec<Entity> {
    let mut all = totals(reading);
    if settings.details {
        let details = reading.phases.iter().flat_map(phase).chain(inputs(reading));
        all.extend(details.map(Entity::detail));
    }
    if settings.inverters {
        let some = |inverter| self::inverter(inverter, settings.details);
        all.extend(reading.inverters.iter().flat_map(some));
    }
    let some = |battery| self::battery(battery, settings.details);
    all.extend(reading.batteries.iter().flat_map(some));
    all
}

/// Returns the entities of production, house, grid and batteries, which the Energy dashboard needs.
fn totals(reading: &Reading) -> Vec<Entity> {
    let (production, house) = (reading.production.as_ref(), reading.consumption.as_ref());
    let (grid, storage) = (reading.grid.as_ref(), reading.storage.as_ref());
    let grid_power = grid.and_then(|group| group.power_w);
    let storage_power = storage.and_then(|group| group.power_w);
    let inward = |power: Option<Watts>| power.map(Watts::positive);
    let outward = |power: Option<Watts>| power.map(|power| (-power).positive());
    vec![
        power("production_power", production.and_then(|group| group.power_w)),
        total("production_energy", production.and_then(|group| group.energy_wh)),
        power("consumption_power", house.and_then(|group| group.power_w)),
        total("consumption_energy", house.and_then(|group| group.energy_wh)),
        power("grid_power", grid_power),
        power("grid_import_power", inward(grid_power)),
        total("grid_import_energy", grid.and_then(|group| group.import_wh)),
        power("grid_export_power", outward(grid_power)),
        total("grid_export_energy", grid.and_then(|group| group.export_wh)),
        power("storage_power", storage_power),
        power("storage_charge_power", outward(storage_power)),
        total("storage_charge_energy", storage.and_then(|group| group.charged_wh)),
        power("storage_discharge_power", inward(storage_power)),
        total("storage_discharge_energy", storage.and_then(|group| group.discharged_wh)),
        gateway("storage_soc", Quantity::Charge, storage.and_then(|group| group.soc_percent).map(share)),
    ]
}

/// Returns the powers and mains values of one phase. Its energies have plain topics only, because both directions would
/// have to share one power.
fn phase(phase: &Phase) -> Vec<Entity> {
    let id = |what: &str| format!("{}_{what}", topics::level(&phase.phase.to_lowercase()));
    let watts = |values: &Option<PhaseValues>| values.as_ref().and_then(|values| values.power_w);
    let meter = phase.grid.as_ref().or(phase.production.as_ref()).or(phase.consumption.as_ref());
    let volts = meter.and_then(|values| values.voltage_v).map(Volts::published);
    let amperes = meter.and_then(|values| values.current_a).map(Amperes::published);
    let hertz = meter.and_then(|values| values.frequency_hz).map(Hertz::published);
    vec![
        power(&id("production_power"), watts(&phase.production)),
        power(&id("consumption_power"), watts(&phase.consumption)),
        power(&id("grid_power"), watts(&phase.grid)),
        power(&id("storage_power"), watts(&phase.storage)),
        gateway(&id("voltage"), Quantity::Voltage, volts.map(Value::from)),
        gateway(&id("current"), Quantity::Current, amperes.map(Value::from)),
        gateway(&id("frequency"), Quantity::Frequency, hertz.map(Value::from)),
    ]
}

fn inputs(reading: &Reading) -> Vec<Entity> {
    let connection = reading.grid_connection.as_ref();
    let state = connection.and_then(|group| group.state.clone()).filter(|state| is_switch_state(state));
    let tariff = reading.tariff.as_ref();
    let mode = tariff.and_then(|group| group.mode.clone()).filter(|mode| is_word(mode));
    let reserve = tariff.and_then(|group| group.reserve_percent).map(share);
    vec![
        gateway("grid_connection", Quantity::Switch, state.map(Value::from)),
        gateway("storage_mode", Quantity::Word, mode.map(Value::from)).diagnostic(),
        gateway("storage_reserve", Quantity::Share, reserve).diagnostic(),
    ]
}

fn inverter(inverter: &Inverter, details: bool) -> Vec<Entity> {
    let of = |id, quantity, value| Entity::new(Owner::Inverter(inverter.serial.clone()), id, quantity, value);
    let volts = |value: Option<Volts>| value.map(|volts| volts.published().into());
    let mut all = vec![
        of("power", Quantity::Power, inverter.power_w.map(watts)),
        of("energy", Quantity::Counter, inverter.energy_wh.map(whole)),
    ];
    if details {
        all.extend([
            of("voltage", Quantity::Voltage, volts(inverter.voltage_v)).diagnostic().detail(),
            of("dc_voltage", Quantity::Voltage, volts(inverter.dc_voltage_v)).diagnostic().detail(),
            of("temperature", Quantity::Temperature, inverter.temperature_c.map(degrees))
                .diagnostic()
                .detail(),
        ]);
    }
    all
}

fn battery(battery: &Battery, details: bool) -> Vec<Entity> {
    let owner = || Owner::Battery(battery.serial.clone(), battery.kind.clone());
    let mut all = vec![
        Entity::new(owner(), "power", Quantity::Power, battery.power_w.map(watts)),
        Entity::new(owner(), "soc", Quantity::Charge, battery.soc_percent.map(share)),
    ];
    if details {
        let temperature = battery.temperature_c.map(degrees);
        let entity = Entity::new(owner(), "temperature", Quantity::Temperature, temperature);
        all.push(entity.diagnostic().detail());
    }
    all
}

fn gateway(id: &str, quantity: Quantity, value: Option<Value>) -> Entity {
    Entity::new(Owner::Gateway, id, quantity, value)
}

fn power(id: &str, power: Option<Watts>) -> Entity {
    gateway(id, Quantity::Power, power.map(watts))
}

fn total(id: &str, energy: Option<WattHours>) -> Entity {
    gateway(id, Quantity::Total, energy.map(whole))
}

fn watts(power: Watts) -> Value {
    power.published().into()
}

fn whole(energy: WattHours) -> Value {
    energy.whole().into()
}

fn share(percent: Percent) -> Value {
    percent.published().into()
}

fn degrees(celsius: Celsius) -> Value {
    celsius.published().into()
}

/// Returns `true` for the announced states; Home Assistant rejects others.
fn is_switch_state(state: &str) -> bool {
    ["closed", "open"].contains(&state)
}

/// Returns `true` for a text that begins with a letter.
///
/// Domoticz would create a custom sensor for a number, and a second device for a later text.
fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
}
