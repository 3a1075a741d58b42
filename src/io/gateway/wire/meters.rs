//! `/ivp/meters`: which meters there are, what they measure and whether they work.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::lenient::{self, FEW};
use super::{Malformed, document};

/// The page: one row for each meter the firmware knows, wired or not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Meters(pub Vec<Meter>);

impl Meters {
    /// Reads the page.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        Ok(Self(list::<Meter, FEW>(body)?.objects()))
    }
}

/// Reads a page that is a list; an object in its place is another page.
pub(super) fn list<T: DeserializeOwned, const MOST: usize>(
    body: &[u8],
) -> Result<lenient::List<T, MOST>, Malformed> {
    match body.trim_ascii().first() {
        Some(b'{') => document::<lenient::Object<Anything>>(body).and(Err(Malformed::OtherForm)),
        _ => document(body),
    }
}

/// An object of which nothing is kept.
#[derive(Deserialize)]
struct Anything {}

/// One meter.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Meter {
    /// Its identifier, by which the readings are joined.
    #[serde(deserialize_with = "lenient::whole")]
    pub eid: Option<u32>,
    /// `enabled` or `disabled`; a disabled meter still has readings, of noise.
    #[serde(deserialize_with = "lenient::text")]
    pub state: Option<String>,
    /// `production`, `net-consumption`, `total-consumption`, `storage`, `backfeed`, `load`, `evse`, `pv3p`.
    #[serde(deserialize_with = "lenient::text")]
    pub measurement_type: Option<String>,
    /// `single`, `split` or `three`.
    #[serde(deserialize_with = "lenient::text")]
    pub phase_mode: Option<String>,
    /// How many of the channels are wired.
    #[serde(deserialize_with = "lenient::whole")]
    pub phase_count: Option<u32>,
}

impl Meter {
    /// Whether the installer has switched it on.
    pub fn enabled(&self) -> bool {
        self.state.as_deref() == Some("enabled")
    }

    /// How many of its channels mean something, 1 to 3. A three-phase gateway may have one phase wired: the
    /// count decides, and the mode only where it is missing.
    pub fn phases(&self) -> usize {
        match (self.phase_count, self.phase_mode.as_deref()) {
            (Some(count @ 1..=3), _) => count as usize,
            (_, Some("three")) => 3,
            (_, Some("split")) => 2,
            _ => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_row_or_field_costs_only_itself() {
        let body = br#"[null, 7, [], {"eid":704643328,"state":"enabled","measurementType":"production",
            "phaseMode":"three","phaseCount":"two"}, {"eid":"704643584","state":null}]"#;
        let meters = Meters::parse(body).unwrap().0;
        assert_eq!(meters.len(), 2);
        assert!(meters[0].enabled());
        assert_eq!(meters[0].phases(), 3);
        assert_eq!(meters[1].eid, Some(704_643_584));
        assert!(!meters[1].enabled());
    }
}
