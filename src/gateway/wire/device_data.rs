//! `/ivp/pdm/device_data` (firmware 8.2.4 and later): each device in detail, cut at 50 devices.

use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::lenient::{self, Object};
use super::{Malformed, document};
use crate::reading::Serial;
use crate::units::{Amperes, Celsius, Hertz, Percent, Volts, WattHours, Watts};

/// The page: an object of devices by identifier, and two counts among them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeviceData {
    /// The inverters that are still there.
    pub inverters: Vec<Device>,
    /// The AC batteries.
    pub ac_batteries: Vec<AcBattery>,
    /// How many devices the gateway has.
    pub count: Option<u32>,
    /// How many of them the page can show.
    pub limit: Option<u32>,
}

impl DeviceData {
    /// Reads the page.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        if body.trim_ascii().starts_with(b"[") {
            return Err(Malformed::OtherForm);
        }
        document(body)
    }

    /// Whether every inverter is in it: at its limit the page is cut, and a page without working inverters
    /// is no list of them.
    pub fn complete(&self) -> bool {
        self.has_room() && !self.inverters.is_empty()
    }

    /// Whether the page could show more devices than it does, so that none is missing.
    pub fn has_room(&self) -> bool {
        match (self.count, self.limit) {
            (Some(count), Some(limit)) => count < limit,
            _ => self.inverters.len() + self.ac_batteries.len() < 48,
        }
    }
}

impl<'de> Deserialize<'de> for DeviceData {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Page;
        impl<'de> Visitor<'de> for Page {
            type Value = DeviceData;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of devices")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut page = DeviceData::default();
                while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                    match key.as_ref() {
                        "deviceCount" => page.count = map.next_value::<Count>()?.0,
                        "deviceDataLimit" => page.limit = map.next_value::<Count>()?.0,
                        _ => page.add(map.next_value::<Object<Row>>()?.0),
                    }
                }
                page.inverters.shrink_to_fit();
                Ok(page)
            }
        }
        from.deserialize_map(Page)
    }
}

impl DeviceData {
    /// Removed inverters stay listed with nothing in them (firmware 8.3.5289, 8.3.5433); meters are listed too,
    /// as removed, and are better read elsewhere.
    fn add(&mut self, row: Option<Row>) {
        let Some(row) = row else { return };
        let kind = row.kind.unwrap_or_default();
        let gone = row.active == Some(false)
            || (row.gone == Some(true) && row.channels.iter().all(Channel::is_empty));
        let Some(serial) = row.serial.filter(|_| !gone) else { return };
        let channel = row.channels.into_iter().next().unwrap_or_default();
        match kind.as_str() {
            "pcu" => self.inverters.push(channel.into_device(serial)),
            "acb" => self.ac_batteries.push(channel.into_battery(serial)),
            _ => {}
        }
    }
}

/// One AC battery, as of its last report.
#[derive(Clone, Debug, PartialEq)]
pub struct AcBattery {
    /// Its serial number.
    pub serial: Serial,
    /// State of charge.
    pub soc: Option<Percent>,
    /// The mean over its last report; positive when discharging.
    pub power: Option<Watts>,
    /// Of the warmest cell.
    pub temperature: Option<Celsius>,
    /// Put in over its life.
    pub charged: Option<WattHours>,
    /// Taken out over its life.
    pub discharged: Option<WattHours>,
    /// When it reported.
    pub reported_at: Option<Timestamp>,
}

/// One inverter, as of its last report.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    /// Its serial number.
    pub serial: Serial,
    /// The mean over its last report, 5 or 15 minutes.
    pub power: Option<Watts>,
    /// The most it ever reported.
    pub max_power: Option<Watts>,
    /// Over its life; not wrapped.
    pub energy: Option<WattHours>,
    /// On the mains side.
    pub voltage: Option<Volts>,
    /// On the mains side.
    pub current: Option<Amperes>,
    /// Of the mains.
    pub frequency: Option<Hertz>,
    /// On the panel's side.
    pub dc_voltage: Option<Volts>,
    /// On the panel's side.
    pub dc_current: Option<Amperes>,
    /// Inside.
    pub temperature: Option<Celsius>,
    /// When it reported; absent after a night's restart until it reports again.
    pub reported_at: Option<Timestamp>,
}

struct Count(Option<u32>);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        lenient::whole(from).map(Self)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Row {
    #[serde(rename = "devName", deserialize_with = "lenient::text")]
    kind: Option<String>,
    #[serde(rename = "sn", deserialize_with = "lenient::serial")]
    serial: Option<Serial>,
    #[serde(deserialize_with = "lenient::flag")]
    active: Option<bool>,
    #[serde(rename = "modGone", deserialize_with = "lenient::flag")]
    gone: Option<bool>,
    #[serde(deserialize_with = "lenient::rows")]
    channels: Vec<Channel>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Channel {
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
    #[serde(deserialize_with = "lenient::watts")]
    now: Option<Watts>,
    #[serde(deserialize_with = "lenient::watts")]
    max: Option<Watts>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LastReading {
    #[serde(rename = "endDate", deserialize_with = "lenient::stamp")]
    end: Option<Timestamp>,
    #[serde(deserialize_with = "lenient::number")]
    duration: Option<f64>,
    #[serde(rename = "joulesProduced", deserialize_with = "lenient::number")]
    joules: Option<f64>,
    #[serde(rename = "joulesUsed", deserialize_with = "lenient::number")]
    used: Option<f64>,
    #[serde(rename = "SOC", deserialize_with = "lenient::percent")]
    soc: Option<Percent>,
    #[serde(rename = "maxCellTemp", deserialize_with = "lenient::celsius")]
    cell_temperature: Option<Celsius>,
    #[serde(rename = "acVoltageINmV", deserialize_with = "lenient::millivolts")]
    voltage: Option<Volts>,
    #[serde(rename = "acCurrentInmA", deserialize_with = "lenient::milliamperes")]
    current: Option<Amperes>,
    #[serde(rename = "acFrequencyINmHz", deserialize_with = "lenient::millihertz")]
    frequency: Option<Hertz>,
    #[serde(rename = "dcVoltageINmV", deserialize_with = "lenient::millivolts")]
    dc_voltage: Option<Volts>,
    #[serde(rename = "dcCurrentINmA", deserialize_with = "lenient::milliamperes")]
    dc_current: Option<Amperes>,
    #[serde(rename = "channelTemp", deserialize_with = "lenient::celsius")]
    temperature: Option<Celsius>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Lifetime {
    #[serde(rename = "joulesProduced", deserialize_with = "lenient::joules")]
    energy: Option<WattHours>,
    #[serde(rename = "joulesUsed", deserialize_with = "lenient::joules")]
    used: Option<WattHours>,
}

impl Channel {
    fn is_empty(&self) -> bool {
        self.last_reading.as_ref().is_none_or(|last| last.end.is_none() && last.joules.is_none())
    }

    fn into_device(self, serial: Serial) -> Device {
        let last = self.last_reading.unwrap_or_default();
        let watts = self.watts.unwrap_or_default();
        // `watts.now` is the same mean, but a small negative one shows as 4294967292.
        let mean = match (last.joules, last.duration) {
            (Some(joules), Some(seconds)) if seconds > 0.0 => Watts::new(joules / seconds),
            _ => watts.now.filter(|power| power.value() < f64::from(u32::MAX / 2)),
        };
        Device {
            serial,
            power: mean,
            max_power: watts.max,
            energy: self.lifetime.and_then(|lifetime| lifetime.energy),
            voltage: last.voltage,
            current: last.current,
            frequency: last.frequency,
            dc_voltage: last.dc_voltage,
            dc_current: last.dc_current,
            temperature: last.temperature,
            reported_at: last.end,
        }
    }

    fn into_battery(self, serial: Serial) -> AcBattery {
        let last = self.last_reading.unwrap_or_default();
        let lifetime = self.lifetime.unwrap_or_default();
        let mean = |seconds: f64| Watts::new((last.joules? - last.used?) / seconds);
        AcBattery {
            serial,
            soc: last.soc,
            power: last.duration.filter(|seconds| *seconds > 0.0).and_then(mean),
            temperature: last.cell_temperature,
            charged: lifetime.used,
            discharged: lifetime.energy,
            reported_at: last.end,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"{
        "1":{"devName":"pcu","sn":"122310000101","active":true,"modGone":false,"channels":[{"watts":{"now":255,
            "max":371},"lastReading":{"endDate":1782036870,"duration":900,"joulesProduced":229500,
            "acVoltageINmV":231480,"channelTemp":null},"lifetime":{"joulesProduced":3600000}}]},
        "2":{"devName":"pcu","sn":"122310009901","active":false,"modGone":true,"channels":[{"lastReading":{}}]},
        "3":{"devName":"pcu","sn":"122310000102","active":true,"channels":[{"watts":{"now":4294967292},
            "lastReading":{}}]},
        "4":null, "5":{"devName":"eim","sn":"122300000001EIM1","active":true,"modGone":true},
        "deviceCount":5,"deviceDataLimit":50}"#;

    #[test]
    fn removed_inverters_and_meters_are_passed_over() {
        let page = DeviceData::parse(PAGE.as_bytes()).unwrap();
        let serials: Vec<&str> = page.inverters.iter().map(|device| device.serial.as_str()).collect();
        assert_eq!(serials, ["122310000101", "122310000102"]);
        assert_eq!(page.inverters[0].power, Watts::new(255.0));
        assert_eq!(page.inverters[0].energy, WattHours::new(1000.0));
        assert_eq!(page.inverters[0].voltage, Volts::new(231.48));
        assert_eq!(page.inverters[1].power, None);
        assert!(page.complete());
    }

    #[test]
    fn an_ac_battery_gives_what_it_produced_less_what_it_used() {
        let page = br#"{"1":{"devName":"acb","sn":"121910000201","active":true,"channels":[{"lastReading":{
            "endDate":1782036870,"duration":900,"joulesProduced":9000,"joulesUsed":99000,"SOC":41,"maxCellTemp":29},
            "lifetime":{"joulesProduced":3600000,"joulesUsed":7200000}}]}}"#;
        let battery = &DeviceData::parse(page).unwrap().ac_batteries[0];
        assert_eq!((battery.power, battery.soc), (Watts::new(-100.0), Percent::new(41.0)));
        assert_eq!((battery.charged, battery.discharged), (WattHours::new(2000.0), WattHours::new(1000.0)));
    }

    #[test]
    fn a_page_at_its_limit_is_not_complete() {
        let full = PAGE.replace("\"deviceCount\":5", "\"deviceCount\":50");
        assert!(!DeviceData::parse(full.as_bytes()).unwrap().complete());
        assert!(!DeviceData::parse(b"{}").unwrap().complete());
    }
}
