//! The ensemble pages of battery sites: `/ivp/ensemble/inventory`, `/ivp/ensemble/power` and
//! `/ivp/ensemble/secctrl`.

use serde::Deserialize;

use super::lenient::{self, FEW, Stamp};
use super::meters::list;
use super::{Malformed, document};
use crate::base::reading::Serial;
use crate::base::units::{Celsius, Percent, WattHours, Watts};

/// `/ivp/ensemble/inventory`: batteries, system controller, meter collar. `[]` if there are none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inventory {
    /// The IQ Batteries.
    pub batteries: Vec<Encharge>,
    /// The system controller.
    pub controller: Option<Controller>,
    /// The meter collar (firmware 8.3).
    pub collar: Option<Collar>,
}

impl Inventory {
    /// Parses the page.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let groups = list::<Group, FEW>(body)?;
        let mut inventory = Self::default();
        for group in groups.0.into_iter().flatten() {
            let mut devices = group.devices.into_iter();
            match group.kind.as_deref() {
                Some("ENCHARGE") => inventory.batteries.extend(devices.map(Device::into_battery)),
                Some("ENPOWER") => inventory.controller = devices.next().map(Device::into_controller),
                Some("COLLAR") => inventory.collar = devices.next().map(Device::into_collar),
                _ => {}
            }
        }
        Ok(inventory)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Group {
    #[serde(rename = "type", deserialize_with = "lenient::text")]
    kind: Option<String>,
    #[serde(deserialize_with = "lenient::devices")]
    devices: Vec<Device>,
}

/// A device of any kind, with the fields of all kinds.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Device {
    #[serde(rename = "serial_num", deserialize_with = "lenient::serial")]
    serial: Option<Serial>,
    #[serde(rename = "percentFull", deserialize_with = "lenient::percent")]
    soc: Option<Percent>,
    #[serde(deserialize_with = "lenient::number")]
    temperature: Option<f64>,
    #[serde(rename = "encharge_capacity", deserialize_with = "lenient::capacity")]
    capacity: Option<WattHours>,
    #[serde(rename = "last_rpt_date")]
    reported: Stamp,
    #[serde(deserialize_with = "lenient::text")]
    mains_admin_state: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    mains_oper_state: Option<String>,
    #[serde(rename = "Enpwr_grid_mode", deserialize_with = "lenient::text")]
    grid_mode: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    mid_state: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    grid_state: Option<String>,
}

impl Device {
    fn into_battery(self) -> Encharge {
        Encharge {
            serial: self.serial,
            soc: self.soc,
            temperature: self.temperature.and_then(Celsius::new),
            capacity: self.capacity,
            reported: self.reported,
        }
    }

    fn into_controller(self) -> Controller {
        Controller {
            serial: self.serial,
            temperature: self.temperature.and_then(|fahrenheit| Celsius::new((fahrenheit - 32.0) / 1.8)),
            wanted: self.mains_admin_state,
            state: self.mains_oper_state,
            mode: self.grid_mode,
        }
    }

    fn into_collar(self) -> Collar {
        Collar {
            serial: self.serial,
            state: self.mid_state,
            mode: self.grid_state,
            temperature: self.temperature.and_then(Celsius::new),
        }
    }
}

/// An IQ Battery.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Encharge {
    /// The serial number.
    pub serial: Option<Serial>,
    /// The state of charge.
    pub soc: Option<Percent>,
    /// The temperature inside.
    pub temperature: Option<Celsius>,
    /// The energy stored when full.
    pub capacity: Option<WattHours>,
    /// The time of the last report.
    pub reported: Stamp,
}

/// The system controller, which can disconnect the house from the grid.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Controller {
    /// The serial number.
    pub serial: Option<Serial>,
    /// The temperature inside. The page has °F in every country, but °C for batteries.
    pub temperature: Option<Celsius>,
    /// The requested state of the switch.
    pub wanted: Option<String>,
    /// The state of the switch.
    pub state: Option<String>,
    /// The mode of the grid.
    pub mode: Option<String>,
}

/// The meter collar, which can also disconnect the house from the grid.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Collar {
    /// The serial number.
    pub serial: Option<Serial>,
    /// The state of the switch (microgrid interconnect device), e.g. `close`.
    pub state: Option<String>,
    /// The state of the grid, e.g. `on_grid`.
    pub mode: Option<String>,
    /// The temperature inside.
    pub temperature: Option<Celsius>,
}

/// `/ivp/ensemble/power`: the power of each battery.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Power(pub Vec<BatteryPower>);

impl Power {
    /// Parses the page. The key is literally `devices:` on every firmware seen; `devices` is accepted too.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Page {
            #[serde(rename = "devices:")]
            misspelt: Option<Devices>,
            devices: Option<Devices>,
        }
        #[derive(Deserialize)]
        #[serde(transparent)]
        struct Devices(#[serde(deserialize_with = "lenient::devices")] Vec<BatteryPower>);
        let page = document::<lenient::Object<Page>>(body)?.0.ok_or(Malformed::OtherForm)?;
        let lists = [page.misspelt, page.devices].into_iter().flatten().map(|list| list.0);
        let longest = lists.max_by_key(Vec::len).ok_or(Malformed::OtherForm)?;
        Ok(Self(longest))
    }
}

/// The power of one battery.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct BatteryPower {
    /// The serial number of the battery.
    #[serde(rename = "serial_num", deserialize_with = "lenient::serial")]
    pub serial: Option<Serial>,
    /// The power; positive when discharging.
    #[serde(rename = "real_power_mw", deserialize_with = "lenient::battery_milliwatts")]
    pub power: Option<Watts>,
    /// The state of charge.
    #[serde(deserialize_with = "lenient::percent")]
    pub soc: Option<Percent>,
}

/// `/ivp/ensemble/secctrl`: the sums over all batteries. Firmware 7.0 has fewer fields.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Secctrl {
    /// The state of charge of all batteries.
    #[serde(rename = "agg_soc", deserialize_with = "lenient::percent")]
    pub soc: Option<Percent>,
    /// The state of charge of the IQ Batteries.
    #[serde(rename = "ENC_agg_soc", deserialize_with = "lenient::percent")]
    pub encharge_soc: Option<Percent>,
    /// The energy now stored in the IQ Batteries.
    #[serde(rename = "ENC_agg_avail_energy", deserialize_with = "lenient::lifetime")]
    pub encharge_available: Option<WattHours>,
    /// The energy stored in the IQ Batteries when full.
    #[serde(rename = "Enc_max_available_capacity", deserialize_with = "lenient::capacity")]
    pub encharge_capacity: Option<WattHours>,
    /// The state of charge of the AC batteries.
    #[serde(rename = "ACB_agg_soc", deserialize_with = "lenient::percent")]
    pub acb_soc: Option<Percent>,
    /// The energy now stored in the AC batteries.
    #[serde(rename = "ACB_agg_energy", deserialize_with = "lenient::lifetime")]
    pub acb_available: Option<WattHours>,
    /// The energy stored in all batteries when full.
    #[serde(rename = "Max_energy", deserialize_with = "lenient::capacity")]
    pub capacity: Option<WattHours>,
}

impl Secctrl {
    /// Parses the page.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let page = document::<lenient::Object<Self>>(body)?.0;
        page.filter(|page| *page != Self::default()).ok_or(Malformed::OtherForm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inventory_distinguishes_batteries_and_controller() {
        let inventory = Inventory::parse(
            br#"[{"type":"C6 RGM","devices":[{}]},null,{"type":"ENCHARGE","devices":[{"serial_num":"1",
                "percentFull":"64","temperature":24},"x"]},{"type":"ENPOWER","devices":[{"temperature":77}]}]"#,
        )
        .unwrap();
        assert_eq!(inventory.batteries.len(), 1);
        assert_eq!(inventory.batteries[0].soc, Percent::new(64.0));
        assert_eq!(inventory.controller.unwrap().temperature, Celsius::new(25.0));
    }

    #[test]
    fn the_power_page_is_read_in_both_spellings() {
        for key in ["devices:", "devices"] {
            let body = format!(r#"{{"{key}":[{{"serial_num":"1","real_power_mw":-136000,"soc":21}}]}}"#);
            assert_eq!(Power::parse(body.as_bytes()).unwrap().0[0].power, Watts::new(-136.0));
        }
    }
    #[test]
    fn an_object_without_the_fields_of_a_page_is_another_page() {
        for odd in ["{}", r#"{"state":"busy"}"#, r#"{"device":[]}"#] {
            assert_eq!(Power::parse(odd.as_bytes()), Err(Malformed::OtherForm), "{odd}");
            assert_eq!(Secctrl::parse(odd.as_bytes()), Err(Malformed::OtherForm), "{odd}");
        }
        for none in [r#"{"devices:":[]}"#, r#"{"devices:":[],"devices":[]}"#] {
            assert_eq!(Power::parse(none.as_bytes()), Ok(Power::default()), "{none}");
        }
    }
}
