//! The pages that other programs get: puts every page that is read into memory, and requests those that a program wants and
//! the poller does not read, one between two polls.

use bytes::Bytes;

use super::trouble::Trouble;
use crate::app::page_cache::PageCache;
use crate::base::tally::Tally;
use crate::io::gateway::{self, Connected, Endpoint, Fetched, Page as Response};
use crate::rules::proxy::cache::Contact;
use crate::rules::proxy::outcome::Outcome;
use crate::rules::proxy::pages::Page;

/// The pages that other programs get of one gateway; none without a proxy.
#[derive(Debug, Default)]
pub(super) struct PageDesk(Option<PageCache>);

impl PageDesk {
    pub(super) const fn new(cache: PageCache) -> Self {
        Self(Some(cache))
    }

    /// Waits until a program wants a page that may be requested now. Can be cancelled at any time.
    pub(super) async fn next(&self) -> Page {
        match &self.0 {
            Some(cache) => cache.next().await,
            None => std::future::pending().await,
        }
    }

    /// Records what a request of the poller led to.
    pub(super) fn record(&self, endpoint: Endpoint, result: &Result<Fetched, gateway::Error>) {
        if let Some(cache) = &self.0 {
            cache.record_poll(endpoint, result);
        }
    }

    /// Records the last response to `/info`, or frees its memory if nobody wants it.
    pub(super) fn record_info(&self, gateway: &mut Connected) {
        let page = gateway.take_info_page();
        if let (Some(cache), Some(page)) = (&self.0, page) {
            cache.record_info(page, gateway.info());
        }
    }

    /// Records whether the gateway can be asked until the next poll.
    pub(super) fn record_poll<T>(&self, polled: &Result<T, Trouble>) {
        let Some(cache) = &self.0 else { return };
        cache.set_contact(match polled {
            Ok(_) | Err(Trouble::NoProduction { .. }) => Contact::Present,
            Err(_) => Contact::Away,
        });
    }

    /// Makes refused pages due again, because a new token may have another role.
    pub(super) fn role_changed(&self) {
        self.0.iter().for_each(PageCache::role_changed);
    }

    /// Forgets the pages of a gateway that was replaced.
    pub(super) fn clear(&self) {
        self.0.iter().for_each(PageCache::clear);
    }

    /// Leaves the gateway alone until the next poll.
    pub(super) fn lost(&self) {
        if let Some(cache) = &self.0 {
            cache.set_contact(Contact::Away);
        }
    }

    /// Requests a page that a program wants.
    pub(super) async fn fetch(&self, page: Page, gateway: &mut Connected, tally: &Tally) {
        let Some(cache) = &self.0 else { return };
        if gateway.info().firmware < page.since {
            let missing =
                Response { status: 404, content_type: None, content_encoding: None, body: Bytes::new() };
            cache.record_missing(page, &missing);
            return;
        }
        let result = gateway.fetch_for_program(page.path, page.limit).await;
        let error = match &result {
            Ok(fetched) => fetched.error.as_ref(),
            Err(error) => Some(error),
        };
        let outcome = error.map_or("ok", gateway::Error::kind);
        tally.count_request(page.path, outcome);
        if let Err(error) = &result {
            tracing::debug!(%error, "a page for another program failed");
            let outcome = Outcome::of(&page, Err(error));
            match outcome {
                Outcome::Hanging => cache.set_contact(Contact::Doubtful),
                Outcome::Unreachable => cache.set_contact(Contact::Away),
                _ => {}
            }
        }
        cache.record(page, result.as_ref());
    }
}
