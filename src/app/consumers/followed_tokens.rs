//! The tokens of consumers, as the running server knows them. Commands add and remove tokens in a file, which is looked at
//! from time to time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::tokens::{self, ConsumerTokens, Index};
use crate::base::clock::Clock;
use crate::io::state_dir::{Stamp, StateDir};
use crate::rules::access::consumers::Presented;

/// The interval at which the file is checked while requests or streams depend on it. A removed token ends its streams
/// within this time.
pub(super) const LOOK: Duration = Duration::from_secs(1);
/// The shortest interval between two checks for unknown tokens, which wait for it: a script uses a token as soon as it has
/// added it.
const LOOK_FOR_NEW: Duration = Duration::from_millis(100);

/// The tokens as they were when the file was read.
#[derive(Debug, Default)]
struct Known {
    /// Identifies the file that was read.
    stamp: Option<Stamp>,
    /// When the file was last looked at.
    looked: Option<Instant>,
    tokens: Option<ConsumerTokens>,
    index: Index,
}

impl Known {
    /// Returns what a token and sessions are together.
    fn presented(&self, token: Option<&str>, sessions: &[&str], now: Timestamp) -> Presented {
        let token = self.index.look_up(token, now);
        let sessions = || sessions.iter().map(|session| self.index.look_up_session(session, now));
        match &token {
            Presented::Known(_) => token,
            _ => match sessions().find(|session| matches!(session, Presented::Known(_))) {
                Some(known) => known,
                None if token == Presented::Nothing => {
                    sessions().find(|session| *session == Presented::Removed).unwrap_or(token)
                }
                None => token,
            },
        }
    }
}

/// The tokens of consumers, kept up to date with their file. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct FollowedTokens {
    known: Arc<Mutex<Known>>,
    /// Changes with each change of the tokens.
    changed: watch::Sender<()>,
    state: StateDir,
}

impl FollowedTokens {
    /// Reads the tokens in `state`.
    pub(super) async fn open(state: StateDir) -> Self {
        let tokens = Self { known: Arc::default(), changed: watch::Sender::new(()), state };
        tokens.read().await;
        tokens
    }

    /// Reads the tokens again if their file has changed.
    pub(super) async fn look(&self) {
        let (known, now) = (self.known().stamp, Instant::now());
        if self.stamp().await == known {
            self.known().looked = Some(now);
        } else {
            self.read().await;
        }
    }

    /// Looks at the file at or after `asked`, together with everything else that asks within [`LOOK_FOR_NEW`].
    async fn look_after(&self, asked: Instant) {
        let looked = self.known().looked;
        if let Some(looked) = looked {
            sleep_until(looked + LOOK_FOR_NEW).await;
        }
        if self.known().looked.is_none_or(|looked| looked < asked) {
            self.look().await;
        }
    }

    async fn stamp(&self) -> Option<Stamp> {
        // A disk that does not respond changes no token.
        self.state.stamp(tokens::NAME).await.ok().flatten()
    }

    async fn read(&self) {
        // Taken before, so that a change during the reading is noticed later.
        let now = Instant::now();
        let stamp = self.stamp().await;
        match ConsumerTokens::read(&self.state).await {
            Ok(tokens) => {
                let index = tokens.as_ref().map(ConsumerTokens::index).unwrap_or_default();
                *self.known() = Known { stamp, looked: Some(now), tokens, index };
                self.changed.send_replace(());
            }
            Err(error) => tracing::debug!(%error, "cannot read the tokens of consumers"),
        }
    }

    /// Returns what a token and sessions are together. Looks at the file first, unless it was just looked at.
    pub(super) async fn presented(&self, token: Option<&str>, sessions: &[&str], clock: &Clock) -> Presented {
        let asked = Instant::now();
        let (presented, looked) = {
            let known = self.known();
            (known.presented(token, sessions, clock.now()), known.looked)
        };
        let is_older = |age| looked.is_none_or(|looked| asked.saturating_duration_since(looked) >= age);
        match presented {
            Presented::Unknown => self.look_after(asked).await,
            Presented::Known(_) | Presented::Removed if is_older(LOOK) => self.look().await,
            Presented::Nothing | Presented::Known(_) | Presented::Removed => {}
        }
        self.known().presented(token, sessions, clock.now())
    }

    /// Completes when the token `id` has been removed.
    pub(super) async fn removed(&self, id: &str) {
        let mut changed = self.changed.subscribe();
        while self.known().index.contains(id) {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    /// Returns the session of the token `id`.
    pub(super) fn session(&self, id: &str) -> Option<String> {
        self.known().tokens.as_ref()?.session(id)
    }

    /// Passes the tokens to `use_them`, if there are any.
    pub(super) fn with<T>(&self, use_them: impl FnOnce(Option<&ConsumerTokens>) -> T) -> T {
        use_them(self.known().tokens.as_ref())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
