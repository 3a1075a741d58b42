//! Reads one gateway: identifies it, authorises, and requests the pages that are due.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Shared;
use super::access::{Access, Changed};
use super::counter_file::CounterFile;
use super::guarded_totals::GuardedTotals;
use super::page_desk::PageDesk;
use super::polled_gateway::PolledGateway;
use super::trouble::Trouble;
use crate::app::config;
use crate::app::latest::Availability;
use crate::app::page_cache::PageCache;
use crate::base::heartbeat::Heartbeat;
use crate::base::reading::{Event, Reading, Serial};
use crate::io::gateway::wire::livedata;
use crate::io::gateway::{self, Fetched};
use crate::rules::proxy::pages::Page;
use crate::rules::sources::{Cycle, Notice, Options, Sources};

/// The time limit for opening a gateway. It covers the wait for an mDNS announcement, the attempts at several addresses
/// (one minute in all), and two requests on connections of 55 s each.
const LONGEST_OPENING: Duration = Duration::from_secs(5 * 60);
/// The number of hanging pages that [`Reader::poll_past_hanging_pages`] skips.
const HANGING_PAGES: u32 = 2;

/// Reads one gateway. No failure of a poll ends the daemon.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    heartbeat: Heartbeat,
    gateway: PolledGateway,
    access: Option<Access>,
    sources: Option<Sources>,
    totals: GuardedTotals,
    pages: PageDesk,
}

impl Reader {
    /// Creates a reader of the gateway in `settings`.
    pub fn new(settings: config::Gateway, shared: Shared, heartbeat: Heartbeat) -> Self {
        let shared = Arc::new(shared);
        Self {
            heartbeat,
            gateway: PolledGateway::new(settings, Arc::clone(&shared)),
            access: None,
            sources: None,
            totals: GuardedTotals::new(Arc::clone(&shared)),
            pages: PageDesk::default(),
            shared,
        }
    }

    /// Puts every page into `cache`, and requests those that programs want.
    #[must_use]
    pub fn with_pages(mut self, cache: PageCache) -> Self {
        self.pages = PageDesk::new(cache);
        self
    }

    pub(super) const fn pages(&self) -> &PageDesk {
        &self.pages
    }

    pub(super) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) const fn heartbeat(&self) -> &Heartbeat {
        &self.heartbeat
    }

    pub(super) const fn interval(&self) -> Duration {
        self.gateway.settings().interval
    }

    /// Returns the serial number of the last gateway that responded.
    pub(super) const fn last_serial(&self) -> Option<&Serial> {
        self.gateway.last_serial()
    }

    /// Returns the serial number of the last gateway that responded, or the configured one.
    pub(super) fn serial(&self) -> Option<&Serial> {
        self.gateway.last_serial().or(self.gateway.settings().serial.as_ref())
    }

    /// Returns the pages that failed or were incomplete in the last poll, each with a description.
    pub fn shortfalls(&self) -> impl Iterator<Item = String> {
        let sources = self.sources.iter();
        sources.flat_map(Sources::shortfalls).map(|(page, words)| format!("{} {words}", page.path()))
    }

    /// Returns the notices about pages since the last call.
    pub(super) fn take_notices(&mut self) -> Vec<Notice> {
        self.sources.as_mut().map(Sources::notices).unwrap_or_default()
    }

    /// Returns the events about totals and inverters since the last call, and writes the counter file if that is due.
    pub(super) fn take_events(&mut self) -> Vec<Event> {
        self.totals.take_events()
    }

    /// Sets the counter file that guards the totals of the gateway with the same serial number.
    pub fn guard_with(&mut self, file: CounterFile) {
        self.totals.set_file(file);
    }

    /// Writes the counter file. No other file has pending writes.
    pub(super) async fn finish(&mut self) {
        self.totals.finish().await;
    }

    /// Polls, and retries if a page hangs. A page that does not respond may mean that the whole gateway does not, so it
    /// ends the poll. The next poll skips it.
    pub async fn poll_past_hanging_pages(&mut self) -> Result<Option<Reading>, Trouble> {
        let mut polled = self.poll().await;
        for _ in 0..HANGING_PAGES {
            if !polled.as_ref().is_err_and(Trouble::is_hanging_page) {
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
            self.gateway.poll_failed(trouble);
        }
        polled
    }

    async fn try_poll(&mut self) -> Result<Option<Reading>, Trouble> {
        self.heartbeat.during(LONGEST_OPENING, self.gateway.connect()).await?;
        self.identified()?;
        self.authorise().await?;
        let read = self.read().await;
        if let Err(error) = self.record_verdict(matches!(read, Ok(Some(_)))).await {
            // The reading is still valid, and more important than this record.
            tracing::debug!(%error, "cannot record whether the gateway accepts the token");
        }
        read
    }

    /// Applies the last response to `/info`: checks the serial number and updates the sources.
    fn identified(&mut self) -> Result<(), Trouble> {
        if let Some(before) = self.gateway.admit()? {
            self.replaced(&before);
        }
        let live_data = self.gateway.settings().live_data;
        let gateway = self.gateway.connected()?;
        self.pages.record_info(gateway);
        let (info, identified_at) = (gateway.info().clone(), gateway.identified_at());
        match &mut self.sources {
            Some(sources) => sources.identified(info, identified_at),
            sources @ None => {
                let options = Options { live_data, clock_speed: self.shared.clock.speed() };
                *sources = Some(Sources::new(info, options, identified_at));
            }
        }
        Ok(())
    }

    /// Discards the state of the gateway `before`, which another one has replaced, and reports that.
    fn replaced(&mut self, before: &Serial) {
        self.totals.gateway_replaced();
        self.pages.clear();
        (self.sources, self.access) = (None, None);
        let Ok(gateway) = self.gateway.connected() else { return };
        let (serial, address) = (gateway.serial().clone(), gateway.address());
        let message = format!(
            "the gateway at {address} was replaced: its serial number is now {serial}, and was {before}"
        );
        self.gateway.log_replacement(&message);
        self.shared.latest.put_availability(before, Availability::Offline(message.clone()));
        self.shared.latest.forget_reading(before);
        self.shared.event(&serial, "gateway_replaced", message);
    }

    /// Provides the gateway connection with a token or a password.
    async fn authorise(&mut self) -> Result<(), Trouble> {
        let (gateway, settings) = self.gateway.connected_and_settings()?;
        let access = self.access.get_or_insert_with(|| {
            Access::new(gateway.serial().clone(), Arc::clone(&self.shared), self.heartbeat.clone())
        });
        let authorised = access.authorise(gateway, settings).await;
        // `/info` may have been read again.
        self.identified()?;
        if authorised? == Changed::Token
            && let Some(sources) = &mut self.sources
        {
            sources.role_changed();
            self.pages.role_changed();
        }
        Ok(())
    }

    /// Records whether the gateway accepted the token, after pages were requested with it.
    async fn record_verdict(&mut self, has_read: bool) -> Result<(), Trouble> {
        match &mut self.access {
            Some(access) => access.record_verdict(has_read, self.gateway.connected()?).await,
            None => Ok(()),
        }
    }

    /// Requests every page that is due, and combines the responses into a reading.
    async fn read(&mut self) -> Result<Option<Reading>, Trouble> {
        let (gateway, Some(sources)) = (self.gateway.connected()?, &mut self.sources) else {
            return Err(Trouble::Nothing);
        };
        let mut failure = None;
        sources.begin_cycle(Instant::now());
        while let Some(endpoint) = sources.next(Instant::now()) {
            let fetched = gateway.fetch(endpoint).await;
            self.heartbeat.beat();
            self.pages.record(endpoint, &fetched, gateway);
            let response = fetched.and_then(Fetched::into_body);
            let odd = sources.take(endpoint, response.as_deref(), Instant::now());
            let odd =
                odd.map(|why| gateway::Error::Malformed { path: endpoint.path(), why: why.to_string() });
            let error = response.err().or(odd);
            let outcome = error.as_ref().map_or("ok", gateway::Error::kind);
            self.shared.tally.count_request(endpoint.path(), outcome);
            failure = gateway::Error::main_cause(failure, error);
        }
        if sources.wants_stream(Instant::now()) {
            let (path, json) = livedata::STREAM;
            let accepted = gateway.post(path, json).await;
            sources.stream_asked(accepted.is_ok(), Instant::now());
        }
        match sources.cycle(self.shared.clock.now()) {
            Cycle::Reading(reading) => Ok(Some(self.complete(*reading).await)),
            Cycle::NotDue => Ok(None),
            Cycle::NoProduction { why, rest } => {
                let rest = match rest {
                    Some(reading) => Some(Box::new(self.complete(*reading).await)),
                    None => None,
                };
                Err(Trouble::NoProduction { why, rest })
            }
            Cycle::Nothing => Err(failure.map_or(Trouble::Nothing, Trouble::Gateway)),
        }
    }

    /// Requests a page that another program wants, from a gateway that responded to the last poll.
    pub(super) async fn fetch(&mut self, page: Page) {
        let ready = self.identify_again().await;
        match (ready, self.gateway.connected()) {
            (Ok(()), Ok(gateway)) => self.pages.fetch(page, gateway, &self.shared.tally).await,
            (Ok(()) | Err(_), _) => self.pages.lost(),
        }
        self.heartbeat.beat();
    }

    /// Reads `/info` again after a poll that yielded no production.
    async fn identify_again(&mut self) -> Result<(), Trouble> {
        if self.gateway.must_identify() {
            self.heartbeat.during(LONGEST_OPENING, self.gateway.connect()).await?;
            self.identified()?;
        }
        Ok(())
    }

    /// Returns the reading with the configured name, guarded totals and the energy of the day.
    async fn complete(&mut self, mut reading: Reading) -> Reading {
        reading.gateway.name.clone_from(&self.gateway.settings().name);
        self.totals.guard(reading).await
    }
}
