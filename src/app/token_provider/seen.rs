//! The gateways that have been seen before, as the state directory remembers them, and by that which one is new.

use std::collections::BTreeMap;

use crate::base::reading::Serial;
use crate::io::gateway::pinned_key::last_seen;
use crate::io::state_dir::{Error, Stamp, StateDir};
use crate::io::token::store;
use crate::rules::logins::newcomer::{self, Place, Seen};
use crate::rules::logins::record::Record;

/// Knows gateways that answer where another one is known.
#[derive(Debug)]
pub(super) struct Newcomers {
    state: StateDir,
    /// The gateways as they are configured.
    pub(super) places: Vec<Place>,
    /// Who was seen while the directory was as it is: each poll of a gateway without a token asks.
    known: Option<(Option<Stamp>, Vec<Seen>)>,
}

impl Newcomers {
    pub(super) fn new(state: StateDir) -> Self {
        Self { state, places: Vec::new(), known: None }
    }

    /// Looks at the directory again, whatever its stamp says.
    pub(super) fn forget(&mut self) {
        self.known = None;
    }

    /// Whether no token may be fetched for `serial`, which has none, without a person.
    pub(super) async fn is_newcomer(&mut self, serial: &Serial, record: &Record) -> Result<bool, Error> {
        // The directory's own stamp changes whenever a file in it is replaced, the record among them. A directory that
        // cannot be read is not one in which nobody is known.
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
        let mut newcomers = Newcomers::new(state.clone());
        assert!(!newcomers.is_newcomer(&other, &record).await.unwrap());
        assert!(newcomers.known.is_some(), "a directory has a stamp");
        record.begin(Step::Login, Reason::NoToken, &known, &clocks);
        state.write("logins.json", &record).await.unwrap();
        assert!(newcomers.is_newcomer(&other, &record).await.unwrap());
        assert!(!newcomers.is_newcomer(&known, &record).await.unwrap());
        let damaged = Record::after_damage(&known, &clocks);
        newcomers.forget();
        assert!(
            !newcomers.is_newcomer(&other, &damaged).await.unwrap(),
            "what was damaged was made for nobody"
        );
    }
}
