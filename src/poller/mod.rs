//! The poll loop of one gateway: who is it, may we read it, what does it say.
//!
//! The loop does and the rules decide: `sources` which page comes next, `schedule` when, `logins` (through
//! `supply`) whether a token is wanted, `outage` what is said of a failure. Nothing that happens here ends
//! the daemon.

mod access;
mod asked;
pub mod claims;
pub mod identity;
pub mod known;
pub mod outage;
pub mod report;
mod telling;
pub mod totals;
pub mod trouble;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::board::Board;
use crate::clock::Clock;
use crate::config;
use crate::gateway;
use crate::gateway::address::Address;
use crate::gateway::client::Client;
use crate::gateway::wire::livedata;
use crate::pulse::Pulse;
use crate::reading::{Event, Reading, Serial};
use crate::schedule::Schedule;
use crate::sources::{Cycle, Facts, Options, Sources};
use crate::standing::Standings;
use crate::state::StateDir;
use crate::supply::Supply;
use crate::wishes::Wishes;
use access::Access;
use claims::{Claim, Claims};
use identity::Identity;
use outage::Outage;
use totals::Totals;
use trouble::Trouble;

/// How often a gateway that answers is asked who it is, to see a new firmware.
const ASK_AGAIN: Duration = Duration::from_secs(3600);
/// How often the loop beats while it waits.
const BEAT: Duration = Duration::from_secs(20);

/// What the pollers of a daemon share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Where the state lies.
    pub state: StateDir,
    /// The time.
    pub clock: Clock,
    /// The zone of local midnight.
    pub zone: TimeZone,
    /// The account's tokens.
    pub supply: Arc<Mutex<Supply>>,
    /// Where readings are put.
    pub board: Board,
    /// Where each poller says how it stands.
    pub standings: Standings,
    /// Where what is asked over MQTT waits.
    pub wishes: Wishes,
    /// Which entry of the configuration reads which gateway.
    pub claims: Claims,
}

/// Polls one gateway.
#[derive(Debug)]
pub struct Poller {
    place: usize,
    settings: config::Gateway,
    shared: Shared,
    pulse: Pulse,
    client: Option<(Address, Client)>,
    identity: Option<Identity>,
    /// The gateway that this poller alone reads.
    claim: Option<Claim>,
    /// The serial that the gateway told last, kept when it falls silent.
    named: Option<Serial>,
    sources: Option<Sources>,
    access: Access,
    outage: Outage,
    last_reading: Option<Instant>,
    /// When a wish was last refused aloud.
    refused: Option<Instant>,
    totals: Option<Totals>,
    /// What happened to totals and inverters and is not told yet.
    incidents: Vec<Event>,
}

impl Poller {
    /// A poller of the gateway that `settings` name, the one at `place` in the configuration.
    pub fn new(place: usize, settings: config::Gateway, shared: Shared, pulse: Pulse) -> Self {
        Self {
            place,
            settings,
            shared,
            pulse,
            client: None,
            identity: None,
            claim: None,
            named: None,
            sources: None,
            access: Access::default(),
            outage: Outage::default(),
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
        self.save();
        self.serial()
    }

    async fn turn(&mut self, schedule: &mut Schedule) {
        let wish = self.wait(schedule).await;
        // On the heap, so that it takes memory only while it lasts: most of the time all pollers wait.
        let polled = Box::pin(self.poll()).await;
        self.pulse.beat();
        match &polled {
            Err(Trouble::Gateway(error)) => schedule.away(Instant::now(), error),
            Err(Trouble::ReadAlready { .. }) => schedule.rest(Instant::now()),
            _ => schedule.answered(Instant::now()),
        }
        if let Some(wish) = wish {
            self.answer(wish, &polled);
        }
        self.tell(polled);
    }

    /// Polls once, whatever comes of it.
    pub async fn run_once(mut self) {
        let polled = self.poll().await;
        self.tell(polled);
    }

    /// One poll; `None` when nothing was due, which a first poll never gives.
    pub async fn poll(&mut self) -> Result<Option<Reading>, Trouble> {
        let polled = self.try_poll().await;
        if polled.is_err() {
            // Whoever answers next time has to say who it is; and one that was found by mDNS may have moved.
            self.identity = None;
            if self.settings.address.is_none() {
                self.client = None;
            }
        }
        polled
    }

    async fn try_poll(&mut self) -> Result<Option<Reading>, Trouble> {
        if self.identity.as_ref().is_none_or(|known| known.asked.elapsed() >= ASK_AGAIN) {
            let known = self.identity.is_some();
            match self.identify().await {
                Ok(_) => {}
                // A page that fails costs what it says and no more: it is who it was an hour ago, by its key.
                Err(Trouble::Gateway(error)) if known && error.is_about_one_page() => {
                    tracing::debug!(%error, "the gateway does not say who it is; it is read all the same");
                }
                Err(trouble) => return Err(trouble),
            }
        }
        self.authorise().await?;
        let read = self.read().await;
        if let Err(error) = self.judged(&read).await {
            // What was read is worth more than what could not be written down about it.
            tracing::debug!(%error, "the gateway's judgement of the token was not written down");
        }
        read
    }

    /// Asks `/info`, judges the answer, and takes a new firmware into account.
    async fn identify(&mut self) -> Result<&Identity, Trouble> {
        if self.client.is_none() {
            let address = identity::locate(&self.settings).await?;
            let client = identity::client(&self.settings, &address)?;
            self.client = Some((address, client));
        }
        let Some((address, client)) = &mut self.client else { return Err(Trouble::NotFound) };
        let now = self.shared.clock.now();
        let identity = identity::identify(client, address, &self.settings, &self.shared.state, now).await?;
        self.claim(&identity.serial)?;
        self.named = Some(identity.serial.clone());
        let facts = facts(&identity);
        match &mut self.sources {
            Some(sources) => sources.identified(facts, identity.asked),
            none => {
                let options = Options { live_data: self.settings.live_data };
                *none = Some(Sources::new(facts, options, identity.asked));
            }
        }
        Ok(self.identity.insert(identity))
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
        let (Some((_, client)), Some(sources)) = (&mut self.client, &mut self.sources) else {
            return Err(Trouble::Nothing);
        };
        let mut failure = None;
        sources.begin_cycle(Instant::now());
        while let Some(endpoint) = sources.next(Instant::now()) {
            let answer = client.get(endpoint).await;
            self.pulse.beat();
            let odd = sources.take(endpoint, answer.as_deref(), Instant::now());
            let odd =
                odd.map(|why| gateway::Error::Malformed { path: endpoint.path(), why: why.to_string() });
            failure = gateway::Error::of_two(failure, answer.err().or(odd));
        }
        if sources.wants_stream(Instant::now()) {
            let (path, json) = livedata::STREAM;
            let accepted = client.post(path, json).await;
            sources.stream_asked(accepted.is_ok(), Instant::now());
        }
        match sources.cycle(self.shared.clock.now()) {
            Cycle::Reading(reading) => Ok(Some(self.guarded(*reading))),
            Cycle::NotDue => Ok(None),
            Cycle::Nothing => Err(failure.map_or(Trouble::Nothing, Trouble::Gateway)),
        }
    }
}

fn facts(identity: &Identity) -> Facts {
    let info = &identity.info;
    Facts {
        serial: identity.serial.clone(),
        firmware: (info.firmware.major, info.firmware.minor, info.firmware.build),
        firmware_name: info.firmware.to_string(),
        part_number: info.part_number.clone(),
        metered_model: info.metered_model,
        time: info.time,
    }
}
