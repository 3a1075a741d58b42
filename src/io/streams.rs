//! Writing to standard output and standard error. They may be a pipe that is not read, shared with other programs, or a
//! file on a full disk.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, poll};

/// The error for an incomplete write.
#[derive(Debug)]
pub struct WriteError {
    /// The number of bytes written before the error.
    pub written: usize,
    /// The error of the operating system.
    pub error: io::Error,
}

/// Duplicates the descriptor of a stream, so that a write that waits does not hold a lock of the standard library.
pub fn duplicate(stream: impl AsFd) -> io::Result<File> {
    stream.as_fd().try_clone_to_owned().map(File::from)
}

/// Writes all of `bytes`, and waits as long as they are not read. This also works if another program that shares the
/// stream has made it non-blocking.
pub fn write_all(out: &mut (impl Write + AsFd), bytes: &[u8]) -> Result<(), WriteError> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let step = match out.write(rest) {
            Ok(0) => Err(ErrorKind::WriteZero.into()),
            Ok(count) => {
                rest = rest.get(count..).unwrap_or_default();
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => wait(out.as_fd()),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = step {
            return Err(WriteError { written: bytes.len() - rest.len(), error });
        }
    }
    Ok(())
}

fn wait(stream: BorrowedFd<'_>) -> io::Result<()> {
    match poll(&mut [PollFd::from_borrowed_fd(stream, PollFlags::OUT)], None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use rustix::fs::{OFlags, fcntl_setfl};

    use super::*;

    #[test]
    fn a_non_blocking_pipe_receives_everything() {
        let (mut reader, writer) = io::pipe().unwrap();
        fcntl_setfl(&writer, OFlags::NONBLOCK).unwrap();
        // Several times what a pipe holds.
        let sent = vec![b'x'; 1 << 20];
        let mut got = vec![0; sent.len()];
        let mut out = duplicate(&writer).unwrap();
        std::thread::scope(|scope| {
            let writing = scope.spawn(|| write_all(&mut out, &vec![b'x'; 1 << 20]));
            reader.read_exact(&mut got).unwrap();
            assert!(writing.join().unwrap().is_ok());
        });
        assert!(got == sent);
    }

    #[test]
    fn an_error_contains_the_number_of_bytes_written() {
        let mut full = File::options().write(true).open("/dev/full").unwrap();
        let failed = write_all(&mut full, b"abc").unwrap_err();
        assert_eq!((failed.written, failed.error.kind()), (0, ErrorKind::StorageFull));
    }
}
