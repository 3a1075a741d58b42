//! The pages of one gateway in memory: decides whether a page is served, requested or not available, and which page is
//! requested next.
//!
//! The gateway is asked for a page only when a program wants it, only while it is there, and not more often than the page's
//! period. Requests for a page that is wanted already join the first.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::outcome::Outcome;
use super::pages::Page;
use super::record::{LONGEST_AGE, Record};

/// Whether the gateway can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contact {
    /// The daemon has just started.
    Starting,
    /// The last poll has succeeded.
    Present,
    /// A page did not respond. Perhaps only that one; the next poll finds out, and nothing is requested before.
    Doubtful,
    /// The last poll has failed, or a connection has since then.
    Away,
}

/// What a program gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look<R> {
    /// This response, which arrived so long ago.
    Serve(R, Duration),
    /// The page is requested, which the program should wait for.
    Wait,
    /// There is nothing to serve.
    Unavailable,
}

/// The pages of one gateway, each with responses of type `R`.
#[derive(Debug)]
pub struct Cache<R> {
    interval: Duration,
    contact: Contact,
    /// When the gateway was last known to respond.
    last_contact: Option<Instant>,
    records: BTreeMap<&'static str, Record<R>>,
    /// The pages that programs wait for, in the order of their first request.
    wanted: VecDeque<Page>,
    info: Option<R>,
}

impl<R: Clone> Cache<R> {
    /// Creates the empty cache of a gateway that is polled every `interval`.
    pub const fn new(interval: Duration) -> Self {
        Self {
            interval,
            contact: Contact::Starting,
            last_contact: None,
            records: BTreeMap::new(),
            wanted: VecDeque::new(),
            info: None,
        }
    }

    /// Decides what a program that asks for `page` gets.
    pub fn look(&mut self, page: Page, now: Instant) -> Look<R> {
        let may_request = self.records.get(page.path).is_none_or(|record| record.is_due(now));
        if !may_request || self.contact == Contact::Away {
            return self.look_back(page, now);
        }
        if self.contact == Contact::Doubtful
            && let known @ Look::Serve(..) = self.look_back(page, now)
        {
            return known;
        }
        if !self.wanted.contains(&page) {
            self.wanted.push_back(page);
        }
        Look::Wait
    }

    /// Decides what a program gets that does not wait any longer.
    pub fn look_back(&self, page: Page, now: Instant) -> Look<R> {
        let best = self.records.get(page.path).and_then(|record| record.best(now));
        best.map_or(Look::Unavailable, |kept| {
            Look::Serve(kept.response.clone(), now.saturating_duration_since(kept.at))
        })
    }

    /// Returns the last good response for `page`, and when it arrived.
    pub fn newest(&self, page: Page) -> Option<(&R, Instant)> {
        self.records.get(page.path)?.newest()
    }

    /// Returns `/info`, and the time since the gateway last responded. It hardly changes, so it is served as long as other
    /// pages are.
    pub fn look_at_info(&self, now: Instant) -> Look<R> {
        let silent = self.last_contact.map(|last| now.saturating_duration_since(last));
        match (&self.info, silent) {
            (Some(info), Some(silent)) if silent <= LONGEST_AGE || self.contact == Contact::Present => {
                Look::Serve(info.clone(), silent)
            }
            (None, _) if self.contact == Contact::Starting => Look::Wait,
            _ => Look::Unavailable,
        }
    }

    /// Returns the next page to request, which remains wanted until its outcome is recorded.
    pub fn next(&mut self, now: Instant) -> Option<Page> {
        if self.contact != Contact::Present {
            return None;
        }
        let records = &self.records;
        // A poll may have read some of them meanwhile.
        self.wanted.retain(|page| records.get(page.path).is_none_or(|record| record.is_due(now)));
        self.wanted.front().copied()
    }

    /// Records the outcome of a request for `page` by the poller, for its own purpose or for a program, and the response if
    /// there was one.
    pub fn record(&mut self, page: Page, outcome: Outcome, response: Option<R>, now: Instant) {
        self.wanted.retain(|wanted| *wanted != page);
        if response.is_some() {
            self.last_contact = Some(now);
        }
        let record = self.records.entry(page.path).or_insert_with(|| Record::new(now));
        record.record(&page, outcome, response, page.period(self.interval), now);
    }

    /// Records a response to `/info`.
    pub fn record_info(&mut self, response: R, now: Instant) {
        self.info = Some(response);
        self.last_contact = Some(now);
    }

    /// Records whether the gateway can be asked. Nobody waits for a gateway that is away.
    pub fn set_contact(&mut self, contact: Contact, now: Instant) {
        self.contact = contact;
        match contact {
            Contact::Present => self.last_contact = Some(now),
            Contact::Away => self.wanted.clear(),
            Contact::Starting | Contact::Doubtful => {}
        }
        self.records.retain(|_, record| !record.is_spent(now));
    }

    /// Makes pages due that were refused or failed: a new token may have another role.
    pub fn forgive(&mut self, now: Instant) {
        self.records.values_mut().for_each(|record| record.forgive(now));
    }

    /// Forgets everything, because another gateway or another firmware responds.
    pub fn clear(&mut self) {
        self.records.clear();
        self.info = None;
        self.last_contact = None;
    }

    /// Returns every response that is kept.
    pub fn responses(&self) -> impl Iterator<Item = &R> {
        self.records.values().flat_map(Record::responses)
    }

    /// Returns the age of what each page would be served with.
    pub fn ages(&self, now: Instant) -> impl Iterator<Item = (&'static str, Duration)> {
        let ages = self.records.iter().map(move |(path, record)| (*path, record.best(now)));
        ages.filter_map(move |(path, best)| Some((path, now.saturating_duration_since(best?.at))))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MINUTE: Duration = Duration::from_secs(60);

    fn page(path: &str) -> Page {
        Page::find(path).unwrap()
    }

    fn readings() -> Page {
        page("/ivp/meters/readings")
    }

    /// Returns the empty cache of a gateway that responds.
    fn cache(now: Instant) -> Cache<u32> {
        let mut cache = Cache::new(30 * SECOND);
        cache.set_contact(Contact::Present, now);
        cache
    }

    #[test]
    fn a_page_that_was_just_read_is_served_and_an_old_one_is_requested_once() {
        let start = Instant::now();
        let mut cache = cache(start);
        cache.record(readings(), Outcome::Good, Some(1), start);
        assert_eq!(cache.look(readings(), start + 4 * SECOND), Look::Serve(1, 4 * SECOND));
        assert_eq!(cache.next(start + 4 * SECOND), None);
        for _ in 0..20 {
            assert_eq!(cache.look(readings(), start + 5 * SECOND), Look::Wait);
        }
        assert_eq!(cache.next(start + 5 * SECOND), Some(readings()));
        cache.record(readings(), Outcome::Good, Some(2), start + 6 * SECOND);
        assert_eq!(cache.next(start + 6 * SECOND), None);
        assert_eq!(cache.look(readings(), start + 6 * SECOND), Look::Serve(2, Duration::ZERO));
    }

    #[test]
    fn a_page_that_the_poller_reads_meanwhile_is_not_requested_again() {
        let start = Instant::now();
        let mut cache = cache(start);
        assert_eq!(cache.look(readings(), start), Look::Wait);
        cache.record(readings(), Outcome::Good, Some(1), start + SECOND);
        assert_eq!(cache.next(start + SECOND), None);
    }

    #[test]
    fn pages_are_requested_in_the_order_in_which_they_were_wanted() {
        let start = Instant::now();
        let mut cache = cache(start);
        for path in ["/home", "/ivp/meters", "/home", "/inv"] {
            assert_eq!(cache.look(page(path), start), Look::Wait);
        }
        for path in ["/home", "/ivp/meters", "/inv"] {
            assert_eq!(cache.next(start), Some(page(path)));
            cache.record(page(path), Outcome::Good, Some(0), start);
        }
        assert_eq!(cache.next(start), None);
    }

    #[test]
    fn while_the_gateway_is_away_the_last_response_is_served_for_ten_minutes_and_nothing_is_requested() {
        let start = Instant::now();
        let mut cache = cache(start);
        cache.record(readings(), Outcome::Good, Some(1), start);
        assert_eq!(cache.look(page("/home"), start), Look::Wait);
        cache.set_contact(Contact::Away, start + SECOND);
        for minutes in [1, 10] {
            let now = start + minutes * MINUTE;
            assert_eq!(cache.look(readings(), now), Look::Serve(1, minutes * MINUTE));
            assert_eq!(cache.look(page("/inv"), now), Look::Unavailable);
            assert_eq!(cache.next(now), None);
        }
        assert_eq!(cache.look(readings(), start + 10 * MINUTE + SECOND), Look::Unavailable);
        cache.set_contact(Contact::Present, start + 11 * MINUTE);
        assert_eq!(cache.next(start + 11 * MINUTE), None, "what was wanted before is forgotten");
        assert_eq!(cache.look(readings(), start + 11 * MINUTE), Look::Wait);
    }

    #[test]
    fn after_a_page_that_does_not_respond_others_wait_for_the_next_poll_unless_they_are_known() {
        let start = Instant::now();
        let mut cache = cache(start);
        cache.record(readings(), Outcome::Good, Some(1), start);
        cache.record(page("/home"), Outcome::Hanging, None, start + 45 * SECOND);
        cache.set_contact(Contact::Doubtful, start + 45 * SECOND);
        let now = start + 46 * SECOND;
        assert_eq!(cache.look(readings(), now), Look::Serve(1, 46 * SECOND));
        assert_eq!((cache.look(page("/inv"), now), cache.next(now)), (Look::Wait, None));
        assert_eq!(cache.look(page("/home"), now), Look::Unavailable);
        cache.set_contact(Contact::Present, now);
        assert_eq!(cache.next(now), Some(page("/inv")));
    }

    #[test]
    fn a_page_with_all_inverters_that_does_not_respond_is_left_alone_for_a_quarter_of_an_hour() {
        let start = Instant::now();
        let mut cache = cache(start);
        cache.record(page("/ivp/pdm/device_data"), Outcome::Hanging, None, start);
        assert_ne!(cache.look(page("/ivp/pdm/device_data"), start + 14 * MINUTE), Look::Wait);
        assert_eq!(cache.look(page("/ivp/pdm/device_data"), start + 15 * MINUTE), Look::Wait);
    }

    #[test]
    fn a_refusal_is_passed_on_and_the_page_is_left_alone_for_longer_each_time() {
        let start = Instant::now();
        let mut cache = cache(start);
        let (mut now, mut gaps) = (start, Vec::new());
        for _ in 0..8 {
            cache.record(page("/home"), Outcome::Refused, Some(404), now);
            let asked = now;
            while cache.look(page("/home"), now) != Look::Wait {
                now += MINUTE;
            }
            gaps.push((now - asked).as_secs() / 60);
        }
        assert_eq!(gaps, [5, 5, 5, 8, 16, 32, 60, 60]);
        cache.record(page("/home"), Outcome::Refused, Some(404), now);
        cache.forgive(now);
        assert_eq!(cache.look(page("/home"), now), Look::Wait, "a new token may have another role");
    }

    #[test]
    fn a_failure_is_covered_by_the_last_good_response_and_passed_on_without_one() {
        let start = Instant::now();
        let mut cache = cache(start);
        cache.record(readings(), Outcome::Failing, Some(500), start);
        assert_eq!(cache.look(readings(), start), Look::Serve(500, Duration::ZERO));
        cache.record(readings(), Outcome::Good, Some(1), start + MINUTE);
        cache.record(readings(), Outcome::Failing, Some(500), start + 2 * MINUTE);
        assert_eq!(cache.look(readings(), start + 2 * MINUTE), Look::Serve(1, MINUTE));
        assert_eq!(cache.look(readings(), start + 3 * MINUTE), Look::Wait);
        assert_eq!(cache.look_back(readings(), start + 3 * MINUTE), Look::Serve(1, 2 * MINUTE));
        let long = Outcome::Busy(Some(Duration::MAX));
        cache.record(readings(), long, Some(503), start + 4 * MINUTE);
        assert_ne!(cache.look(readings(), start + 13 * MINUTE), Look::Wait);
        assert_eq!(cache.look(readings(), start + 14 * MINUTE), Look::Wait, "minutes, whatever it asks for");
    }

    #[test]
    fn the_identity_is_served_while_the_gateway_is_there_and_for_ten_minutes_after_it() {
        let start = Instant::now();
        let mut cache: Cache<u32> = Cache::new(30 * SECOND);
        assert_eq!(cache.look_at_info(start), Look::Wait);
        cache.record_info(7, start);
        cache.set_contact(Contact::Present, start + 59 * MINUTE);
        assert_eq!(cache.look_at_info(start + 60 * MINUTE), Look::Serve(7, MINUTE));
        cache.set_contact(Contact::Away, start + 61 * MINUTE);
        assert_eq!(cache.look_at_info(start + 69 * MINUTE), Look::Serve(7, 10 * MINUTE));
        assert_eq!(cache.look_at_info(start + 70 * MINUTE), Look::Unavailable);
        let mut cache: Cache<u32> = Cache::new(30 * SECOND);
        cache.set_contact(Contact::Away, start);
        assert_eq!(cache.look_at_info(start), Look::Unavailable);
    }

    fn outcome() -> impl Strategy<Value = Outcome> {
        prop_oneof![
            Just(Outcome::Good),
            Just(Outcome::Refused),
            Just(Outcome::Failing),
            Just(Outcome::Busy(None)),
            Just(Outcome::Hanging),
            Just(Outcome::Unreachable),
        ]
    }

    proptest! {
        /// However often programs ask and whatever the gateway does, it is asked for no page more often than its period
        /// allows, not while it is away, and nothing old is served.
        #[test]
        fn no_program_can_make_the_gateway_be_asked_more_often(
            steps in prop::collection::vec((0_usize..60, 0_u64..90, outcome(), 0_u8..10), 1..400),
            interval in 1_u64..3600,
        ) {
            let start = Instant::now();
            let interval = Duration::from_secs(interval);
            let mut cache: Cache<u32> = Cache::new(interval);
            let all: Vec<Page> = crate::rules::proxy::pages::all().collect();
            let (mut now, mut away, mut asked) = (start, true, BTreeMap::new());
            for (place, seconds, outcome, event) in steps {
                now += Duration::from_secs(seconds);
                if event < 2 {
                    away = event == 0;
                    cache.set_contact(if away { Contact::Away } else { Contact::Present }, now);
                }
                let page = all[place % all.len()];
                if let Look::Serve(response, age) = cache.look(page, now) {
                    prop_assert!(age <= LONGEST_AGE || response == 404, "{response} {age:?}");
                }
                if event < 6 && let Some(next) = cache.next(now) {
                    prop_assert!(!away);
                    let responded = outcome != Outcome::Unreachable && outcome != Outcome::Hanging;
                    if outcome != Outcome::Unreachable
                        && let Some(last) = asked.insert(next.path, now)
                    {
                        prop_assert!(now - last >= next.period(interval), "{} after {:?}", next.path, now - last);
                    }
                    let status = if outcome == Outcome::Refused { 404 } else { 200 };
                    cache.record(next, outcome, responded.then_some(status), now);
                }
            }
            prop_assert!(cache.responses().count() <= 2 * all.len());
        }
    }
}
