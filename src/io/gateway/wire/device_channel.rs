//! The channels of a device in `/ivp/pdm/device_data`: one for each panel of an inverter.

use serde::Deserialize;

use super::lenient::{self, Stamp};
use crate::base::units::{Amperes, Celsius, Hertz, Percent, Volts, WattHours, Watts};

/// A channel, as of its last report.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Channel {
    #[serde(deserialize_with = "lenient::object")]
    watts: Option<Power>,
    #[serde(deserialize_with = "lenient::object")]
    last_reading: Option<LastReading>,
    #[serde(deserialize_with = "lenient::object")]
    lifetime: Option<Lifetime>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Power {
    #[serde(deserialize_with = "lenient::inverter_watts")]
    now: Option<Watts>,
    #[serde(deserialize_with = "lenient::inverter_watts")]
    max: Option<Watts>,
}

/// The last report of a channel.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct LastReading {
    #[serde(rename = "endDate")]
    pub(super) end: Stamp,
    #[serde(deserialize_with = "lenient::number")]
    pub(super) duration: Option<f64>,
    #[serde(rename = "joulesProduced", deserialize_with = "lenient::number")]
    pub(super) joules: Option<f64>,
    #[serde(rename = "joulesUsed", deserialize_with = "lenient::number")]
    pub(super) used: Option<f64>,
    #[serde(rename = "SOC", deserialize_with = "lenient::percent")]
    pub(super) soc: Option<Percent>,
    #[serde(rename = "maxCellTemp", deserialize_with = "lenient::celsius")]
    pub(super) cell_temperature: Option<Celsius>,
    #[serde(rename = "acVoltageINmV", deserialize_with = "lenient::millivolts")]
    pub(super) voltage: Option<Volts>,
    #[serde(rename = "acCurrentInmA", deserialize_with = "lenient::milliamperes")]
    pub(super) current: Option<Amperes>,
    #[serde(rename = "acFrequencyINmHz", deserialize_with = "lenient::millihertz")]
    pub(super) frequency: Option<Hertz>,
    #[serde(rename = "dcVoltageINmV", deserialize_with = "lenient::millivolts")]
    pub(super) dc_voltage: Option<Volts>,
    #[serde(rename = "dcCurrentINmA", deserialize_with = "lenient::milliamperes")]
    pub(super) dc_current: Option<Amperes>,
    #[serde(rename = "channelTemp", deserialize_with = "lenient::celsius")]
    pub(super) temperature: Option<Celsius>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Lifetime {
    #[serde(rename = "joulesProduced", deserialize_with = "lenient::lifetime_joules")]
    energy: Option<WattHours>,
    #[serde(rename = "joulesUsed", deserialize_with = "lenient::lifetime_joules")]
    used: Option<WattHours>,
}

impl Channel {
    pub(super) fn last(&self) -> Option<&LastReading> {
        self.last_reading.as_ref()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.last().is_none_or(|last| last.end.at().is_none() && last.joules.is_none())
    }

    /// Returns the time of the report. An empty reading means that the device has not reported.
    pub(super) fn reported(&self) -> Stamp {
        match self.last().map_or(Stamp::Never, |last| last.end) {
            Stamp::Unknown if self.is_empty() => Stamp::Never,
            stamp => stamp,
        }
    }

    /// Returns the lifetime energy that the channel has used; charged, for a battery.
    pub(super) fn used_energy(&self) -> Option<WattHours> {
        self.lifetime.as_ref()?.used
    }

    /// Returns the lifetime energy that the channel has produced.
    pub(super) fn energy(&self) -> Option<WattHours> {
        self.lifetime.as_ref()?.energy
    }

    pub(super) fn max_power(&self) -> Option<Watts> {
        self.watts.as_ref()?.max
    }

    /// Returns whether the channel was ever active. An inverter for two panels may have only one.
    pub(super) fn is_used(&self) -> bool {
        self.reported().at().is_some()
            || self.energy().is_some_and(|energy| energy > WattHours::ZERO)
            || self.max_power().is_some_and(|power| power > Watts::ZERO)
    }

    /// Returns the mean power of the last report.
    pub(super) fn power(&self) -> Option<Watts> {
        let last = self.last()?;
        let mean = |seconds: f64| lenient::of_inverter(last.joules? / seconds);
        // `watts.now` is the same mean, but a small negative value appears as 4294967292.
        match last.duration.filter(|seconds| *seconds > 0.0).and_then(mean) {
            None => self.watts.as_ref()?.now,
            mean => mean,
        }
    }

    /// Returns the mean power of the last report of a battery.
    pub(super) fn battery_power(&self) -> Option<Watts> {
        let last = self.last()?;
        let seconds = last.duration.filter(|seconds| *seconds > 0.0)?;
        lenient::of_battery((last.joules? - last.used?) / seconds)
    }
}

/// Returns the active channels, or the first if none is active.
pub(super) fn used(mut channels: Vec<Channel>) -> Vec<Channel> {
    if channels.iter().any(Channel::is_used) {
        channels.retain(Channel::is_used);
    } else {
        channels.truncate(1);
    }
    channels
}

/// Returns the time of the earliest report of the channels.
pub(super) fn reported(channels: &[Channel]) -> Stamp {
    let moments: Option<Vec<_>> = channels.iter().map(|channel| channel.reported().at()).collect();
    match moments.and_then(|moments| moments.into_iter().min()) {
        Some(at) => Stamp::At(at),
        None => {
            channels.iter().map(Channel::reported).find(|stamp| stamp.at().is_none()).unwrap_or(Stamp::Never)
        }
    }
}

/// Returns the greatest value.
pub(super) fn greatest<T: PartialOrd>(values: impl Iterator<Item = Option<T>>) -> Option<T> {
    values.flatten().reduce(|one, other| if other > one { other } else { one })
}
