//! The quantities that entities show, with the fields of a discovery message that depend on them.

use serde::Serialize;

/// The quantity that an entity shows, which determines its unit and classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantity {
    /// In whole W.
    Power,
    /// In kWh, of a guarded counter that never decreases.
    Total,
    /// In kWh, of the guarded counter of an inverter. A new gateway may begin it again.
    Counter,
    /// In kWh, since midnight.
    Today,
    /// In kWh, the content or the capacity of batteries.
    Stored,
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
    /// Without a unit.
    PowerFactor,
    /// In °C.
    Temperature,
    /// A time.
    Time,
    /// A number of devices.
    Count,
    /// A choice between these words.
    Choice(&'static [&'static str]),
    /// A text.
    Word,
    /// `ON` or `OFF`.
    Switch,
    /// `online` or `offline`.
    Connectivity,
    /// `ON` or `OFF`.
    Problem,
}

impl Quantity {
    /// Returns the component of the discovery topic.
    pub(super) const fn component(self) -> &'static str {
        match self {
            Self::Switch | Self::Connectivity | Self::Problem => "binary_sensor",
            _ => "sensor",
        }
    }

    /// Returns whether the value is in kWh.
    pub(super) const fn is_energy(self) -> bool {
        matches!(self, Self::Total | Self::Counter | Self::Today | Self::Stored)
    }

    /// Returns the fields of the discovery message.
    ///
    /// The unit is kWh, because Home Assistant shows an MQTT sensor in its own unit. Three decimals keep whole Wh exact for
    /// Domoticz.
    pub(super) fn nature(self) -> Nature {
        match self {
            Self::Power => Nature::measured("W", Some("power"), 0),
            // Home Assistant interprets a decrease of `total_increasing` as a new meter that began at 0, so only guarded
            // counters may have this class.
            Self::Total => Nature::number(Some("kWh"), Some("energy"), "total_increasing", 0),
            Self::Counter => Nature::number(Some("kWh"), Some("energy"), "total_increasing", 1),
            Self::Today => Nature::number(Some("kWh"), Some("energy"), "total_increasing", 2),
            Self::Stored => Nature::measured("kWh", Some("energy_storage"), 2),
            Self::Charge => Nature::measured("%", Some("battery"), 0),
            Self::Share => Nature::measured("%", None, 0),
            Self::Voltage => Nature::measured("V", Some("voltage"), 1),
            Self::Current => Nature::measured("A", Some("current"), 2),
            Self::Frequency => Nature::measured("Hz", Some("frequency"), 2),
            Self::PowerFactor => Nature::number(None, Some("power_factor"), "measurement", 2),
            Self::Temperature => Nature::measured("°C", Some("temperature"), 1),
            Self::Time => Nature::class("timestamp"),
            Self::Count => Nature::number(None, None, "measurement", 0),
            Self::Choice(words) => Nature { options: Some(words), ..Nature::class("enum") },
            Self::Word | Self::Switch => Nature::default(),
            Self::Problem => Nature::class("problem"),
            Self::Connectivity => Nature {
                payload_on: Some("online"),
                payload_off: Some("offline"),
                ..Nature::class("connectivity")
            },
        }
    }
}

/// The fields that depend on the quantity.
#[derive(Debug, Default, Serialize)]
pub(super) struct Nature {
    #[serde(skip_serializing_if = "Option::is_none")]
    unit_of_measurement: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_class: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_class: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suggested_display_precision: Option<u8>,
    /// Home Assistant before 2024.11 ignores it.
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<&'static [&'static str]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_on: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_off: Option<&'static str>,
}

impl Nature {
    fn class(device_class: &'static str) -> Self {
        Self { device_class: Some(device_class), ..Self::default() }
    }

    fn number(
        unit: Option<&'static str>,
        device_class: Option<&'static str>,
        state_class: &'static str,
        precision: u8,
    ) -> Self {
        Self {
            unit_of_measurement: unit,
            device_class,
            state_class: Some(state_class),
            suggested_display_precision: Some(precision),
            ..Self::default()
        }
    }

    fn measured(unit: &'static str, device_class: Option<&'static str>, precision: u8) -> Self {
        Self::number(Some(unit), device_class, "measurement", precision)
    }
}
