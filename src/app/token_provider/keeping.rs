//! What is done with tokens that have come: kept, taken into use, dropped, forgotten; and what the gateway thinks
//! of them, written down.

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
    /// The stored tokens of a gateway.
    pub async fn tokens(&mut self, serial: &Serial) -> Result<Tokens, state_dir::Error> {
        self.stored.tokens(serial).await
    }

    /// Tells one version of the stored tokens from the next, cheaply.
    pub async fn stamp(&self, serial: &Serial) -> Option<Stamp> {
        self.stored.stamp(serial).await
    }

    /// Keeps a token that has just come, beside the one in use.
    pub(super) async fn keep(
        &mut self,
        serial: &Serial,
        token: &Token,
        origin: Origin,
    ) -> Result<(), state_dir::Error> {
        let mut tokens = match self.stored.tokens(serial).await {
            // They were read before the token was fetched, if there were any.
            Err(state_dir::Error::Stalled { .. }) => self.stored.in_memory(serial).unwrap_or_default(),
            read => read?,
        };
        tokens.arrived(token.clone(), origin, self.clock.now());
        self.stored.save(serial, &tokens).await
    }

    /// Stores a token that a person brought.
    pub async fn import(&mut self, token: &Token, patience: Duration) -> Result<(), Error> {
        let _lock = self.lock(patience).await?;
        Ok(self.keep(&token.serial, token, Origin::Import).await?)
    }

    /// Forgets the tokens of a gateway. The record of logins stays: it is what the next login is judged by.
    pub async fn forget(&mut self, serial: &Serial, patience: Duration) -> Result<(), Error> {
        let _lock = self.lock(patience).await?;
        Ok(self.stored.forget(serial).await?)
    }

    /// The gateway accepted `candidate`, which is the token in use from now on, unless another process has put
    /// one in its place meanwhile that the gateway has not seen.
    pub async fn promote(&mut self, candidate: &Token) -> Result<(), Error> {
        let serial = &candidate.serial;
        self.accepted(serial, candidate).await?;
        let _lock = self.lock(Duration::ZERO).await?;
        let mut tokens = self.stored.tokens(serial).await?;
        if !tokens.candidate.as_ref().is_some_and(|kept| kept.token == *candidate) {
            return Ok(());
        }
        tokens.promote(self.clock.now());
        Ok(self.stored.save(serial, &tokens).await?)
    }

    /// The gateway refused `candidate` clearly and twice, and the token in use stays.
    pub async fn drop_candidate(&mut self, candidate: &Token) -> Result<(), Error> {
        let serial = &candidate.serial;
        let _lock = self.lock(Duration::ZERO).await?;
        let mut tokens = self.stored.tokens(serial).await?;
        tokens.candidate = tokens.candidate.filter(|kept| kept.token != *candidate);
        Ok(self.stored.save(serial, &tokens).await?)
    }

    /// The gateway answered `token` with a clean 401 while `/info` answered. `true` when that is the second
    /// time, at least five minutes after the first with no acceptance in between, by clocks that agree. A gateway that
    /// does not tell the time has no clock to agree with, so its refusals count only for a token that has expired: one
    /// that it has really revoked is replaced when it expires or when the operator asks.
    pub async fn refused(
        &mut self,
        serial: &Serial,
        token: &Token,
        gateway_time: GatewayTime,
    ) -> Result<bool, Error> {
        let (id, clocks) = (token.id(), self.clocks(gateway_time));
        if weight(token, &*self.ledger.read(serial, &clocks).await?, &clocks) == Weight::Nothing {
            self.verdicts.note(serial, &id, Verdict::Refused);
            return Ok(false);
        }
        let lock = self.lock(Duration::ZERO).await?;
        let mut record = self.ledger.read_under(&lock, serial, &clocks).await?;
        // An acceptance that could not be written down ended the refusals before it all the same.
        let changed = self.verdicts.complete(serial, &mut record);
        if record.refused(serial, &id, &clocks) || changed {
            self.ledger.write(&record).await?;
        }
        self.verdicts.note_unwritten(&id, false);
        self.verdicts.note(serial, &id, Verdict::Refused);
        Ok(record.is_refused(serial, &id))
    }

    /// The gateway accepts `token`: whatever it refused before, and whatever the clocks show.
    pub async fn accepted(&mut self, serial: &Serial, token: &Token) -> Result<(), Error> {
        let (id, clocks) = (token.id(), self.clocks(GatewayTime::NoResponse));
        self.verdicts.note(serial, &id, Verdict::Accepted);
        // Until it is on disk, or there is nothing to write.
        self.verdicts.note_unwritten(&id, true);
        if self.ledger.read(serial, &clocks).await?.has_refusal(serial, &id) {
            let lock = self.lock(Duration::ZERO).await?;
            let mut record = self.ledger.read_under(&lock, serial, &clocks).await?;
            if record.accepted(serial, &id) {
                self.ledger.write(&record).await?;
            }
        }
        self.verdicts.note_unwritten(&id, false);
        Ok(())
    }

    /// The gateway was asked about `token`, and its response says nothing about it.
    pub fn unclear(&mut self, serial: &Serial, token: &Token) {
        self.verdicts.note(serial, &token.id(), Verdict::Unclear);
    }
}
