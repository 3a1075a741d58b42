//! `/api/v1/production/inverters`: the last report of each inverter, 5 to 15 minutes old by day.

use serde::Deserialize;

use super::Malformed;
use super::lenient::{self, DEVICES, Stamp};
use super::meters::list;
use crate::base::reading::Serial;
use crate::base::units::Watts;

/// The page. Fewer rows than inverters installed can appear.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inverters(pub Vec<InverterReport>);

impl Inverters {
    /// Reads the page.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        Ok(Self(list::<InverterReport, DEVICES>(body)?.objects()))
    }
}

/// One row: an inverter, or another device that reports in the same way.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct InverterReport {
    /// Its serial number.
    #[serde(rename = "serialNumber", deserialize_with = "lenient::serial")]
    pub serial: Option<Serial>,
    /// When it reported; by night hours ago. Never is what a gateway shows for an inverter that another gateway reads.
    #[serde(rename = "lastReportDate")]
    pub reported: Stamp,
    /// 1 is an inverter, 11 an AC battery, 12 a relay; absent before firmware 4.10.
    #[serde(deserialize_with = "lenient::whole")]
    pub dev_type: Option<u32>,
    /// At its last report.
    #[serde(rename = "lastReportWatts", deserialize_with = "lenient::inverter_watts")]
    pub power: Option<Watts>,
    /// The most it ever reported.
    #[serde(rename = "maxReportWatts", deserialize_with = "lenient::inverter_watts")]
    pub max_power: Option<Watts>,
}

impl InverterReport {
    /// Whether the row is an inverter.
    pub fn is_inverter(&self) -> bool {
        matches!(self.dev_type, None | Some(1))
    }

    /// Whether the row is an AC battery.
    pub fn is_ac_battery(&self) -> bool {
        self.dev_type == Some(11)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_may_be_a_number_and_a_row_may_be_a_battery() {
        let body = br#"[{"serialNumber":122310000101,"lastReportWatts":241,"devType":1},
            {"serialNumber":"122310000102","devType":11,"lastReportDate":0}, "x"]"#;
        let rows = Inverters::parse(body).unwrap().0;
        assert_eq!(rows[0].serial.as_ref().unwrap().as_str(), "122310000101");
        assert!(rows[0].is_inverter() && rows[1].is_ac_battery());
        assert_eq!((rows[0].reported, rows[1].reported), (Stamp::Unknown, Stamp::Never));
    }
}
