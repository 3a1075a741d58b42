//! The switches of the system controller: `/ivp/ensemble/dry_contacts`, `/ivp/ss/dry_contact_settings`,
//! `/ivp/ensemble/generator`.

use serde::Deserialize;

use super::{Malformed, document, lenient};
use crate::base::units::Percent;

/// `/ivp/ensemble/dry_contacts` and `/ivp/ss/dry_contact_settings`, which have the same structure.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct DryContacts {
    /// The contacts, one in each row.
    #[serde(rename = "dry_contacts", deserialize_with = "lenient::rows")]
    pub contacts: Vec<DryContact>,
}

impl DryContacts {
    /// Parses either page.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        document::<lenient::Object<Self>>(body)?.0.ok_or(Malformed::OtherForm)
    }
}

/// A dry contact.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct DryContact {
    /// `NC1`, `NC2`, `NO1` or `NO2`.
    #[serde(deserialize_with = "lenient::text")]
    pub id: Option<String>,
    /// `open` or `closed`; not in the settings.
    #[serde(deserialize_with = "lenient::text")]
    pub status: Option<String>,
    /// The name that the owner gave to the load; only in the settings.
    #[serde(deserialize_with = "lenient::text")]
    pub load_name: Option<String>,
}

/// `/ivp/ensemble/generator`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Generator {
    /// `true` if a generator is wired.
    #[serde(deserialize_with = "lenient::flag")]
    pub present: Option<bool>,
    /// The kind; 0 if none is configured, even where `present` is 1 (firmware 8.2.127).
    #[serde(rename = "type", deserialize_with = "lenient::whole")]
    pub kind: Option<u32>,
    /// The state of the relay: `open`, `closed`, `unknown`.
    #[serde(rename = "oper_state", deserialize_with = "lenient::text")]
    pub state: Option<String>,
    /// The control mode: 0 off, 1 on, 2 automatic (inferred), or a word.
    #[serde(rename = "admin_mode", deserialize_with = "lenient::text")]
    pub mode: Option<String>,
    /// The state of charge below which the generator starts; -1 if unset.
    #[serde(rename = "start_soc", deserialize_with = "lenient::percent")]
    pub start_soc: Option<Percent>,
    /// The state of charge above which the generator stops; -1 if unset.
    #[serde(rename = "stop_soc", deserialize_with = "lenient::percent")]
    pub stop_soc: Option<Percent>,
}

impl Generator {
    /// Parses the page.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        document::<lenient::Object<Self>>(body)?.0.ok_or(Malformed::OtherForm)
    }

    /// Returns whether a generator is wired and configured.
    pub fn exists(&self) -> bool {
        self.present == Some(true) && self.kind.is_some_and(|kind| kind != 0)
    }

    /// Returns whether the generator supplies the house.
    pub fn runs(&self) -> bool {
        self.exists() && matches!(self.state.as_deref(), Some("closed" | "close" | "on" | "running"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generator_exists_only_if_wired_and_configured() {
        let generator = |body: &str| Generator::parse(body.as_bytes()).unwrap();
        assert!(generator(r#"{"present":1,"type":1,"admin_mode":2}"#).exists());
        assert!(!generator(r#"{"present":1,"type":0}"#).exists());
        assert!(!generator(r#"{"present":0,"type":1}"#).exists());
    }

    #[test]
    fn a_contact_without_a_name_has_none() {
        let page = DryContacts::parse(br#"{"dry_contacts":[{"id":"NC1","load_name":""},4]}"#).unwrap();
        assert_eq!(page.contacts.len(), 1);
        assert_eq!(page.contacts[0].load_name, None);
        assert!(DryContacts::parse(b"{}").is_err());
    }
}
