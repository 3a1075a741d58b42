//! The stored tokens of the gateways: read from the disk where they have changed, and kept in memory for a disk that
//! loses them.

use std::collections::BTreeMap;

use super::ledger::LOCK;
use crate::logins::decision::TokenFacts;
use crate::reading::Serial;
use crate::state::{self, Stamp, StateDir};
use crate::token::store::{self, Loaded, Source, Tokens};

/// The stored tokens of the gateways.
///
/// What was read or written last stays in memory. Files that are removed, damaged or unreadable while the process lives
/// cost no login: the token in memory is used, and written again (L4). Only `token forget` makes a process forget.
#[derive(Debug)]
pub(super) struct Stored {
    state: StateDir,
    kept: BTreeMap<Serial, Kept>,
    /// The trouble with the disk that was told.
    told: Option<String>,
}

#[derive(Debug)]
struct Kept {
    /// `None` while the file could not be read, so that it is looked at again.
    stamp: Option<Stamp>,
    tokens: Tokens,
    facts: Vec<TokenFacts>,
}

/// What came of writing a token again that was in memory alone.
enum Again {
    Written,
    /// Another process was faster.
    Found(Tokens),
    /// Another process is at it.
    Busy,
}

impl Stored {
    pub(super) fn new(state: StateDir) -> Self {
        Self { state, kept: BTreeMap::new(), told: None }
    }

    /// The stored tokens of a gateway.
    pub(super) fn tokens(&mut self, serial: &Serial) -> Result<Tokens, state::Error> {
        let loaded = match store::load(&self.state, serial) {
            Ok(loaded) => loaded,
            Err(error) => {
                let Some(tokens) = self.in_memory(serial) else { return Err(error) };
                self.tell_once(&error);
                return Ok(tokens);
            }
        };
        if loaded.source == Source::File {
            self.told = None;
            return Ok(loaded.tokens);
        }
        let is_lost = loaded.source == Source::Nothing;
        let tokens = if is_lost { self.in_memory(serial).unwrap_or_default() } else { loaded.tokens.clone() };
        if tokens == Tokens::default() {
            if let Some(path) = loaded.damaged {
                tracing::warn!(file = %path.display(), "the token file was damaged, and has no copy");
            }
            return Ok(tokens);
        }
        Ok(self.mended(serial, tokens, &loaded))
    }

    /// Writes `tokens` again, whose file is gone or damaged; returns the tokens that count.
    fn mended(&mut self, serial: &Serial, tokens: Tokens, loaded: &Loaded) -> Tokens {
        match self.write_again(serial, &tokens) {
            Ok(Again::Found(tokens)) => return tokens,
            Ok(Again::Busy) => {}
            Ok(Again::Written) => {
                self.told = None;
                match (&loaded.damaged, loaded.source) {
                    (Some(path), Source::Copy) => {
                        tracing::warn!(file = %path.display(), "the token file was damaged; its copy is used");
                    }
                    _ => tracing::warn!(
                        %serial,
                        "the stored token of the gateway was gone; the one in memory is stored again. `enphased token \
                         forget` removes a token for good"
                    ),
                }
            }
            // A disk that cannot be written to costs the login, not the reading (L4).
            Err(error) => self.tell_once(&error),
        }
        tokens
    }

    fn write_again(&self, serial: &Serial, tokens: &Tokens) -> Result<Again, state::Error> {
        let Some(_lock) = self.state.try_lock(LOCK)? else { return Ok(Again::Busy) };
        let now = store::load(&self.state, serial)?;
        if now.source == Source::File {
            return Ok(Again::Found(now.tokens));
        }
        store::save(&self.state, serial, tokens)?;
        Ok(Again::Written)
    }

    fn tell_once(&mut self, error: &state::Error) {
        let message = error.to_string();
        if self.told.as_ref() != Some(&message) {
            tracing::error!("{message}; the token in memory is used, until the restart");
            self.told = Some(message);
        }
    }

    fn in_memory(&self, serial: &Serial) -> Option<Tokens> {
        self.kept.get(serial).map(|kept| kept.tokens.clone())
    }

    /// Stores `tokens`, which are in memory from then on too.
    pub(super) fn save(&mut self, serial: &Serial, tokens: &Tokens) -> Result<(), state::Error> {
        store::save(&self.state, serial, tokens)?;
        self.keep(serial, None, tokens);
        Ok(())
    }

    /// Forgets the tokens of a gateway, here and in every process that reads them.
    pub(super) fn forget(&mut self, serial: &Serial) -> Result<(), state::Error> {
        store::forget(&self.state, serial)?;
        self.kept.remove(serial);
        Ok(())
    }

    /// Tells one version of the stored tokens from the next, cheaply.
    pub(super) fn stamp(&self, serial: &Serial) -> Option<Stamp> {
        store::stamp(&self.state, serial)
    }

    /// What the rules need to know of the stored tokens, from the disk only where that has changed: each poll asks.
    pub(super) fn known_facts(&mut self, serial: &Serial) -> Result<Vec<TokenFacts>, state::Error> {
        let stamp = self.stamp(serial);
        match self.kept.get(serial) {
            Some(kept) if stamp.is_some() && kept.stamp == stamp => Ok(kept.facts.clone()),
            _ => self.read_facts(serial),
        }
    }

    /// What the rules need to know of the stored tokens, from the files themselves.
    pub(super) fn read_facts(&mut self, serial: &Serial) -> Result<Vec<TokenFacts>, state::Error> {
        let stamp = self.stamp(serial);
        let tokens = self.tokens(serial)?;
        // A file that was written again in between is read once more at the next poll.
        self.keep(serial, stamp, &tokens);
        Ok(facts(&tokens))
    }

    fn keep(&mut self, serial: &Serial, stamp: Option<Stamp>, tokens: &Tokens) {
        if *tokens == Tokens::default() {
            self.kept.remove(serial);
        } else {
            let kept = Kept { stamp, tokens: tokens.clone(), facts: facts(tokens) };
            self.kept.insert(serial.clone(), kept);
        }
    }
}

/// A candidate waits for the gateway's word: until then nothing else is wanted.
fn facts(tokens: &Tokens) -> Vec<TokenFacts> {
    let stored = tokens.candidate.iter().chain(&tokens.current);
    stored.map(|kept| TokenFacts::new(&kept.token, kept.stored_at)).collect()
}
