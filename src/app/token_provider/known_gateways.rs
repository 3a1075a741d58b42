//! Recognizes new gateways, by the gateways that the state directory contains.

use std::collections::BTreeMap;

use crate::base::reading::Serial;
use crate::io::gateway::pinned_key::last_seen;
use crate::io::state_dir::{Error, Stamp, StateDir};
use crate::io::token::store;
use crate::rules::logins::newcomer::{self, Place, Seen};
use crate::rules::logins::record::Record;

/// The gateways that are configured, and those that were seen before.
#[derive(Debug)]
pub(super) struct KnownGateways {
    state: StateDir,
    /// The configured gateways.
    pub(super) places: Vec<Place>,
    /// The gateways that were seen, with the stamp of the directory. Cached, because each poll without a token needs them.
    known: Option<(Option<Stamp>, Vec<Seen>)>,
}

impl KnownGateways {
    pub(super) fn new(state: StateDir) -> Self {
        Self { state, places: Vec::new(), known: None }
    }

    /// Clears the cache, so that the directory is read again regardless of its stamp.
    pub(super) fn forget(&mut self) {
        self.known = None;
    }

    /// Returns whether a first token for `serial` may be fetched only at a person's request.
    pub(super) async fn is_newcomer(&mut self, serial: &Serial, record: &Record) -> Result<bool, Error> {
        // The stamp of the directory changes whenever a file in it is replaced, such as the record. An unreadable
        // directory is an error, not a directory without known gateways.
        let now = self.state.stamp(".").await?;
        let known = match self.known.take() {
            Some(known) if known.0 == now && now.is_some() => known,
            _ => (now, self.seen(record).await?),
        };
        Ok(newcomer::is_newcomer(serial, &self.places, &self.known.insert(known).1))
    }

    async fn seen(&self, record: &Record) -> Result<Vec<Seen>, Error> {
        let mut addresses: BTreeMap<Serial, Option<String>> =
            last_seen(&self.state).await?.into_iter().collect();
        let with_token = store::serials(&self.state).await?;
        let tried = record.attempts.iter().filter(|attempt| !attempt.stands_in);
        let tried: Vec<&Serial> = tried.map(|attempt| &attempt.serial).collect();
        for serial in with_token.iter().chain(tried.iter().copied()) {
            addresses.entry(serial.clone()).or_default();
        }
        let seen = |(serial, address): (Serial, Option<String>)| {
            let is_established = with_token.contains(&serial) || tried.contains(&&serial);
            Seen { serial, address, is_established }
        };
        Ok(addresses.into_iter().map(seen).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::clock::Moment;
    use crate::rules::logins::attempt::{Reason, Step};
    use crate::rules::logins::clocks::Clocks;

    #[tokio::test]
    async fn who_was_seen_is_looked_up_again_when_the_directory_has_changed() {
        let outer = tempfile::tempdir().unwrap();
        let state = StateDir::open(outer.path()).unwrap();
        let (known, other) = ("122300000001".parse().unwrap(), "122300000002".parse().unwrap());
        let moment =
            Moment { wall: jiff::Timestamp::UNIX_EPOCH, boot: "boot".to_owned(), up: Duration::ZERO };
        let clocks = Clocks { moment, gateway: None, answers: true };
        let mut record = Record::new(&clocks);
        let mut gateways = KnownGateways::new(state.clone());
        assert!(!gateways.is_newcomer(&other, &record).await.unwrap());
        assert!(gateways.known.is_some(), "a directory has a stamp");
        record.begin(Step::Login, Reason::NoToken, &known, &clocks);
        state.write("logins.json", &record).await.unwrap();
        assert!(gateways.is_newcomer(&other, &record).await.unwrap());
        assert!(!gateways.is_newcomer(&known, &record).await.unwrap());
        let damaged = Record::after_damage(&known, &clocks);
        gateways.forget();
        assert!(
            !gateways.is_newcomer(&other, &damaged).await.unwrap(),
            "a record after damage names no real gateway"
        );
    }
}
