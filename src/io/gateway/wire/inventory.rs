//! `/inventory.json`: the devices, from the slow web application (2 to 6 s). Only the AC batteries are read.

use serde::Deserialize;

use super::Malformed;
use super::lenient::{self, FEW, Stamp};
use super::meters::list;
use crate::base::reading::Serial;
use crate::base::units::{Celsius, Percent};

/// The AC batteries of the page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AcBatteries(pub Vec<AcBattery>);

impl AcBatteries {
    /// Parses the page.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Group {
            #[serde(rename = "type", deserialize_with = "lenient::text")]
            kind: Option<String>,
            #[serde(deserialize_with = "lenient::devices")]
            devices: Vec<AcBattery>,
        }
        let groups = list::<Group, FEW>(body)?;
        let acb = |group: &Group| group.kind.as_deref() == Some("ACB");
        let batteries = groups.0.into_iter().flatten().filter(acb).flat_map(|group| group.devices);
        Ok(Self(batteries.collect()))
    }
}

/// An AC battery.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct AcBattery {
    /// The serial number.
    #[serde(rename = "serial_num", deserialize_with = "lenient::serial")]
    pub serial: Option<Serial>,
    /// The state of charge.
    #[serde(rename = "percentFull", deserialize_with = "lenient::percent")]
    pub soc: Option<Percent>,
    /// The temperature of the warmest cell.
    #[serde(rename = "maxCellTemp", deserialize_with = "lenient::celsius")]
    pub temperature: Option<Celsius>,
    /// The time of the last report.
    #[serde(rename = "last_rpt_date")]
    pub reported: Stamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ac_batteries_are_kept() {
        let body = br#"[{"type":"PCU","devices":[{"serial_num":"1"}]},
            {"type":"ACB","devices":[{"serial_num":"2","percentFull":2,"last_rpt_date":"1781991429"}]},
            {"devices":[]}]"#;
        let batteries = AcBatteries::parse(body).unwrap().0;
        assert_eq!(batteries.len(), 1);
        assert_eq!(batteries[0].reported.at().unwrap().as_second(), 1_781_991_429);
    }
}
