//! The consumers of the running server: admits requests, follows changes of the tokens, and remembers who has asked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

use super::tokens::{self, ConsumerTokens, Index};
use crate::base::clock::Clock;
use crate::io::state_dir::{Saver, Stamp, StateDir, Stored};
use crate::rules::access::Limits;
use crate::rules::access::consumers::{Consumers, Identity, Request, Usage};
use crate::rules::access::refusal::Refusal;

/// The name of the file with what consumers have done.
pub const NAME: &str = "consumers.json";
/// How often the file with the tokens is looked at while requests or streams depend on it. A removed token ends its streams
/// within this time.
const LOOK: Duration = Duration::from_secs(1);
/// How often it is looked at otherwise, so that an idle server wakes nobody.
const IDLE: Duration = Duration::from_secs(60);
/// How often the file with the consumers is written, if there is news.
const SAVE: Duration = Duration::from_secs(15 * 60);

/// The content of the file with what consumers have done.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// The consumers.
    pub consumers: Vec<Usage>,
}

impl Seen {
    /// Reads the file. One that is missing or damaged counts as empty: nothing depends on it but a list for people.
    pub async fn read(state: &StateDir) -> Self {
        match state.read(NAME).await {
            Ok(Stored::Found(seen)) => seen,
            Ok(Stored::Absent | Stored::Damaged(_)) | Err(_) => Self::default(),
        }
    }
}

/// A consumer as others see it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Listed {
    pub name: String,
    /// `token` or `program`.
    pub kind: &'static str,
    pub address: String,
    pub program: String,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    pub requests: u64,
    pub refused: u64,
    pub streams: usize,
    pub active: bool,
}

impl Listed {
    /// Describes a consumer that has a token and has not asked yet.
    pub fn unseen(name: &str, created_at: Timestamp) -> Self {
        Self {
            name: name.to_owned(),
            kind: "token",
            address: String::new(),
            program: String::new(),
            first_seen: created_at,
            last_seen: created_at,
            requests: 0,
            refused: 0,
            streams: 0,
            active: false,
        }
    }

    /// Describes a consumer. One without a name is called by its program, or by its address.
    pub fn new(usage: &Usage, name: Option<&str>, streams: usize, active: bool) -> Self {
        let address = usage.address.to_string();
        let own = if usage.program.is_empty() { address.as_str() } else { usage.program.as_str() };
        Self {
            name: name.unwrap_or(own).to_owned(),
            kind: match usage.identity {
                Identity::Token(_) => "token",
                Identity::Program { .. } => "program",
            },
            address,
            program: usage.program.clone(),
            first_seen: usage.first_seen,
            last_seen: usage.last_seen,
            requests: usage.requests,
            refused: usage.refused,
            streams,
            active,
        }
    }
}

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

/// The consumers of the running server. Clones share them.
#[derive(Clone, Debug)]
pub struct Registry {
    consumers: Arc<Mutex<Consumers>>,
    known: Arc<Mutex<Known>>,
    /// Changes with each change of the tokens.
    changed: watch::Sender<()>,
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
        let known = lock(&self.known).stamp;
        if self.stamp().await == known {
            lock(&self.known).looked = Some(Instant::now());
        } else {
            self.read_tokens().await;
        }
    }

    async fn stamp(&self) -> Option<Stamp> {
        // A disk that does not respond changes no token.
        self.state.stamp(tokens::NAME).await.ok().flatten()
    }

    async fn read_tokens(&self) {
        // Taken before, so that a change during the reading is noticed later.
        let stamp = self.stamp().await;
        match ConsumerTokens::read(&self.state).await {
            Ok(tokens) => {
                let index = tokens.as_ref().map(ConsumerTokens::index).unwrap_or_default();
                *lock(&self.known) = Known { stamp, looked: Some(Instant::now()), tokens, index };
                self.changed.send_replace(());
            }
            Err(error) => tracing::debug!(%error, "cannot read the tokens of consumers"),
        }
    }

    /// Decides whether a request with this token is answered.
    pub async fn admit(&self, token: Option<&str>, mut request: Request) -> Result<Identity, Refusal> {
        let looked = lock(&self.known).looked;
        if token.is_some() && looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
            self.look().await;
        }
        request.token = lock(&self.known).index.look_up(token);
        let admitted = lock(&self.consumers).admit(&request, self.clock.now(), Instant::now());
        if request.stream {
            self.stream_began.notify_one();
        }
        admitted
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
        all.sort_by(|a, b| b.last_seen.cmp(&a.last_seen).then_with(|| a.name.cmp(&b.name)));
        all
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
