//! The file with the record of logins.

use std::sync::Arc;

use super::login_lock::LoginLock;
use crate::base::reading::Serial;
use crate::io::state_dir::{Error, Lock, Stamp, StateDir, Stored};
use crate::rules::logins::Record;
use crate::rules::logins::clocks::Clocks;

/// The name of the file.
pub(super) const RECORD: &str = "logins.json";
/// The name under which [`StateDir::read`] sets a damaged record aside.
const ASIDE: &str = "logins.json.damaged";

/// The record of logins in a state directory.
#[derive(Debug)]
pub struct RecordFile {
    state: StateDir,
    lock: LoginLock,
    /// The last record that was read, so that a poll does not read the file. Shared, because the record of a thousand
    /// gateways is long. The stamp is `None` if this record is not on disk.
    seen: Option<(Option<Stamp>, Arc<Record>)>,
    /// The number of times that the state directory was replaced.
    directory: u64,
}

impl RecordFile {
    /// Creates an instance for the record in `state`.
    pub fn new(state: StateDir) -> Self {
        let directory = state.replaced();
        Self { lock: LoginLock::new(state.clone()), state, seen: None, directory }
    }

    /// Returns the record that was read last.
    pub fn last(&self) -> Option<&Record> {
        self.seen.as_ref().map(|(_, record)| &**record)
    }

    /// Returns the current record in order to change it. Always reads the file, because two writes within one tick of the
    /// file system's clock may leave the same stamp.
    pub(super) async fn read_under(
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

    /// Returns the current record. A damaged record is set aside, and replaced by one that counts as a login made now.
    pub async fn read(&mut self, serial: &Serial, clocks: &Clocks) -> Result<Arc<Record>, Error> {
        let stamp = self.stamp().await;
        self.read_at(stamp, serial, clocks).await
    }

    /// Returns the current record. `stamp` is the present stamp of the file: a record with this stamp is in memory already.
    pub(super) async fn read_at(
        &mut self,
        stamp: Option<Stamp>,
        serial: &Serial,
        clocks: &Clocks,
    ) -> Result<Arc<Record>, Error> {
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
            // A change of the record fails (L4). For reading, the record in memory is sufficient.
            Err(error) => self.seen.as_ref().map(|(_, record)| Arc::clone(record)).ok_or(error),
            read => read,
        }
    }

    /// Returns the record that was read last, or the current one if none has been read. Sufficient where a change by another
    /// process may be seen one poll later.
    pub(super) async fn recent(&mut self, serial: &Serial, clocks: &Clocks) -> Result<Arc<Record>, Error> {
        match &self.seen {
            Some((_, record)) => Ok(Arc::clone(record)),
            None => self.read(serial, clocks).await,
        }
    }

    async fn read_file(&mut self, serial: &Serial, clocks: &Clocks) -> Result<Arc<Record>, Error> {
        let stamp = self.stamp().await;
        let record = match self.state.read(RECORD).await? {
            Stored::Found(record) => match &self.seen {
                Some((_, known)) if Record::is_older_than(&record, known) => {
                    let known = Arc::clone(known);
                    // The newer record is only in memory.
                    self.seen = Some((None, Arc::clone(&known)));
                    return Ok(known);
                }
                _ => Arc::new(record),
            },
            // A damaged record was set aside, but a crash or a full disk prevented the replacement.
            Stored::Absent if self.state.stamp(ASIDE).await?.is_some() => {
                return self.replace(serial, clocks).await;
            }
            // Removing the file must not shorten a hold-off: the record in memory counts.
            Stored::Absent => match &self.seen {
                Some((_, record)) => Arc::clone(record),
                None => return Ok(Arc::new(Record::new(clocks))),
            },
            Stored::Damaged(aside) => {
                tracing::warn!(
                    file = %aside.display(),
                    "the record of logins was damaged and has been set aside; as a precaution it counts as a login made now"
                );
                return self.replace(serial, clocks).await;
            }
        };
        self.seen = Some((stamp, Arc::clone(&record)));
        Ok(record)
    }

    /// Returns the stamp of the file, or `None` if the file is missing or unreadable.
    async fn stamp(&self) -> Option<Stamp> {
        self.state.stamp(RECORD).await.ok().flatten()
    }

    /// Returns whether the last record is only in memory.
    fn is_lost(&self) -> bool {
        matches!(self.seen, Some((None, _)))
    }

    /// Writes the record again after its file was removed or replaced by an old one. Does nothing while another process
    /// holds the lock, because that process may write a newer record.
    async fn put_back(&mut self, record: &Record) {
        let put_back = self.try_put_back(record).await;
        let directory = self.state.replaced();
        match put_back {
            // The replaced directory has been reported once for all files.
            Ok(true) if directory != self.directory => {}
            Ok(true) => tracing::warn!("the record of logins was missing and has been restored from memory"),
            Ok(false) => {}
            Err(error) => tracing::debug!("{error}"),
        }
        self.directory = directory;
    }

    async fn try_put_back(&mut self, record: &Record) -> Result<bool, Error> {
        let Some(_lock) = self.lock.try_acquire().await? else { return Ok(false) };
        let is_lost = match self.state.read::<Record>(RECORD).await? {
            Stored::Found(found) => found.is_older_than(record),
            Stored::Absent => true,
            // The next read reports the damage.
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

    /// Writes the record to disk. After `Ok`, the record survives a power cut.
    pub async fn write(&mut self, record: &Record) -> Result<(), Error> {
        let written = self.state.write(RECORD, record).await;
        match &written {
            Ok(()) => self.seen = Some((self.stamp().await, Arc::new(record.clone()))),
            // The write is queued, and completes before the next read.
            Err(Error::Stalled { .. }) => self.seen = Some((None, Arc::new(record.clone()))),
            Err(_) => {}
        }
        written
    }

    /// Replaces `before` by `record` on disk, ahead of a request that must not be sent without it (L4). If the disk takes
    /// too long, or the caller stops waiting, restores `before`, because the request has not been sent.
    pub async fn write_ahead(&mut self, record: &Record, before: &Record) -> Result<(), Error> {
        self.state.write_ahead(RECORD, record, before).await?;
        self.seen = Some((self.stamp().await, Arc::new(record.clone())));
        Ok(())
    }

    /// Stores the clocks in the record, if it needs them after the next boot.
    pub(super) async fn keep_time(
        &mut self,
        lock: &Lock,
        serial: &Serial,
        clocks: &Clocks,
    ) -> Result<(), Error> {
        let mut record = self.read_under(lock, serial, clocks).await?;
        if record.wants_time(clocks) {
            record.keep_time(clocks);
            self.write(&record).await?;
        }
        Ok(())
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
        let record = RecordFile::new(state.clone()).read(&Serial::parse("1").unwrap(), clocks).await.unwrap();
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
        let mut record_file = RecordFile::new(state.clone());
        let mut record = Record::new(&clocks);
        record.begin(Step::Login, Reason::NoToken, &serial, &clocks);
        record_file.write(&record).await.unwrap();
        for _ in 0..2 {
            fs::remove_file(state.path().join(RECORD)).unwrap();
            assert_eq!(*record_file.read(&serial, &clocks).await.unwrap(), record);
            assert_eq!(logins(&state, &clocks).await, 1, "on disk again");
        }
        fs::remove_dir_all(state.path()).unwrap();
        assert_eq!(
            *record_file.read(&serial, &clocks).await.unwrap(),
            record,
            "the record in memory counts even if it cannot be written"
        );
    }

    #[tokio::test]
    async fn under_the_lock_the_file_itself_is_read_whatever_its_stamp_says() {
        let (_outer, state, clocks) = setup();
        let serial = Serial::parse("122300000001").unwrap();
        let mut record_file = RecordFile::new(state.clone());
        let mut record = Record::new(&clocks);
        record.begin(Step::Token, Reason::NoToken, &serial, &clocks);
        record_file.write(&record).await.unwrap();
        // The same length, inode and modification time as before.
        let path = state.path().join(RECORD);
        let written = fs::metadata(&path).unwrap().modified().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("\"token\"", "\"login\"")).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(written).unwrap();
        assert_eq!(
            *record_file.read(&serial, &clocks).await.unwrap(),
            record,
            "a poll does not read the disk"
        );
        let lock = record_file.lock.try_acquire().await.unwrap().unwrap();
        let seen = record_file.read_under(&lock, &serial, &clocks).await.unwrap();
        assert_eq!(seen.attempts[0].step, Step::Login);
    }
}
