//! `/ivp/livedata/status`: live values, which are frozen unless their stream is enabled. The stream ends automatically
//! after 15 minutes.

use jiff::Timestamp;
use serde::Deserialize;

use super::{Malformed, document, lenient};
use crate::base::units::{Percent, WattHours, Watts};

/// The path and the body of the request that enables the stream. A slash at the end of the path results in a 404.
pub const STREAM: (&str, &str) = ("/ivp/livedata/stream", r#"{"enable":1}"#);

/// The page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveData {
    /// `true` if the stream is enabled, so that the values change.
    pub streaming: bool,
    /// The time of the values. `None` before the first update, when the page shows zeros.
    pub updated_at: Option<Timestamp>,
    /// The state of charge of all batteries.
    pub soc: Option<Percent>,
    /// The energy now stored in the IQ Batteries.
    pub available: Option<WattHours>,
    /// The power of the panels.
    pub production: Option<Watts>,
    /// The power of the batteries; positive when discharging.
    pub storage: Option<Watts>,
    /// The power of the grid; positive when importing.
    pub grid: Option<Watts>,
    /// The power that the house consumes.
    pub load: Option<Watts>,
    /// The power of the generator.
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
    /// Parses the page.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let page = document::<lenient::Object<Page>>(body)?.0.unwrap_or_default();
        let meters = page.meters.ok_or(Malformed::OtherForm)?;
        let power = |sum: Option<Sum>| sum.and_then(|sum| sum.power);
        let streaming =
            page.connection.and_then(|connection| connection.sc_stream).as_deref() == Some("enabled");
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
    fn milliwatts_become_watts_and_the_stream_is_recognized() {
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
