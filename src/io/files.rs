//! Bounded reading of regular files. A path from a person or another program may name a FIFO, which never ends, or a
//! device such as `/dev/zero`, which would fill the memory.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;
use zeroize::Zeroizing;

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An error of the operating system. Its kind decides whether a later attempt may succeed.
    #[error(transparent)]
    System(#[from] io::Error),
    /// The path does not name a regular file.
    #[error("it is {0}, not a regular file")]
    NotAFile(&'static str),
    /// The file has more bytes than a file of its kind ever needs.
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
    /// The file is not UTF-8 text.
    #[error("it is not UTF-8 text")]
    NotText,
}

impl Error {
    /// Returns whether the path does not exist.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::System(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

/// Returns whether a person has to change the path or the file there. Any other error (a worn disk, no free descriptor
/// or memory) may be temporary.
pub fn needs_a_person(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, IsADirectory, NotADirectory, NotFound, PermissionDenied};
    matches!(error.kind(), NotFound | PermissionDenied | NotADirectory | IsADirectory | InvalidFilename)
        || error.raw_os_error() == Some(Errno::LOOP.raw_os_error())
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::System(error) => error,
            other => Self::other(other),
        }
    }
}

/// Reads a whole regular file of at most `limit` bytes. Follows symbolic links, and never waits for a writer. The
/// content is wiped when it is dropped.
pub fn read_bounded(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, Error> {
    // Checked before opening, because the opening alone has an effect on some devices (a watchdog, a tape).
    expect_regular(&fs::metadata(path)?)?;
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    read_file(file, limit)
}

/// Reads an open regular file of at most `limit` bytes from the current position.
pub fn read_file(file: File, limit: u64) -> Result<Zeroizing<Vec<u8>>, Error> {
    let metadata = file.metadata()?;
    expect_regular(&metadata)?;
    if metadata.len() > limit {
        return Err(Error::TooLarge(limit));
    }
    // Allocated at once: a buffer that grows leaves copies behind that are not wiped.
    let room = usize::try_from(metadata.len()).unwrap_or_default().saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    // The file may grow while it is read, and files in /proc report a size of 0.
    let read = file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > limit { Err(Error::TooLarge(limit)) } else { Ok(bytes) }
}

/// Returns an error that names the kind of the file, unless it is a regular file.
pub fn expect_regular(metadata: &Metadata) -> Result<(), Error> {
    let kind = metadata.file_type();
    if kind.is_file() {
        return Ok(());
    }
    let name = if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_symlink() {
        "a symbolic link"
    } else {
        "a device"
    };
    Err(Error::NotAFile(name))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, FileType as Kind, Mode, mknodat};

    use super::*;

    fn words(path: &Path) -> String {
        read_bounded(path, 10).unwrap_err().to_string()
    }

    #[test]
    fn a_file_is_read_up_to_the_limit_and_not_beyond() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        for (text, limit) in [("", 0), ("1234567890", 10), ("12345678901", 11)] {
            fs::write(&path, text).unwrap();
            assert_eq!(read_bounded(&path, limit).unwrap().as_slice(), text.as_bytes());
        }
        assert_eq!(words(&path), "it is larger than 10 bytes");
        assert!(read_bounded(&dir.path().join("none"), 10).unwrap_err().is_missing());
    }

    #[test]
    fn a_file_that_reports_no_size_is_bounded_too() {
        let path = Path::new("/proc/self/status");
        assert!(!read_bounded(path, 1 << 20).unwrap().is_empty());
        assert_eq!(words(path), "it is larger than 10 bytes");
    }

    #[test]
    fn a_link_to_a_file_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "text").unwrap();
        symlink("file", dir.path().join("link")).unwrap();
        assert_eq!(read_bounded(&dir.path().join("link"), 10).unwrap().as_slice(), b"text");
    }

    #[test]
    fn a_special_file_is_refused_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let (fifo, socket) = (dir.path().join("fifo"), dir.path().join("socket"));
        mknodat(CWD, &fifo, Kind::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let _socket = UnixListener::bind(&socket).unwrap();
        symlink(&fifo, dir.path().join("link")).unwrap();
        assert_eq!(words(&fifo), "it is a FIFO, not a regular file");
        assert_eq!(words(&dir.path().join("link")), "it is a FIFO, not a regular file");
        assert_eq!(words(&socket), "it is a socket, not a regular file");
        assert_eq!(words(dir.path()), "it is a directory, not a regular file");
        assert_eq!(words(Path::new("/dev/zero")), "it is a device, not a regular file");
        let open = File::open("/dev/zero").unwrap();
        assert_eq!(read_file(open, 10).unwrap_err().to_string(), "it is a device, not a regular file");
    }
}
