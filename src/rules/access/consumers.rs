//! The consumers: who asks, how much, and who is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::bucket::Bucket;
use super::guesses::Guesses;
use super::refusal::Refusal;
use super::{INACTIVE, Limits};

/// The maximum number of consumers to remember, unless more may be active; the one that was silent for longest is forgotten.
const MOST: usize = 256;

/// The identity of a consumer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Identity {
    /// A token, by its id.
    Token(String),
    /// A program at an address of an open network.
    Program {
        /// The address.
        address: IpAddr,
        /// The name that the program gives itself (`User-Agent`); empty if it gives none.
        program: String,
    },
}

impl Identity {
    /// Returns `true` if it may see all consumers: it has a token, or it is on this machine. Others see themselves only.
    pub const fn sees_all(&self) -> bool {
        match self {
            Self::Token(_) => true,
            Self::Program { address, .. } => address.is_loopback(),
        }
    }
}

/// The requests of a consumer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// The identity.
    pub identity: Identity,
    /// The address of the last request.
    pub address: IpAddr,
    /// The name that the program gave itself in the last request.
    pub program: String,
    /// The time of the first request.
    pub first_seen: Timestamp,
    /// The time of the last request.
    pub last_seen: Timestamp,
    /// The number of accepted requests.
    pub requests: u64,
    /// The number of refused requests.
    pub refused: u64,
    /// The ports of the listeners that it has asked.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub ports: BTreeSet<u16>,
}

/// A consumer in memory.
#[derive(Debug)]
struct Consumer {
    usage: Usage,
    bucket: Bucket,
    /// `None` after a restart, until the next request.
    last: Option<Instant>,
    streams: usize,
}

impl Consumer {
    fn is_active(&self, now: Instant) -> bool {
        self.streams > 0 || self.last.is_some_and(|last| now.saturating_duration_since(last) < INACTIVE)
    }
}

/// The meaning of a presented token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presented {
    /// No token was presented.
    Nothing,
    /// A token that was created for a consumer, by its id.
    Known(String),
    /// A token that was removed, or has expired.
    Removed,
    /// Something else.
    Unknown,
}

/// A request, as far as its admission depends on it.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Request {
    pub address: IpAddr,
    pub program: String,
    pub token: Presented,
    /// The request opens a stream.
    pub stream: bool,
    /// The port of the listener at which the request arrived.
    pub port: Option<u16>,
}

/// The consumers, and the rules that admit them.
#[derive(Debug)]
pub struct Consumers {
    limits: Limits,
    known: BTreeMap<Identity, Consumer>,
    guesses: Guesses,
    /// The number of refusals of requests without a known consumer.
    strangers: u64,
}

impl Consumers {
    /// Creates an instance with what is known from earlier runs.
    pub fn new(limits: Limits, earlier: Vec<Usage>, now: Instant) -> Self {
        let bucket = Bucket::full(limits.requests_per_minute, now);
        let consumer = |usage: Usage| Consumer { usage, bucket, last: None, streams: 0 };
        let known = earlier.into_iter().map(|usage| (usage.identity.clone(), consumer(usage))).collect();
        Self { limits, known, guesses: Guesses::default(), strangers: 0 }
    }

    /// Decides whether a request is answered. A stream has to be ended with [`Self::stream_ended`].
    pub fn admit(&mut self, request: &Request, wall: Timestamp, now: Instant) -> Result<Identity, Refusal> {
        let identity = match self.identify(request, now) {
            Ok(identity) => identity,
            Err(refusal) => {
                self.strangers += 1;
                return Err(refusal);
            }
        };
        let admitted = self.check(&identity, request, now);
        match self.known.get_mut(&identity) {
            Some(consumer) => consumer.record(request, admitted.is_ok(), wall, now),
            None if admitted.is_ok() => self.add(&identity, request, wall, now),
            None => self.strangers += 1,
        }
        admitted.map(|()| identity)
    }

    fn identify(&mut self, request: &Request, now: Instant) -> Result<Identity, Refusal> {
        let is_open = self.limits.open_to.iter().any(|network| network.contains(&request.address));
        let anonymous = || Identity::Program { address: request.address, program: request.program.clone() };
        match &request.token {
            // Programs in an open network may send the gateway's own token, which is not needed here.
            _ if is_open && !matches!(request.token, Presented::Known(_)) => Ok(anonymous()),
            Presented::Nothing => Err(Refusal::NotRecognised),
            token => {
                if let Some(retry_after) = self.guesses.wait(request.address, now) {
                    return Err(Refusal::TooManyGuesses { retry_after });
                }
                match token {
                    Presented::Known(id) => Ok(Identity::Token(id.clone())),
                    Presented::Removed => Err(Refusal::Removed),
                    _ => {
                        self.guesses.record(request.address, now);
                        Err(Refusal::NotRecognised)
                    }
                }
            }
        }
    }

    fn check(&mut self, identity: &Identity, request: &Request, now: Instant) -> Result<(), Refusal> {
        let most = self.limits.requests_per_minute;
        if let Some(consumer) = self.known.get_mut(identity) {
            let taken = consumer.bucket.take(most, now);
            taken.map_err(|retry_after| Refusal::TooManyRequests { most, retry_after })?;
        }
        let is_active = |consumer: &Consumer| consumer.is_active(now);
        if !self.known.get(identity).is_some_and(is_active) && self.active(now) >= self.limits.max_consumers {
            return Err(Refusal::TooManyConsumers { most: self.limits.max_consumers });
        }
        if request.stream && self.streams() >= self.limits.max_streams {
            return Err(Refusal::TooManyStreams { most: self.limits.max_streams });
        }
        Ok(())
    }

    fn add(&mut self, identity: &Identity, request: &Request, wall: Timestamp, now: Instant) {
        if self.known.len() >= MOST.max(self.limits.max_consumers) {
            let silent = self.known.iter().filter(|(_, consumer)| !consumer.is_active(now));
            let oldest =
                silent.min_by_key(|(_, consumer)| consumer.usage.last_seen).map(|(key, _)| key.clone());
            oldest.map(|oldest| self.known.remove(&oldest));
        }
        let usage = Usage {
            identity: identity.clone(),
            address: request.address,
            program: request.program.clone(),
            first_seen: wall,
            last_seen: wall,
            requests: 0,
            refused: 0,
            ports: BTreeSet::new(),
        };
        let bucket = Bucket::full(self.limits.requests_per_minute, now);
        let mut consumer = Consumer { usage, bucket, last: None, streams: 0 };
        consumer.bucket.take(self.limits.requests_per_minute, now).ok();
        consumer.record(request, true, wall, now);
        self.known.insert(identity.clone(), consumer);
    }

    /// Records that a stream of `identity` has ended.
    pub fn stream_ended(&mut self, identity: &Identity) {
        if let Some(consumer) = self.known.get_mut(identity) {
            consumer.streams = consumer.streams.saturating_sub(1);
        }
    }

    /// Returns what each consumer has done, with the number of its open streams, and whether it is active.
    pub fn all(&self, now: Instant) -> impl Iterator<Item = (&Usage, usize, bool)> {
        self.known.values().map(move |consumer| (&consumer.usage, consumer.streams, consumer.is_active(now)))
    }

    /// Returns the number of active consumers.
    pub fn active(&self, now: Instant) -> usize {
        self.known.values().filter(|consumer| consumer.is_active(now)).count()
    }

    /// Returns the number of open streams.
    pub fn streams(&self) -> usize {
        self.known.values().map(|consumer| consumer.streams).sum()
    }

    /// Returns whether a stream is open that depends on a token.
    pub fn has_token_streams(&self) -> bool {
        let mut tokens = self.known.iter().filter(|(identity, _)| matches!(identity, Identity::Token(_)));
        tokens.any(|(_, consumer)| consumer.streams > 0)
    }

    /// Returns the number of refused requests since the start that belong to no known consumer.
    pub const fn refused_strangers(&self) -> u64 {
        self.strangers
    }
}

impl Consumer {
    fn record(&mut self, request: &Request, admitted: bool, wall: Timestamp, now: Instant) {
        if !admitted {
            self.usage.refused += 1;
            return;
        }
        self.usage.requests += 1;
        self.usage.last_seen = wall;
        self.usage.address = request.address;
        self.usage.program.clone_from(&request.program);
        self.usage.ports.extend(request.port);
        self.last = Some(now);
        self.streams += usize::from(request.stream);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn all_consumers_are_seen_with_a_token_and_on_this_machine_only() {
        let program =
            |address: &str| Identity::Program { address: address.parse().unwrap(), program: "evcc".into() };
        assert!(Identity::Token("1".to_owned()).sees_all());
        assert!(program("127.0.0.1").sees_all() && program("::1").sees_all());
        assert!(!program("192.168.1.5").sees_all() && !program("fe80::1").sees_all());
    }

    const WALL: Timestamp = Timestamp::UNIX_EPOCH;

    fn limits() -> Limits {
        Limits {
            open_to: vec!["192.168.1.0/24".parse().unwrap()],
            max_consumers: 3,
            max_streams: 2,
            requests_per_minute: 10,
        }
    }

    fn from(address: &str, program: &str) -> Request {
        Request {
            address: address.parse().unwrap(),
            program: program.to_owned(),
            token: Presented::Nothing,
            stream: false,
            port: None,
        }
    }

    fn with(token: Presented) -> Request {
        Request { token, ..from("10.0.0.7", "curl") }
    }

    fn consumers(now: Instant) -> Consumers {
        Consumers::new(limits(), Vec::new(), now)
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_network_needs_no_token_and_others_do() {
        let now = Instant::now();
        let mut consumers = consumers(now);
        assert!(consumers.admit(&from("192.168.1.9", "evcc"), WALL, now).is_ok());
        let refused = consumers.admit(&from("10.0.0.7", "evcc"), WALL, now);
        assert_eq!(refused, Err(Refusal::NotRecognised));
        let known = consumers.admit(&with(Presented::Known("a".to_owned())), WALL, now);
        assert_eq!(known, Ok(Identity::Token("a".to_owned())));
        assert_eq!(consumers.admit(&with(Presented::Removed), WALL, now), Err(Refusal::Removed));
        let gateway_token = Request { token: Presented::Unknown, ..from("192.168.1.9", "evcc") };
        assert!(consumers.admit(&gateway_token, WALL, now).is_ok(), "its own token is not needed");
    }

    #[tokio::test(start_paused = true)]
    async fn two_programs_at_one_address_are_two_and_one_that_reconnects_is_one() {
        let now = Instant::now();
        let mut consumers = consumers(now);
        for program in ["evcc", "telegraf", "evcc", "evcc"] {
            consumers.admit(&from("192.168.1.9", program), WALL, now).unwrap();
        }
        let requests: Vec<u64> = consumers.all(now).map(|(usage, _, _)| usage.requests).collect();
        assert_eq!(requests, [3, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_consumer_that_is_inactive_for_half_an_hour_makes_room() {
        let now = Instant::now();
        let mut consumers = consumers(now);
        for program in ["a", "b", "c"] {
            consumers.admit(&from("192.168.1.9", program), WALL, now).unwrap();
        }
        let fourth = from("192.168.1.9", "d");
        assert_eq!(consumers.admit(&fourth, WALL, now), Err(Refusal::TooManyConsumers { most: 3 }));
        assert!(consumers.admit(&from("192.168.1.9", "a"), WALL, now).is_ok(), "those that are there stay");
        assert!(consumers.admit(&fourth, WALL, now + INACTIVE).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_requests_and_too_many_streams_are_refused_and_counted() {
        let now = Instant::now();
        let mut consumers = consumers(now);
        let request = from("192.168.1.9", "a");
        let answered = (0..30).filter(|_| consumers.admit(&request, WALL, now).is_ok()).count();
        assert_eq!(answered, 10);
        assert_eq!(consumers.all(now).next().unwrap().0.refused, 20);
        let later = now + Duration::from_secs(60);
        let stream = Request { stream: true, ..request };
        let identity = consumers.admit(&stream, WALL, later).unwrap();
        consumers.admit(&stream, WALL, later).unwrap();
        assert_eq!(consumers.admit(&stream, WALL, later), Err(Refusal::TooManyStreams { most: 2 }));
        consumers.stream_ended(&identity);
        assert!(consumers.admit(&stream, WALL, later).is_ok());
        let much_later = later + 3 * INACTIVE;
        assert_eq!(consumers.active(much_later), 1, "who has a stream is active");
    }

    #[tokio::test(start_paused = true)]
    async fn who_guesses_tokens_has_to_wait_even_with_the_right_one() {
        let now = Instant::now();
        let mut consumers = consumers(now);
        for _ in 0..10 {
            assert_eq!(consumers.admit(&with(Presented::Unknown), WALL, now), Err(Refusal::NotRecognised));
        }
        let right = with(Presented::Known("a".to_owned()));
        let refused = consumers.admit(&right, WALL, now);
        assert!(matches!(refused, Err(Refusal::TooManyGuesses { .. })), "{refused:?}");
        assert!(consumers.admit(&right, WALL, now + Duration::from_secs(60)).is_ok());
    }

    proptest! {
        /// Whatever happens, the limits hold, and memory is bounded.
        #[test]
        fn the_limits_hold(steps in prop::collection::vec((0..400_u16, any::<bool>(), 0..600_u64), 1..300)) {
            let start = Instant::now();
            let (mut passed, mut open) = (0, Vec::new());
            let mut consumers = consumers(start);
            for (program, stream, seconds) in steps {
                passed += seconds;
                let now = start + Duration::from_secs(passed);
                let request = Request { stream, ..from("192.168.1.9", &program.to_string()) };
                if let Ok(identity) = consumers.admit(&request, WALL, now)
                    && stream
                {
                    open.push(identity);
                }
                prop_assert!(consumers.active(now) <= 3 && consumers.streams() <= 2);
                prop_assert!(consumers.known.len() <= MOST);
                if seconds % 7 == 0
                    && let Some(ended) = open.pop()
                {
                    consumers.stream_ended(&ended);
                }
                prop_assert_eq!(consumers.streams(), open.len());
            }
        }
    }
}
