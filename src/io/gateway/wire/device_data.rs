//! `/ivp/pdm/device_data` (firmware 8.2.4 and later): each device in detail, limited to 50 devices.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::device_channel::{Channel, greatest, reported, used};
use super::lenient::{self, DEVICES, Object, Stamp};
use super::{Malformed, document};
use crate::base::reading::Serial;
use crate::base::units::{Amperes, Celsius, Hertz, Percent, Volts, WattHours, Watts};

/// The page: an object with devices by identifier, and two counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeviceData {
    /// The inverters, without removed ones.
    pub inverters: Vec<Device>,
    /// The AC batteries.
    pub ac_batteries: Vec<AcBattery>,
    /// The number of devices of the gateway.
    pub count: Option<u32>,
    /// The maximum number of devices on the page.
    pub limit: Option<u32>,
}

impl DeviceData {
    /// Parses the page.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        if body.trim_ascii().starts_with(b"[") {
            return Err(Malformed::OtherForm);
        }
        document(body)
    }

    /// Returns whether the page lists every inverter. At its limit the page is truncated, and a page without working
    /// inverters does not list them.
    pub fn complete(&self) -> bool {
        self.has_room() && !self.inverters.is_empty()
    }

    /// Returns whether the page is below its limit, so that no device is missing.
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
                    return Err(A::Error::custom("neither devices nor a count"));
                }
                page.inverters.shrink_to_fit();
                Ok(page)
            }
        }
        from.deserialize_map(Page)
    }
}

impl DeviceData {
    /// Adds a device, and returns whether `row` is one. Removed inverters stay listed without values (firmware
    /// 8.3.5289, 8.3.5433). Meters are listed too, as removed; other pages have better values of them.
    fn add(&mut self, row: Option<Row>) -> bool {
        let Some(row) = row else { return false };
        let Some(kind) = row.kind else { return false };
        let removed = row.active == Some(false)
            || (row.gone == Some(true) && row.channels.iter().all(Channel::is_empty));
        let Some(serial) = row.serial else { return true };
        if removed {
            return true;
        }
        match kind.as_str() {
            "pcu" => self.inverters.push(Device::of(serial, row.channels)),
            "acb" => self.ac_batteries.push(AcBattery::of(serial, row.channels)),
            _ => {}
        }
        true
    }
}

/// An AC battery, as of its last report.
#[derive(Clone, Debug, PartialEq)]
pub struct AcBattery {
    /// The serial number.
    pub serial: Serial,
    /// The state of charge.
    pub soc: Option<Percent>,
    /// The mean power over the last report; positive when discharging.
    pub power: Option<Watts>,
    /// The temperature of the warmest cell.
    pub temperature: Option<Celsius>,
    /// The lifetime energy charged.
    pub charged: Option<WattHours>,
    /// The lifetime energy discharged.
    pub discharged: Option<WattHours>,
    /// The time of the last report.
    pub reported: Stamp,
}

/// An inverter, as of its last report. One with two panels has a channel for each; the values are their sums.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    /// The serial number.
    pub serial: Serial,
    /// The mean power over the last report, 5 or 15 minutes.
    pub power: Option<Watts>,
    /// The highest power ever reported. For several channels, the sum of the highest power of each.
    pub max_power: Option<Watts>,
    /// The lifetime energy, which does not wrap.
    pub energy: Option<WattHours>,
    /// The voltage at the mains.
    pub voltage: Option<Volts>,
    /// The current at the mains.
    pub current: Option<Amperes>,
    /// The mains frequency.
    pub frequency: Option<Hertz>,
    /// The voltage of the panel; absent for several panels.
    pub dc_voltage: Option<Volts>,
    /// The current of the panel; absent for several panels.
    pub dc_current: Option<Amperes>,
    /// The temperature inside. For several channels, the highest.
    pub temperature: Option<Celsius>,
    /// The time of the last report. [`Stamp::Never`] from the restart at night to the next report. For several
    /// channels, the earliest, because the power is the sum of all.
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

impl Device {
    fn of(serial: Serial, channels: Vec<Channel>) -> Self {
        let channels = used(channels);
        // All channels are on the same mains.
        let mains = channels.iter().find_map(Channel::last);
        let panel = if channels.len() == 1 { mains } else { None };
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
        let only = match channels.as_slice() {
            [channel] => channel.last(),
            _ => None,
        };
        Self {
            serial,
            soc: only.and_then(|last| last.soc),
            power: Watts::total(channels.iter().map(Channel::battery_power)),
            temperature: greatest(channels.iter().map(|channel| channel.last()?.cell_temperature)),
            charged: WattHours::total(channels.iter().map(Channel::used_energy)),
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
    fn removed_inverters_and_meters_are_skipped() {
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
    fn the_power_of_an_ac_battery_is_produced_less_used() {
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
    fn an_object_without_devices_and_without_a_count_is_another_page() {
        for page in ["{}", r#"{"state":"busy"}"#, r#"{"1":{},"2":null,"deviceDataLimit":50}"#] {
            assert_eq!(DeviceData::parse(page.as_bytes()), Err(Malformed::OtherForm), "{page}");
        }
    }
}
