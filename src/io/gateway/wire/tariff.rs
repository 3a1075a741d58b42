//! `/admin/lib/tariff`: the storage settings; from the slow web application (0.1 to 0.3 s).

use serde::Deserialize;

use super::{Malformed, document, lenient};
use crate::base::units::Percent;

/// The storage settings of the page.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Tariff {
    /// The storage mode, e.g. `self-consumption`; can be `null`.
    #[serde(deserialize_with = "lenient::text")]
    pub mode: Option<String>,
    /// The state of charge reserved for a power cut.
    #[serde(rename = "reserved_soc", deserialize_with = "lenient::percent")]
    pub reserve: Option<Percent>,
    /// `true` if the batteries may be charged from the grid.
    #[serde(deserialize_with = "lenient::flag")]
    pub charge_from_grid: Option<bool>,
}

impl Tariff {
    /// Parses the page. Returns `None` if it has no storage settings.
    pub fn parse(body: &[u8]) -> Result<Option<Self>, Malformed> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Page {
            #[serde(deserialize_with = "lenient::object")]
            tariff: Option<Settings>,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Settings {
            #[serde(deserialize_with = "lenient::object")]
            storage_settings: Option<Tariff>,
        }
        let page = document::<lenient::Object<Page>>(body)?.0.ok_or(Malformed::OtherForm)?;
        Ok(page.tariff.ok_or(Malformed::OtherForm)?.storage_settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_found_and_may_be_missing() {
        let body =
            br#"{"tariff":{"storage_settings":{"mode":null,"reserved_soc":10.0,"charge_from_grid":false}}}"#;
        let tariff = Tariff::parse(body).unwrap().unwrap();
        assert_eq!((tariff.mode, tariff.reserve), (None, Percent::new(10.0)));
        assert_eq!(Tariff::parse(b"{\"tariff\":{}}"), Ok(None));
        assert_eq!(Tariff::parse(b"{}"), Err(Malformed::OtherForm));
    }
}
