//! The path to the state directory. Root checks every component: a link or a directory that another user can change could
//! lead outside the state directory.

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

/// The maximum number of symbolic links in a path, as in the kernel.
const LINKS: u32 = 40;
/// Opens a file of any kind (a link, a FIFO, a device) without triggering an action of it.
const LOOK: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The destination of a path.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    /// The directory, or its deepest existing parent.
    directory: File,
    /// The owner of `directory`.
    pub(super) uid: u32,
    /// The group of `directory`.
    pub(super) gid: u32,
    /// The directories below `directory` that do not exist yet.
    missing: VecDeque<OsString>,
}

impl Place {
    /// Follows `path` component by component. Each must belong to root or to the owner of the last one, because any other
    /// user could redirect the path.
    pub(super) fn find(path: &Path) -> Result<Self, Error> {
        let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
        let mut way = Way::begin(path).map_err(unreadable)?;
        let missing = way.follow().map_err(unreadable)?;
        let metadata = way.here.metadata().map_err(unreadable)?;
        let (uid, gid) = (metadata.uid(), metadata.gid());
        if let Some((step, other)) = way.owners.iter().find(|(_, owner)| *owner != uid) {
            let why = format!(
                "the path leads through {step}, which belongs to user {other}, and that user could redirect it. Give the \
                 directory to that user (chown -R {other} {path}), or set state_dir to another path",
                step = step.display(),
                path = path.display()
            );
            return Err(Error::Foreign { path: path.to_owned(), why });
        }
        Ok(Self { path: path.to_owned(), directory: way.here, uid, gid, missing })
    }

    /// Creates the missing directories (mode 0700), and opens the last one.
    pub(super) fn make(mut self) -> Result<File, Error> {
        let missing = std::mem::take(&mut self.missing);
        let made = missing.into_iter().try_fold(self.directory, |here, name| {
            match mkdirat(&here, &name, Mode::RWXU) {
                // Another process may have created it meanwhile.
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

/// A path that is being followed.
struct Way {
    here: File,
    /// The path of `here`, for messages.
    shown: PathBuf,
    rest: VecDeque<OsString>,
    /// The components so far that do not belong to root, with their owners.
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

    /// Follows the rest of the path up to the first missing component. Returns the missing components.
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

    /// Enters the directory `next`, or follows it if it is a link.
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

/// Returns the components of a path, without the root and `.`.
fn names(path: &Path) -> VecDeque<OsString> {
    let name = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(name).collect()
}
