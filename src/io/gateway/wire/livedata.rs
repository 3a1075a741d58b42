//! `/ivp/livedata/status`: live values, frozen unless their stream is enabled (it ends by itself after 15 minutes).

use jiff::Timestamp;
use serde::Deserialize;

use super::{Malformed, document, lenient};
use crate::base::units::{Percent, WattHours, Watts};

/// Where the stream is enabled (a slash at the end gives 404), and with which words.
pub const STREAM: (&str, &str) = ("/ivp/livedata/stream", r#"{"enable":1}"#);

/// The page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveData {
    /// Whether the stream is enabled, so that the values move.
    pub streaming: bool,
    /// When the values were taken. Before the first time there are none: the page shows zeros.
    pub updated_at: Option<Timestamp>,
    /// State of charge of all batteries.
    pub soc: Option<Percent>,
    /// What the IQ Batteries hold now.
    pub available: Option<WattHours>,
    /// What the sun gives.
    pub production: Option<Watts>,
    /// Positive when discharging.
    pub storage: Option<Watts>,
    /// Positive when importing.
    pub grid: Option<Watts>,
    /// What the house uses.
    pub load: Option<Watts>,
    /// What the generator gives.
    pub generator: Option<Watts>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Page {
    #[serde(deserialize_with = "lenient::object")]
    connection: Option<Connection>,
    #[serde(deserialize_with = "lenient::object")]
    meters: Option<Meters>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Connection {
    #[serde(deserialize_with = "lenient::text")]
    sc_stream: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Meters {
    #[serde(deserialize_with = "lenient::stamp")]
    last_update: Option<Timestamp>,
    #[serde(deserialize_with = "lenient::percent")]
    soc: Option<Percent>,
    #[serde(deserialize_with = "lenient::lifetime")]
    enc_agg_energy: Option<WattHours>,
    #[serde(deserialize_with = "lenient::object")]
    pv: Option<Sum>,
    #[serde(deserialize_with = "lenient::object")]
    storage: Option<Sum>,
    #[serde(deserialize_with = "lenient::object")]
    grid: Option<Sum>,
    #[serde(deserialize_with = "lenient::object")]
    load: Option<Sum>,
    #[serde(deserialize_with = "lenient::object")]
    generator: Option<Sum>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Sum {
    #[serde(rename = "agg_p_mw", deserialize_with = "lenient::milliwatts")]
    power: Option<Watts>,
}

impl LiveData {
    /// Reads the page.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let page = document::<lenient::Object<Page>>(body)?.0.unwrap_or_default();
        let meters = page.meters.ok_or(Malformed::OtherForm)?;
        let power = |sum: Option<Sum>| sum.and_then(|sum| sum.power);
        let streaming = page.connection.and_then(|it| it.sc_stream).as_deref() == Some("enabled");
        if meters.last_update.is_none() {
            return Ok(Self { streaming, ..Self::default() });
        }
        Ok(Self {
            streaming,
            updated_at: meters.last_update,
            soc: meters.soc,
            available: meters.enc_agg_energy,
            production: power(meters.pv),
            storage: power(meters.storage),
            grid: power(meters.grid),
            load: power(meters.load),
            generator: power(meters.generator),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliwatts_become_watts_and_the_stream_is_seen() {
        let body = br#"{"connection":{"sc_stream":"enabled"},"meters":{"last_update":1726696114,"soc":86,
            "storage":{"agg_p_mw":-6774000},"grid":null}}"#;
        let page = LiveData::parse(body).unwrap();
        assert!(page.streaming);
        assert_eq!((page.storage, page.grid), (Watts::new(-6774.0), None));
    }

    #[test]
    fn before_the_first_update_the_page_has_nothing() {
        let body =
            br#"{"connection":{"sc_stream":"enabled"},"meters":{"last_update":0,"soc":0,"enc_agg_energy":0,
            "pv":{"agg_p_mw":0},"storage":{"agg_p_mw":0},"grid":{"agg_p_mw":0},"load":{"agg_p_mw":0}}}"#;
        assert_eq!(LiveData::parse(body).unwrap(), LiveData { streaming: true, ..LiveData::default() });
    }
}
