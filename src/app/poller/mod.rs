//! The poll loop of one gateway: who is it, may we read it, what does it say.
//!
//! The loop does and the rules decide: `sources` which page comes next, `schedule` when, `logins` (through
//! `token_provider`) whether a token is wanted, `outage` what is said of a failure. Nothing that happens here ends
//! the daemon.

mod access;
pub mod claims;
pub mod identity;
mod newcomers;
pub mod report;
mod reporting;
mod requests;
pub mod reset_totals;
mod shared;

pub mod totals;
pub mod trouble;

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::Instant;

use crate::app::config;
use crate::app::latest::Availability;
use crate::base::heartbeat::Heartbeat;
use crate::base::outage::Outage;
use crate::base::reading::{Event, Reading, Serial};
use crate::io::gateway::pinned_key::PinnedKeys;
use crate::io::gateway::wire::livedata;
use crate::io::gateway::{self, Connected};
use crate::rules::schedule::Schedule;
use crate::rules::sources::{Cycle, Options, Sources};
use access::{Access, Changed};
use claims::Claim;
use newcomers::Newcomers;
pub use shared::Shared;
use totals::Totals;
use trouble::Trouble;

/// How often a gateway that answers is asked who it is, to see a new firmware.
const ASK_AGAIN: Duration = Duration::from_secs(3600);
/// The longest that opening a gateway may take: its announcement is listened for, several places are looked at for a
/// minute in all, and one that answers slowly is asked twice on connections of 55 s each.
const LONGEST_OPENING: Duration = Duration::from_secs(5 * 60);
/// How many pages that hang a single poll of a command passes over.
const PAGES_THAT_HANG: u32 = 2;
/// A gateway that was read for this long without a break does not come and go.
const STEADY: Duration = Duration::from_secs(3600);

/// Polls one gateway.
#[derive(Debug)]
pub struct Poller {
    place: usize,
    settings: config::Gateway,
    shared: Shared,
    heartbeat: Heartbeat,
    keys: PinnedKeys,
    gateway: Option<Connected>,
    /// After a poll that failed: whoever answers next has to say who it is.
    unsure: bool,
    /// The gateway that this poller alone reads.
    claim: Option<Claim>,
    /// The serial of the gateway that answered last, kept when it falls silent.
    named: Option<Serial>,
    sources: Option<Sources>,
    access: Option<Access>,
    outage: Outage<&'static str>,
    newcomers: Newcomers,
    last_reading: Option<Instant>,
    /// When a request was last refused aloud.
    refused: Option<Instant>,
    totals: Option<Totals>,
    /// What happened to totals and inverters and is not told yet.
    incidents: Vec<Event>,
}

impl Poller {
    /// A poller of the gateway that `settings` name, the one at `place` in the configuration.
    pub fn new(place: usize, settings: config::Gateway, shared: Shared, heartbeat: Heartbeat) -> Self {
        let keys = PinnedKeys::new(shared.state.clone());
        Self {
            place,
            settings,
            shared,
            heartbeat,
            keys,
            gateway: None,
            unsure: false,
            claim: None,
            named: None,
            sources: None,
            access: None,
            outage: Outage::new(STEADY),
            newcomers: Newcomers::new(Instant::now()),
            last_reading: None,
            refused: None,
            totals: None,
            incidents: Vec::new(),
        }
    }

    /// Polls from `start` on until `stop`, in the middle of a poll if need be: what is on disk is always whole. In a box,
    /// because the task would hold what it moves in twice.
    /// Returns the gateway's serial, if it has become known.
    pub async fn run(mut self: Box<Self>, start: Instant, stop: impl Future<Output = ()>) -> Option<Serial> {
        let mut schedule = Schedule::new(start, self.settings.interval);
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = self.turn(&mut schedule) => {}
            }
        }
        self.finish().await;
        self.serial()
    }

    async fn turn(&mut self, schedule: &mut Schedule) {
        let request = self.wait(schedule).await;
        // On the heap, so that it takes memory only while it lasts: most of the time all pollers wait.
        let polled = Box::pin(self.poll()).await;
        self.heartbeat.beat();
        match &polled {
            Err(Trouble::Gateway(error)) => schedule.failed(Instant::now(), Some(error)),
            Err(Trouble::NoProduction { .. } | Trouble::Nothing) => schedule.failed(Instant::now(), None),
            Err(Trouble::ReadAlready { .. }) => schedule.rest(Instant::now()),
            _ => schedule.answered(Instant::now()),
        }
        if let Some(request) = request {
            self.answer(request, &polled);
        }
        self.tell(polled);
    }

    /// Polls once, whatever comes of it.
    pub async fn run_once(mut self) {
        let polled = self.poll_once().await;
        self.tell(polled);
    }

    /// The pages that fell short in the last poll, and of what.
    pub fn shortfalls(&self) -> impl Iterator<Item = String> {
        let sources = self.sources.iter();
        sources.flat_map(Sources::shortfalls).map(|(page, words)| format!("{} {words}", page.path()))
    }

    /// Polls as often as it takes for a reading of a gateway of which a page hangs: the first page to hang may be the whole
    /// gateway and ends a poll, and the next poll passes it over.
    pub async fn poll_once(&mut self) -> Result<Option<Reading>, Trouble> {
        let mut polled = self.poll().await;
        for _ in 0..PAGES_THAT_HANG {
            let one_page = match &polled {
                Err(Trouble::Gateway(gateway::Error::Unreachable { connected, path, .. })) => {
                    *connected && *path != gateway::info::PATH
                }
                Err(Trouble::Gateway(gateway::Error::Busy { path, .. })) => *path != gateway::info::PATH,
                _ => false,
            };
            if !one_page {
                break;
            }
            polled = self.poll().await;
        }
        polled
    }

    /// One poll; `None` when nothing was due, which a first poll never gives.
    pub async fn poll(&mut self) -> Result<Option<Reading>, Trouble> {
        let polled = self.try_poll().await;
        if let Err(trouble) = &polled {
            self.unsure = true;
            if self.is_elsewhere(trouble) {
                self.gateway = None;
            }
        }
        polled
    }

    /// Whether the gateway is to be looked for again: another one answers, or one that was found by its name or by mDNS
    /// may have moved.
    fn is_elsewhere(&self, trouble: &Trouble) -> bool {
        let Trouble::Gateway(error) = trouble else { return false };
        let may_move = self.settings.address.as_ref().is_none_or(|address| address.ip().is_none());
        let lost = matches!(error, gateway::Error::Unreachable { .. } | gateway::Error::Unidentified { .. });
        error.is_about_identity() || (may_move && lost)
    }

    async fn try_poll(&mut self) -> Result<Option<Reading>, Trouble> {
        let heartbeat = self.heartbeat.clone();
        heartbeat.during(LONGEST_OPENING, self.connect()).await?;
        self.authorise().await?;
        let read = self.read().await;
        if let Err(error) = self.judged(&read).await {
            // What was read is worth more than what could not be written down about it.
            tracing::debug!(%error, "the gateway's judgement of the token was not written down");
        }
        read
    }

    /// Opens the gateway, or asks it again who it is where that is due.
    async fn connect(&mut self) -> Result<(), Trouble> {
        if let Some(gateway) = &mut self.gateway
            && (self.unsure || gateway.asked().elapsed() >= ASK_AGAIN)
        {
            match gateway.confirm().await {
                Ok(()) => {}
                Err(error) if error.is_about_identity() => self.gateway = None,
                // A page that fails costs what it says and no more: it is who it was an hour ago, by its key.
                Err(error) if !self.unsure && error.is_about_one_page() => {
                    tracing::debug!(%error, "the gateway does not say who it is; it is read all the same");
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.keys.catch_up().await;
        if self.gateway.is_none() {
            let now = self.shared.clock.now();
            self.gateway = Some(gateway::open(&self.settings.target(), &mut self.keys, now).await?);
        }
        self.unsure = false;
        self.identified()
    }

    /// Takes into account who the gateway says it is.
    fn identified(&mut self) -> Result<(), Trouble> {
        let Some(gateway) = &self.gateway else { return Ok(()) };
        let (facts, asked, address) = (gateway.info().clone(), gateway.asked(), gateway.address());
        if !self.newcomers.admit(&facts.serial, Instant::now())
            && let Some(before) = self.named.clone()
        {
            self.gateway = None;
            return Err(Trouble::ManyGateways { address, before, now: facts.serial });
        }
        self.claim(&facts.serial)?;
        let before = self.named.replace(facts.serial.clone());
        if let Some(before) = before.filter(|before| *before != facts.serial) {
            self.replaced(&before, &address);
        }
        match &mut self.sources {
            Some(sources) => sources.identified(facts, asked),
            none => *none = Some(Sources::new(facts, Options { live_data: self.settings.live_data }, asked)),
        }
        Ok(())
    }

    /// Another gateway than `before` is at `address`: what was known of that one is not about this one.
    fn replaced(&mut self, before: &Serial, address: &str) {
        self.save();
        (self.sources, self.access, self.totals, self.last_reading) = (None, None, None, None);
        let Some(now) = &self.named else { return };
        let message = format!("the gateway at {address} was replaced: it is {now} now, and was {before}");
        if self.newcomers.say(Instant::now()) {
            tracing::warn!("{message}");
        } else {
            tracing::debug!("{message}");
        }
        self.shared.latest.put_availability(before, Availability::Offline(message.clone()));
        self.shared.latest.forget_reading(before);
        self.event("gateway_replaced", message);
    }

    /// Sees to it that the gateway can be read.
    async fn authorise(&mut self) -> Result<(), Trouble> {
        let Some(gateway) = &mut self.gateway else { return Err(Trouble::Nothing) };
        let access = self.access.get_or_insert_with(|| Access::new(gateway.serial().clone()));
        let authorised = access.authorise(gateway, &self.settings, &self.shared, &self.heartbeat).await;
        // It may have been asked again who it is.
        self.identified()?;
        if authorised? == Changed::Token
            && let Some(sources) = &mut self.sources
        {
            sources.role_changed();
        }
        Ok(())
    }

    /// Writes down what the gateway thinks of the token, after pages were asked for with it.
    async fn judged(&mut self, read: &Result<Option<Reading>, Trouble>) -> Result<(), Trouble> {
        match (&mut self.gateway, &mut self.access) {
            (Some(gateway), Some(access)) => access.judged(read, gateway, &self.shared).await,
            _ => Ok(()),
        }
    }

    /// Makes sure that no other entry of the configuration reads the gateway `serial`.
    fn claim(&mut self, serial: &Serial) -> Result<(), Trouble> {
        if self.claim.as_ref().is_some_and(|claim| claim.serial() == serial) {
            return Ok(());
        }
        // Another gateway than before: that one is free.
        self.claim = None;
        let ours = self.settings.to_string();
        match self.shared.claims.claim(serial, &ours) {
            Ok(claim) => {
                self.claim = Some(claim);
                Ok(())
            }
            Err(first) => Err(Trouble::ReadAlready { serial: serial.clone(), first, second: ours }),
        }
    }

    /// Asks every page that is due, and makes a reading of the answers.
    async fn read(&mut self) -> Result<Option<Reading>, Trouble> {
        let (Some(gateway), Some(sources)) = (&mut self.gateway, &mut self.sources) else {
            return Err(Trouble::Nothing);
        };
        let mut failure = None;
        sources.begin_cycle(Instant::now());
        while let Some(endpoint) = sources.next(Instant::now()) {
            let answer = gateway.get(endpoint).await;
            self.heartbeat.beat();
            let odd = sources.take(endpoint, answer.as_deref(), Instant::now());
            let odd =
                odd.map(|why| gateway::Error::Malformed { path: endpoint.path(), why: why.to_string() });
            failure = gateway::Error::of_two(failure, answer.err().or(odd));
        }
        if sources.wants_stream(Instant::now()) {
            let (path, json) = livedata::STREAM;
            let accepted = gateway.post(path, json).await;
            sources.stream_asked(accepted.is_ok(), Instant::now());
        }
        match sources.cycle(self.shared.clock.now()) {
            Cycle::Reading(reading) => Ok(Some(self.guarded(*reading).await)),
            Cycle::NotDue => Ok(None),
            Cycle::NoProduction { why, rest } => {
                let rest = match rest {
                    Some(reading) => Some(Box::new(self.guarded(*reading).await)),
                    None => None,
                };
                Err(Trouble::NoProduction { why, rest })
            }
            Cycle::Nothing => Err(failure.map_or(Trouble::Nothing, Trouble::Gateway)),
        }
    }

    /// Guards with `totals` those readings that are of the same gateway.
    pub fn guard_with(&mut self, totals: Totals) {
        self.totals = Some(totals);
    }

    /// Lets the totals be written.
    pub(super) fn save(&mut self) {
        if let Some(totals) = &mut self.totals {
            totals.save(&self.shared.state);
        }
    }

    /// Writes down the totals; nothing else waits to be written.
    pub async fn finish(&mut self) {
        self.save();
        if let Some(totals) = &mut self.totals
            && !totals.finish(&self.shared.state).await
        {
            tracing::warn!("the disk does not respond, and the newest totals may not be on it");
        }
    }

    /// The reading with its totals guarded, and its days.
    pub(super) async fn guarded(&mut self, mut reading: Reading) -> Reading {
        let serial = &reading.gateway.serial;
        let totals = match self.totals.take().filter(|totals| totals.serial() == serial) {
            Some(totals) => self.totals.insert(totals),
            None => self.totals.insert(Totals::new(serial)),
        };
        totals.load(&self.shared.state).await;
        totals.obey(&self.shared.state).await;
        self.incidents.extend(totals.apply(&mut reading, &self.shared.zone, Instant::now()));
        reading
    }
}
