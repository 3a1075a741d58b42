//! `/production.json`: production and consumption in detail, from the slow web application (0.7 to 11 s).

use jiff::Timestamp;
use serde::Deserialize;

use super::{Malformed, document, lenient};
use crate::base::units::{Amperes, Percent, PowerFactor, Volts, WattHours, Watts};

/// The page. It includes each phase if requested with `details=1`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ProductionJson {
    /// The sum of the inverters, and the production meter.
    #[serde(deserialize_with = "lenient::rows")]
    pub production: Vec<Row>,
    /// The consumption meter, total and net.
    #[serde(deserialize_with = "lenient::rows")]
    pub consumption: Vec<Row>,
    /// The sum of the AC batteries.
    #[serde(deserialize_with = "lenient::rows")]
    pub storage: Vec<AcBatteries>,
}

impl ProductionJson {
    /// Parses the page.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        match document::<lenient::Object<Self>>(body)?.0 {
            Some(page) if page != Self::default() => Ok(page),
            _ => Err(Malformed::OtherForm),
        }
    }

    /// Returns the sum of the inverters.
    pub fn inverters(&self) -> Option<&Row> {
        self.production.iter().find(|row| row.is("inverters") && row.active())
    }

    /// Returns the production meter, if it works. Firmware 4.2.33 omits its measurement type.
    pub fn production_meter(&self) -> Option<&Row> {
        let measures = |row: &&Row| row.measures.as_deref().is_none_or(|kind| kind == "production");
        self.production.iter().filter(measures).find(|row| row.is("eim") && row.active())
    }

    /// Returns the consumption meter as `net-consumption` or `total-consumption`, if it works.
    pub fn consumption_meter(&self, what: &str) -> Option<&Row> {
        self.consumption.iter().find(|row| row.measures.as_deref() == Some(what) && row.active())
    }

    /// Returns the AC batteries, if there are any.
    pub fn ac_batteries(&self) -> Option<&AcBatteries> {
        self.storage.iter().find(|row| row.active_count.is_some_and(|count| count > 0))
    }
}

/// The values of one source.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Row {
    /// `inverters` or `eim` (a meter); also `rgms`, `pmus`.
    #[serde(rename = "type", deserialize_with = "lenient::text")]
    pub kind: Option<String>,
    /// The number of devices in the row. With 0 the values are noise or left over.
    #[serde(rename = "activeCount", deserialize_with = "lenient::whole")]
    pub active_count: Option<u32>,
    /// `production`, `net-consumption` or `total-consumption`.
    #[serde(rename = "measurementType", deserialize_with = "lenient::text")]
    pub measures: Option<String>,
    /// The time of the measurement; 0 for the inverters at night on some firmware.
    #[serde(rename = "readingTime", deserialize_with = "lenient::stamp")]
    pub measured_at: Option<Timestamp>,
    /// The present power.
    #[serde(rename = "wNow", deserialize_with = "lenient::watts")]
    pub power: Option<Watts>,
    /// The lifetime energy. For net consumption it is import minus export, and may be negative.
    #[serde(rename = "whLifetime", deserialize_with = "lenient::watt_hours")]
    pub net_energy: Option<WattHours>,
    /// The phases by position. Newer firmware always has three, wired or not.
    #[serde(deserialize_with = "lenient::positions")]
    pub lines: Vec<Option<Line>>,
}

/// A phase of a meter.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Line {
    /// The present power.
    #[serde(rename = "wNow", deserialize_with = "lenient::watts")]
    pub power: Option<Watts>,
    /// The lifetime energy. For net consumption it is import minus export, and may be negative.
    #[serde(rename = "whLifetime", deserialize_with = "lenient::watt_hours")]
    pub net_energy: Option<WattHours>,
    /// The voltage against neutral.
    #[serde(rename = "rmsVoltage", deserialize_with = "lenient::volts")]
    pub voltage: Option<Volts>,
    /// The current.
    #[serde(rename = "rmsCurrent", deserialize_with = "lenient::amperes")]
    pub current: Option<Amperes>,
    /// The active power divided by the apparent power.
    #[serde(rename = "pwrFactor", deserialize_with = "lenient::power_factor")]
    pub power_factor: Option<PowerFactor>,
}

impl Line {
    /// Returns the lifetime energy of a meter that counts in one direction.
    pub fn energy(&self) -> Option<WattHours> {
        WattHours::lifetime(self.net_energy?.value())
    }
}

impl Row {
    /// Returns the phase at `index`; 0 is L1.
    pub fn line(&self, index: usize) -> Option<&Line> {
        self.lines.get(index)?.as_ref().filter(|line| **line != Line::default())
    }

    /// Returns the lifetime energy of a meter that counts in one direction.
    pub fn energy(&self) -> Option<WattHours> {
        WattHours::lifetime(self.net_energy?.value())
    }

    fn is(&self, kind: &str) -> bool {
        self.kind.as_deref() == Some(kind)
    }

    fn active(&self) -> bool {
        self.active_count.is_some_and(|count| count > 0)
    }
}

/// The sum of the AC batteries.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct AcBatteries {
    /// The number of batteries.
    #[serde(rename = "activeCount", deserialize_with = "lenient::whole")]
    pub active_count: Option<u32>,
    /// The time of the last report.
    #[serde(rename = "readingTime", deserialize_with = "lenient::stamp")]
    pub measured_at: Option<Timestamp>,
    /// The power; positive when discharging.
    #[serde(rename = "wNow", deserialize_with = "lenient::watts")]
    pub power: Option<Watts>,
    /// The energy stored now.
    #[serde(rename = "whNow", deserialize_with = "lenient::lifetime")]
    pub available: Option<WattHours>,
    /// The state of charge. Without it the row is not meaningful (pyenphase #389).
    #[serde(rename = "percentFull", deserialize_with = "lenient::percent")]
    pub soc: Option<Percent>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rows_with_active_devices_are_used() {
        let page = ProductionJson::parse(
            br#"{"production":[{"type":"inverters","activeCount":14,"wNow":1322,"whLifetime":1152866},
                {"type":"eim","activeCount":0,"measurementType":"production","wNow":0.641}],
                "consumption":[{"type":"eim","activeCount":0,"measurementType":"total-consumption"}, 3],
                "storage":[{"type":"acb","activeCount":0,"wNow":0}]}"#,
        )
        .unwrap();
        assert_eq!(page.inverters().unwrap().power, Watts::new(1322.0));
        assert_eq!(page.production_meter(), None);
        assert_eq!(page.consumption_meter("total-consumption"), None);
        assert_eq!(page.ac_batteries(), None);
    }

    #[test]
    fn a_meter_without_a_name_measures_production() {
        let page = ProductionJson::parse(br#"{"production":[{"type":"eim","activeCount":1,"wNow":5}]}"#);
        assert_eq!(page.unwrap().production_meter().unwrap().power, Watts::new(5.0));
    }
}
