//! The known gateways. `gateway-SERIAL.json` stores the public key of each (trust on first use), and has a copy in case
//! the SD card damages one of the two files.
//!
//! A damaged file means that a key was known. If the copy is damaged too, a new key is not trusted automatically, because
//! an impostor could wait for that.

use std::collections::{BTreeMap, BTreeSet};

use super::key_files::{File, KeyFiles};
pub use super::key_files::{Known, last_seen, serials_at};
use super::peer::Proof;
use crate::base::reading::Serial;
use crate::io::state_dir::{Error, StateDir};
use crate::io::tls::Fingerprint;

/// The maximum number of gateways with a file. A device at a gateway's address can claim any number of serial numbers.
const MAX_GATEWAYS: usize = 2048;

/// Reads and writes the known gateways. While the disk fails, they are kept in memory until the program ends.
#[derive(Debug)]
pub struct PinnedKeys {
    files: KeyFiles,
    memory: BTreeMap<Serial, Known>,
    /// The gateways whose files could not be written yet.
    unwritten: BTreeSet<Serial>,
    /// The number of replacements of the state directory that have been handled.
    directory: u64,
}

impl PinnedKeys {
    /// Creates a value for the keys stored in `state`.
    pub fn new(state: StateDir) -> Self {
        let directory = state.replaced();
        Self { files: KeyFiles::new(state), memory: BTreeMap::new(), unwritten: BTreeSet::new(), directory }
    }

    /// Returns the stored facts about `serial`. If the file is damaged, uses the facts in memory, or the copy.
    pub async fn load(&self, serial: &Serial) -> Result<Option<Known>, Error> {
        let remembered = self.memory.get(serial).cloned();
        match self.files.read(serial).await {
            Ok(File::Whole(known)) => Ok(Some(known)),
            Ok(File::Absent) => Ok(remembered),
            Ok(File::Damaged) => {
                let known = match remembered {
                    Some(known) => Some(known),
                    None => self.files.read_copy(serial).await,
                };
                if let Some(known) = &known {
                    self.store_again(serial, known).await;
                }
                Ok(known)
            }
            Err(error) => remembered.map(Some).ok_or(error),
        }
    }

    /// Returns whether the key of a known gateway is lost: its file is damaged, and the copy is damaged or missing.
    pub async fn is_lost(&self, serial: &Serial) -> bool {
        matches!(self.load(serial).await, Ok(None))
            && matches!(self.files.read(serial).await, Ok(File::Damaged))
    }

    async fn store_again(&self, serial: &Serial, known: &Known) {
        match self.files.write(serial, known).await {
            Ok(()) => {
                tracing::warn!(%serial, "the stored key of the gateway was damaged; restored it from its copy");
            }
            Err(error) => tracing::debug!("{error}"),
        }
    }

    /// Stores a gateway on disk and in memory.
    pub async fn save(&mut self, serial: &Serial, known: &Known) -> Result<(), Error> {
        self.keep(serial, known);
        self.files.write(serial, known).await
    }

    /// Stores a gateway on disk, or only in memory if the disk fails.
    pub(super) async fn remember(&mut self, serial: &Serial, known: &Known) {
        let is_new = matches!(self.files.exists(serial).await, Ok(false));
        if is_new && self.serials().await.len() >= MAX_GATEWAYS {
            self.keep(serial, known);
            tracing::warn!(
                "{} already contains {MAX_GATEWAYS} gateways; the key of {serial} is trusted until the next restart only",
                self.files.state().path().display()
            );
        } else if let Err(error) = self.save(serial, known).await {
            // The state directory logs its errors itself.
            tracing::debug!("{error}; keeping the key in memory");
            self.unwritten.insert(serial.clone());
        }
    }

    /// Retries failed writes. After a replacement of the state directory, writes all files that it does not contain.
    pub async fn catch_up(&mut self) {
        let directory = self.files.state().replaced();
        if directory != self.directory {
            self.directory = directory;
            self.unwritten.extend(self.memory.keys().cloned());
        }
        while let Some(serial) = self.unwritten.pop_first() {
            let Some(known) = self.memory.get(&serial).cloned() else { continue };
            let outcome = match self.files.exists(&serial).await {
                Ok(true) => Ok(()),
                Ok(false) => self.files.write(&serial, &known).await,
                Err(error) => Err(error),
            };
            if let Err(error) = Error::unless_waiting(outcome) {
                tracing::debug!("{error}");
                self.unwritten.insert(serial);
                return;
            }
        }
    }

    /// Keeps a gateway in memory until the program ends.
    pub(super) fn keep(&mut self, serial: &Serial, known: &Known) {
        if self.memory.len() < MAX_GATEWAYS || self.memory.contains_key(serial) {
            self.memory.insert(serial.clone(), known.clone());
        }
    }

    /// Returns the gateways that are stored on disk.
    pub(super) async fn serials(&self) -> Vec<Serial> {
        self.files.serials().await
    }

    /// Returns whether the file has a copy. Earlier versions did not write one.
    pub(super) async fn has_copy(&self, serial: &Serial) -> bool {
        self.files.has_copy(serial).await
    }

    /// Returns whether the password configured for `place` has been sent to a gateway other than `serial`.
    pub(super) async fn sent_to_another(&self, serial: &Serial, place: &str) -> bool {
        let others = self.serials().await.into_iter().chain(self.memory.keys().cloned());
        for other in others.filter(|other| other != serial) {
            let known = self.load(&other).await.ok().flatten();
            if known.is_some_and(|known| known.password_of.as_deref() == Some(place)) {
                return true;
            }
        }
        false
    }
}

/// The result of the comparison between the key of a connection and the stored key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The key is the stored one.
    Same,
    /// No gateway is stored, or one without a key (plain http). The connection is trusted from now on.
    First,
    /// A different key is stored.
    Changed {
        /// The stored key.
        known: Fingerprint,
        /// The key that the gateway presented.
        seen: Fingerprint,
    },
    /// A key is stored, but the gateway presented none.
    Missing {
        /// The stored key.
        known: Fingerprint,
    },
}

/// Compares the key of a connection with the stored one.
pub fn judge(known: Option<&Known>, proof: &Proof) -> Verdict {
    match (known.map(|known| known.key), proof) {
        (Some(Some(known)), Proof::Key(seen)) if known != *seen => Verdict::Changed { known, seen: *seen },
        (Some(Some(known)), Proof::Clear) => Verdict::Missing { known },
        (None, _) | (Some(None), Proof::Key(_)) => Verdict::First,
        // `Proof::Unproven` (any certificate is accepted) is not compared.
        (Some(_), _) => Verdict::Same,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn key(digit: char) -> Fingerprint {
        serde_json::from_str(&format!("\"{}\"", digit.to_string().repeat(64))).unwrap()
    }

    fn known(key: Option<Fingerprint>) -> Known {
        Known { key, address: "192.168.1.20".to_owned(), since: Timestamp::UNIX_EPOCH, password_of: None }
    }

    fn setup() -> (tempfile::TempDir, PinnedKeys, Serial) {
        let outer = tempfile::tempdir().unwrap();
        let keys = PinnedKeys::new(StateDir::open(outer.path()).unwrap());
        (outer, keys, Serial::parse("122300000001").unwrap())
    }

    #[tokio::test]
    async fn a_gateway_that_has_shown_a_key_is_never_the_same_without_it() {
        let (one, other) = (key('1'), key('2'));
        let verdict = |known: Option<Option<Fingerprint>>, proof| {
            let known = known.map(self::known);
            judge(known.as_ref(), &proof)
        };
        assert_eq!(verdict(Some(Some(one)), Proof::Key(one)), Verdict::Same);
        assert_eq!(verdict(Some(Some(one)), Proof::Key(other)), Verdict::Changed { known: one, seen: other });
        assert_eq!(verdict(Some(Some(one)), Proof::Clear), Verdict::Missing { known: one });
        assert_eq!(verdict(Some(Some(one)), Proof::Unproven), Verdict::Same);
        assert_eq!(verdict(Some(None), Proof::Clear), Verdict::Same);
        assert_eq!(verdict(Some(None), Proof::Key(one)), Verdict::First);
        for proof in [Proof::Key(one), Proof::Clear, Proof::Unproven] {
            assert_eq!(verdict(None, proof), Verdict::First);
        }
    }

    #[tokio::test]
    async fn a_key_that_cannot_be_written_is_remembered_until_the_end() {
        let (outer, mut keys, serial) = setup();
        let path = outer.path().to_owned();
        drop(outer);
        std::fs::write(&path, "").unwrap();
        keys.remember(&serial, &known(Some(key('1')))).await;
        assert_eq!(keys.load(&serial).await.unwrap(), Some(known(Some(key('1')))));
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn a_damaged_key_is_known_by_its_copy_and_without_one_it_is_lost() {
        let (outer, mut keys, serial) = setup();
        let path = |end: &str| outer.path().join(format!("gateway-{serial}{end}"));
        let fresh = || PinnedKeys::new(StateDir::open(outer.path()).unwrap());
        assert!(!keys.is_lost(&serial).await);
        for damaged in ["", "{}", "[]", "null", "{\"key\":\"", "\0\0\0"] {
            keys.save(&serial, &known(Some(key('1')))).await.unwrap();
            std::fs::write(path(".json"), damaged).unwrap();
            assert_eq!(fresh().load(&serial).await.unwrap(), Some(known(Some(key('1')))), "{damaged}");
            assert!(
                path(".json").exists() && !path(".json.damaged").exists(),
                "{damaged}: it is stored again"
            );
            std::fs::write(path(".json"), damaged).unwrap();
            std::fs::write(path(".copy.json"), damaged).unwrap();
            // Other readers also set it aside.
            last_seen(&StateDir::open(outer.path()).unwrap()).await.unwrap();
            for _restart in 0..2 {
                assert_eq!(fresh().load(&serial).await.unwrap(), None, "{damaged}");
                assert!(fresh().is_lost(&serial).await, "{damaged}");
            }
            assert!(keys.load(&serial).await.unwrap().is_some(), "this process has it in memory");
            assert!(!fresh().is_lost(&serial).await, "{damaged}: it is stored again");
        }
        std::fs::remove_file(path(".json")).unwrap();
        assert_eq!(fresh().load(&serial).await.unwrap(), None, "removing the file makes the gateway unknown");
        assert!(!fresh().is_lost(&serial).await);
    }

    #[tokio::test]
    async fn what_an_earlier_version_wrote_is_read() {
        let (outer, keys, serial) = setup();
        let text =
            format!(r#"{{"key":"{}","address":"192.168.1.20","since":"1970-01-01T00:00:00Z"}}"#, key('1'));
        std::fs::write(outer.path().join("gateway-122300000001.json"), text).unwrap();
        assert_eq!(keys.load(&serial).await.unwrap(), Some(known(Some(key('1')))));
    }

    #[tokio::test]
    async fn gateways_are_found_by_their_address_and_by_whose_password_they_were_sent() {
        let (outer, mut keys, serial) = setup();
        let other = Serial::parse("122300000002").unwrap();
        let place = Some("192.168.1.20".to_owned());
        keys.save(&serial, &Known { password_of: place, ..known(None) }).await.unwrap();
        let address = "192.168.1.21".to_owned();
        keys.save(&other, &Known { address, ..known(Some(key('1'))) }).await.unwrap();
        std::fs::write(outer.path().join("gateway-..json"), "{}").unwrap();
        let state = StateDir::open(outer.path()).unwrap();
        assert_eq!(serials_at(&state, "192.168.1.20").await.unwrap(), std::slice::from_ref(&serial));
        assert_eq!(serials_at(&state, "192.168.1.22").await.unwrap(), []);
        assert_eq!(keys.serials().await, [serial.clone(), other.clone()]);
        assert!(keys.sent_to_another(&other, "192.168.1.20").await);
        assert!(!keys.sent_to_another(&serial, "192.168.1.20").await);
        assert!(!keys.sent_to_another(&other, "192.168.1.21").await);
    }

    #[tokio::test]
    async fn no_more_than_so_many_gateways_are_written_down() {
        let (outer, mut keys, serial) = setup();
        for number in 0..MAX_GATEWAYS {
            std::fs::write(outer.path().join(format!("gateway-{number}.json")), "{}").unwrap();
        }
        keys.remember(&serial, &known(Some(key('1')))).await;
        assert_eq!(keys.serials().await.len(), MAX_GATEWAYS);
        assert!(keys.load(&serial).await.unwrap().is_some());
    }
}
