//! `/ivp/pdm/energy` (owners from firmware 8.2.4): production by inverters and by meters, in one fast page.

use serde::Deserialize;

use super::{Malformed, document, lenient};
use crate::base::units::{WattHours, Watts};

/// The sums over all inverters. The meters of this page are read from `/ivp/meters/readings` instead.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Energy {
    /// The lifetime energy of the system.
    #[serde(rename = "wattHoursLifetime", deserialize_with = "lenient::lifetime")]
    pub lifetime: Option<WattHours>,
    /// The present power.
    #[serde(rename = "wattsNow", deserialize_with = "lenient::watts")]
    pub power: Option<Watts>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Page {
    #[serde(deserialize_with = "lenient::object")]
    production: Option<Counters>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Counters {
    #[serde(deserialize_with = "lenient::object")]
    pcu: Option<Energy>,
}

impl Energy {
    /// Parses the page.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let page = document::<lenient::Object<Page>>(body)?.0;
        page.and_then(|page| page.production?.pcu).ok_or(Malformed::OtherForm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverters_are_found() {
        let body = br#"{"production":{"pcu":{"wattHoursToday":2,"wattHoursLifetime":1708880,"wattsNow":0},"rgm":7}}"#;
        let pcu = Energy::parse(body).unwrap();
        assert_eq!((pcu.lifetime, pcu.power), (WattHours::new(1_708_880.0), Watts::new(0.0)));
        assert_eq!(Energy::parse(b"{\"production\":[]}"), Err(Malformed::OtherForm));
    }
}
