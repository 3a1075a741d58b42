//! Standard output of a command: its errors name it.

use std::io::{self, Stdout, Write};

/// Standard output.
pub(super) struct Output(pub(super) Stdout);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(named)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(named)
    }
}

/// The same kind of error, by which the exit code is chosen.
fn named(error: io::Error) -> io::Error {
    match error.kind() {
        // Not an end: it is tried again.
        io::ErrorKind::Interrupted => error,
        kind => io::Error::new(kind, format!("cannot write to standard output: {error}")),
    }
}
