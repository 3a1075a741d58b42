//! The pages of one gateway on their way from its poller to its proxy, and the pages that programs want, on their way back.
//!
//! The poller puts every page that it reads here. A page that it does not read is requested by it between two polls when a
//! program wants it. `rules::proxy` decides; nothing here waits for the gateway while it holds the lock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::base::reading::Serial;
use crate::io::gateway::firmware::Firmware;
use crate::io::gateway::info::Info;
use crate::io::gateway::{Error, Fetched, Page as Response};
use crate::rules::proxy::cache::{Cache, Contact, Look};
use crate::rules::proxy::outcome::Outcome;
use crate::rules::proxy::pages::Page;

/// The time for which a program waits for a response. Some give up after 5 s, and conclude from what they get before then
/// whether the gateway has a feature.
pub const PATIENCE: Duration = Duration::from_secs(4);

/// The response to a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This response, which arrived so long ago.
    Response(Response, Duration),
    /// The gateway does not respond.
    Unavailable,
}

/// The pages of one gateway. Clones share them.
#[derive(Clone, Debug)]
pub struct PageCache {
    pages: Arc<Mutex<Pages>>,
    /// Changes with each outcome, and each change of the contact.
    changed: watch::Sender<()>,
    /// Changes when a page is wanted.
    wanted: watch::Sender<()>,
}

#[derive(Debug)]
struct Pages {
    cache: Cache<Response>,
    /// The gateway and its firmware.
    identity: Option<(Serial, Firmware)>,
}

impl PageCache {
    /// Creates the empty cache of a gateway that is polled every `interval`.
    pub fn new(interval: Duration) -> Self {
        let pages = Pages { cache: Cache::new(interval), identity: None };
        Self {
            pages: Arc::new(Mutex::new(pages)),
            changed: watch::Sender::new(()),
            wanted: watch::Sender::new(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns `page` for a program. Waits if it has to be requested, for at most [`PATIENCE`].
    pub async fn page(&self, page: Page) -> Answer {
        let look = |pages: &mut Pages, now| pages.cache.look(page, now);
        match self.wait(look).await {
            Some(answer) => answer,
            None => answer(self.lock().cache.look_back(page, Instant::now())).unwrap_or(Answer::Unavailable),
        }
    }

    /// Returns `/info` for a program. Waits for the first response, for at most [`PATIENCE`].
    pub async fn info(&self) -> Answer {
        let look = |pages: &mut Pages, now| pages.cache.look_at_info(now);
        self.wait(look).await.unwrap_or(Answer::Unavailable)
    }

    /// Waits until `look` finds something to answer. Returns `None` if that takes too long.
    async fn wait(&self, mut look: impl FnMut(&mut Pages, Instant) -> Look<Response>) -> Option<Answer> {
        let until = Instant::now() + PATIENCE;
        let mut changed = self.changed.subscribe();
        loop {
            let looked = look(&mut self.lock(), Instant::now());
            if let Some(answer) = answer(looked) {
                return Some(answer);
            }
            self.wanted.send_replace(());
            timeout_at(until, changed.changed()).await.ok()?.ok()?;
        }
    }

    /// Returns the last good response for `page` and when it arrived, without a request.
    pub fn newest(&self, page: Page) -> Option<(Response, Instant)> {
        self.lock().cache.newest(page).map(|(response, at)| (response.clone(), at))
    }

    /// Returns a reader that every new response wakes.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Waits until a page is to be requested, forever while the gateway is away. Can be cancelled at any time.
    pub async fn next(&self) -> Page {
        let (mut wanted, mut changed) = (self.wanted.subscribe(), self.changed.subscribe());
        loop {
            if let Some(page) = self.lock().cache.next(Instant::now()) {
                return page;
            }
            tokio::select! {
                Ok(()) = wanted.changed() => {}
                Ok(()) = changed.changed() => {}
                else => std::future::pending().await,
            }
        }
    }

    /// Records what a request led to.
    pub fn record(&self, page: Page, result: Result<&Fetched, &Error>) {
        let outcome = Outcome::of(&page, result);
        // A redirect leads past the proxy, and an informational response would begin another one.
        let response = result.ok().map(|fetched| &fetched.page);
        let response = response.filter(|page| matches!(page.status, 200..=299 | 400..=599));
        self.put(page, outcome, response);
    }

    /// Records that the firmware does not have `page`, without a request.
    pub fn record_missing(&self, page: Page, response: &Response) {
        self.put(page, Outcome::Refused, Some(response));
    }

    fn put(&self, page: Page, outcome: Outcome, response: Option<&Response>) {
        let mut pages = self.lock();
        // Several paths often lead to the same body, the longest among them.
        let same =
            response.and_then(|response| pages.cache.responses().find(|known| *known == response).cloned());
        pages.cache.record(page, outcome, same.or_else(|| response.cloned()), Instant::now());
        drop(pages);
        self.changed.send_replace(());
    }

    /// Records a response to `/info`, which says `info`. Everything else is forgotten at a new firmware.
    pub fn record_info(&self, response: Response, info: &Info) {
        let identity = (info.serial.clone(), info.firmware);
        let mut pages = self.lock();
        if pages.identity.as_ref().is_some_and(|before| *before != identity) {
            pages.cache.clear();
        }
        pages.identity = Some(identity);
        pages.cache.record_info(response, Instant::now());
        drop(pages);
        self.changed.send_replace(());
    }

    /// Records whether the gateway can be asked.
    pub fn set_contact(&self, contact: Contact) {
        self.lock().cache.set_contact(contact, Instant::now());
        self.changed.send_replace(());
    }

    /// Makes refused pages due again, because a new token may have another role.
    pub fn role_changed(&self) {
        self.lock().cache.forgive(Instant::now());
    }

    /// Forgets everything, because another gateway responds.
    pub fn clear(&self) {
        let mut pages = self.lock();
        pages.identity = None;
        pages.cache.clear();
    }

    /// Returns the gateway, and the age of each page that can be served.
    pub fn ages(&self) -> Option<(Serial, Vec<(&'static str, Duration)>)> {
        let pages = self.lock();
        let (serial, _) = pages.identity.clone()?;
        Some((serial, pages.cache.ages(Instant::now()).collect()))
    }
}

fn answer(look: Look<Response>) -> Option<Answer> {
    match look {
        Look::Serve(response, age) => Some(Answer::Response(response, age)),
        Look::Unavailable => Some(Answer::Unavailable),
        Look::Wait => None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::io::gateway::Endpoint;

    #[tokio::test(start_paused = true)]
    async fn only_a_final_response_is_passed_on() {
        let page = Page::from(Endpoint::Meters);
        for (status, passes) in [
            (101, false),
            (102, false),
            (200, true),
            (204, true),
            (302, false),
            (404, true),
            (599, true),
            (999, false),
        ] {
            let cache = PageCache::new(Duration::from_secs(30));
            cache.set_contact(Contact::Present);
            let body = Bytes::from_static(b"[]");
            let response = Response { status, content_type: None, content_encoding: None, body };
            let error = (status != 200).then(|| Error::Malformed { path: page.path, why: "odd".to_owned() });
            cache.record(page, Ok(&Fetched { page: response.clone(), error }));
            let expected =
                if passes { Answer::Response(response, Duration::ZERO) } else { Answer::Unavailable };
            assert_eq!(cache.page(page).await, expected, "{status}");
        }
    }
}
