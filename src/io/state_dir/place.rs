//! The way to the state directory. Root looks at every step of it: a link or a directory that another user may
//! change could lead to files that are not the state directory's.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat, readlinkat};
use rustix::io::Errno;

use super::Error;

/// How many symbolic links a path may lead through, as in the kernel.
const LINKS: u32 = 40;
/// Opens what is there without acting on it, be it a link, a FIFO or a device.
const LOOK: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Where a path leads.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    /// The directory, or the deepest one on the way that exists.
    directory: File,
    /// Who owns it.
    pub(super) uid: u32,
    /// Its group.
    pub(super) gid: u32,
    /// The directories below it that do not exist yet.
    missing: VecDeque<OsString>,
}

impl Place {
    /// Follows `path` step by step. Each step has to belong to root or to the owner of the last one: any other user
    /// could lead the path elsewhere.
    pub(super) fn find(path: &Path) -> Result<Self, Error> {
        let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
        let mut way = Way::begin(path).map_err(unreadable)?;
        let missing = way.follow().map_err(unreadable)?;
        let metadata = way.here.metadata().map_err(unreadable)?;
        let (uid, gid) = (metadata.uid(), metadata.gid());
        if let Some((step, other)) = way.owners.iter().find(|(_, owner)| *owner != uid) {
            let why = format!(
                "the path leads through {step}, which belongs to user {other}, who could lead it elsewhere. Give the \
                 directory to that user (chown -R {other} {path}), or set state_dir to another path",
                step = step.display(),
                path = path.display()
            );
            return Err(Error::Foreign { path: path.to_owned(), why });
        }
        Ok(Self { path: path.to_owned(), directory: way.here, uid, gid, missing })
    }

    /// Makes what is missing of the directory (mode 0700) and opens it.
    pub(super) fn make(mut self) -> Result<File, Error> {
        let missing = std::mem::take(&mut self.missing);
        let made = missing.into_iter().try_fold(self.directory, |here, name| {
            match mkdirat(&here, &name, Mode::RWXU) {
                // Another process may have been faster.
                Ok(()) | Err(Errno::EXIST) => at(&here, &name, LOOK | OFlags::DIRECTORY),
                Err(error) => Err(error.into()),
            }
        });
        self.directory = made.map_err(|source| Error::Unwritable { path: self.path.clone(), source })?;
        self.open()
    }

    /// Opens the directory.
    pub(super) fn open(self) -> Result<File, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = if self.missing.is_empty() {
            at(&self.directory, OsStr::new("."), flags)
        } else {
            Err(Errno::NOENT.into())
        };
        opened.map_err(|source| Error::Unreadable { path: self.path, source })
    }
}

fn at(directory: &File, name: &OsStr, flags: OFlags) -> io::Result<File> {
    Ok(openat(directory, name, flags, Mode::empty())?.into())
}

/// What has been followed of a path, and what has not.
struct Way {
    here: File,
    /// Where that is, for people.
    shown: PathBuf,
    rest: VecDeque<OsString>,
    /// The steps so far that do not belong to root, and their owners.
    owners: Vec<(PathBuf, u32)>,
    links: u32,
}

impl Way {
    fn begin(path: &Path) -> io::Result<Self> {
        let shown = PathBuf::from(if path.is_absolute() { "/" } else { "." });
        let here = File::from(openat(CWD, &shown, LOOK, Mode::empty())?);
        let rest = names(path);
        let mut way = Self { here, shown, rest, owners: Vec::new(), links: 0 };
        way.note(&way.shown.clone(), &way.here.metadata()?);
        Ok(way)
    }

    /// Goes on to the end, or to where nothing exists; returns what is missing.
    fn follow(&mut self) -> io::Result<VecDeque<OsString>> {
        while let Some(name) = self.rest.pop_front() {
            match at(&self.here, &name, LOOK) {
                Ok(next) => self.take(&name, next)?,
                Err(error)
                    if error.kind() == ErrorKind::NotFound && !self.rest.iter().any(|it| it == "..") =>
                {
                    self.rest.push_front(name);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(std::mem::take(&mut self.rest))
    }

    /// Goes one step on, or through a link.
    fn take(&mut self, name: &OsStr, next: File) -> io::Result<()> {
        let (shown, metadata) = (self.shown.join(name), next.metadata()?);
        self.note(&shown, &metadata);
        if metadata.is_dir() {
            (self.here, self.shown) = (next, shown);
            return Ok(());
        }
        if !metadata.is_symlink() {
            return Err(Errno::NOTDIR.into());
        }
        self.links += 1;
        if self.links > LINKS {
            return Err(Errno::LOOP.into());
        }
        let target = readlinkat(&next, "", Vec::new())?;
        let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
        if target.is_absolute() {
            self.here = File::from(openat(CWD, "/", LOOK, Mode::empty())?);
            self.shown = PathBuf::from("/");
        }
        names(&target).into_iter().rev().for_each(|name| self.rest.push_front(name));
        Ok(())
    }

    fn note(&mut self, step: &Path, metadata: &Metadata) {
        if metadata.uid() != 0 {
            self.owners.push((step.to_owned(), metadata.uid()));
        }
    }
}

/// The names in a path that lead somewhere.
fn names(path: &Path) -> VecDeque<OsString> {
    let name = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(name).collect()
}
