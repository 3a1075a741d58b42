//! What is done with tokens that have come: kept, taken into use, dropped, forgotten; and what the gateway thinks
//! of them, written down.

use std::time::Duration;

use super::{Error, Supply};
use crate::logins::age::Heard;
use crate::reading::Serial;
use crate::state;
use crate::token::Token;
use crate::token::store::{self, Origin};

impl Supply {
    /// Keeps a token that has just come, beside the one in use.
    pub(super) fn keep(&self, serial: &Serial, token: &Token, origin: Origin) -> Result<(), state::Error> {
        let mut tokens = self.tokens(serial)?;
        tokens.arrived(token.clone(), origin, self.clock.now());
        store::save(&self.state, serial, &tokens)
    }

    /// Stores a token that a person brought.
    pub async fn import(&self, token: &Token, patience: Duration) -> Result<(), Error> {
        let _lock = self.lock(patience).await?;
        Ok(self.keep(&token.serial, token, Origin::Import)?)
    }

    /// Forgets the tokens of a gateway. The record of logins stays: it is what the next login is judged by.
    pub async fn forget(&self, serial: &Serial, patience: Duration) -> Result<(), Error> {
        let _lock = self.lock(patience).await?;
        Ok(store::forget(&self.state, serial)?)
    }

    /// The gateway accepted `candidate`, which is the token in use from now on, unless another process has put
    /// one in its place meanwhile that the gateway has not seen.
    pub async fn promote(&mut self, candidate: &Token) -> Result<(), Error> {
        let serial = &candidate.serial;
        let _lock = self.lock(Duration::ZERO).await?;
        let mut tokens = self.tokens(serial)?;
        if !tokens.candidate.as_ref().is_some_and(|kept| kept.token == *candidate) {
            return Ok(());
        }
        tokens.promote(self.clock.now());
        Ok(store::save(&self.state, serial, &tokens)?)
    }

    /// The gateway refused `candidate` clearly and twice, and the token in use stays.
    pub async fn drop_candidate(&mut self, candidate: &Token) -> Result<(), Error> {
        let serial = &candidate.serial;
        let _lock = self.lock(Duration::ZERO).await?;
        let mut tokens = self.tokens(serial)?;
        tokens.candidate = tokens.candidate.filter(|kept| kept.token != *candidate);
        Ok(store::save(&self.state, serial, &tokens)?)
    }

    /// The gateway answered `token` with a clean 401 while `/info` answered. `true` when that is the second
    /// time, at least five minutes after the first, by clocks that agree. A gateway that does not tell the time has
    /// no clock to agree with, so its refusals are not clear: a token that it has really revoked is replaced when it
    /// expires or when the operator asks.
    pub async fn refused(&mut self, serial: &Serial, token: &Token, heard: Heard) -> Result<bool, Error> {
        let sight = self.sight(heard);
        if !sight.clocks_agree() {
            return Ok(false);
        }
        let lock = self.lock(Duration::ZERO).await?;
        let mut record = self.ledger.read_under(&lock, serial, &sight)?;
        if record.refused(serial, &token.id(), &sight) {
            self.ledger.write(&record)?;
        }
        Ok(record.is_refused(serial, &token.id()))
    }

    /// The gateway accepts `token`, be it again.
    pub async fn accepted(&mut self, serial: &Serial, token: &Token) -> Result<(), Error> {
        let sight = self.sight(Heard::Nothing);
        if !self.ledger.read(serial, &sight)?.has_refusal(serial, &token.id()) {
            return Ok(());
        }
        let lock = self.lock(Duration::ZERO).await?;
        let mut record = self.ledger.read_under(&lock, serial, &sight)?;
        if record.accepted(serial, &token.id()) {
            self.ledger.write(&record)?;
        }
        Ok(())
    }
}
