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
#[serde(transparent)]
pub struct Refusals(BTreeMap<Serial, Vec<Refusal>>);

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
