//! `/api/v1/production`: power and lifetime energy in one small page, some 5 minutes old.

use serde::Deserialize;

use super::{Malformed, document, lenient};
use crate::base::units::{WattHours, Watts};

/// The page. Its totals of today and of the week are not kept: they are reset late and to anything.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Production {
    /// Over the life of the system.
    #[serde(rename = "wattHoursLifetime", deserialize_with = "lenient::lifetime")]
    pub lifetime: Option<WattHours>,
    /// Today, which tells a page of zeros from a quiet one.
    #[serde(rename = "wattHoursToday", deserialize_with = "lenient::lifetime")]
    pub today: Option<WattHours>,
    /// The last seven days, likewise.
    #[serde(rename = "wattHoursSevenDays", deserialize_with = "lenient::lifetime")]
    pub week: Option<WattHours>,
    /// Now.
    #[serde(rename = "wattsNow", deserialize_with = "lenient::watts")]
    pub power: Option<Watts>,
}

impl Production {
    /// Reads the page. One without both of the values it exists for is no production page.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        match document::<lenient::Object<Self>>(body)?.0 {
            Some(page) if page.lifetime.is_some() || page.power.is_some() => Ok(page),
            _ => Err(Malformed::OtherForm),
        }
    }

    /// Whether no energy was ever counted: what a gateway shows that has its totals elsewhere.
    pub fn counts_nothing(&self) -> bool {
        [self.lifetime, self.today, self.week].into_iter().flatten().all(|energy| energy == WattHours::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_told_from_a_quiet_night() {
        let page = |body: &str| Production::parse(body.as_bytes()).unwrap();
        assert!(
            page(r#"{"wattHoursToday":0,"wattHoursSevenDays":0,"wattHoursLifetime":0,"wattsNow":689}"#)
                .counts_nothing()
        );
        assert!(!page(r#"{"wattHoursToday":0,"wattHoursLifetime":8717473,"wattsNow":0}"#).counts_nothing());
        assert_eq!(Production::parse(b"{\"a\":1}"), Err(Malformed::OtherForm));
    }
}
