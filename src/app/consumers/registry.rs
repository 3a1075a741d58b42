//! The consumers of the running server: admits requests, follows changes of the tokens, and remembers who has asked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::listed::{self, Listed, NAME, Seen};
use super::tokens::{self, ConsumerTokens, Index};
use crate::base::clock::Clock;
use crate::io::state_dir::{Saver, Stamp, StateDir};
use crate::rules::access::Limits;
use crate::rules::access::consumers::{Consumers, Identity, Presented, Request};
use crate::rules::access::refusal::Refusal;

/// How often the file with the tokens is looked at while requests or streams depend on it. A removed token ends its streams
/// within this time.
const LOOK: Duration = Duration::from_secs(1);
/// How often it is looked at for tokens that are not known, which wait for it: a script uses one at once after it was added.
const LOOK_FOR_NEW: Duration = Duration::from_millis(100);
/// How often it is looked at otherwise, so that an idle server wakes nobody.
const IDLE: Duration = Duration::from_secs(60);
/// How often wrong tokens are reported at most.
const GUESSES: Duration = Duration::from_secs(3600);
/// How often the file with the consumers is written, if there is news.
const SAVE: Duration = Duration::from_secs(3600);

/// What is known about the tokens.
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

/// The consumers of the running server. Clones share them.
#[derive(Clone, Debug)]
pub struct Registry {
    consumers: Arc<Mutex<Consumers>>,
    known: Arc<Mutex<Known>>,
    /// Changes with each change of the tokens.
    changed: watch::Sender<()>,
    /// When wrong tokens were last reported.
    guesses_reported: Arc<Mutex<Option<Instant>>>,
    /// Wakes the look at the tokens when a stream begins that depends on them.
    stream_began: Arc<Notify>,
    clock: Clock,
    state: StateDir,
}

impl Registry {
    /// Creates the registry with what is known from earlier runs.
    pub async fn open(limits: Limits, state: &StateDir, clock: &Clock) -> Self {
        let earlier = Seen::read(state).await.consumers;
        let registry = Self {
            consumers: Arc::new(Mutex::new(Consumers::new(limits, earlier, Instant::now()))),
            known: Arc::default(),
            changed: watch::Sender::new(()),
            guesses_reported: Arc::default(),
            stream_began: Arc::default(),
            clock: clock.clone(),
            state: state.clone(),
        };
        registry.read_tokens().await;
        registry
    }

    /// Follows changes of the tokens, and saves what consumers have done. Never ends.
    pub async fn keep(&self) {
        let saver = Saver::new(NAME.to_owned());
        let mut last = Instant::now();
        let mut written = self.requests();
        loop {
            let has_streams = lock(&self.consumers).has_token_streams();
            tokio::select! {
                () = sleep(if has_streams { LOOK } else { IDLE }) => {}
                () = self.stream_began.notified() => {}
            }
            self.look().await;
            if last.elapsed() >= SAVE {
                last = Instant::now();
                let requests = self.requests();
                if requests != written {
                    written = requests;
                    saver.save(&self.state, &self.seen());
                }
            }
        }
    }

    /// Saves what consumers have done, at the end.
    pub async fn save(&self) {
        let seen = self.seen();
        if seen.consumers.is_empty() {
            return;
        }
        // The state directory reports its own problems, and the list is not worth a delay.
        if let Err(error) = self.state.write(NAME, &seen).await {
            tracing::debug!(%error, "cannot save the list of consumers");
        }
    }

    /// Reads the tokens again if they have changed.
    async fn look(&self) {
        let (known, now) = (lock(&self.known).stamp, Instant::now());
        if self.stamp().await == known {
            lock(&self.known).looked = Some(now);
        } else {
            self.read_tokens().await;
        }
    }

    /// Looks at the tokens at or after `asked`, together with everything else that asks within [`LOOK_FOR_NEW`].
    async fn look_after(&self, asked: Instant) {
        let looked = lock(&self.known).looked;
        if let Some(looked) = looked {
            sleep_until(looked + LOOK_FOR_NEW).await;
        }
        if lock(&self.known).looked.is_none_or(|looked| looked < asked) {
            self.look().await;
        }
    }

    async fn stamp(&self) -> Option<Stamp> {
        // A disk that does not respond changes no token.
        self.state.stamp(tokens::NAME).await.ok().flatten()
    }

    async fn read_tokens(&self) {
        // Taken before, so that a change during the reading is noticed later.
        let now = Instant::now();
        let stamp = self.stamp().await;
        match ConsumerTokens::read(&self.state).await {
            Ok(tokens) => {
                let index = tokens.as_ref().map(ConsumerTokens::index).unwrap_or_default();
                *lock(&self.known) = Known { stamp, looked: Some(now), tokens, index };
                self.changed.send_replace(());
            }
            Err(error) => tracing::debug!(%error, "cannot read the tokens of consumers"),
        }
    }

    /// Decides whether a request with this token is answered.
    pub async fn admit(&self, token: Option<&str>, request: Request) -> Result<Identity, Refusal> {
        self.admit_with(token, &[], request).await
    }

    /// Decides whether a request with this token and these sessions is answered. One that is known is sufficient.
    pub async fn admit_with(
        &self,
        token: Option<&str>,
        sessions: &[&str],
        mut request: Request,
    ) -> Result<Identity, Refusal> {
        let asked = Instant::now();
        let (presented, looked) = {
            let known = lock(&self.known);
            (known.presented(token, sessions, self.clock.now()), known.looked)
        };
        let is_older = |age| looked.is_none_or(|looked| asked.saturating_duration_since(looked) >= age);
        match presented {
            Presented::Unknown => self.look_after(asked).await,
            Presented::Known(_) | Presented::Removed if is_older(LOOK) => self.look().await,
            Presented::Nothing | Presented::Known(_) | Presented::Removed => {}
        }
        request.token = lock(&self.known).presented(token, sessions, self.clock.now());
        let admitted = lock(&self.consumers).admit(&request, self.clock.now(), Instant::now());
        if request.stream {
            self.stream_began.notify_one();
        }
        if let Err(Refusal::TooManyGuesses { .. }) = admitted {
            self.report_guesses(&request);
        }
        admitted
    }

    fn report_guesses(&self, request: &Request) {
        let mut reported = lock(&self.guesses_reported);
        if reported.is_none_or(|reported| reported.elapsed() >= GUESSES) {
            *reported = Some(Instant::now());
            let (address, program) = (request.address, &request.program);
            tracing::warn!(%address, program, "ten wrong tokens within a minute; the tokens of this address are ignored for a while");
        }
    }

    /// Returns the session of a consumer with a token.
    pub fn session(&self, identity: &Identity) -> Option<String> {
        let Identity::Token(id) = identity else { return None };
        lock(&self.known).tokens.as_ref()?.session(id)
    }

    /// Records that a stream has ended.
    pub fn stream_ended(&self, identity: &Identity) {
        lock(&self.consumers).stream_ended(identity);
    }

    /// Completes when `identity` has lost its token.
    pub async fn removed(&self, identity: &Identity) {
        let Identity::Token(id) = identity else { return std::future::pending().await };
        let mut changed = self.changed.subscribe();
        while lock(&self.known).index.contains(id) {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    /// Returns all consumers, the one that asked last first.
    pub fn list(&self) -> Vec<Listed> {
        let (consumers, known) = (lock(&self.consumers), lock(&self.known));
        let mut all: Vec<Listed> = consumers
            .all(Instant::now())
            .map(|(usage, streams, active)| {
                let name = known.tokens.as_ref().and_then(|tokens| tokens.name_of(&usage.identity));
                Listed::new(usage, name, streams, active)
            })
            .collect();
        listed::sort(&mut all);
        all
    }

    /// Returns all consumers and the tokens that nobody has used yet, by the tokens as they are now.
    pub async fn complete_list(&self) -> Vec<Listed> {
        self.look().await;
        let (consumers, known) = (lock(&self.consumers), lock(&self.known));
        listed::complete(consumers.all(Instant::now()), known.tokens.as_ref())
    }

    /// Returns the numbers of active consumers, of open streams, and of refused requests without a known consumer.
    pub fn counts(&self) -> (usize, usize, u64) {
        let consumers = lock(&self.consumers);
        (consumers.active(Instant::now()), consumers.streams(), consumers.refused_strangers())
    }

    fn seen(&self) -> Seen {
        let consumers = lock(&self.consumers);
        Seen { consumers: consumers.all(Instant::now()).map(|(usage, _, _)| usage.clone()).collect() }
    }

    fn requests(&self) -> u64 {
        let consumers = lock(&self.consumers);
        consumers.all(Instant::now()).map(|(usage, _, _)| usage.requests + usage.refused).sum()
    }
}

/// An open stream, which ends with its value.
#[derive(Debug)]
pub struct OpenStream {
    registry: Registry,
    identity: Identity,
}

impl OpenStream {
    /// Creates the guard of a stream that was admitted.
    pub const fn new(registry: Registry, identity: Identity) -> Self {
        Self { registry, identity }
    }

    /// Completes when the stream has to end because its token was removed.
    pub async fn removed(&self) {
        self.registry.removed(&self.identity).await;
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.registry.stream_ended(&self.identity);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
