//! Checks that the configured devices exist in Domoticz and have the right type.
//!
//! Domoticz responds to `{"command":"getdeviceinfo","idx":2}` on `domoticz/in` immediately on `domoticz/out`, or below it
//! if the publish scheme is by index or name. It does not respond if the idx does not exist or is not in use
//! (tested with V2025.1).

use serde::Deserialize;

use crate::base::message::{Message, Qos};
use crate::base::printable::Printable;
use crate::output::domoticz::TOPIC;
use crate::output::domoticz::devices::{Device, Kind};
use crate::output::json;

/// The topic filter for all messages of Domoticz, independent of its publish scheme.
pub const ANSWERS: &str = "domoticz/out/#";

/// The used fields of Domoticz's response about a device.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DeviceInfo {
    /// The number of the device.
    pub idx: u32,
    /// The name chosen by the user.
    #[serde(default)]
    pub name: String,
    /// The type, e.g. `General`.
    #[serde(default)]
    pub dtype: String,
    /// The subtype, e.g. `kWh`.
    #[serde(default)]
    pub stype: String,
    /// `1` if a counter ignores the sent energy and computes its own. The options of a device are members of the response.
    #[serde(default, rename = "EnergyMeterMode")]
    pub energy_meter_mode: Option<String>,
    /// The names of a selector's levels.
    #[serde(default, rename = "LevelNames")]
    pub level_names: Option<String>,
    /// The kind of switch, e.g. `On/Off` or `Selector`.
    #[serde(default, rename = "switchType")]
    pub switch_type: Option<String>,
}

impl DeviceInfo {
    /// Returns whether the device is a selector, for which On and Off are no levels.
    fn is_selector(&self) -> bool {
        self.stype.contains("Selector")
            || self.level_names.is_some()
            || self.switch_type.as_deref() == Some("Selector")
    }
}

/// Creates the request for one device.
pub fn question(idx: u32) -> Message {
    #[derive(serde::Serialize)]
    struct Question {
        command: &'static str,
        idx: u32,
    }
    let payload = json::one_line(&Question { command: "getdeviceinfo", idx });
    Message { topic: TOPIC.to_owned(), payload, retain: false, qos: Qos::AtLeastOnce }
}

/// Returns `true` if `topic` is among [`ANSWERS`].
pub fn is_answer(topic: &str) -> bool {
    topic.split('/').take(2).eq(["domoticz", "out"])
}

/// Parses a message below `domoticz/out`, if it is about a device.
pub fn answer(payload: &[u8]) -> Option<DeviceInfo> {
    serde_json::from_slice(payload).ok()
}

/// Checks that `device` with this `idx` will show its value. Returns its description, or an error with advice.
pub fn check_device(device: &Device, idx: u32, info: Option<&DeviceInfo>) -> Result<String, String> {
    let Some(info) = info else {
        return Err(format!(
            "Domoticz has no device in use with idx {idx}. Its page Setup > Devices shows the right number; the green \
             arrow there activates a device that is not in use"
        ));
    };
    let name = Printable(&info.name);
    let found = format!("{}/{}", Printable(&info.dtype), Printable(&info.stype));
    if !fits(device.kind, info) {
        return Err(format!(
            "idx {idx} is \"{name}\" of the type {found}, which cannot show this. Create a virtual sensor of the type \
             \"{}\" and write its idx into the configuration",
            device.kind
        ));
    }
    if device.kind == Kind::Kwh && info.energy_meter_mode.as_deref() == Some("1") {
        return Err(format!(
            "idx {idx}, \"{name}\", ignores the energy that is sent and computes its own: press Edit at the device and \
             set Energy read to From Device"
        ));
    }
    Ok(format!("idx {idx} is \"{name}\", {found}"))
}

fn fits(kind: Kind, info: &DeviceInfo) -> bool {
    let (dtype, stype) = kind.type_names();
    let is_switch = kind != Kind::Switch || !info.is_selector();
    info.dtype == dtype && stype.is_none_or(|stype| info.stype == stype) && is_switch
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::domoticz::devices::DEVICES;

    fn info(dtype: &str, stype: &str) -> DeviceInfo {
        DeviceInfo {
            idx: 12,
            name: "Sun".to_owned(),
            dtype: dtype.to_owned(),
            stype: stype.to_owned(),
            energy_meter_mode: None,
            level_names: None,
            switch_type: None,
        }
    }

    fn checked(key: &str, info: Option<&DeviceInfo>) -> Result<String, String> {
        check_device(DEVICES.iter().find(|device| device.key == key).unwrap(), 12, info)
    }

    #[test]
    fn each_type_is_known_by_what_domoticz_calls_it() {
        for device in &DEVICES {
            let (dtype, stype) = device.kind.type_names();
            let right = info(dtype, stype.unwrap_or("any"));
            assert!(check_device(device, 12, Some(&right)).is_ok(), "{}", device.key);
            assert!(check_device(device, 12, Some(&info("Rain", "WS2300"))).is_err(), "{}", device.key);
        }
        assert!(checked("production", Some(&info("Usage", "Electric"))).is_err());
        assert!(checked("production_power", Some(&info("General", "kWh"))).is_err());
        assert!(checked("soc", Some(&info("General", "Voltage"))).is_err());
    }

    #[test]
    fn a_selector_is_not_a_switch() {
        let switch = info("Light/Switch", "Switch");
        assert!(checked("grid_connection", Some(&switch)).is_ok());
        let on_off = DeviceInfo { switch_type: Some("On/Off".to_owned()), ..switch.clone() };
        assert!(checked("grid_connection", Some(&on_off)).is_ok());
        for selector in [
            info("Light/Switch", "Selector Switch"),
            DeviceInfo { switch_type: Some("Selector".to_owned()), ..switch.clone() },
            DeviceInfo { level_names: Some("Off|Level1".to_owned()), ..switch },
        ] {
            let words = checked("grid_connection", Some(&selector)).unwrap_err();
            assert!(words.contains("type \"Switch\""), "{words}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_what_to_do() {
        let computed = DeviceInfo { energy_meter_mode: Some("1".to_owned()), ..info("General", "kWh") };
        let from_device = DeviceInfo { energy_meter_mode: Some("0".to_owned()), ..computed.clone() };
        let reported = [
            checked("production", Some(&info("General", "kWh"))),
            checked("production", Some(&from_device)),
            checked("production", Some(&computed)),
            checked("grid", Some(&info("General", "kWh"))),
            checked("grid", None),
        ];
        let reported: Vec<String> = reported.into_iter().map(|result| format!("{result:?}")).collect();
        insta::assert_snapshot!(reported.join("\n"));
    }

    #[test]
    fn an_answer_is_read_as_domoticz_writes_it() {
        let text = "{\n\t\"Battery\" : 255,\n\t\"LastUpdate\" : \"2025-11-20 11:19:31\",\n\t\"RSSI\" : 12,\n\t\
                    \"description\" : \"\",\n\t\"dtype\" : \"General\",\n\t\"hwid\" : \"2\",\n\t\"id\" : \"00082052\",\n\t\
                    \"idx\" : 12,\n\t\"name\" : \"Sun\",\n\t\"nvalue\" : 0,\n\t\"org_hwid\" : \"2\",\n\t\"stype\" : \
                    \"kWh\",\n\t\"svalue1\" : \"0\",\n\t\"svalue2\" : \"0.0\",\n\t\"unit\" : 1\n}\n";
        assert_eq!(answer(text.as_bytes()), Some(info("General", "kWh")));
        assert_eq!(answer(b"hello"), None);
        assert_eq!(answer(b"{\"idx\":\"12\"}"), None);
    }

    #[test]
    fn the_question_is_asked_once() {
        let question = question(12);
        assert_eq!(
            (question.topic.as_str(), question.payload.as_str(), question.retain),
            ("domoticz/in", r#"{"command":"getdeviceinfo","idx":12}"#, false)
        );
    }
}
