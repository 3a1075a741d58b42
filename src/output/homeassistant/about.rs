//! The description of an entity, as a row of a table: see `site.rs` and `devices.rs`.

use serde_json::Value;

use super::quantity::Quantity;
use crate::base::units::{Amperes, Celsius, Hertz, Percent, PowerFactor, Volts, WattHours, Watts};

/// The description of an entity, without its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct About {
    /// The end of the unique id. It never changes.
    pub(super) id: &'static str,
    /// The name for people, without the name of the device.
    pub(super) name: &'static str,
    /// The name on a device with a longer name.
    pub(super) short: &'static str,
    pub(super) quantity: Quantity,
    /// The topic with the state.
    pub(super) state: State,
    /// The entity serves only diagnosis.
    pub(super) is_diagnostic: bool,
    pub(super) enabled: Enabled,
    /// Domoticz creates a device. It would misinterpret the others: see `only_home_assistant`.
    pub(super) in_domoticz: bool,
    /// For entities without a class, and for enumerations, for which Home Assistant shows an eye.
    pub(super) icon: Option<&'static str>,
}

/// The topic with the state of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The document.
    Document,
    /// The state of the token.
    Token,
    /// The availability of the gateway.
    Availability,
    /// The problems that last.
    Problems,
}

/// The initial state of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Enabled {
    Always,
    /// Only if the configuration key `details` is set.
    WithDetails,
    Never,
}

/// A row of a table: a description with the function that returns the value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<T: ?Sized> {
    pub(super) about: About,
    /// Returns the value; null announces an entity whose value is unknown or on another topic.
    pub(super) value: fn(&T) -> Option<Value>,
    /// Returns `true` if the entity is announced without a value too.
    pub(super) anyway: fn(&T) -> bool,
}

/// Creates a row with a name that fits beside every name of a device.
pub(super) const fn row<T>(
    id: &'static str,
    name: &'static str,
    quantity: Quantity,
    value: fn(&T) -> Option<Value>,
) -> Row<T> {
    let about = About {
        id,
        name,
        short: name,
        quantity,
        state: State::Document,
        is_diagnostic: false,
        enabled: Enabled::Always,
        in_domoticz: true,
        icon: None,
    };
    Row { about, value, anyway: |_| false }
}

impl<T> Row<T> {
    /// Sets the name on a device with a longer name.
    pub(super) const fn short(mut self, short: &'static str) -> Self {
        self.about.short = short;
        self
    }

    pub(super) const fn icon(mut self, icon: &'static str) -> Self {
        self.about.icon = Some(icon);
        self
    }

    pub(super) const fn diagnostic(mut self) -> Self {
        self.about.is_diagnostic = true;
        self
    }

    pub(super) const fn enabled(mut self, enabled: Enabled) -> Self {
        self.about.enabled = enabled;
        self
    }

    /// Hides the entity from Domoticz, which would count the energy of a day or the content of a battery as a lifetime
    /// total, pair a counter with a maximum, create a text device for every time, or be full of devices.
    pub(super) const fn only_home_assistant(mut self) -> Self {
        self.about.in_domoticz = false;
        self
    }

    pub(super) const fn state(mut self, state: State) -> Self {
        self.about.state = state;
        self
    }

    /// Announces a power as soon as its energy is known. Otherwise Domoticz pairs the energy with another power.
    pub(super) const fn anyway(mut self, anyway: fn(&T) -> bool) -> Self {
        self.anyway = anyway;
        self
    }
}

/// Returns a power in whole watts: on Domoticz's tab *Utility* decimals cover the name.
pub(super) fn watts(power: Option<Watts>) -> Option<Value> {
    Some(power?.whole().into())
}

/// Returns an energy in kWh, exact to the Wh.
#[expect(clippy::cast_precision_loss, reason = "a lifetime total has far less than 53 bits")]
pub(super) fn kwh(energy: Option<WattHours>) -> Option<Value> {
    Some((energy?.whole() as f64 / 1000.0).into())
}

pub(super) fn percent(percent: Option<Percent>) -> Option<Value> {
    Some(percent?.published().into())
}

pub(super) fn volts(voltage: Option<Volts>) -> Option<Value> {
    Some(voltage?.published().into())
}

pub(super) fn amperes(current: Option<Amperes>) -> Option<Value> {
    Some(current?.published().into())
}

pub(super) fn hertz(frequency: Option<Hertz>) -> Option<Value> {
    Some(frequency?.published().into())
}

pub(super) fn factor(factor: Option<PowerFactor>) -> Option<Value> {
    Some(factor?.published().into())
}

pub(super) fn celsius(temperature: Option<Celsius>) -> Option<Value> {
    Some(temperature?.published().into())
}

pub(super) fn time(time: Option<jiff::Timestamp>) -> Option<Value> {
    Some(time?.to_string().into())
}

/// Returns a word of the gateway, if it begins with a letter.
///
/// Domoticz would create a custom sensor for a number, and a second device for a later text.
pub(super) fn word(text: Option<&String>) -> Option<Value> {
    let text = text?;
    text.starts_with(|c: char| c.is_ascii_alphabetic()).then(|| text.as_str().into())
}

/// Returns `text` if it is among `options`; Home Assistant rejects others.
pub(super) fn choice(text: Option<&String>, options: &[&str]) -> Option<Value> {
    let text = text?.as_str();
    options.contains(&text).then(|| text.into())
}
