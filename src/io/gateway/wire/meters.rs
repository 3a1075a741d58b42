//! `/ivp/meters`: the list of meters, with measurement type and state.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::lenient::{self, FEW};
use super::{Malformed, document};

/// The page: one row for each meter that the firmware supports, wired or not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Meters(pub Vec<Meter>);

impl Meters {
    /// Parses the page.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let mut rows = list::<Meter, FEW>(body)?.objects();
        let is_empty = rows.is_empty();
        rows.retain(|row| *row != Meter::default());
        let list = Self(rows);
        let is_valid = is_empty || (!list.0.is_empty() && list.identifies_production());
        if is_valid { Ok(list) } else { Err(Malformed::OtherForm) }
    }

    /// Returns whether the list identifies the production meter, or shows that there is none. For the latter, each
    /// meter must have a state and a measurement type. Otherwise the gateway would be treated as one without meters.
    fn identifies_production(&self) -> bool {
        let is_complete = |row: &Meter| row.state.is_some() && (!row.enabled() || row.is_identified());
        let is_production =
            |row: &Meter| row.measurement_type.as_deref() == Some("production") && is_complete(row);
        self.0.iter().all(is_complete) || self.0.iter().any(is_production)
    }
}

/// Parses a page that is a list. An object instead means another page.
pub(super) fn list<T: DeserializeOwned, const MAX: usize>(
    body: &[u8],
) -> Result<lenient::List<T, MAX>, Malformed> {
    match body.trim_ascii().first() {
        Some(b'{') => document::<lenient::Object<Anything>>(body).and(Err(Malformed::OtherForm)),
        _ => document(body),
    }
}

/// An object whose content is ignored.
#[derive(Deserialize)]
struct Anything {}

/// A meter.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Meter {
    /// The identifier, also used by the readings.
    #[serde(deserialize_with = "lenient::whole")]
    pub eid: Option<u32>,
    /// `enabled` or `disabled`. A disabled meter still has readings, which are noise.
    #[serde(deserialize_with = "lenient::text")]
    pub state: Option<String>,
    /// `production`, `net-consumption`, `total-consumption`, `storage`, `backfeed`, `load`, `evse`, `pv3p`.
    #[serde(deserialize_with = "lenient::text")]
    pub measurement_type: Option<String>,
    /// `single`, `split` or `three`.
    #[serde(deserialize_with = "lenient::text")]
    pub phase_mode: Option<String>,
    /// The number of wired channels.
    #[serde(deserialize_with = "lenient::whole")]
    pub phase_count: Option<u32>,
}

impl Meter {
    /// Returns whether the installer has enabled the meter.
    pub fn enabled(&self) -> bool {
        self.state.as_deref().is_some_and(|state| state.eq_ignore_ascii_case("enabled"))
    }

    /// Returns whether the meter has a measurement type, and an identifier that its readings share.
    fn is_identified(&self) -> bool {
        self.measurement_type.is_some() && self.eid.is_some()
    }

    /// Returns the number of channels in use, 1 to 3. A three-phase gateway may have one phase wired, so the count
    /// takes precedence over the mode.
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
    fn an_invalid_row_or_field_costs_only_itself() {
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
    fn a_list_that_does_not_identify_the_production_meter_is_refused() {
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
