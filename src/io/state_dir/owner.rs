//! Root becomes the owner of the state directory before it touches anything there. Whatever that user has put
//! into the directory then leads to nothing that the user could not change without root.

use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::{Gid, Uid};
use rustix::process::{getegid, geteuid, getgid, getuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::directory::Directory;
use super::place::Place;
use super::{Disk, Error, StateDir};

/// The group in place of root's, which a directory has that was given to a user alone.
const NOGROUP: u32 = 65_534;

/// A state directory that was found, and in which nothing has been touched.
#[derive(Debug)]
pub struct Entrance<'a> {
    path: &'a Path,
    /// Root alone looks at the way there.
    place: Option<Place>,
}

impl<'a> Entrance<'a> {
    /// Finds the state directory.
    pub fn find(path: &'a Path) -> Result<Self, Error> {
        let place = geteuid().is_root().then(|| Place::find(path)).transpose()?;
        Ok(Self { path, place })
    }

    /// Whether entering gives up what only root may do. What only root can read has to be read before.
    pub fn gives_up_root(&self) -> bool {
        self.place.as_ref().is_some_and(|place| place.uid != 0)
    }

    /// Opens the directory, as its owner for the rest of the process. Where that is impossible, nothing is touched.
    pub fn enter(self) -> Result<StateDir, Error> {
        let Some(place) = self.place.filter(|place| place.uid != 0) else { return StateDir::open(self.path) };
        let (uid, gid) = (place.uid, place.gid);
        become_user(uid, gid).map_err(|error| {
            let why = format!(
                "it belongs to user {uid}, and root could not become that user ({error}); run this as that user, or \
                 give the directory to root"
            );
            Error::Foreign { path: self.path.to_owned(), why }
        })?;
        let directory = Directory::kept(self.path, place.make()?);
        Ok(StateDir { directory, disk: Disk::inline() })
    }
}

/// Becomes the user `uid`, for good.
fn become_user(uid: u32, gid: u32) -> io::Result<()> {
    // The system changes one thread only, and another would go on as root.
    let threads = fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads != 1 {
        return Err(io::Error::other(format!("{threads} threads are running")));
    }
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(if gid == 0 { NOGROUP } else { gid }));
    set_thread_groups(&[])?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    if (getuid(), geteuid(), getgid(), getegid()) == (uid, uid, gid, gid) {
        Ok(())
    } else {
        Err(io::Error::other("the system did not carry it out"))
    }
}
