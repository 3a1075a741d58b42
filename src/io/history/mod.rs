//! The history in `history.db`, an SQLite file in the state directory (docs/history.md). Only this module knows SQLite.
//!
//! Files are written and read on threads of their own: a worn SD card can block for a minute, and another program can lock
//! the file.

mod error;
mod file;
mod pages;
pub mod rows;
mod schema;
mod stored;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

pub use error::Error;
pub use file::{HistoryFile, NAME};
pub use pages::{Days, DaysOfAll, Samples, counted_on, first_date, gateways, recorded_before};
use rows::{Batch, Counted};
use writer::{Outcome, Writer};

use crate::base::reading::Serial;
use crate::io::state_dir::Disk;

/// Writes the history in the background.
#[derive(Clone, Debug)]
pub struct History {
    file: HistoryFile,
    writer: Arc<Mutex<Writer>>,
    disk: Disk,
}

impl History {
    /// Creates the writer of the history in `directory`, which works on `disk`. Nothing is opened yet.
    pub fn new(directory: &Path, disk: Disk) -> Self {
        let file = HistoryFile::inside(directory);
        let writer = Arc::new(Mutex::new(Writer::new(file.clone())));
        Self { file, writer, disk }
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Reads the totals of `gateway` up to which the days are counted.
    pub async fn totals(&self, gateway: &Serial) -> Result<Vec<Counted>, Error> {
        let gateway = gateway.clone();
        self.run(move |writer| writer.totals(&gateway)).await
    }

    /// Writes `batches` in one transaction. After `Ok` they survive a power cut.
    pub async fn write(&self, batches: Arc<Vec<Batch>>) -> Result<(), Error> {
        self.run(move |writer| writer.write(&batches)).await
    }

    /// Writes batches that are made while they are written, one transaction each. Returns at once.
    pub fn write_in_background(&self, batches: impl Iterator<Item = Batch> + Send + 'static) {
        let mut writer = Writer::new(self.file.clone());
        let is_started = self.disk.start(move || {
            for batch in batches {
                if let (Err(error), _) = writer.write(&[batch]) {
                    tracing::debug!("{error}");
                    return;
                }
            }
        });
        if !is_started {
            tracing::debug!("the disk takes no work");
        }
    }

    /// Closes the file.
    pub async fn close(&self) {
        let closed = self.run(|writer| {
            writer.close();
            (Ok(()), None)
        });
        closed.await.unwrap_or_default();
    }

    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Writer) -> Outcome<T> + Send + 'static,
    ) -> Result<T, Error> {
        let (done, result) = oneshot::channel();
        let writer = Arc::clone(&self.writer);
        let work = move || {
            let outcome = job(&mut writer.lock().unwrap_or_else(PoisonError::into_inner));
            // The caller may have given up.
            drop(done.send(outcome));
        };
        if !self.disk.start(work) {
            return Err(Error::Stalled);
        }
        let Ok((result, aside)) = result.await else { return Err(Error::Stalled) };
        if let Some(aside) = aside {
            tracing::warn!(
                file = %aside.display(),
                "the history {} was damaged and is set aside; a new history begins",
                self.path().display()
            );
        }
        result
    }
}

#[cfg(test)]
mod tests;
