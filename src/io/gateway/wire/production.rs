//! `/api/v1/production`: power and lifetime energy in one small page, about 5 minutes old.

use serde::Deserialize;

use super::{Malformed, document, lenient};
use crate::base::units::{WattHours, Watts};

/// The page. The totals of today and of the week are not used as values, because the gateway resets them late and to
/// arbitrary numbers.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Production {
    /// The lifetime energy of the system.
    #[serde(rename = "wattHoursLifetime", deserialize_with = "lenient::lifetime")]
    pub lifetime: Option<WattHours>,
    /// The energy of today. Distinguishes a page of zeros from one of a quiet night.
    #[serde(rename = "wattHoursToday", deserialize_with = "lenient::lifetime")]
    pub today: Option<WattHours>,
    /// The energy of the last seven days, for the same purpose.
    #[serde(rename = "wattHoursSevenDays", deserialize_with = "lenient::lifetime")]
    pub week: Option<WattHours>,
    /// The present power.
    #[serde(rename = "wattsNow", deserialize_with = "lenient::watts")]
    pub power: Option<Watts>,
}

impl Production {
    /// Parses the page. A page with neither power nor lifetime energy is [`Malformed`].
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        match document::<lenient::Object<Self>>(body)?.0 {
            Some(page) if page.lifetime.is_some() || page.power.is_some() => Ok(page),
            _ => Err(Malformed::OtherForm),
        }
    }

    /// Returns whether all energies are 0, as on a gateway that has its totals on another page.
    pub fn counts_nothing(&self) -> bool {
        [self.lifetime, self.today, self.week].into_iter().flatten().all(|energy| energy == WattHours::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_distinguished_from_a_quiet_night() {
        let page = |body: &str| Production::parse(body.as_bytes()).unwrap();
        assert!(
            page(r#"{"wattHoursToday":0,"wattHoursSevenDays":0,"wattHoursLifetime":0,"wattsNow":689}"#)
                .counts_nothing()
        );
        assert!(!page(r#"{"wattHoursToday":0,"wattHoursLifetime":8717473,"wattsNow":0}"#).counts_nothing());
        assert_eq!(Production::parse(b"{\"a\":1}"), Err(Malformed::OtherForm));
    }
}
