//! The stored tokens of the gateways: read from the disk where they have changed, and kept in memory for a disk that
//! loses them.

use std::collections::BTreeMap;

use super::ledger::LOCK;
use crate::base::reading::Serial;
use crate::io::state_dir::{self, Stamp, StateDir};
use crate::io::token::Token;
use crate::io::token::store::{self, Loaded, Source, Tokens};
use crate::rules::logins::situation::TokenFacts;

/// The stored tokens of the gateways.
///
/// What was read or written last stays in memory. Files that are removed, damaged or unreadable while the process lives
/// cost no login: the token in memory is used, and written again (L4). Only `token forget` makes a process forget.
#[derive(Debug)]
pub(super) struct Stored {
    state: StateDir,
    kept: BTreeMap<Serial, Kept>,
}

#[derive(Debug)]
struct Kept {
    /// `None` while the file could not be read, so that it is looked at again.
    stamp: Option<Stamp>,
    tokens: Tokens,
    facts: Vec<TokenFacts>,
    /// In which of the directories they were that were found under the same path.
    directory: u64,
    /// The token in use before the files changed, if it is in them no more.
    before: Option<store::Kept>,
}

impl Stored {
    pub(super) fn new(state: StateDir) -> Self {
        Self { state, kept: BTreeMap::new() }
    }

    /// The stored tokens of a gateway.
    pub(super) async fn tokens(&mut self, serial: &Serial) -> Result<Tokens, state_dir::Error> {
        let loaded = match store::load(&self.state, serial).await {
            Ok(loaded) => loaded,
            Err(error) => {
                let Some(tokens) = self.in_memory(serial) else { return Err(error) };
                // The state directory reports its own troubles.
                tracing::debug!("{error}; the token in memory stays in use");
                return Ok(tokens);
            }
        };
        // A file without a token is as none: who means it has the token forgotten.
        let is_lost = loaded.tokens == Tokens::default();
        if loaded.source == Source::File && !is_lost {
            return Ok(loaded.tokens);
        }
        if is_lost && store::is_forgotten(&self.state, serial).await {
            self.kept.remove(serial);
            return Ok(Tokens::default());
        }
        let tokens = if is_lost { self.in_memory(serial).unwrap_or_default() } else { loaded.tokens.clone() };
        if tokens == Tokens::default() {
            if let Some(path) = loaded.damaged {
                tracing::warn!(file = %path.display(), "the token file was damaged, and has no copy");
            }
            return Ok(tokens);
        }
        Ok(self.mended(serial, tokens, &loaded).await)
    }

    /// Stores `tokens` again, whose file is gone or damaged; returns the tokens that count.
    async fn mended(&mut self, serial: &Serial, tokens: Tokens, loaded: &Loaded) -> Tokens {
        match self.store_again(serial, &tokens).await {
            // Another process is at it.
            Ok(None) => tokens,
            Ok(Some(counting)) => {
                if let (Some(path), Source::Copy) = (&loaded.damaged, loaded.source) {
                    tracing::warn!(file = %path.display(), "the token file was damaged; its copy is used");
                // Of a directory that was replaced that is said of all files.
                } else if counting == tokens && !self.is_moved(serial) {
                    tracing::warn!(
                        %serial,
                        "the stored token was gone and is stored again from memory; `enphased token forget` removes it for good"
                    );
                }
                counting
            }
            // A disk that cannot be written to costs the login, not the reading (L4).
            Err(error) => {
                tracing::debug!("{error}; the token in memory stays in use");
                tokens
            }
        }
    }

    /// Stores `tokens`, unless another process has stored some since; returns those that are stored then. `None` while
    /// another process holds the lock.
    async fn store_again(
        &self,
        serial: &Serial,
        tokens: &Tokens,
    ) -> Result<Option<Tokens>, state_dir::Error> {
        let Some(_lock) = self.state.try_lock(LOCK).await? else { return Ok(None) };
        let now = store::load(&self.state, serial).await?;
        let is_there = now.source == Source::File && now.tokens != Tokens::default();
        if is_there || store::is_forgotten(&self.state, serial).await {
            return Ok(Some(now.tokens));
        }
        store::save(&self.state, serial, tokens).await?;
        Ok(Some(tokens.clone()))
    }

    fn is_moved(&self, serial: &Serial) -> bool {
        self.kept.get(serial).is_some_and(|kept| kept.directory != self.state.replaced())
    }

    pub(super) fn in_memory(&self, serial: &Serial) -> Option<Tokens> {
        self.kept.get(serial).map(|kept| kept.tokens.clone())
    }

    /// Stores `tokens`, which are in memory from then on too: what a full disk does not take is used until the restart.
    pub(super) async fn save(&mut self, serial: &Serial, tokens: &Tokens) -> Result<(), state_dir::Error> {
        self.keep(serial, None, tokens);
        store::save(&self.state, serial, tokens).await
    }

    /// Forgets the tokens of a gateway, here and in every process that reads them.
    pub(super) async fn forget(&mut self, serial: &Serial) -> Result<(), state_dir::Error> {
        store::forget(&self.state, serial).await?;
        self.kept.remove(serial);
        Ok(())
    }

    /// Tells one version of the stored tokens from the next, cheaply.
    pub(super) async fn stamp(&self, serial: &Serial) -> Option<Stamp> {
        store::stamp(&self.state, serial).await.ok().flatten()
    }

    /// What the rules need to know of the stored tokens, from the disk only where that has changed: each poll asks.
    pub(super) async fn known_facts(&mut self, serial: &Serial) -> Result<Vec<TokenFacts>, state_dir::Error> {
        let stamp = self.stamp(serial).await;
        match self.kept.get(serial) {
            Some(kept) if stamp.is_some() && kept.stamp == stamp => Ok(kept.facts.clone()),
            _ => self.read_facts(serial).await,
        }
    }

    /// What the rules need to know of the stored tokens, from the files themselves.
    pub(super) async fn read_facts(&mut self, serial: &Serial) -> Result<Vec<TokenFacts>, state_dir::Error> {
        let stamp = self.stamp(serial).await;
        let tokens = self.tokens(serial).await?;
        // A file that was written again in between is read once more at the next poll.
        self.keep(serial, stamp, &tokens);
        Ok(facts(&tokens))
    }

    /// Takes back into use the token that was in use before the files changed, if `is_accepted`: they were changed for the
    /// worse, by an old backup say. Returns whether that changed anything. Under the lock.
    pub(super) async fn take_back(
        &mut self,
        serial: &Serial,
        is_accepted: impl Fn(&Token) -> bool,
    ) -> Result<bool, state_dir::Error> {
        let before = self.kept.get_mut(serial).and_then(|kept| kept.before.take());
        let Some(before) = before.filter(|before| is_accepted(&before.token)) else { return Ok(false) };
        let tokens = Tokens { current: Some(before), ..self.tokens(serial).await? };
        self.save(serial, &tokens).await?;
        tracing::warn!(
            %serial,
            "the stored token was replaced by one that is of no use; the one that the gateway accepts is stored again"
        );
        Ok(true)
    }

    fn keep(&mut self, serial: &Serial, stamp: Option<Stamp>, tokens: &Tokens) {
        let last = self.kept.remove(serial);
        if *tokens == Tokens::default() {
            return;
        }
        let before = last.and_then(|last| {
            let is_here = |kept: &store::Kept| {
                tokens.candidate.iter().chain(&tokens.current).any(|here| here.token == kept.token)
            };
            let in_use = last.tokens.in_use().filter(|kept| !is_here(kept)).cloned();
            in_use.or(last.before)
        });
        let kept = Kept {
            stamp,
            tokens: tokens.clone(),
            facts: facts(tokens),
            directory: self.state.replaced(),
            before,
        };
        self.kept.insert(serial.clone(), kept);
    }
}

/// A candidate waits for the gateway's word: until then nothing else is wanted.
fn facts(tokens: &Tokens) -> Vec<TokenFacts> {
    let stored = tokens.candidate.iter().chain(&tokens.current);
    stored.map(|kept| TokenFacts::new(&kept.token, kept.stored_at)).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use jiff::Timestamp;

    use super::*;
    use crate::io::token::store::Origin;

    fn serial() -> Serial {
        Serial::parse("122300000001").unwrap()
    }

    /// A token that ends then, signed with nothing.
    fn tokens(expires_at: u64) -> Tokens {
        use base64::Engine;
        use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
        let claims =
            format!(r#"{{"aud":"{}","iss":"Entrez","exp":{expires_at},"iat":1763634000}}"#, serial());
        let parts = [r#"{"alg":"ES256"}"#, &claims, "signature"].map(|part| BASE64.encode(part));
        let mut tokens = Tokens::default();
        let token = Token::decode(&parts.join(".")).unwrap();
        tokens.arrived(token, Origin::Login, Timestamp::from_second(1_763_634_000).unwrap());
        tokens
    }

    /// A process that has stored a token.
    struct Process {
        state: StateDir,
        stored: Stored,
        first: Tokens,
        _outer: tempfile::TempDir,
    }

    async fn setup() -> Process {
        let outer = tempfile::tempdir().unwrap();
        let state = StateDir::open(&outer.path().join("state")).unwrap();
        let (mut stored, first) = (Stored::new(state.clone()), tokens(1_795_170_000));
        stored.save(&serial(), &first).await.unwrap();
        Process { state, stored, first, _outer: outer }
    }

    async fn remove_all(state: &StateDir) {
        for name in state.names("token-", "").await.unwrap() {
            fs::remove_file(state.path().join(name)).unwrap();
        }
    }

    async fn on_disk(state: &StateDir) -> Tokens {
        store::load(state, &serial()).await.unwrap().tokens
    }

    #[tokio::test]
    async fn files_that_are_removed_or_damaged_are_written_again_from_memory() {
        let Process { state, mut stored, first, _outer } = setup().await;
        remove_all(&state).await;
        assert_eq!(stored.read_facts(&serial()).await.unwrap().len(), 1);
        assert_eq!(on_disk(&state).await, first);
        for name in state.names("token-", ".json").await.unwrap() {
            fs::write(state.path().join(name), "{").unwrap();
        }
        assert_eq!(stored.tokens(&serial()).await.unwrap(), first);
        assert_eq!(on_disk(&state).await, first);
        fs::remove_file(state.path().join("token-122300000001.json")).unwrap();
        assert_eq!(stored.tokens(&serial()).await.unwrap(), first, "the copy serves");
        assert!(stored.stamp(&serial()).await.is_some());
    }

    #[tokio::test]
    async fn a_directory_that_is_gone_costs_no_token_in_memory() {
        let Process { state, mut stored, first, _outer } = setup().await;
        fs::remove_dir_all(state.path()).unwrap();
        for _ in 0..2 {
            assert_eq!(stored.known_facts(&serial()).await.unwrap().len(), 1);
            assert_eq!(stored.tokens(&serial()).await.unwrap(), first);
        }
        fs::write(state.path(), "no directory").unwrap();
        assert_eq!(stored.known_facts(&serial()).await.unwrap().len(), 1, "one that cannot be read");
        assert!(
            Stored::new(state.clone()).tokens(&serial()).await.is_err(),
            "who has none in memory says so"
        );
    }

    #[tokio::test]
    async fn what_another_process_stores_or_forgets_counts() {
        let Process { state, mut stored, first, _outer } = setup().await;
        let second = tokens(1_795_180_000);
        assert_eq!(stored.tokens(&serial()).await.unwrap(), first);
        store::save(&state, &serial(), &second).await.unwrap();
        assert_eq!(stored.tokens(&serial()).await.unwrap(), second);
        stored.read_facts(&serial()).await.unwrap();
        store::forget(&state, &serial()).await.unwrap();
        assert!(stored.known_facts(&serial()).await.unwrap().is_empty());
        remove_all(&state).await;
        assert!(stored.known_facts(&serial()).await.unwrap().is_empty(), "it does not come back from memory");
    }

    #[tokio::test]
    async fn a_file_without_a_token_is_as_none() {
        let Process { state, mut stored, first, _outer } = setup().await;
        store::save(&state, &serial(), &Tokens::default()).await.unwrap();
        assert_eq!(stored.tokens(&serial()).await.unwrap(), first);
        assert_eq!(on_disk(&state).await, first);
    }

    #[tokio::test]
    async fn a_token_that_is_accepted_is_taken_back_after_another_process_has_put_a_useless_one_in_its_place()
    {
        let Process { state, mut stored, first, _outer } = setup().await;
        let (backup, in_use) = (tokens(1_795_000_000), first.in_use().unwrap().token.clone());
        assert!(!stored.take_back(&serial(), |_| true).await.unwrap(), "nothing has changed");
        store::save(&state, &serial(), &backup).await.unwrap();
        assert_eq!(stored.read_facts(&serial()).await.unwrap().len(), 1);
        assert_eq!(stored.known_facts(&serial()).await.unwrap().len(), 1);
        assert!(stored.take_back(&serial(), |token| *token == in_use).await.unwrap());
        assert_eq!(on_disk(&state).await.current.unwrap().token, in_use);
        assert_eq!(on_disk(&state).await.candidate, backup.candidate, "nothing is lost");
        store::save(&state, &serial(), &backup).await.unwrap();
        stored.read_facts(&serial()).await.unwrap();
        assert!(!stored.take_back(&serial(), |_| false).await.unwrap());
        assert!(!stored.take_back(&serial(), |_| true).await.unwrap(), "once");
    }

    #[tokio::test]
    async fn while_another_process_holds_the_lock_nothing_is_written() {
        let Process { state, mut stored, first, _outer } = setup().await;
        remove_all(&state).await;
        let lock = state.try_lock(LOCK).await.unwrap().unwrap();
        assert_eq!(stored.tokens(&serial()).await.unwrap(), first);
        assert_eq!(on_disk(&state).await, Tokens::default());
        drop(lock);
        stored.tokens(&serial()).await.unwrap();
        assert_eq!(on_disk(&state).await, first);
    }
}
