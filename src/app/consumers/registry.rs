//! The consumers of the running server: admits requests, and remembers which programs have asked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::followed_tokens::{FollowedTokens, LOOK};
use super::listed::{self, Listed, NAME, Seen};
use crate::base::clock::Clock;
use crate::io::state_dir::{Saver, StateDir};
use crate::rules::access::Limits;
use crate::rules::access::consumers::{Consumers, Identity, Request};
use crate::rules::access::refusal::Refusal;

/// The interval at which the file with the tokens is checked when nothing depends on it. Long, to let an idle machine sleep.
const IDLE: Duration = Duration::from_secs(60);
/// The shortest interval between two reports of wrong tokens.
const GUESSES: Duration = Duration::from_secs(3600);
/// The shortest interval between two writes of the file with the consumers.
const SAVE: Duration = Duration::from_secs(3600);

/// The consumers of the running server. Clones share them.
#[derive(Clone, Debug)]
pub struct Registry {
    consumers: Arc<Mutex<Consumers>>,
    tokens: FollowedTokens,
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
        Self {
            consumers: Arc::new(Mutex::new(Consumers::new(limits, earlier, Instant::now()))),
            tokens: FollowedTokens::open(state.clone()).await,
            guesses_reported: Arc::default(),
            stream_began: Arc::default(),
            clock: clock.clone(),
            state: state.clone(),
        }
    }

    /// Follows changes of the tokens, and saves what consumers have done. Never ends.
    pub async fn keep(&self) {
        let saver = Saver::new(NAME.to_owned());
        let mut last = Instant::now();
        let mut written = self.requests();
        loop {
            let has_streams = self.consumers().has_token_streams();
            tokio::select! {
                () = sleep(if has_streams { LOOK } else { IDLE }) => {}
                () = self.stream_began.notified() => {}
            }
            self.tokens.look().await;
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
        request.token = self.tokens.presented(token, sessions, &self.clock).await;
        let admitted = self.consumers().admit(&request, self.clock.now(), Instant::now());
        if request.stream {
            self.stream_began.notify_one();
        }
        if let Err(Refusal::TooManyGuesses { .. }) = admitted {
            self.report_guesses(&request);
        }
        admitted
    }

    fn report_guesses(&self, request: &Request) {
        let mut reported = self.guesses_reported.lock().unwrap_or_else(PoisonError::into_inner);
        if reported.is_none_or(|reported| reported.elapsed() >= GUESSES) {
            *reported = Some(Instant::now());
            let (address, program) = (request.address, &request.program);
            tracing::warn!(%address, program, "ten wrong tokens within a minute; the tokens of this address are ignored for a while");
        }
    }

    /// Returns the session of a consumer with a token.
    pub fn session(&self, identity: &Identity) -> Option<String> {
        let Identity::Token(id) = identity else { return None };
        self.tokens.session(id)
    }

    /// Records that a stream has ended.
    pub fn stream_ended(&self, identity: &Identity) {
        self.consumers().stream_ended(identity);
    }

    /// Completes when `identity` has lost its token.
    pub async fn removed(&self, identity: &Identity) {
        let Identity::Token(id) = identity else { return std::future::pending().await };
        self.tokens.removed(id).await;
    }

    /// Returns all consumers, the one that asked last first.
    pub fn list(&self) -> Vec<Listed> {
        let consumers = self.consumers();
        let mut all: Vec<Listed> = self.tokens.with(|tokens| {
            let all = consumers.all(Instant::now()).map(|(usage, streams, active)| {
                let name = tokens.and_then(|tokens| tokens.name_of(&usage.identity));
                Listed::new(usage, name, streams, active)
            });
            all.collect()
        });
        listed::sort(&mut all);
        all
    }

    /// Returns all consumers and the tokens that nobody has used yet, by the tokens as they are now.
    pub(super) async fn complete_list(&self) -> Vec<Listed> {
        self.tokens.look().await;
        let consumers = self.consumers();
        self.tokens.with(|tokens| listed::complete(consumers.all(Instant::now()), tokens))
    }

    /// Returns the numbers of active consumers, of open streams, and of refused requests without a known consumer.
    pub fn counts(&self) -> (usize, usize, u64) {
        let consumers = self.consumers();
        (consumers.active(Instant::now()), consumers.streams(), consumers.refused_strangers())
    }

    fn seen(&self) -> Seen {
        let consumers = self.consumers();
        Seen { consumers: consumers.all(Instant::now()).map(|(usage, _, _)| usage.clone()).collect() }
    }

    fn consumers(&self) -> MutexGuard<'_, Consumers> {
        self.consumers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn requests(&self) -> u64 {
        let consumers = self.consumers();
        consumers.all(Instant::now()).map(|(usage, _, _)| usage.requests + usage.refused).sum()
    }
}
