//! Whether the devices that the configuration names are there and of the right type: what Domoticz is asked,
//! and what its answers mean.
//!
//! `{"command":"getdeviceinfo","idx":2}` on `domoticz/in` is answered at once on `domoticz/out`, or below it where
//! the publish scheme is one by floor, index or name; an idx that does not exist or is not in use is met with
//! silence (V2025.1, found by driving it).

use serde::Deserialize;

use crate::base::message::{Message, Qos};
use crate::base::printable::Printable;
use crate::output::domoticz::TOPIC;
use crate::output::domoticz::devices::{Device, Kind};
use crate::output::json;

/// Everything that Domoticz publishes, whatever its publish scheme.
pub const ANSWERS: &str = "domoticz/out/#";

/// What Domoticz tells of a device; the rest of its answer is of no use here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Told {
    /// Its number.
    pub idx: u32,
    /// What the user calls it.
    #[serde(default)]
    pub name: String,
    /// The type, e.g. `General`.
    #[serde(default)]
    pub dtype: String,
    /// The subtype, e.g. `kWh`.
    #[serde(default)]
    pub stype: String,
    /// `1` where a counter ignores the energy that is sent and computes its own; options of a device are
    /// members of the answer.
    #[serde(default, rename = "EnergyMeterMode")]
    pub energy_meter_mode: Option<String>,
}

/// The question for one device.
pub fn question(idx: u32) -> Message {
    #[derive(serde::Serialize)]
    struct Question {
        command: &'static str,
        idx: u32,
    }
    let payload = json::one_line(&Question { command: "getdeviceinfo", idx });
    Message { topic: TOPIC.to_owned(), payload, retain: false, qos: Qos::AtLeastOnce }
}

/// What a message below `domoticz/out` tells, if it is about a device.
pub fn answer(payload: &[u8]) -> Option<Told> {
    serde_json::from_slice(payload).ok()
}

/// Whether `device` with this `idx` will show its value: what is there, or what to change.
pub fn judge(device: &Device, idx: u32, told: Option<&Told>) -> Result<String, String> {
    let Some(told) = told else {
        return Err(format!(
            "Domoticz has no device in use with idx {idx}. Its page Setup > Devices shows the right number; a device \
             that is listed there and not in use is taken into use by its green arrow"
        ));
    };
    let name = Printable(&told.name);
    let seen = format!("{}/{}", Printable(&told.dtype), Printable(&told.stype));
    if !fits(device.kind, told) {
        return Err(format!(
            "idx {idx} is \"{name}\" of the type {seen}, which cannot show this. Create a virtual sensor of the type \
             \"{}\" and write its idx into the configuration",
            device.kind
        ));
    }
    if device.kind == Kind::Kwh && told.energy_meter_mode.as_deref() == Some("1") {
        return Err(format!(
            "idx {idx}, \"{name}\", ignores the energy that is sent and computes its own: press Edit at the device and \
             set Energy read to From Device"
        ));
    }
    Ok(format!("idx {idx} is \"{name}\", {seen}"))
}

fn fits(kind: Kind, told: &Told) -> bool {
    let (dtype, stype) = kind.told();
    told.dtype == dtype && stype.is_none_or(|stype| told.stype == stype)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::domoticz::devices::DEVICES;

    fn told(dtype: &str, stype: &str) -> Told {
        Told {
            idx: 12,
            name: "Sun".to_owned(),
            dtype: dtype.to_owned(),
            stype: stype.to_owned(),
            energy_meter_mode: None,
        }
    }

    fn judged(key: &str, told: Option<&Told>) -> Result<String, String> {
        judge(DEVICES.iter().find(|device| device.key == key).unwrap(), 12, told)
    }

    #[test]
    fn each_type_is_known_by_what_domoticz_calls_it() {
        for device in &DEVICES {
            let (dtype, stype) = device.kind.told();
            let right = told(dtype, stype.unwrap_or("any"));
            assert!(judge(device, 12, Some(&right)).is_ok(), "{}", device.key);
            assert!(judge(device, 12, Some(&told("Rain", "WS2300"))).is_err(), "{}", device.key);
        }
        assert!(judged("production", Some(&told("Usage", "Electric"))).is_err());
        assert!(judged("production_power", Some(&told("General", "kWh"))).is_err());
        assert!(judged("soc", Some(&told("General", "Voltage"))).is_err());
    }

    #[test]
    fn what_is_wrong_is_said_with_what_to_do() {
        let computed = Told { energy_meter_mode: Some("1".to_owned()), ..told("General", "kWh") };
        let from_device = Told { energy_meter_mode: Some("0".to_owned()), ..computed.clone() };
        let said = [
            judged("production", Some(&told("General", "kWh"))),
            judged("production", Some(&from_device)),
            judged("production", Some(&computed)),
            judged("grid", Some(&told("General", "kWh"))),
            judged("grid", None),
        ];
        let said: Vec<String> = said.into_iter().map(|it| format!("{it:?}")).collect();
        insta::assert_snapshot!(said.join("\n"));
    }

    #[test]
    fn an_answer_is_read_as_domoticz_writes_it() {
        let text = "{\n\t\"Battery\" : 255,\n\t\"LastUpdate\" : \"2025-11-20 11:19:31\",\n\t\"RSSI\" : 12,\n\t\
                    \"description\" : \"\",\n\t\"dtype\" : \"General\",\n\t\"hwid\" : \"2\",\n\t\"id\" : \"00082052\",\n\t\
                    \"idx\" : 12,\n\t\"name\" : \"Sun\",\n\t\"nvalue\" : 0,\n\t\"org_hwid\" : \"2\",\n\t\"stype\" : \
                    \"kWh\",\n\t\"svalue1\" : \"0\",\n\t\"svalue2\" : \"0.0\",\n\t\"unit\" : 1\n}\n";
        assert_eq!(answer(text.as_bytes()), Some(told("General", "kWh")));
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
