//! Standard output and standard error, which whoever started the program may leave unread, share with others, or put on
//! a full disk.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, poll};

/// What could not be written.
#[derive(Debug)]
pub struct Unwritten {
    /// How many bytes were taken before the error.
    pub written: usize,
    /// The system's reason.
    pub error: io::Error,
}

/// Another descriptor of a stream: no lock of the standard library is held while a write to it waits.
pub fn duplicate(stream: impl AsFd) -> io::Result<File> {
    stream.as_fd().try_clone_to_owned().map(File::from)
}

/// Writes all of `bytes`, and waits as long as nobody reads them. A stream that does not wait by itself, because a
/// program that shares it asked for that, is waited for here.
pub fn write_all(out: &mut (impl Write + AsFd), bytes: &[u8]) -> Result<(), Unwritten> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let step = match out.write(rest) {
            Ok(0) => Err(ErrorKind::WriteZero.into()),
            Ok(taken) => {
                rest = rest.get(taken..).unwrap_or_default();
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => wait(out.as_fd()),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = step {
            return Err(Unwritten { written: bytes.len() - rest.len(), error });
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
    fn a_pipe_that_does_not_wait_by_itself_gets_everything() {
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
    fn an_error_says_how_far_it_got() {
        let mut full = File::options().write(true).open("/dev/full").unwrap();
        let failed = write_all(&mut full, b"abc").unwrap_err();
        assert_eq!((failed.written, failed.error.kind()), (0, ErrorKind::StorageFull));
    }
}
