//! The tokens that gateways have refused, as the record of logins stores them (L2).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::clocks::Age;
use crate::base::reading::Serial;
use crate::io::token::TokenId;

/// The minimum time between the two refusals that confirm each other.
const BETWEEN_REFUSALS: Duration = Duration::from_secs(5 * 60);
/// The maximum number of refusals stored for each gateway.
const MOST: usize = 6;

/// A gateway's clean 401 for a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The refused token.
    pub token: TokenId,
    /// The record's age at the first refusal.
    pub first: Age,
    /// A second refusal followed at least five minutes later.
    pub confirmed: bool,
    /// The gateway returned no time, so the refusal only confirms that the token has expired.
    #[serde(default)]
    pub without_time: bool,
}

/// The refused tokens of each gateway. Both the token in use and its candidate may be refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredRefusals", into = "StoredRefusals")]
pub struct Refusals(BTreeMap<Serial, Vec<Refusal>>);

/// The form of [`Refusals`] in the record. Those without a time are kept apart, because version 0.1.0 would take them for a
/// reason to log in: after a downgrade, that login would break the promise.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct StoredRefusals {
    refusals: BTreeMap<Serial, Vec<Refusal>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    refusals_without_time: BTreeMap<Serial, Vec<Refusal>>,
}

impl From<Refusals> for StoredRefusals {
    fn from(all: Refusals) -> Self {
        let (mut refusals, mut refusals_without_time) = (BTreeMap::new(), BTreeMap::new());
        for (serial, of_gateway) in all.0 {
            let (without, with): (Vec<_>, Vec<_>) =
                of_gateway.into_iter().partition(|refusal| refusal.without_time);
            if !without.is_empty() {
                refusals_without_time.insert(serial.clone(), without);
            }
            refusals.insert(serial, with);
        }
        Self { refusals, refusals_without_time }
    }
}

impl From<StoredRefusals> for Refusals {
    fn from(stored: StoredRefusals) -> Self {
        let mut all = stored.refusals;
        for (serial, without_time) in stored.refusals_without_time {
            all.entry(serial).or_default().extend(without_time);
        }
        for refusals in all.values_mut() {
            sort(refusals);
        }
        Self(all)
    }
}

/// Sorts refusals, the oldest first, so that the file decodes to the same record.
fn sort(refusals: &mut [Refusal]) {
    refusals.sort_by_key(|refusal| (refusal.first, refusal.without_time));
}

impl Refusals {
    /// Adds a refusal, or confirms an earlier one. Returns `true` if that changed anything.
    pub(super) fn add(&mut self, serial: &Serial, token: &TokenId, now: Age, without_time: bool) -> bool {
        let refusals = self.0.entry(serial.clone()).or_default();
        let same = |refusal: &&mut Refusal| refusal.token == *token && refusal.without_time == without_time;
        match refusals.iter_mut().find(same) {
            Some(refusal) if refusal.confirmed || now.since(refusal.first) < BETWEEN_REFUSALS => {
                return false;
            }
            Some(refusal) => refusal.confirmed = true,
            None => {
                refusals.push(Refusal { token: token.clone(), first: now, confirmed: false, without_time });
                sort(refusals);
                // The oldest refusals are of tokens that were replaced long ago.
                let forgotten = refusals.len().saturating_sub(MOST);
                refusals.drain(..forgotten);
            }
        }
        true
    }

    /// Removes the refusals of `token`. Returns `true` if there were any.
    pub(super) fn remove(&mut self, serial: &Serial, token: &TokenId) -> bool {
        let Some(refusals) = self.0.get_mut(serial) else { return false };
        let before = refusals.len();
        refusals.retain(|refusal| refusal.token != *token);
        before != refusals.len()
    }

    /// Removes all refusals of a gateway.
    pub(super) fn clear(&mut self, serial: &Serial) {
        self.0.remove(serial);
    }

    /// Returns the refusals of a gateway.
    pub(super) fn of(&self, serial: &Serial) -> &[Refusal] {
        self.0.get(serial).map(Vec::as_slice).unwrap_or_default()
    }

    /// Returns `true` if the gateway has refused `token` twice, both times with or without reporting the time.
    pub(super) fn is_confirmed(&self, serial: &Serial, token: &TokenId, without_time: bool) -> bool {
        let is_confirmed = |refusal: &Refusal| {
            refusal.confirmed && refusal.token == *token && refusal.without_time == without_time
        };
        self.of(serial).iter().any(is_confirmed)
    }

    /// Returns the number of refusals of all gateways.
    pub fn count(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn refusals_without_a_time_are_stored_where_version_0_1_0_does_not_see_them() {
        let refusal = |token: &str, without_time: bool| json!({"token": token, "first": 7, "confirmed": true, "without_time": without_time});
        let written = json!({"refusals": {"12": [refusal("a", true), refusal("b", false)]}});
        let refusals: Refusals = serde_json::from_value(written).unwrap();
        let stored = serde_json::to_value(&refusals).unwrap();
        assert_eq!(stored["refusals"], json!({"12": [refusal("b", false)]}));
        assert_eq!(stored["refusals_without_time"], json!({"12": [refusal("a", true)]}));
        let again: Refusals = serde_json::from_value(stored).unwrap();
        let serial = Serial::parse("12").unwrap();
        assert_eq!((again.count(), again.of(&serial).len()), (2, 2));
        assert!(again.of(&serial).iter().all(|refusal| refusals.of(&serial).contains(refusal)));
        let none = serde_json::to_value(Refusals::default()).unwrap();
        assert_eq!(none, json!({"refusals": {}}), "as 0.1.0 writes it");
        assert!(serde_json::from_value::<Refusals>(Value::Object(serde_json::Map::new())).is_err());
    }
}
