//! The verdicts of the gateways on their tokens: kept in memory, and recorded when a decision may depend on them.

use std::time::Duration;

use super::error::Error;
use super::login_lock::LoginLock;
use super::record_file::RecordFile;
use crate::base::reading::Serial;
use crate::io::token::Token;
use crate::rules::logins::Record;
use crate::rules::logins::clocks::Clocks;
use crate::rules::logins::need::{Weight, weight};
use crate::rules::logins::verdict::{Verdict, Verdicts};

/// The verdicts of the gateways on their tokens.
#[derive(Debug)]
pub(super) struct GatewayVerdicts {
    lock: LoginLock,
    verdicts: Verdicts,
}

impl GatewayVerdicts {
    pub(super) fn new(lock: LoginLock) -> Self {
        Self { lock, verdicts: Verdicts::default() }
    }

    /// Returns the verdicts in memory.
    pub(super) fn in_memory(&self) -> &Verdicts {
        &self.verdicts
    }

    /// Returns whether the gateway accepts `token`, as far as this process knows.
    pub(super) fn is_accepted(&self, serial: &Serial, token: &Token) -> bool {
        self.verdicts.of(serial).contains(&(token.id(), Verdict::Accepted))
    }

    /// Returns `true` if an acceptance is missing in `record`.
    pub(super) fn completes(&self, serial: &Serial, record: &Record) -> bool {
        self.verdicts.completes(serial, record)
    }

    /// Adds the acceptances that could not be recorded to `record`. Returns `true` if the record changed.
    pub(super) fn complete(&self, serial: &Serial, record: &mut Record) -> bool {
        self.verdicts.complete(serial, record)
    }

    /// Records a refusal of `token`. Returns `true` for the second one that counts.
    pub(super) async fn refused(
        &mut self,
        record_file: &mut RecordFile,
        serial: &Serial,
        token: &Token,
        clocks: &Clocks,
    ) -> Result<bool, Error> {
        let id = token.id();
        if weight(token, &*record_file.read(serial, clocks).await?, clocks) == Weight::Nothing {
            self.verdicts.note(serial, &id, Verdict::Refused);
            return Ok(false);
        }
        let lock = self.lock.acquire(Duration::ZERO).await?;
        let mut record = record_file.read_under(&lock, serial, clocks).await?;
        // An acceptance that could not be recorded still cancels the refusals before it.
        let changed = self.complete(serial, &mut record);
        if record.refused(serial, &id, clocks) || changed {
            record_file.write(&record).await?;
        }
        self.verdicts.note_unwritten(&id, false);
        self.verdicts.note(serial, &id, Verdict::Refused);
        Ok(record.is_refused(serial, &id))
    }

    /// Records that the gateway accepts `token`, and clears earlier refusals.
    pub(super) async fn accepted(
        &mut self,
        record_file: &mut RecordFile,
        serial: &Serial,
        token: &Token,
        clocks: &Clocks,
    ) -> Result<(), Error> {
        let id = token.id();
        self.verdicts.note(serial, &id, Verdict::Accepted);
        // Cleared below, once the acceptance is on disk or needs no write.
        self.verdicts.note_unwritten(&id, true);
        // The file as it is now: a refusal that another process has just written must not outlive this acceptance.
        if record_file.read(serial, clocks).await?.has_refusal(serial, &id) {
            let lock = self.lock.acquire(Duration::ZERO).await?;
            let mut record = record_file.read_under(&lock, serial, clocks).await?;
            if record.accepted(serial, &id) {
                record_file.write(&record).await?;
            }
        }
        self.verdicts.note_unwritten(&id, false);
        Ok(())
    }

    /// Stores that the gateway's response neither accepts nor refuses `token`.
    pub(super) fn unclear(&mut self, serial: &Serial, token: &Token) {
        self.verdicts.note(serial, &token.id(), Verdict::Unclear);
    }
}
