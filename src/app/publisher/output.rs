//! A stream that is written on another thread, so that a reader that hangs or a disk that fails delays nothing else.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

use tokio::task::{JoinHandle, spawn_blocking};

use crate::io::streams;

/// A stream, and the write to it that is in progress.
#[derive(Debug)]
pub struct Output<W = File> {
    /// `None` during a write.
    out: Option<W>,
    writing: Option<JoinHandle<(W, Written)>>,
    /// `true` if the last write ended in the middle of a line.
    torn: bool,
}

#[derive(Debug)]
struct Written {
    torn: bool,
    done: io::Result<()>,
}

impl Output<File> {
    /// Opens standard output.
    pub fn standard() -> io::Result<Self> {
        streams::duplicate(io::stdout()).map(Self::new)
    }
}

impl<W: Write + AsFd + Send + 'static> Output<W> {
    /// Creates an output that writes to `out`.
    pub const fn new(out: W) -> Self {
        Self { out: Some(out), writing: None, torn: false }
    }

    /// Writes whole lines, after any write in progress. If an earlier write was cut off within a line, that line is ended
    /// first. If this future is dropped, the write continues, and `settled` waits for it.
    pub async fn write(&mut self, lines: String) -> io::Result<()> {
        // The caller that dropped the earlier write would have handled its error.
        self.settled().await.unwrap_or_default();
        let Some(mut out) = self.out.take() else {
            return Err(io::Error::other("the thread that writes has ended"));
        };
        let lines = if self.torn { format!("\n{lines}") } else { lines };
        let torn = self.torn;
        self.writing = Some(spawn_blocking(move || {
            let written = write(&mut out, &lines, torn);
            (out, written)
        }));
        self.settled().await
    }

    /// Waits for the write in progress, if any.
    pub(super) async fn settled(&mut self) -> io::Result<()> {
        let Some(writing) = &mut self.writing else { return Ok(()) };
        let ended = writing.await;
        self.writing = None;
        let (out, written) = ended.map_err(io::Error::other)?;
        self.out = Some(out);
        self.torn = written.torn;
        written.done
    }
}

fn write(out: &mut (impl Write + AsFd), lines: &str, torn: bool) -> Written {
    match streams::write_all(out, lines.as_bytes()) {
        Ok(()) => Written { torn: false, done: Ok(()) },
        Err(failed) => {
            let last = failed.written.checked_sub(1).and_then(|last| lines.as_bytes().get(last));
            Written { torn: last.map_or(torn, |last| *last != b'\n'), done: Err(failed.error) }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::BorrowedFd;

    use super::*;

    /// A disk with limited room.
    struct Disk {
        room: usize,
        held: Vec<u8>,
        file: File,
    }

    impl Disk {
        fn new(room: usize) -> Self {
            Self { room, held: Vec::new(), file: File::open("/dev/null").unwrap() }
        }
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let fits = bytes.len().min(self.room);
            if fits == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= fits;
            self.held.extend(&bytes[..fits]);
            Ok(fits)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl AsFd for Disk {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.file.as_fd()
        }
    }

    #[tokio::test]
    async fn a_line_that_a_full_disk_cut_off_is_ended_before_the_next() {
        let mut out = Output::new(Disk::new(9));
        out.write("first\n".to_owned()).await.unwrap();
        for _ in 0..2 {
            let error = out.write("second\n".to_owned()).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        }
        out.out.as_mut().unwrap().room = 100;
        out.write("third\n".to_owned()).await.unwrap();
        assert_eq!(String::from_utf8(out.out.unwrap().held).unwrap(), "first\nsec\nthird\n");
    }

    #[tokio::test]
    async fn a_write_that_was_dropped_comes_before_the_next() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut out = Output::new(File::from(std::os::fd::OwnedFd::from(writer)));
        let long = format!("{}\n", "a".repeat(1 << 20));
        tokio::select! {
            biased;
            _ = out.write(long.clone()) => panic!("a pipe holds less"),
            () = tokio::task::yield_now() => {}
        }
        let reading = spawn_blocking(move || {
            let mut all = String::new();
            io::Read::read_to_string(&mut reader, &mut all).unwrap();
            all
        });
        out.write("b\n".to_owned()).await.unwrap();
        drop(out);
        assert_eq!(reading.await.unwrap(), long + "b\n");
    }
}
