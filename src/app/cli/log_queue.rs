//! The way of the daemon's log lines to standard error. A thread writes them, so that a pipe which nobody reads, a
//! stopped terminal or a dying disk under the log stops nothing else.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::io::streams;

/// Bytes of lines that wait at most; then the oldest are lost.
const ROOM: usize = 256 * 1024;
/// Writing a line takes less than a page of stack.
const STACK: usize = 64 * 1024;

/// Log lines that wait to be written. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct LogQueue(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: VecDeque<Vec<u8>>,
    /// How many bytes the lines have together.
    bytes: usize,
    /// Lines that nobody will see: they had no room or could not be written.
    lost: u64,
    /// Whether a line is being written now.
    writing: bool,
}

impl Waiting {
    fn push(&mut self, line: Vec<u8>) {
        self.bytes += line.len();
        self.lines.push_back(line);
        // The newest are worth more to whoever reads again.
        while self.bytes > ROOM && self.lines.len() > 1 {
            self.pop();
            self.lost += 1;
        }
    }

    fn pop(&mut self) -> Option<Vec<u8>> {
        let line = self.lines.pop_front()?;
        self.bytes -= line.len();
        Some(line)
    }

    fn is_done(&self) -> bool {
        self.lines.is_empty() && !self.writing
    }
}

impl LogQueue {
    /// Begins to write to `out`. `note` makes the line about lines that were lost. An error where no thread can be had.
    pub(super) fn start<W>(out: W, note: impl Fn(u64) -> String + Send + 'static) -> io::Result<Self>
    where
        W: io::Write + AsFd + Send + 'static,
    {
        let queue = Self(Arc::default());
        let shared = Arc::clone(&queue.0);
        let writer = thread::Builder::new().name("log".to_owned()).stack_size(STACK);
        writer.spawn(move || shared.write(out, note))?;
        Ok(queue)
    }

    /// Adds a line, its end included. Never waits for whoever reads it.
    pub(super) fn push(&self, line: Vec<u8>) {
        self.0.waiting().push(line);
        self.0.changed.notify_all();
    }

    /// Waits until everything is written, but no longer than `patience`.
    pub(super) fn flush(&self, patience: Duration) {
        let waiting = self.0.waiting();
        drop(self.0.changed.wait_timeout_while(waiting, patience, |waiting| !waiting.is_done()));
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what comes, for ever.
    fn write<W: io::Write + AsFd>(&self, mut out: W, note: impl Fn(u64) -> String) {
        loop {
            let (line, lost) = self.next();
            let noted = lost == 0 || streams::write_all(&mut out, note(lost).as_bytes()).is_ok();
            let written = noted && streams::write_all(&mut out, &line).is_ok();
            let mut waiting = self.waiting();
            waiting.writing = false;
            waiting.lost += u64::from(!written) + if noted { 0 } else { lost };
            drop(waiting);
            self.changed.notify_all();
        }
    }

    /// The next line, once there is one, and how many were lost before it.
    fn next(&self) -> (Vec<u8>, u64) {
        let mut waiting = self.waiting();
        loop {
            if let Some(line) = waiting.pop() {
                waiting.writing = true;
                return (line, std::mem::take(&mut waiting.lost));
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// One event on its way into the queue.
#[derive(Debug)]
pub(super) struct Entry(pub(super) LogQueue);

impl io::Write for Entry {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{BufRead, BufReader};
    use std::os::fd::OwnedFd;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn queue(out: impl Into<OwnedFd>) -> LogQueue {
        LogQueue::start(File::from(out.into()), |lost| format!("{lost} lost\n")).unwrap()
    }

    #[test]
    fn lines_come_in_their_order_and_a_flush_waits_for_them() {
        let (reader, writer) = io::pipe().unwrap();
        let queue = queue(writer);
        for n in 0..10 {
            queue.push(format!("{n}\n").into_bytes());
        }
        queue.flush(LONG);
        let lines = BufReader::new(reader).lines().take(10).map(Result::unwrap);
        assert!(lines.eq((0..10).map(|n: u32| n.to_string())));
    }

    #[test]
    fn a_reader_that_hangs_holds_nothing_up_and_is_shown_the_newest_and_how_many_are_lost() {
        let (reader, writer) = io::pipe().unwrap();
        let queue = queue(writer);
        let total = 20_000_u64;
        for n in 0..total {
            queue.push(format!("{n:>99}\n").into_bytes());
        }
        queue.flush(Duration::from_millis(1));
        assert!(queue.0.waiting().bytes <= ROOM);
        let (mut seen, mut lost) = (0, 0);
        for line in BufReader::new(reader).lines().map(Result::unwrap) {
            match line.strip_suffix(" lost") {
                Some(count) => lost += count.parse::<u64>().unwrap(),
                None => seen += 1,
            }
            if line.trim() == (total - 1).to_string() {
                break;
            }
        }
        assert!(lost > 0);
        assert_eq!(seen + lost, total);
    }

    #[test]
    fn lines_that_a_full_disk_refuses_are_counted() {
        let queue = queue(File::options().write(true).open("/dev/full").unwrap());
        for _ in 0..5 {
            queue.push(b"line\n".to_vec());
        }
        queue.flush(LONG);
        assert_eq!(queue.0.waiting().lost, 5);
    }
}
