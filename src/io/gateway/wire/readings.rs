//! `/ivp/meters/readings`: what each meter shows, about a second old. The best source there is.

use jiff::Timestamp;
use serde::Deserialize;

use super::Malformed;
use super::lenient::{self, FEW};
use super::meters::list;
use crate::base::units::{Amperes, Hertz, PowerFactor, Volts, WattHours, Watts};

/// The page: one row for each meter, known to `/ivp/meters` or not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Readings(pub Vec<MeterReading>);

impl Readings {
    /// Reads the page.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        Ok(Self(list::<MeterReading, FEW>(body)?.objects()))
    }
}

/// What one meter shows, its phases together or, among its channels, on one phase. Aggregate voltages are sums
/// over the phases.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct MeterReading {
    /// The meter's identifier; a channel has its own.
    #[serde(deserialize_with = "lenient::whole")]
    pub eid: Option<u32>,
    /// When it was measured.
    #[serde(deserialize_with = "lenient::stamp")]
    pub timestamp: Option<Timestamp>,
    /// Over the life of the meter, in the direction of its name: generated, imported, discharged.
    #[serde(rename = "actEnergyDlvd", deserialize_with = "lenient::lifetime")]
    pub delivered: Option<WattHours>,
    /// Over the life of the meter, the other way: used at night, exported, charged.
    #[serde(rename = "actEnergyRcvd", deserialize_with = "lenient::lifetime")]
    pub received: Option<WattHours>,
    /// Now, positive in the direction of its name.
    #[serde(rename = "activePower", deserialize_with = "lenient::watts")]
    pub power: Option<Watts>,
    /// Active over apparent power.
    #[serde(rename = "pwrFactor", deserialize_with = "lenient::power_factor")]
    pub power_factor: Option<PowerFactor>,
    /// Against neutral.
    #[serde(deserialize_with = "lenient::volts")]
    pub voltage: Option<Volts>,
    /// Through it.
    #[serde(deserialize_with = "lenient::amperes")]
    pub current: Option<Amperes>,
    /// Of the mains.
    #[serde(rename = "freq", deserialize_with = "lenient::hertz")]
    pub frequency: Option<Hertz>,
    /// The phases L1, L2, L3 in their places.
    #[serde(deserialize_with = "lenient::places")]
    pub channels: Vec<Option<MeterReading>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_keeps_its_place_when_another_is_odd() {
        let body = br#"[{"eid":704643328,"timestamp":1782036900.0,"activePower":"-3.5","actEnergyDlvd":null,
            "channels":[null,{"activePower":4,"voltage":{}}]}]"#;
        let row = &Readings::parse(body).unwrap().0[0];
        assert_eq!(row.power, Watts::new(-3.5));
        assert_eq!(row.delivered, None);
        assert_eq!(row.timestamp.unwrap().as_second(), 1_782_036_900);
        assert_eq!(row.channels[0], None);
        assert_eq!(row.channels[1].as_ref().unwrap().power, Watts::new(4.0));
    }
}
