//! The stored tokens of the gateways, read from the disk where they have changed.

use super::Supply;
use crate::logins::decision::TokenFacts;
use crate::reading::Serial;
use crate::state::{self, Stamp};
use crate::token::store::{self, Tokens};

impl Supply {
    /// The stored tokens of a gateway.
    pub fn tokens(&self, serial: &Serial) -> Result<Tokens, state::Error> {
        let loaded = store::load(&self.state, serial)?;
        if let Some(path) = loaded.damaged {
            let file = path.display();
            if loaded.tokens == Tokens::default() {
                tracing::warn!(%file, "the token file was damaged, and has no copy");
            } else if let Err(error) = store::save(&self.state, serial, &loaded.tokens) {
                // A disk that cannot be written to costs the login, not the reading (L4).
                tracing::debug!(%file, "{error}; the copy of the damaged token is used");
            } else {
                tracing::warn!(%file, "the token file was damaged; its copy is used");
            }
        }
        Ok(loaded.tokens)
    }

    /// Tells one version of the stored tokens from the next, cheaply.
    pub fn stamp(&self, serial: &Serial) -> Option<Stamp> {
        store::stamp(&self.state, serial)
    }

    /// What the rules need to know of the stored tokens, from the disk only where that has changed: each poll asks.
    pub(super) fn known_facts(&mut self, serial: &Serial) -> Result<Vec<TokenFacts>, state::Error> {
        let stamp = self.stamp(serial);
        match self.stored.get(serial).filter(|(known, _)| Some(*known) == stamp) {
            Some((_, stored)) => Ok(stored.clone()),
            None => self.read_facts(serial),
        }
    }

    /// What the rules need to know of the stored tokens, from the files themselves.
    pub(super) fn read_facts(&mut self, serial: &Serial) -> Result<Vec<TokenFacts>, state::Error> {
        let stamp = self.stamp(serial);
        let tokens = self.tokens(serial)?;
        // A candidate waits for the gateway's word: until then nothing else is wanted.
        let stored = tokens.candidate.iter().chain(&tokens.current);
        let stored: Vec<TokenFacts> =
            stored.map(|kept| TokenFacts::new(&kept.token, kept.stored_at)).collect();
        match stamp {
            Some(stamp) => self.stored.insert(serial.clone(), (stamp, stored.clone())),
            None => self.stored.remove(serial),
        };
        Ok(stored)
    }
}
