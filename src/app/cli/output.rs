//! The standard output of a command, with errors that name it.

use std::io::{self, Stdout, Write};

/// A writer to standard output.
pub(super) struct Output(pub(super) Stdout);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(named)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(named)
    }
}

/// Adds the name of standard output, and keeps the kind of the error, which decides the exit code.
fn named(error: io::Error) -> io::Error {
    match error.kind() {
        // The caller retries.
        io::ErrorKind::Interrupted => error,
        kind => io::Error::new(kind, format!("cannot write to standard output: {error}")),
    }
}
