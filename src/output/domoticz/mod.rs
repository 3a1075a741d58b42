//! Domoticz by idx: the user creates dummy devices in Domoticz, and writes their numbers into the configuration.
//!
//! The effect of each payload on `domoticz/in` was tested with Domoticz V2025.1. It reports errors only in its own log,
//! adds nothing up (counters are lifetime totals), and applies retained messages again at every reconnect. So nothing
//! here is retained, and unknown values are not sent.

pub mod alert;
pub mod devices;
pub mod idx;
pub mod inspection;
pub mod measured;

use serde::Serialize;

use crate::base::message::{Message, Qos};
use crate::base::reading::Reading;
use crate::output::domoticz::devices::DEVICES;
use crate::output::domoticz::idx::Idx;
use crate::output::json;

/// The default topic of Domoticz.
pub const TOPIC: &str = "domoticz/in";

/// A new value for one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Update {
    /// The number of the device in Domoticz.
    pub idx: u32,
    /// 1 for a switch that is on, otherwise 0.
    pub nvalue: u8,
    /// The value in the format of the device's type. Domoticz requires a text even for numbers.
    pub svalue: String,
}

impl Update {
    /// Creates the MQTT message, with level 0 like all states: Domoticz handles ten messages per second.
    pub fn message(&self, topic: &str) -> Message {
        Message {
            topic: topic.to_owned(),
            payload: json::one_line(self),
            retain: false,
            qos: Qos::AtMostOnce,
        }
    }
}

/// Returns the updates for the configured devices with a value, in the order of [`DEVICES`].
pub fn updates(reading: &Reading, idx: &Idx) -> Vec<Update> {
    let update = |device: &devices::Device| {
        let idx = idx.of(device.key)?;
        let (nvalue, svalue) = (device.value)(reading)?;
        Some(Update { idx, nvalue, svalue })
    };
    DEVICES.iter().filter_map(update).collect()
}

/// Appends a line for each update, for `mosquitto_pub -t domoticz/in -l`.
pub fn write(reading: &Reading, idx: &Idx, out: &mut String) {
    for update in updates(reading, idx) {
        out.push_str(&json::one_line(&update));
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::test_readings;
    use crate::output::domoticz::devices::Kind;

    /// Returns an idx for every key, counting from 1.
    fn every() -> Idx {
        Idx::new(DEVICES.iter().zip(1..).map(|(device, idx)| (device.key, idx))).unwrap()
    }

    fn lines(reading: &Reading, idx: &Idx) -> String {
        let mut out = String::new();
        write(reading, idx, &mut out);
        out
    }

    #[test]
    fn each_device_gets_its_value_in_the_form_of_its_type() {
        let shown = |device: &devices::Device| {
            let idx = Idx::new([(device.key, 7)]).unwrap();
            let line = lines(&test_readings::full(), &idx);
            format!("{:24} {:22} {}", device.key, device.kind.to_string(), line.trim_end())
        };
        let table = DEVICES.iter().map(shown).collect::<Vec<_>>().join("\n");
        insta::assert_snapshot!(table);
    }

    #[test]
    fn only_what_is_configured_and_known_is_sent() {
        let idx = Idx::new([("production", 12), ("grid", 13)]).unwrap();
        insta::assert_snapshot!(lines(&test_readings::bare(), &idx), @r#"{"idx":12,"nvalue":0,"svalue":"483;812345"}"#);
    }

    #[test]
    fn importing_and_exporting_are_two_sides_of_the_meter() {
        let idx = Idx::new([("grid", 13)]).unwrap();
        let mut reading = test_readings::full();
        let exporting = lines(&reading, &idx);
        reading.grid.as_mut().unwrap().power_w = crate::base::units::Watts::new(350.4);
        insta::assert_snapshot!(exporting + &lines(&reading, &idx), @r#"
        {"idx":13,"nvalue":0,"svalue":"6000001;0;671606;0;0;2580"}
        {"idx":13,"nvalue":0,"svalue":"6000001;0;671606;0;350;0"}
        "#);
    }

    #[test]
    fn nothing_is_retained() {
        let message = updates(&test_readings::full(), &every())[0].message(TOPIC);
        assert_eq!((message.retain, message.qos), (false, Qos::AtMostOnce));
        assert_eq!(message.topic, "domoticz/in");
    }

    proptest! {
        #[test]
        fn an_svalue_is_what_its_type_takes(reading in test_readings::any()) {
            for update in updates(&reading, &every()) {
                let device = &DEVICES[update.idx as usize - 1];
                let parts: Vec<&str> = update.svalue.split(';').collect();
                let plain = |part: &&str| {
                    part.parse::<f64>().is_ok_and(f64::is_finite) && !part.contains(['e', 'E'])
                };
                match device.kind {
                    Kind::P1 => {
                        prop_assert_eq!(parts.len(), 6);
                        prop_assert!(parts.iter().all(|part| part.parse::<u64>().is_ok()), "{}", update.svalue);
                        prop_assert!(parts[4] == "0" || parts[5] == "0");
                    }
                    Kind::Kwh => {
                        prop_assert_eq!(parts.len(), 2);
                        prop_assert!(parts.iter().all(plain), "{}", update.svalue);
                    }
                    Kind::Text | Kind::Switch => {}
                    _ => prop_assert!(parts.len() == 1 && plain(&parts[0]), "{}", update.svalue),
                }
            }
        }
    }
}
