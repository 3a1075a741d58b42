//! The stored tokens of the gateways: read from the disk when they change, and cached in case the disk loses them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::login_lock::LoginLock;
use crate::base::reading::Serial;
use crate::io::state_dir::{self, Stamp, StateDir};
use crate::io::token::Token;
use crate::io::token::store::{self, Loaded, Origin, Source, Tokens};
use crate::rules::logins::situation::TokenFacts;

/// The stored tokens of the gateways.
///
/// The last tokens that were read or written stay in memory. Files that are removed, damaged or unreadable while the
/// process runs cost no login: the token in memory is used, and written again (L4). Only `token forget` clears it.
#[derive(Debug)]
pub(super) struct StoredTokens {
    state: StateDir,
    lock: LoginLock,
    cached: BTreeMap<Serial, CachedTokens>,
}

#[derive(Debug)]
struct CachedTokens {
    /// The stamp of the file, or `None` if the file has to be read again.
    stamp: Option<Stamp>,
    tokens: Tokens,
    facts: Vec<TokenFacts>,
    /// The number of times that the state directory had been replaced.
    directory: u64,
    /// The token in use before the files changed, if the files no longer contain it.
    before: Option<store::StoredToken>,
}

impl StoredTokens {
    pub(super) fn new(state: StateDir) -> Self {
        Self { lock: LoginLock::new(state.clone()), state, cached: BTreeMap::new() }
    }

    /// Returns the stored tokens of a gateway.
    pub(super) async fn tokens(&mut self, serial: &Serial) -> Result<Tokens, state_dir::Error> {
        let loaded = match store::load(&self.state, serial).await {
            Ok(loaded) => loaded,
            Err(error) => {
                let Some(tokens) = self.in_memory(serial) else { return Err(error) };
                // The state directory logs its own errors.
                tracing::debug!("{error}; the token in memory stays in use");
                return Ok(tokens);
            }
        };
        // A file without a token counts as missing: `token forget` is the way to remove a token.
        let is_lost = loaded.tokens == Tokens::default();
        if loaded.source == Source::File && !is_lost {
            return Ok(loaded.tokens);
        }
        if is_lost && store::is_forgotten(&self.state, serial).await {
            self.cached.remove(serial);
            return Ok(Tokens::default());
        }
        let tokens = if is_lost { self.in_memory(serial).unwrap_or_default() } else { loaded.tokens.clone() };
        if tokens == Tokens::default() {
            if let Some(path) = loaded.damaged {
                tracing::warn!(file = %path.display(), "the token file was damaged and has no copy");
            }
            return Ok(tokens);
        }
        Ok(self.restored(serial, tokens, &loaded).await)
    }

    /// Restores the missing or damaged file of `tokens`. Returns the tokens to use.
    async fn restored(&mut self, serial: &Serial, tokens: Tokens, loaded: &Loaded) -> Tokens {
        match self.store_again(serial, &tokens).await {
            // Another process holds the lock.
            Ok(None) => tokens,
            Ok(Some(counting)) => {
                if let (Some(path), Source::Copy) = (&loaded.damaged, loaded.source) {
                    tracing::warn!(file = %path.display(), "the token file was damaged; using its copy");
                // A replaced directory is reported once for all files.
                } else if counting == tokens && !self.is_moved(serial) {
                    tracing::warn!(
                        %serial,
                        "the stored token was missing and has been restored from memory; `enphased token forget` removes it permanently"
                    );
                }
                counting
            }
            // A disk that cannot be written prevents logins, not readings (L4).
            Err(error) => {
                tracing::debug!("{error}; the token in memory stays in use");
                tokens
            }
        }
    }

    /// Stores `tokens`, unless another process has stored other ones. Returns the tokens that are stored afterwards, or
    /// `None` while another process holds the lock.
    async fn store_again(
        &self,
        serial: &Serial,
        tokens: &Tokens,
    ) -> Result<Option<Tokens>, state_dir::Error> {
        let Some(_lock) = self.lock.try_acquire().await? else { return Ok(None) };
        let now = store::load(&self.state, serial).await?;
        let is_there = now.source == Source::File && now.tokens != Tokens::default();
        if is_there || store::is_forgotten(&self.state, serial).await {
            return Ok(Some(now.tokens));
        }
        store::save(&self.state, serial, tokens).await?;
        Ok(Some(tokens.clone()))
    }

    fn is_moved(&self, serial: &Serial) -> bool {
        self.cached.get(serial).is_some_and(|cached| cached.directory != self.state.replaced())
    }

    fn in_memory(&self, serial: &Serial) -> Option<Tokens> {
        self.cached.get(serial).map(|cached| cached.tokens.clone())
    }

    /// Stores `tokens` on disk and in memory. If the disk is full, the tokens in memory are used until the restart.
    async fn save(&mut self, serial: &Serial, tokens: &Tokens) -> Result<(), state_dir::Error> {
        self.keep(serial, None, tokens);
        store::save(&self.state, serial, tokens).await
    }

    /// Stores a token that has just arrived, beside the one in use. The caller holds the lock.
    pub(super) async fn arrived(
        &mut self,
        token: &Token,
        origin: Origin,
        now: Timestamp,
    ) -> Result<(), state_dir::Error> {
        let serial = &token.serial;
        let mut tokens = match self.tokens(serial).await {
            // Existing tokens were read into memory before the new one was fetched.
            Err(state_dir::Error::Stalled { .. }) => self.in_memory(serial).unwrap_or_default(),
            read => read?,
        };
        tokens.arrived(token.clone(), origin, now);
        self.save(serial, &tokens).await
    }

    /// Makes `candidate` the token in use, unless another process has replaced it. The caller holds the lock.
    pub(super) async fn promote(
        &mut self,
        candidate: &Token,
        now: Timestamp,
    ) -> Result<(), state_dir::Error> {
        let serial = &candidate.serial;
        let mut tokens = self.tokens(serial).await?;
        if !tokens.candidate.as_ref().is_some_and(|stored| stored.token == *candidate) {
            return Ok(());
        }
        tokens.promote(now);
        self.save(serial, &tokens).await
    }

    /// Removes `candidate`. The token in use remains. The caller holds the lock.
    pub(super) async fn drop_candidate(&mut self, candidate: &Token) -> Result<(), state_dir::Error> {
        let serial = &candidate.serial;
        let mut tokens = self.tokens(serial).await?;
        if tokens.candidate.as_ref().is_some_and(|stored| stored.token == *candidate) {
            tokens.candidate = None;
        }
        self.save(serial, &tokens).await
    }

    /// Removes the tokens of a gateway, in this process and in every other that reads them.
    pub(super) async fn forget(&mut self, serial: &Serial) -> Result<(), state_dir::Error> {
        store::forget(&self.state, serial).await?;
        self.cached.remove(serial);
        Ok(())
    }

    async fn stamp(&self, serial: &Serial) -> Option<Stamp> {
        self.state.stamp(&store::name(serial)).await.ok().flatten()
    }

    /// Returns the stamp of the tokens in memory, or `None` if they have to be read again.
    pub(super) fn known_stamp(&self, serial: &Serial) -> Option<Stamp> {
        self.cached.get(serial).and_then(|cached| cached.stamp)
    }

    /// Returns the facts about the stored tokens. `stamp` is the present stamp of the file, which is read only if it has
    /// changed, because each poll calls this.
    pub(super) async fn facts_at(
        &mut self,
        stamp: Option<Stamp>,
        serial: &Serial,
    ) -> Result<Vec<TokenFacts>, state_dir::Error> {
        match self.cached.get(serial) {
            Some(cached) if stamp.is_some() && cached.stamp == stamp => Ok(cached.facts.clone()),
            _ => self.read_facts(serial).await,
        }
    }

    /// Returns the facts about the stored tokens. Always reads the files.
    pub(super) async fn read_facts(&mut self, serial: &Serial) -> Result<Vec<TokenFacts>, state_dir::Error> {
        let stamp = self.stamp(serial).await;
        let tokens = self.tokens(serial).await?;
        // If the file was written in between, the next poll reads it again.
        self.keep(serial, stamp, &tokens);
        Ok(facts(&tokens))
    }

    /// Restores the token that was in use before the files changed, if `is_accepted`. An old backup may have replaced the
    /// files, for example. Returns whether a token was restored. The caller holds the lock.
    pub(super) async fn take_back(
        &mut self,
        serial: &Serial,
        is_accepted: impl Fn(&Token) -> bool,
    ) -> Result<bool, state_dir::Error> {
        let before = self.cached.get_mut(serial).and_then(|cached| cached.before.take());
        let Some(before) = before.filter(|before| is_accepted(&before.token)) else { return Ok(false) };
        let tokens = Tokens { current: Some(before), ..self.tokens(serial).await? };
        self.save(serial, &tokens).await?;
        tracing::warn!(
            %serial,
            "the stored token was replaced by an unusable one; the token that the gateway accepts has been restored"
        );
        Ok(true)
    }

    fn keep(&mut self, serial: &Serial, stamp: Option<Stamp>, tokens: &Tokens) {
        let last = self.cached.remove(serial);
        if *tokens == Tokens::default() {
            return;
        }
        let before = last.and_then(|last| {
            let is_here = |stored: &store::StoredToken| {
                tokens.candidate.iter().chain(&tokens.current).any(|here| here.token == stored.token)
            };
            let in_use = last.tokens.in_use().filter(|stored| !is_here(stored)).cloned();
            in_use.or(last.before)
        });
        let cached = CachedTokens {
            stamp,
            tokens: tokens.clone(),
            facts: facts(tokens),
            directory: self.state.replaced(),
            before,
        };
        self.cached.insert(serial.clone(), cached);
    }
}

/// Returns the facts about the tokens, the candidate first. No other token is needed until the gateway has judged it.
fn facts(tokens: &Tokens) -> Vec<TokenFacts> {
    let stored = tokens.candidate.iter().chain(&tokens.current);
    stored.map(|stored| TokenFacts::new(&stored.token, stored.stored_at)).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Returns the facts that a poll sees.
    async fn known_facts(stored: &mut StoredTokens) -> Vec<TokenFacts> {
        let stamp = stored.stamp(&serial()).await;
        stored.facts_at(stamp, &serial()).await.unwrap()
    }

    fn serial() -> Serial {
        Serial::parse("122300000001").unwrap()
    }

    /// Returns a token without a valid signature that expires at `expires_at`.
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

    /// The state of a process that has stored a token.
    struct Process {
        state: StateDir,
        stored: StoredTokens,
        first: Tokens,
        _outer: tempfile::TempDir,
    }

    async fn setup() -> Process {
        let outer = tempfile::tempdir().unwrap();
        let state = StateDir::open(&outer.path().join("state")).unwrap();
        let (mut stored, first) = (StoredTokens::new(state.clone()), tokens(1_795_170_000));
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
            assert_eq!(known_facts(&mut stored).await.len(), 1);
            assert_eq!(stored.tokens(&serial()).await.unwrap(), first);
        }
        fs::write(state.path(), "no directory").unwrap();
        assert_eq!(known_facts(&mut stored).await.len(), 1, "one that cannot be read");
        assert!(
            StoredTokens::new(state.clone()).tokens(&serial()).await.is_err(),
            "an error without tokens in memory"
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
        assert!(known_facts(&mut stored).await.is_empty());
        remove_all(&state).await;
        assert!(known_facts(&mut stored).await.is_empty(), "it does not come back from memory");
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
        assert_eq!(known_facts(&mut stored).await.len(), 1);
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
        let lock = LoginLock::new(state.clone()).try_acquire().await.unwrap().unwrap();
        assert_eq!(stored.tokens(&serial()).await.unwrap(), first);
        assert_eq!(on_disk(&state).await, Tokens::default());
        drop(lock);
        stored.tokens(&serial()).await.unwrap();
        assert_eq!(on_disk(&state).await, first);
    }
}
