//! The file `history.db`: where it is, how it is opened, and what happens when it is damaged.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use rustix::fs::OFlags;

use super::Error;
use super::schema::{VERSION, migrate, version};
use crate::io::files::expect_regular;

/// The name of the file in the state directory.
pub const NAME: &str = "history.db";
/// The time limit for a program that has locked the file. After it, the write is repeated every minute.
const BUSY: Duration = Duration::from_millis(250);

/// The settings of the connection that writes.
///
/// WAL: a commit is one write to the end of one file, and a sync. The rollback journal writes and syncs two files at each
/// commit, and directories too. With `synchronous = FULL` what was committed survives a power cut. Readers are never
/// blocked, and never block the writer. The log is copied into the file when it has 500 pages (2 MB), about once a day. On a
/// file system without shared memory (some network file systems), SQLite keeps the rollback journal, which works too.
const SETTINGS: &str =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 500;
    PRAGMA journal_size_limit = 4194304; PRAGMA cache_size = -256; PRAGMA temp_store = MEMORY;";

/// The identity of a file, which changes when it is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

/// The place of the history in a state directory.
#[derive(Clone, Debug)]
pub struct HistoryFile {
    path: PathBuf,
}

impl HistoryFile {
    /// Names the history in the directory `directory`.
    pub fn inside(directory: &Path) -> Self {
        Self { path: directory.join(NAME) }
    }

    /// Returns the path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the identity of the file at the path.
    pub(super) fn identity(&self) -> io::Result<Identity> {
        let data = fs::symlink_metadata(&self.path)?;
        expect_regular(&data)?;
        Ok(Identity(data.dev(), data.ino()))
    }

    /// Opens the file, creates it (mode 0600) if it is missing, checks it if the last process was killed, and brings its
    /// schema up to date.
    pub(super) fn open_for_writing(&self) -> Result<(Connection, Identity), Error> {
        let created = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(&self.path);
        match created {
            Ok(_file) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.into()),
        }
        let identity = self.identity()?;
        // SQLite creates the files beside this one with its mode and owner.
        let was_killed = self.beside("-wal").exists();
        let mut connection = self.open(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.execute_batch(SETTINGS)?;
        if was_killed {
            check(&connection)?;
        }
        migrate(&mut connection)?;
        Ok((connection, identity))
    }

    /// Opens the file for reading.
    pub(super) fn open_for_reading(&self) -> Result<Connection, Error> {
        match self.identity() {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(Error::Absent),
            Err(error) => return Err(error.into()),
        }
        let connection = self.open(OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.execute_batch("PRAGMA cache_size = -256; PRAGMA temp_store = MEMORY;")?;
        match version(&connection)? {
            // A writer has just created it.
            0 => Err(Error::Absent),
            version if version > VERSION => Err(Error::Newer { version }),
            _ => Ok(connection),
        }
    }

    fn open(&self, flags: OpenFlags) -> Result<Connection, Error> {
        let connection = Connection::open_with_flags(&self.path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY)?;
        Ok(connection)
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(suffix);
        path.into()
    }

    /// Renames the damaged file to `history.db.damaged`, and the log of its last writes with it, so that a tool can rescue
    /// what is left. Returns its path afterwards.
    pub(super) fn set_aside(&self) -> io::Result<PathBuf> {
        let aside = self.beside(".damaged");
        fs::rename(&self.path, &aside)?;
        // Without them the new file starts clean. They may be missing.
        fs::rename(self.beside("-wal"), self.beside(".damaged-wal")).ok();
        fs::remove_file(self.beside("-shm")).ok();
        Ok(aside)
    }
}

/// Checks the structure of the file.
fn check(connection: &Connection) -> Result<(), Error> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" { Ok(()) } else { Err(Error::Damaged(rusqlite::Error::InvalidQuery)) }
}
