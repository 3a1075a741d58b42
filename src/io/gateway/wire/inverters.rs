//! `/api/v1/production/inverters`: the last report of each inverter, 5 to 15 minutes old by day.

use serde::Deserialize;

use super::Malformed;
use super::lenient::{self, Stamp};
use super::meters::list;
use crate::base::reading::Serial;
use crate::base::units::Watts;

/// The maximum number of rows, which is how many fit into a response (see
/// [`Endpoint::Inverters`](crate::io::gateway::Endpoint)). No gateway serves more than 600 inverters. The number of
/// published ones has its own limit.
const MAX_ROWS: usize = 1_750;

/// The page. It may have fewer rows than there are inverters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inverters(pub Vec<InverterReport>);

impl Inverters {
    /// Parses the page.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        Ok(Self(list::<InverterReport, MAX_ROWS>(body)?.objects()))
    }
}

/// A row: an inverter, or another device that reports in the same way.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct InverterReport {
    /// The serial number.
    #[serde(rename = "serialNumber", deserialize_with = "lenient::serial")]
    pub serial: Option<Serial>,
    /// The time of the last report; hours ago at night. [`Stamp::Never`] for an inverter that another gateway reads.
    #[serde(rename = "lastReportDate")]
    pub reported: Stamp,
    /// 1 is an inverter, 11 an AC battery, 12 a relay; absent before firmware 4.10.
    #[serde(deserialize_with = "lenient::whole")]
    pub dev_type: Option<u32>,
    /// The power in the last report.
    #[serde(rename = "lastReportWatts", deserialize_with = "lenient::inverter_watts")]
    pub power: Option<Watts>,
    /// The highest power ever reported.
    #[serde(rename = "maxReportWatts", deserialize_with = "lenient::inverter_watts")]
    pub max_power: Option<Watts>,
}

impl InverterReport {
    /// Returns whether the row is an inverter.
    pub fn is_inverter(&self) -> bool {
        matches!(self.dev_type, None | Some(1))
    }

    /// Returns whether the row is an AC battery.
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
    #[test]
    fn more_rows_than_any_gateway_has_are_still_read() {
        let page = |count: u32| {
            let rows: Vec<String> =
                (0..count).map(|n| format!(r#"{{"serialNumber":"{n}","lastReportWatts":5}}"#)).collect();
            Inverters::parse(format!("[{}]", rows.join(",")).as_bytes()).map(|page| page.0.len())
        };
        assert_eq!((page(1_001), page(1_700)), (Ok(1_001), Ok(1_700)));
        assert_eq!(page(2_000), Err(Malformed::OtherForm));
    }
}
