//! The record of logins on disk, and the lock around it.

use std::sync::Arc;
use std::time::Duration;

use crate::base::reading::Serial;
use crate::io::state_dir::{Error, Lock, Stamp, StateDir, Stored};
use crate::rules::logins::Record;
use crate::rules::logins::clocks::Clocks;

/// The record.
pub const RECORD: &str = "logins.json";
/// A record that was damaged, as [`StateDir::read`] sets it aside.
const ASIDE: &str = "logins.json.damaged";
/// Held while the record or a token is changed, by whichever process does it (L5).
pub(super) const LOCK: &str = "login.lock";
/// How often a process that waits for the lock looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The record of logins in a state directory.
#[derive(Debug)]
pub struct Ledger {
    state: StateDir,
    /// The record as it was read last, so that a poll does not read the disk. Shared, because
    /// that of a thousand gateways is long.
    seen: Option<(Option<Stamp>, Arc<Record>)>,
    /// Which of the directories it is that were found under the same path.
    directory: u64,
}

impl Ledger {
    /// The ledger in `state`.
    pub fn new(state: StateDir) -> Self {
        let directory = state.replaced();
        Self { state, seen: None, directory }
    }

    /// The record as it is now, for who is about to change it: from the file itself, because two writes in one tick
    /// of its clock may leave the same stamp.
    pub async fn read_under(
        &mut self,
        _lock: &Lock,
        serial: &Serial,
        clocks: &Clocks,
    ) -> Result<Record, Error> {
        let record = self.read_file(serial, clocks).await?;
        if self.is_lost() {
            self.write(&record).await?;
        }
        Ok(Arc::unwrap_or_clone(record))
    }

    /// The record as it is now. One that is damaged is set aside, and another put in its place that counts as
    /// a login just made.
    pub async fn read(&mut self, serial: &Serial, clocks: &Clocks) -> Result<Arc<Record>, Error> {
        let stamp = self.stamp().await;
        if let Some((known, record)) = &self.seen
            && *known == stamp
            && stamp.is_some()
        {
            return Ok(Arc::clone(record));
        }
        match self.read_file(serial, clocks).await {
            Ok(record) if self.is_lost() => {
                self.put_back(&record).await;
                Ok(record)
            }
            // Whoever changes the record fails (L4); to know what waits, the one in memory serves.
            Err(error) => self.seen.as_ref().map(|(_, record)| Arc::clone(record)).ok_or(error),
            read => read,
        }
    }

    async fn read_file(&mut self, serial: &Serial, clocks: &Clocks) -> Result<Arc<Record>, Error> {
        let stamp = self.stamp().await;
        let record = match self.state.read(RECORD).await? {
            Stored::Found(record) => match &self.seen {
                Some((_, known)) if Record::is_older_than(&record, known) => {
                    let known = Arc::clone(known);
                    // It is not on disk.
                    self.seen = Some((None, Arc::clone(&known)));
                    return Ok(known);
                }
                _ => Arc::new(record),
            },
            // One that was set aside, and a crash or a full disk before the other was in its place.
            Stored::Absent if self.state.stamp(ASIDE).await?.is_some() => {
                return self.replace(serial, clocks).await;
            }
            // Who removes the file shortens no hold-off: what was seen is what there is.
            Stored::Absent => match &self.seen {
                Some((_, record)) => Arc::clone(record),
                None => return Ok(Arc::new(Record::new(clocks))),
            },
            Stored::Damaged(aside) => {
                tracing::warn!(
                    file = %aside.display(),
                    "the record of logins was damaged and is set aside; to be safe it counts as a login made now"
                );
                return self.replace(serial, clocks).await;
            }
        };
        self.seen = Some((stamp, Arc::clone(&record)));
        Ok(record)
    }

    /// The file's stamp; `None` where there is none to be had.
    async fn stamp(&self) -> Option<Stamp> {
        self.state.stamp(RECORD).await.ok().flatten()
    }

    /// Whether the record that was read last is in memory alone.
    fn is_lost(&self) -> bool {
        matches!(self.seen, Some((None, _)))
    }

    /// Writes a record again whose file was removed or replaced by an old one. Not beside another process, which may have
    /// written one by then.
    async fn put_back(&mut self, record: &Record) {
        let put_back = self.try_put_back(record).await;
        let directory = self.state.replaced();
        let is_new = std::mem::replace(&mut self.directory, directory) != directory;
        match put_back {
            // That was said of all files.
            Ok(true) if is_new => {}
            Ok(true) => tracing::warn!("the record of logins was gone and is written again from memory"),
            Ok(false) => {}
            Err(error) => tracing::debug!("{error}"),
        }
    }

    async fn try_put_back(&mut self, record: &Record) -> Result<bool, Error> {
        let Some(_lock) = self.state.try_lock(LOCK).await? else { return Ok(false) };
        let is_lost = match self.state.read::<Record>(RECORD).await? {
            Stored::Found(found) => found.is_older_than(record),
            Stored::Absent => true,
            // The next look says so.
            Stored::Damaged(_) => false,
        };
        if is_lost {
            self.write(record).await?;
        }
        Ok(is_lost)
    }

    async fn replace(&mut self, serial: &Serial, clocks: &Clocks) -> Result<Arc<Record>, Error> {
        let record = Record::after_damage(serial, clocks);
        self.write(&record).await?;
        Ok(Arc::new(record))
    }

    /// Puts the record on disk. When this returns `Ok`, it survives a power cut.
    pub async fn write(&mut self, record: &Record) -> Result<(), Error> {
        let written = self.state.write(RECORD, record).await;
        match &written {
            Ok(()) => self.seen = Some((self.stamp().await, Arc::new(record.clone()))),
            // It is on its way to the disk, and comes there before the next look.
            Err(Error::Stalled { .. }) => self.seen = Some((None, Arc::new(record.clone()))),
            Err(_) => {}
        }
        written
    }

    /// Puts the record on disk in place of `before`, for a request that must not leave without (L4). Where the disk takes
    /// too long, or the caller does not wait for it, there is `before` again: the request has not left.
    pub async fn write_ahead(&mut self, record: &Record, before: &Record) -> Result<(), Error> {
        self.state.write_ahead(RECORD, record, before).await?;
        self.seen = Some((self.stamp().await, Arc::new(record.clone())));
        Ok(())
    }

    /// Takes the lock, waiting for it up to `patience`; `None` when another process keeps it for longer.
    pub async fn lock(&self, patience: Duration) -> Result<Option<Lock>, Error> {
        let give_up = tokio::time::Instant::now() + patience;
        loop {
            match self.state.try_lock(LOCK).await? {
                None if tokio::time::Instant::now() < give_up => tokio::time::sleep(LOOK_AGAIN).await,
                lock => return Ok(lock),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::base::clock::Clock;
    use crate::rules::logins::attempt::{Reason, Step};
    use crate::rules::logins::clocks::GatewayTime;

    fn setup() -> (tempfile::TempDir, StateDir, Clocks) {
        let outer = tempfile::tempdir().unwrap();
        let state = StateDir::open(outer.path()).unwrap();
        let clocks = Clocks::new(Clock::system().moment(), GatewayTime::NoResponse);
        (outer, state, clocks)
    }

    async fn logins(state: &StateDir, clocks: &Clocks) -> usize {
        let record = Ledger::new(state.clone()).read(&Serial::parse("1").unwrap(), clocks).await.unwrap();
        record.attempts.iter().filter(|attempt| attempt.counts_as_login()).count()
    }

    #[tokio::test]
    async fn a_damaged_record_counts_as_a_login() {
        let (_outer, state, clocks) = setup();
        assert_eq!(logins(&state, &clocks).await, 0);
        fs::write(state.path().join(RECORD), "{").unwrap();
        assert_eq!(logins(&state, &clocks).await, 1);
    }

    #[tokio::test]
    async fn a_crash_after_a_damaged_record_was_set_aside_forgets_no_login() {
        let (_outer, state, clocks) = setup();
        fs::write(state.path().join(ASIDE), "{").unwrap();
        assert_eq!(logins(&state, &clocks).await, 1);
        assert_eq!(logins(&state, &clocks).await, 1);
    }

    #[tokio::test]
    async fn a_record_that_is_removed_while_the_process_lives_is_written_again() {
        let (_outer, state, clocks) = setup();
        let serial = Serial::parse("122300000001").unwrap();
        let mut ledger = Ledger::new(state.clone());
        let mut record = Record::new(&clocks);
        record.begin(Step::Login, Reason::NoToken, &serial, &clocks);
        ledger.write(&record).await.unwrap();
        for _ in 0..2 {
            fs::remove_file(state.path().join(RECORD)).unwrap();
            assert_eq!(*ledger.read(&serial, &clocks).await.unwrap(), record);
            assert_eq!(logins(&state, &clocks).await, 1, "on disk again");
        }
        fs::remove_dir_all(state.path()).unwrap();
        assert_eq!(
            *ledger.read(&serial, &clocks).await.unwrap(),
            record,
            "what cannot be written is known all the same"
        );
    }

    #[tokio::test]
    async fn under_the_lock_the_file_itself_is_read_whatever_its_stamp_says() {
        let (_outer, state, clocks) = setup();
        let serial = Serial::parse("122300000001").unwrap();
        let mut ledger = Ledger::new(state.clone());
        let mut record = Record::new(&clocks);
        record.begin(Step::Token, Reason::NoToken, &serial, &clocks);
        ledger.write(&record).await.unwrap();
        // As long as before, in the same place, at the same time.
        let path = state.path().join(RECORD);
        let written = fs::metadata(&path).unwrap().modified().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("\"token\"", "\"login\"")).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(written).unwrap();
        assert_eq!(*ledger.read(&serial, &clocks).await.unwrap(), record, "a poll does not read the disk");
        let lock = ledger.lock(Duration::ZERO).await.unwrap().unwrap();
        let seen = ledger.read_under(&lock, &serial, &clocks).await.unwrap();
        assert_eq!(seen.attempts[0].step, Step::Login);
    }
}
