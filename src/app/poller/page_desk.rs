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
    pub(super) fn record(
        &self,
        endpoint: Endpoint,
        result: &Result<Fetched, gateway::Error>,
        gateway: &Connected,
    ) {
        if let Some(cache) = &self.0 {
            record(cache, Page::from(endpoint), result, gateway);
        }
    }

    /// Records the last response to `/info`, or frees its memory if nobody wants it.
    pub(super) fn record_info(&self, gateway: &mut Connected) {
        let page = gateway.take_info_page();
        if let (Some(cache), Some(page)) = (&self.0, page) {
            cache.record_info(page, gateway.info());
        }
    }

    /// Records whether the gateway can be asked until the next poll. A poll without a page that was due says nothing.
    pub(super) fn record_poll<T>(&self, polled: &Result<Option<T>, Trouble>) {
        let Some(cache) = &self.0 else { return };
        match polled {
            Ok(None) => {}
            Ok(Some(_)) | Err(Trouble::NoProduction { .. }) => cache.set_contact(Contact::Present),
            Err(_) => cache.set_contact(Contact::Away),
        }
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
        record(cache, page, &result, gateway);
    }
}

/// Records what a request led to. A response that repeats our secrets is not for others.
fn record(cache: &PageCache, page: Page, result: &Result<Fetched, gateway::Error>, gateway: &Connected) {
    match result {
        Ok(fetched) if gateway.is_told_in(&fetched.page.body) => {
            let why = "it repeats the token or the cookie of this program".to_owned();
            let error = gateway::Error::Malformed { path: page.path, why };
            tracing::debug!(%error, "a page is kept from other programs");
            cache.record(page, Err(&error));
        }
        result => cache.record(page, result.as_ref()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::app::page_cache::Answer;

    #[tokio::test(start_paused = true)]
    async fn a_poll_without_a_page_that_was_due_does_not_bring_a_gateway_back() {
        let cache = PageCache::new(Duration::from_secs(30));
        let desk = PageDesk::new(cache.clone());
        let page = Page::from(Endpoint::MeterReadings);
        desk.record_poll(&Ok(Some(())));
        desk.lost();
        desk.record_poll(&Ok::<Option<()>, Trouble>(None));
        assert_eq!(cache.page(page).await, Answer::Unavailable);
        assert!(
            tokio::time::timeout(Duration::from_secs(60), cache.next()).await.is_err(),
            "it is left alone"
        );
        desk.record_poll(&Ok(Some(())));
        let asking = tokio::spawn(async move { cache.page(page).await });
        assert_eq!(desk.next().await, page);
        asking.abort();
    }
}
