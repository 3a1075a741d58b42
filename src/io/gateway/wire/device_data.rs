//! `/ivp/pdm/device_data` (firmware 8.2.4 and later): each device in detail, cut at 50 devices.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::lenient::{self, DEVICES, Object, Stamp};
use super::{Malformed, document};
use crate::base::reading::Serial;
use crate::base::units::{Amperes, Celsius, Hertz, Percent, Volts, WattHours, Watts};

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
                let mut is_list = false;
                while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                    match key.as_ref() {
                        "deviceCount" => page.count = map.next_value::<Count>()?.0,
                        "deviceDataLimit" => page.limit = map.next_value::<Count>()?.0,
                        _ => is_list |= page.add(map.next_value::<Object<Row>>()?.0),
                    }
                    if page.inverters.len().max(page.ac_batteries.len()) > DEVICES {
                        return Err(A::Error::custom("too many devices"));
                    }
                }
                if !is_list && page.count.is_none() {
                    return Err(A::Error::custom("no devices, and no count of them"));
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
    /// as removed, and are better read elsewhere. Returns whether `row` is a device.
    fn add(&mut self, row: Option<Row>) -> bool {
        let Some(row) = row else { return false };
        let Some(kind) = row.kind else { return false };
        let gone = row.active == Some(false)
            || (row.gone == Some(true) && row.channels.iter().all(Channel::is_empty));
        let Some(serial) = row.serial.filter(|_| !gone) else { return true };
        match kind.as_str() {
            "pcu" => self.inverters.push(Device::of(serial, row.channels)),
            "acb" => self.ac_batteries.push(AcBattery::of(serial, row.channels)),
            _ => {}
        }
        true
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
    pub reported: Stamp,
}

/// One inverter, as of its last report; one with two panels has a channel for each, and is their sum.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    /// Its serial number.
    pub serial: Serial,
    /// The mean over its last report, 5 or 15 minutes.
    pub power: Option<Watts>,
    /// The most it ever reported; of several channels the sum of the most of each.
    pub max_power: Option<Watts>,
    /// Over its life; not wrapped.
    pub energy: Option<WattHours>,
    /// On the mains side.
    pub voltage: Option<Volts>,
    /// On the mains side.
    pub current: Option<Amperes>,
    /// Of the mains.
    pub frequency: Option<Hertz>,
    /// On the panel's side; absent where there are several.
    pub dc_voltage: Option<Volts>,
    /// On the panel's side; absent where there are several.
    pub dc_current: Option<Amperes>,
    /// Inside; of several channels the warmest.
    pub temperature: Option<Celsius>,
    /// When it reported; never since a night's restart until it reports again. Of several channels the one that reported
    /// first, because the power is of all of them.
    pub reported: Stamp,
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
    #[serde(deserialize_with = "lenient::inverter_watts")]
    now: Option<Watts>,
    #[serde(deserialize_with = "lenient::inverter_watts")]
    max: Option<Watts>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LastReading {
    #[serde(rename = "endDate")]
    end: Stamp,
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
    #[serde(rename = "joulesProduced", deserialize_with = "lenient::lifetime_joules")]
    energy: Option<WattHours>,
    #[serde(rename = "joulesUsed", deserialize_with = "lenient::lifetime_joules")]
    used: Option<WattHours>,
}

impl Channel {
    fn last(&self) -> Option<&LastReading> {
        self.last_reading.as_ref()
    }

    fn is_empty(&self) -> bool {
        self.last().is_none_or(|last| last.end.at().is_none() && last.joules.is_none())
    }

    /// An empty reading is none: the device was not heard of.
    fn reported(&self) -> Stamp {
        match self.last().map_or(Stamp::Never, |last| last.end) {
            Stamp::Unknown if self.is_empty() => Stamp::Never,
            stamp => stamp,
        }
    }

    fn energy(&self) -> Option<WattHours> {
        self.lifetime.as_ref()?.energy
    }

    fn max_power(&self) -> Option<Watts> {
        self.watts.as_ref()?.max
    }

    /// Whether it ever did anything: an inverter for two panels may have one.
    fn is_used(&self) -> bool {
        self.reported().at().is_some()
            || self.energy().is_some_and(|energy| energy > WattHours::ZERO)
            || self.max_power().is_some_and(|power| power > Watts::ZERO)
    }

    /// The mean power of the last report.
    fn power(&self) -> Option<Watts> {
        let last = self.last()?;
        let mean = |seconds: f64| lenient::of_inverter(last.joules? / seconds);
        // `watts.now` is the same mean, but a small negative one shows as 4294967292.
        match last.duration.filter(|seconds| *seconds > 0.0).and_then(mean) {
            None => self.watts.as_ref()?.now,
            mean => mean,
        }
    }

    /// The mean power of the last report of a battery.
    fn battery_power(&self) -> Option<Watts> {
        let last = self.last()?;
        let seconds = last.duration.filter(|seconds| *seconds > 0.0)?;
        lenient::of_battery((last.joules? - last.used?) / seconds)
    }
}

/// The channels that do something; without any, the first.
fn used(mut channels: Vec<Channel>) -> Vec<Channel> {
    if channels.iter().any(Channel::is_used) {
        channels.retain(Channel::is_used);
    } else {
        channels.truncate(1);
    }
    channels
}

/// When the channel reported that reported first.
fn reported(channels: &[Channel]) -> Stamp {
    let moments: Option<Vec<_>> = channels.iter().map(|channel| channel.reported().at()).collect();
    match moments.and_then(|moments| moments.into_iter().min()) {
        Some(at) => Stamp::At(at),
        None => {
            channels.iter().map(Channel::reported).find(|stamp| stamp.at().is_none()).unwrap_or(Stamp::Never)
        }
    }
}

/// The greatest of what the channels show.
fn greatest<T: PartialOrd>(values: impl Iterator<Item = Option<T>>) -> Option<T> {
    values.flatten().reduce(|one, other| if other > one { other } else { one })
}

impl Device {
    fn of(serial: Serial, channels: Vec<Channel>) -> Self {
        let channels = used(channels);
        // All channels are on the same mains.
        let mains = channels.iter().find_map(Channel::last);
        let panel = mains.filter(|_| channels.len() == 1);
        let currents = || channels.iter().map(|channel| channel.last()?.current);
        Self {
            serial,
            power: Watts::total(channels.iter().map(Channel::power)),
            max_power: Watts::total(channels.iter().map(Channel::max_power)),
            energy: WattHours::total(channels.iter().map(Channel::energy)),
            voltage: mains.and_then(|last| last.voltage),
            current: Amperes::total(currents()),
            frequency: mains.and_then(|last| last.frequency),
            dc_voltage: panel.and_then(|last| last.dc_voltage),
            dc_current: panel.and_then(|last| last.dc_current),
            temperature: greatest(channels.iter().map(|channel| channel.last()?.temperature)),
            reported: reported(&channels),
        }
    }
}

impl AcBattery {
    fn of(serial: Serial, channels: Vec<Channel>) -> Self {
        let channels = used(channels);
        let only = channels.first().filter(|_| channels.len() == 1).and_then(Channel::last);
        let charged = |channel: &Channel| channel.lifetime.as_ref()?.used;
        Self {
            serial,
            soc: only.and_then(|last| last.soc),
            power: Watts::total(channels.iter().map(Channel::battery_power)),
            temperature: greatest(channels.iter().map(|channel| channel.last()?.cell_temperature)),
            charged: WattHours::total(channels.iter().map(charged)),
            discharged: WattHours::total(channels.iter().map(Channel::energy)),
            reported: reported(&channels),
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
    fn an_inverter_with_two_channels_is_their_sum() {
        let channel = |joules: u32, end: u32| {
            format!(
                r#"{{"watts":{{"max":320}},"lastReading":{{"endDate":{end},"duration":900,"joulesProduced":{joules},
                "acVoltageINmV":231000,"acCurrentInmA":500,"dcVoltageINmV":32000,"channelTemp":{}}},
                "lifetime":{{"joulesProduced":3600000}}}}"#,
                joules / 9000
            )
        };
        let page = |channels: &str| {
            let page =
                format!(r#"{{"1":{{"devName":"pcu","sn":"1","active":true,"channels":[{channels}]}}}}"#);
            DeviceData::parse(page.as_bytes()).unwrap().inverters.remove(0)
        };
        let (one, other) = (channel(180_000, 1_782_036_870), channel(90_000, 1_782_036_850));
        let both = page(&format!("{one},{other}"));
        assert_eq!((both.power, both.max_power), (Watts::new(300.0), Watts::new(640.0)));
        assert_eq!((both.energy, both.current), (WattHours::new(2000.0), Amperes::new(1.0)));
        assert_eq!((both.voltage, both.dc_voltage), (Volts::new(231.0), None));
        assert_eq!(
            (both.temperature, both.reported.at().unwrap().as_second()),
            (Celsius::new(20.0), 1_782_036_850)
        );
        let unused = page(&format!(r#"{one},{{"watts":{{"max":0}},"lastReading":{{}},"lifetime":{{}}}}"#));
        assert_eq!((unused.power, unused.dc_voltage), (Watts::new(200.0), Volts::new(32.0)));
        let dead = page(&format!(r#"{one},{{"watts":{{"max":320}},"lastReading":{{}},"lifetime":{{}}}}"#));
        assert_eq!(
            (dead.power, dead.energy, dead.reported),
            (None, None, Stamp::Never),
            "a part is not the whole"
        );
    }

    #[test]
    fn a_page_at_its_limit_is_not_complete() {
        let full = PAGE.replace("\"deviceCount\":5", "\"deviceCount\":50");
        assert!(!DeviceData::parse(full.as_bytes()).unwrap().complete());
        let none = DeviceData::parse(br#"{"deviceCount":0,"deviceDataLimit":50}"#).unwrap();
        assert!(!none.complete() && none.has_room());
    }

    #[test]
    fn an_object_that_names_neither_devices_nor_their_number_is_another_page() {
        for page in ["{}", r#"{"state":"busy"}"#, r#"{"1":{},"2":null,"deviceDataLimit":50}"#] {
            assert_eq!(DeviceData::parse(page.as_bytes()), Err(Malformed::OtherForm), "{page}");
        }
    }
}
