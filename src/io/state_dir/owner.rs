//! Switches root to the owner of the state directory before any access. The contents of the directory, which this user
//! controls, then cannot lead to files that only root may change.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Uid};
use rustix::process::{chroot, fchdir, getegid, geteuid, getgid, getuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::directory::Directory;
use super::place::Place;
use super::{Disk, Error, StateDir};

/// The group to use if the directory has root's group, because only its user was changed.
const NOGROUP: u32 = 65_534;

/// A state directory that has been found but not accessed yet.
#[derive(Debug)]
pub struct Entrance<'a> {
    path: &'a Path,
    /// The checked path. `None` for users other than root.
    place: Option<Place>,
}

impl<'a> Entrance<'a> {
    /// Finds the state directory.
    pub fn find(path: &'a Path) -> Result<Self, Error> {
        let place = geteuid().is_root().then(|| Place::find(path)).transpose()?;
        Ok(Self { path, place })
    }

    /// Returns whether [`Self::enter`] gives up the privileges of root. Files that only root can read must be read before.
    pub fn gives_up_root(&self) -> bool {
        self.place.as_ref().is_some_and(|place| place.uid != 0)
    }

    /// Switches the process to the owner of the directory for good, and opens the directory. If the switch fails, the
    /// directory is not accessed.
    pub fn enter(self) -> Result<StateDir, Error> {
        let Some(place) = self.place.filter(|place| place.uid != 0) else { return StateDir::open(self.path) };
        let (uid, gid) = (place.uid, place.gid);
        become_user(uid, gid, None).map_err(|error| foreign(self.path, uid, &error))?;
        let directory = Directory::kept(self.path, place.make()?);
        Ok(StateDir { directory, disk: Disk::inline() })
    }

    /// Switches the process of root to the owner of the directory for good, and makes the directory its root directory. So
    /// its files can be opened by their paths, also where only root may enter a directory above. Returns the path of the
    /// directory from then on. Nothing is created.
    pub fn enter_as_root_directory(self) -> Result<PathBuf, Error> {
        let path = self.path.to_owned();
        let Some(place) = self.place.filter(|place| place.uid != 0) else { return Ok(path) };
        let (uid, gid) = (place.uid, place.gid);
        let Ok(directory) = place.open() else { return Ok(path) };
        become_user(uid, gid, Some(&directory)).map_err(|error| foreign(&path, uid, &error))?;
        Ok(PathBuf::from("/"))
    }
}

fn foreign(path: &Path, uid: u32, error: &io::Error) -> Error {
    let why = format!(
        "it belongs to user {uid}, and root cannot switch to that user ({error}); run this as that user, or give the \
         directory to root"
    );
    Error::Foreign { path: path.to_owned(), why }
}

/// Switches the process to the user `uid` for good. With `root`, that directory is the root directory afterwards.
fn become_user(uid: u32, gid: u32, root: Option<&File>) -> io::Result<()> {
    // The system call affects one thread only; any other thread would continue as root.
    let threads = fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads != 1 {
        return Err(io::Error::other(format!("{threads} threads are running")));
    }
    if let Some(root) = root {
        fchdir(root)?;
        chroot(".")?;
    }
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(if gid == 0 { NOGROUP } else { gid }));
    set_thread_groups(&[])?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    if (getuid(), geteuid(), getgid(), getegid()) == (uid, uid, gid, gid) {
        Ok(())
    } else {
        Err(io::Error::other("the operating system did not change the user"))
    }
}
