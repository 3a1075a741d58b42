//! Opens one file relative to its directory, without following a link and without waiting for anybody.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;

use rustix::fs::{Mode, OFlags, openat};
use rustix::process::geteuid;

use crate::io::files;

/// Prevents waiting for the other end of a FIFO, and taking over a terminal.
const OPEN: OFlags = OFlags::CLOEXEC.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// Reads the metadata of `name` without opening the file.
pub(super) fn look(directory: &File, name: &str) -> io::Result<Metadata> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    File::from(openat(directory, name, flags, Mode::empty())?).metadata()
}

/// Opens a regular file. Checks the metadata first, because opening some devices triggers an action.
pub(super) fn open(directory: &File, name: &str, access: OFlags) -> Result<File, files::Error> {
    files::expect_regular(&look(directory, name)?)?;
    let file = File::from(openat(directory, name, OPEN | access, Mode::empty()).map_err(io::Error::from)?);
    let metadata = file.metadata()?;
    files::expect_regular(&metadata)?;
    // Our own files may have a second name in a backup made of hard links.
    if metadata.nlink() > 1 && metadata.uid() != geteuid().as_raw() {
        return Err(files::Error::NotAFile("a link to a file of another user"));
    }
    Ok(file)
}

pub(super) fn create(directory: &File, name: &str, how: OFlags) -> io::Result<File> {
    let flags = OPEN | OFlags::RDWR | OFlags::CREATE | how;
    Ok(openat(directory, name, flags, Mode::RUSR | Mode::WUSR)?.into())
}
