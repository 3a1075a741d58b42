//! The queue of the daemon's log lines. A thread writes them to standard error, so that a pipe without a reader, a stopped
//! terminal or a failing disk delays nothing else.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::io::streams;

/// The maximum number of bytes in the queue. Beyond it the oldest lines are dropped.
const ROOM: usize = 256 * 1024;
/// The stack size of the thread. Writing a line takes less than one page.
const STACK: usize = 64 * 1024;

/// The log lines that wait to be written. Clones share them.
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
    /// The total number of bytes in the lines.
    bytes: usize,
    /// The number of lines that were dropped or could not be written.
    lost: u64,
    /// `true` if a line is being written now.
    writing: bool,
}

impl Waiting {
    fn push(&mut self, line: Vec<u8>) {
        self.bytes += line.len();
        self.lines.push_back(line);
        // The newest lines are the most useful ones when the reader is back.
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
    /// Starts a thread that writes to `out`. `note` formats the line about lost lines. Fails if no thread can be started.
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

    /// Adds a line, including its line ending. Never waits for the reader.
    pub(super) fn push(&self, line: Vec<u8>) {
        self.0.waiting().push(line);
        self.0.changed.notify_all();
    }

    /// Waits until everything is written, but at most for `limit`.
    pub(super) fn flush(&self, limit: Duration) {
        let waiting = self.0.waiting();
        drop(self.0.changed.wait_timeout_while(waiting, limit, |waiting| !waiting.is_done()));
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes lines as they arrive, forever.
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

    /// Waits for the next line, and returns it with the number of lines that were lost before it.
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

/// A writer that adds each event to the queue.
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
    fn lines_keep_their_order_and_a_flush_waits_for_them() {
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
    fn a_reader_that_hangs_delays_nothing_and_gets_the_newest_lines_and_the_number_of_lost_ones() {
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
