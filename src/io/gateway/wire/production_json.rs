//! `/production.json`: everything of production and consumption, from the slow web application (0.7 to 11 s).

use jiff::Timestamp;
use serde::Deserialize;

use super::{Malformed, document, lenient};
use crate::base::units::{Amperes, Percent, PowerFactor, Volts, WattHours, Watts};

/// The page, with each phase when asked for with `details=1`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ProductionJson {
    /// The inverters together, and the production meter.
    #[serde(deserialize_with = "lenient::rows")]
    pub production: Vec<Row>,
    /// The consumption meter, total and net.
    #[serde(deserialize_with = "lenient::rows")]
    pub consumption: Vec<Row>,
    /// The AC batteries together.
    #[serde(deserialize_with = "lenient::rows")]
    pub storage: Vec<AcBatteries>,
}

impl ProductionJson {
    /// Reads the page.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        match document::<lenient::Object<Self>>(body)?.0 {
            Some(page) if page != Self::default() => Ok(page),
            _ => Err(Malformed::OtherForm),
        }
    }

    /// The sum of what the inverters report.
    pub fn inverters(&self) -> Option<&Row> {
        self.production.iter().find(|row| row.is("inverters") && row.active())
    }

    /// The production meter, when it works. Firmware 4.2.33 does not name what it measures.
    pub fn production_meter(&self) -> Option<&Row> {
        let measures = |row: &&Row| row.measures.as_deref().is_none_or(|what| what == "production");
        self.production.iter().filter(measures).find(|row| row.is("eim") && row.active())
    }

    /// The consumption meter as `net-consumption` or `total-consumption`, when it works.
    pub fn consumption_meter(&self, what: &str) -> Option<&Row> {
        self.consumption.iter().find(|row| row.measures.as_deref() == Some(what) && row.active())
    }

    /// The AC batteries, when there are any.
    pub fn ac_batteries(&self) -> Option<&AcBatteries> {
        self.storage.iter().find(|row| row.active_count.is_some_and(|count| count > 0))
    }
}

/// What one source shows.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Row {
    /// `inverters` or `eim` (a meter); also `rgms`, `pmus`.
    #[serde(rename = "type", deserialize_with = "lenient::text")]
    pub kind: Option<String>,
    /// How many devices stand behind it; with 0 the values are noise or leftovers.
    #[serde(rename = "activeCount", deserialize_with = "lenient::whole")]
    pub active_count: Option<u32>,
    /// `production`, `net-consumption` or `total-consumption`.
    #[serde(rename = "measurementType", deserialize_with = "lenient::text")]
    pub measures: Option<String>,
    /// When it was measured; 0 for the inverters by night on some firmware.
    #[serde(rename = "readingTime", deserialize_with = "lenient::stamp")]
    pub measured_at: Option<Timestamp>,
    /// Now.
    #[serde(rename = "wNow", deserialize_with = "lenient::watts")]
    pub power: Option<Watts>,
    /// Over its life; of net consumption import minus export, so that it may be below zero.
    #[serde(rename = "whLifetime", deserialize_with = "lenient::watt_hours")]
    pub net_energy: Option<WattHours>,
    /// Each phase in its place; three of them on newer firmware, wired or not.
    #[serde(deserialize_with = "lenient::places")]
    pub lines: Vec<Option<Line>>,
}

/// One phase of a meter.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Line {
    /// Now.
    #[serde(rename = "wNow", deserialize_with = "lenient::watts")]
    pub power: Option<Watts>,
    /// Over its life; of net consumption import minus export, so that it may be below zero.
    #[serde(rename = "whLifetime", deserialize_with = "lenient::watt_hours")]
    pub net_energy: Option<WattHours>,
    /// Against neutral.
    #[serde(rename = "rmsVoltage", deserialize_with = "lenient::volts")]
    pub voltage: Option<Volts>,
    /// Through it.
    #[serde(rename = "rmsCurrent", deserialize_with = "lenient::amperes")]
    pub current: Option<Amperes>,
    /// Active over apparent power.
    #[serde(rename = "pwrFactor", deserialize_with = "lenient::power_factor")]
    pub power_factor: Option<PowerFactor>,
}

impl Line {
    /// Over its life, of a meter that counts one way.
    pub fn energy(&self) -> Option<WattHours> {
        WattHours::lifetime(self.net_energy?.value())
    }
}

impl Row {
    /// The phase at `index`, 0 for L1.
    pub fn line(&self, index: usize) -> Option<&Line> {
        self.lines.get(index)?.as_ref().filter(|line| **line != Line::default())
    }

    /// Over its life, of a meter that counts one way.
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

/// The AC batteries together.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct AcBatteries {
    /// How many there are.
    #[serde(rename = "activeCount", deserialize_with = "lenient::whole")]
    pub active_count: Option<u32>,
    /// When they reported.
    #[serde(rename = "readingTime", deserialize_with = "lenient::stamp")]
    pub measured_at: Option<Timestamp>,
    /// Positive when discharging.
    #[serde(rename = "wNow", deserialize_with = "lenient::watts")]
    pub power: Option<Watts>,
    /// What they hold now.
    #[serde(rename = "whNow", deserialize_with = "lenient::lifetime")]
    pub available: Option<WattHours>,
    /// State of charge; without it the row says nothing (pyenphase #389).
    #[serde(rename = "percentFull", deserialize_with = "lenient::percent")]
    pub soc: Option<Percent>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rows_with_devices_behind_them_count() {
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
