//! The poll loop of one gateway: identify it, authorise, read its pages.
//!
//! The rules make the decisions: `sources` chooses the next page, `schedule` the time of the next poll, and `outage` the
//! reports of a failure. `logins`, through `token_provider`, decides whether to request a token. No failure of a poll
//! ends the daemon.

mod access;
pub mod claims;
pub mod identity;
mod newcomers;
mod reporting;
mod requests;
pub mod reset_totals;
mod shared;
pub mod token_report;

pub mod counter_file;
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
use counter_file::CounterFile;
use newcomers::Newcomers;
pub use shared::Shared;
use trouble::Trouble;

/// The interval at which `/info` of a responding gateway is read again, to detect a new firmware.
const IDENTIFY_INTERVAL: Duration = Duration::from_secs(3600);
/// The time limit for opening a gateway. It covers the wait for an mDNS announcement, the attempts at several addresses
/// (one minute in all), and two requests on connections of 55 s each.
const LONGEST_OPENING: Duration = Duration::from_secs(5 * 60);
/// The number of hanging pages that one poll of a command skips.
const HANGING_PAGES: u32 = 2;
/// The time without a failed poll after which a gateway counts as stable.
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
    /// Set after a failed poll: `/info` must be read again before any other page.
    must_identify: bool,
    /// Reserves the gateway for this poller.
    claim: Option<Claim>,
    /// The serial number of the last gateway that responded, kept while it does not respond.
    last_serial: Option<Serial>,
    sources: Option<Sources>,
    access: Option<Access>,
    outage: Outage<&'static str>,
    newcomers: Newcomers,
    last_reading: Option<Instant>,
    /// When a refused MQTT request was last reported.
    refused: Option<Instant>,
    totals: Option<CounterFile>,
    /// Events about totals and inverters that have not been reported yet.
    incidents: Vec<Event>,
}

impl Poller {
    /// Creates a poller of the gateway in `settings`, the table at index `place` in the configuration.
    pub fn new(place: usize, settings: config::Gateway, shared: Shared, heartbeat: Heartbeat) -> Self {
        let keys = PinnedKeys::new(shared.state.clone());
        Self {
            place,
            settings,
            shared,
            heartbeat,
            keys,
            gateway: None,
            must_identify: false,
            claim: None,
            last_serial: None,
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

    /// Polls from `start` until `stop`, which also interrupts a poll; files on disk are always complete. Returns the serial
    /// number of the gateway, if it is known. Boxed: otherwise the task stores `self` twice.
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
        // Boxed, so that a poll takes memory only while it runs: most of the time all pollers wait.
        let polled = Box::pin(self.poll()).await;
        self.heartbeat.beat();
        match &polled {
            Err(Trouble::Gateway(error)) => schedule.failed(Instant::now(), Some(error)),
            Err(Trouble::NoProduction { .. } | Trouble::Nothing) => schedule.failed(Instant::now(), None),
            Err(Trouble::ReadAlready { .. }) => schedule.rest(Instant::now()),
            _ => schedule.answered(Instant::now()),
        }
        if let Some(request) = request {
            self.report_request(request, &polled);
        }
        self.report(polled);
    }

    /// Polls once and reports the result.
    pub async fn run_once(mut self) {
        let polled = self.poll_once().await;
        self.report(polled);
    }

    /// Returns the pages that failed or were incomplete in the last poll, each with a description.
    pub fn shortfalls(&self) -> impl Iterator<Item = String> {
        let sources = self.sources.iter();
        sources.flat_map(Sources::shortfalls).map(|(page, words)| format!("{} {words}", page.path()))
    }

    /// Polls, and retries if a page hangs. A page that does not respond may mean that the whole gateway does not, so it
    /// ends the poll. The next poll skips it.
    pub async fn poll_once(&mut self) -> Result<Option<Reading>, Trouble> {
        let mut polled = self.poll().await;
        for _ in 0..HANGING_PAGES {
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

    /// Polls once. Returns `None` if no page was due, which never happens at the first poll.
    pub async fn poll(&mut self) -> Result<Option<Reading>, Trouble> {
        let polled = self.try_poll().await;
        if let Err(trouble) = &polled {
            self.must_identify = true;
            if self.must_locate(trouble) {
                self.gateway = None;
            }
        }
        polled
    }

    /// Returns whether the gateway must be located again: another gateway responds, or the address of one that was found
    /// by its host name or by mDNS may have changed.
    fn must_locate(&self, trouble: &Trouble) -> bool {
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
        if let Err(error) = self.record_verdict(&read).await {
            // The reading is still valid, and more important than this record.
            tracing::debug!(%error, "cannot record whether the gateway accepts the token");
        }
        read
    }

    /// Connects to the gateway, or reads `/info` again if that is due.
    async fn connect(&mut self) -> Result<(), Trouble> {
        if let Some(gateway) = &mut self.gateway
            && (self.must_identify || gateway.identified_at().elapsed() >= IDENTIFY_INTERVAL)
        {
            match gateway.confirm().await {
                Ok(()) => {}
                Err(error) if error.is_about_identity() => self.gateway = None,
                // Only `/info` fails; the key of the connection still identifies the gateway.
                Err(error) if !self.must_identify && error.is_about_one_page() => {
                    tracing::debug!(%error, "cannot read /info again; reading the other pages anyway");
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.keys.catch_up().await;
        if self.gateway.is_none() {
            let now = self.shared.clock.now();
            self.gateway = Some(gateway::open(&self.settings.target(), &mut self.keys, now).await?);
        }
        self.must_identify = false;
        self.identified()
    }

    /// Applies the last response to `/info`: checks the serial number and updates the sources.
    fn identified(&mut self) -> Result<(), Trouble> {
        let Some(gateway) = &self.gateway else { return Ok(()) };
        let (facts, identified_at, address) =
            (gateway.info().clone(), gateway.identified_at(), gateway.address());
        if !self.newcomers.admit(&facts.serial, Instant::now())
            && let Some(before) = self.last_serial.clone()
        {
            self.gateway = None;
            return Err(Trouble::ManyGateways { address, before, now: facts.serial });
        }
        self.claim(&facts.serial)?;
        let before = self.last_serial.replace(facts.serial.clone());
        if let Some(before) = before.filter(|before| *before != facts.serial) {
            self.replaced(&before, &address);
        }
        let options = Options { live_data: self.settings.live_data };
        match &mut self.sources {
            Some(sources) => sources.identified(facts, identified_at),
            sources @ None => *sources = Some(Sources::new(facts, options, identified_at)),
        }
        Ok(())
    }

    /// Discards the state of the gateway `before`, which another one has replaced at `address`, and reports that.
    fn replaced(&mut self, before: &Serial, address: &str) {
        self.save();
        (self.sources, self.access, self.totals, self.last_reading) = (None, None, None, None);
        let Some(now) = &self.last_serial else { return };
        let message = format!(
            "the gateway at {address} was replaced: its serial number is now {now}, and was {before}"
        );
        if self.newcomers.may_report(Instant::now()) {
            tracing::warn!("{message}");
        } else {
            tracing::debug!("{message}");
        }
        self.shared.latest.put_availability(before, Availability::Offline(message.clone()));
        self.shared.latest.forget_reading(before);
        self.event("gateway_replaced", message);
    }

    /// Provides the gateway connection with a token or a password.
    async fn authorise(&mut self) -> Result<(), Trouble> {
        let Some(gateway) = &mut self.gateway else { return Err(Trouble::Nothing) };
        let access = self.access.get_or_insert_with(|| Access::new(gateway.serial().clone()));
        let authorised = access.authorise(gateway, &self.settings, &self.shared, &self.heartbeat).await;
        // `/info` may have been read again.
        self.identified()?;
        if authorised? == Changed::Token
            && let Some(sources) = &mut self.sources
        {
            sources.role_changed();
        }
        Ok(())
    }

    /// Records whether the gateway accepted the token, after pages were requested with it.
    async fn record_verdict(&mut self, read: &Result<Option<Reading>, Trouble>) -> Result<(), Trouble> {
        match (&mut self.gateway, &mut self.access) {
            (Some(gateway), Some(access)) => access.record_verdict(read, gateway, &self.shared).await,
            _ => Ok(()),
        }
    }

    /// Reserves the gateway `serial`, or returns an error if another `[[gateway]]` table polls it already.
    fn claim(&mut self, serial: &Serial) -> Result<(), Trouble> {
        if self.claim.as_ref().is_some_and(|claim| claim.serial() == serial) {
            return Ok(());
        }
        // This is another gateway than before; release that one.
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

    /// Requests every page that is due, and combines the responses into a reading.
    async fn read(&mut self) -> Result<Option<Reading>, Trouble> {
        let (Some(gateway), Some(sources)) = (&mut self.gateway, &mut self.sources) else {
            return Err(Trouble::Nothing);
        };
        let mut failure = None;
        sources.begin_cycle(Instant::now());
        while let Some(endpoint) = sources.next(Instant::now()) {
            let response = gateway.get(endpoint).await;
            self.heartbeat.beat();
            let odd = sources.take(endpoint, response.as_deref(), Instant::now());
            let odd =
                odd.map(|why| gateway::Error::Malformed { path: endpoint.path(), why: why.to_string() });
            failure = gateway::Error::main_cause(failure, response.err().or(odd));
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

    /// Sets the counter file that guards the totals of the gateway with the same serial number.
    pub fn guard_with(&mut self, totals: CounterFile) {
        self.totals = Some(totals);
    }

    /// Starts writing the counter file.
    pub(super) fn save(&mut self) {
        if let Some(totals) = &mut self.totals {
            totals.save(&self.shared.state);
        }
    }

    /// Writes the counter file. No other file has pending writes.
    pub async fn finish(&mut self) {
        self.save();
        if let Some(totals) = &mut self.totals
            && !totals.finish(&self.shared.state).await
        {
            tracing::warn!("the disk does not respond; the newest totals may not have been saved");
        }
    }

    /// Returns the reading with the configured name, guarded totals and the energy of the day.
    pub(super) async fn guarded(&mut self, mut reading: Reading) -> Reading {
        reading.gateway.name.clone_from(&self.settings.name);
        let serial = &reading.gateway.serial;
        let totals = match self.totals.take().filter(|totals| totals.serial() == serial) {
            Some(totals) => self.totals.insert(totals),
            None => self.totals.insert(CounterFile::new(serial)),
        };
        totals.load(&self.shared.state).await;
        totals.apply_reset(&self.shared.state).await;
        self.incidents.extend(totals.apply(&mut reading, &self.shared.zone, Instant::now()));
        reading
    }
}
