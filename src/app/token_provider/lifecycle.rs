//! The life of a token after it has arrived: stored, promoted, dropped or removed; and the gateway's verdicts on it.

use std::time::Duration;

use super::{Error, TokenProvider};
use crate::base::reading::Serial;
use crate::io::state_dir::{self, Stamp};
use crate::io::token::Token;
use crate::io::token::store::{Origin, Tokens};
use crate::rules::logins::clocks::GatewayTime;
use crate::rules::logins::need::{Weight, weight};
use crate::rules::logins::verdict::Verdict;

impl TokenProvider {
    /// Returns the stored tokens of a gateway.
    pub async fn tokens(&mut self, serial: &Serial) -> Result<Tokens, state_dir::Error> {
        self.stored.tokens(serial).await
    }

    /// Returns a stamp that changes with the stored tokens. Does not read the file.
    pub async fn stamp(&self, serial: &Serial) -> Option<Stamp> {
        self.stored.stamp(serial).await
    }

    /// Stores a token that has just arrived, beside the one in use.
    pub(super) async fn keep(
        &mut self,
        serial: &Serial,
        token: &Token,
        origin: Origin,
    ) -> Result<(), state_dir::Error> {
        let mut tokens = match self.stored.tokens(serial).await {
            // Existing tokens were read into memory before the new one was fetched.
            Err(state_dir::Error::Stalled { .. }) => self.stored.in_memory(serial).unwrap_or_default(),
            read => read?,
        };
        tokens.arrived(token.clone(), origin, self.clock.now());
        self.stored.save(serial, &tokens).await
    }

    /// Stores a token that a person imports.
    pub async fn import(&mut self, token: &Token, patience: Duration) -> Result<(), Error> {
        let _lock = self.lock(patience).await?;
        Ok(self.keep(&token.serial, token, Origin::Import).await?)
    }

    /// Removes the tokens of a gateway. The record of logins remains, because it limits the next login.
    pub async fn forget(&mut self, serial: &Serial, patience: Duration) -> Result<(), Error> {
        let _lock = self.lock(patience).await?;
        Ok(self.stored.forget(serial).await?)
    }

    /// Makes `candidate`, which the gateway has accepted, the token in use. Does nothing if another process has replaced
    /// the candidate in the meantime.
    pub async fn promote(&mut self, candidate: &Token) -> Result<(), Error> {
        let serial = &candidate.serial;
        self.accepted(serial, candidate).await?;
        let _lock = self.lock(Duration::ZERO).await?;
        let mut tokens = self.stored.tokens(serial).await?;
        if !tokens.candidate.as_ref().is_some_and(|stored| stored.token == *candidate) {
            return Ok(());
        }
        tokens.promote(self.clock.now());
        Ok(self.stored.save(serial, &tokens).await?)
    }

    /// Removes `candidate`, which the gateway has clearly refused twice. The token in use remains.
    pub async fn drop_candidate(&mut self, candidate: &Token) -> Result<(), Error> {
        let serial = &candidate.serial;
        let _lock = self.lock(Duration::ZERO).await?;
        let mut tokens = self.stored.tokens(serial).await?;
        tokens.candidate = tokens.candidate.filter(|stored| stored.token != *candidate);
        Ok(self.stored.save(serial, &tokens).await?)
    }

    /// Records that the gateway refused `token` with HTTP 401 while `/info` responded.
    ///
    /// Returns `true` for the second refusal, at least five minutes after the first and without an acceptance in between,
    /// by clocks that agree. If a gateway does not report the time, its refusals count only for an expired token. A token
    /// that such a gateway has really revoked is replaced when it expires, or when the operator requests it.
    pub async fn refused(
        &mut self,
        serial: &Serial,
        token: &Token,
        gateway_time: GatewayTime,
    ) -> Result<bool, Error> {
        let (id, clocks) = (token.id(), self.clocks(gateway_time));
        if weight(token, &*self.record_file.read(serial, &clocks).await?, &clocks) == Weight::Nothing {
            self.verdicts.note(serial, &id, Verdict::Refused);
            return Ok(false);
        }
        let lock = self.lock(Duration::ZERO).await?;
        let mut record = self.record_file.read_under(&lock, serial, &clocks).await?;
        // An acceptance that could not be recorded still cancels the refusals before it.
        let changed = self.verdicts.complete(serial, &mut record);
        if record.refused(serial, &id, &clocks) || changed {
            self.record_file.write(&record).await?;
        }
        self.verdicts.note_unwritten(&id, false);
        self.verdicts.note(serial, &id, Verdict::Refused);
        Ok(record.is_refused(serial, &id))
    }

    /// Records that the gateway accepts `token`, and clears earlier refusals, regardless of the clocks.
    pub async fn accepted(&mut self, serial: &Serial, token: &Token) -> Result<(), Error> {
        let (id, clocks) = (token.id(), self.clocks(GatewayTime::NoResponse));
        self.verdicts.note(serial, &id, Verdict::Accepted);
        // Cleared below, once the acceptance is on disk or needs no write.
        self.verdicts.note_unwritten(&id, true);
        if self.record_file.read(serial, &clocks).await?.has_refusal(serial, &id) {
            let lock = self.lock(Duration::ZERO).await?;
            let mut record = self.record_file.read_under(&lock, serial, &clocks).await?;
            if record.accepted(serial, &id) {
                self.record_file.write(&record).await?;
            }
        }
        self.verdicts.note_unwritten(&id, false);
        Ok(())
    }

    /// Records that the gateway's response neither accepts nor refuses `token`.
    pub fn unclear(&mut self, serial: &Serial, token: &Token) {
        self.verdicts.note(serial, &token.id(), Verdict::Unclear);
    }
}
