//! `/ivp/meters/readings`: the values of each meter, about a second old. The best source.

use jiff::Timestamp;
use serde::Deserialize;

use super::Malformed;
use super::lenient::{self, FEW};
use super::meters::list;
use crate::base::units::{Amperes, Hertz, PowerFactor, Volts, WattHours, Watts};

/// The page: one row for each meter, listed at `/ivp/meters` or not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Readings(pub Vec<MeterReading>);

impl Readings {
    /// Parses the page.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        Ok(Self(list::<MeterReading, FEW>(body)?.objects()))
    }
}

/// The values of one meter, over all phases or, among its channels, of one phase. Aggregate voltages are sums over the
/// phases.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct MeterReading {
    /// The identifier of the meter or the channel.
    #[serde(deserialize_with = "lenient::whole")]
    pub eid: Option<u32>,
    /// The time of the measurement.
    #[serde(deserialize_with = "lenient::stamp")]
    pub timestamp: Option<Timestamp>,
    /// The lifetime energy in the direction of the meter's name: generated, imported, discharged.
    #[serde(rename = "actEnergyDlvd", deserialize_with = "lenient::lifetime")]
    pub delivered: Option<WattHours>,
    /// The lifetime energy in the other direction: consumed at night, exported, charged.
    #[serde(rename = "actEnergyRcvd", deserialize_with = "lenient::lifetime")]
    pub received: Option<WattHours>,
    /// The present power; positive in the direction of the meter's name.
    #[serde(rename = "activePower", deserialize_with = "lenient::watts")]
    pub power: Option<Watts>,
    /// The active power divided by the apparent power.
    #[serde(rename = "pwrFactor", deserialize_with = "lenient::power_factor")]
    pub power_factor: Option<PowerFactor>,
    /// The voltage against neutral.
    #[serde(deserialize_with = "lenient::volts")]
    pub voltage: Option<Volts>,
    /// The current.
    #[serde(deserialize_with = "lenient::amperes")]
    pub current: Option<Amperes>,
    /// The mains frequency.
    #[serde(rename = "freq", deserialize_with = "lenient::hertz")]
    pub frequency: Option<Hertz>,
    /// The phases L1, L2 and L3, by position.
    #[serde(deserialize_with = "lenient::positions")]
    pub channels: Vec<Option<MeterReading>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_keeps_its_position_when_another_is_invalid() {
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
