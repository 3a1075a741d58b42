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
        let mut rows = list::<Meter, FEW>(body)?.objects();
        let is_empty = rows.is_empty();
        rows.retain(|row| *row != Meter::default());
        let list = Self(rows);
        let understood = is_empty || (!list.0.is_empty() && list.tells_of_production());
        if understood { Ok(list) } else { Err(Malformed::OtherForm) }
    }

    /// Whether the list says which meter is that of production, or that there is none: each of its meters says if it is switched
    /// on, and what it measures. Without that, production would be taken for that of a gateway without meters.
    fn tells_of_production(&self) -> bool {
        let tells = |row: &Meter| row.state.is_some() && (!row.enabled() || row.is_of_something());
        let is_production = |row: &Meter| row.measurement_type.as_deref() == Some("production") && tells(row);
        self.0.iter().all(tells) || self.0.iter().any(is_production)
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
        self.state.as_deref().is_some_and(|state| state.eq_ignore_ascii_case("enabled"))
    }

    /// Whether it says what it measures, and which readings are its own.
    fn is_of_something(&self) -> bool {
        self.measurement_type.is_some() && self.eid.is_some()
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

    #[test]
    fn a_list_that_does_not_tell_which_meter_is_that_of_production_is_none() {
        for odd in [
            "{}",
            "{},null,7",
            r#"{"eid":1,"measurementType":"production"},{"eid":2,"state":"enabled","measurementType":"net-consumption"}"#,
            r#"{"eid":1,"state":"enabled"},{"eid":2,"state":"disabled","measurementType":"net-consumption"}"#,
            r#"{"eid":null,"state":"enabled","measurementType":"production"}"#,
        ] {
            assert_eq!(Meters::parse(format!("[{odd}]").as_bytes()), Err(Malformed::OtherForm), "{odd}");
        }
        for well in [
            "",
            r#"{"eid":1,"state":"disabled"}"#,
            r#"{"eid":1,"state":"ENABLED","measurementType":"storage"},{}"#,
        ] {
            let list = Meters::parse(format!("[{well}]").as_bytes()).unwrap().0;
            assert_eq!(list.iter().any(Meter::enabled), well.contains("ENABLED"), "{well}");
        }
    }
}
