//! Reports pages that fail or lack expected values: once when that begins, once when it ends.
//!
//! A single failure is not reported. A page that fails again soon after its recovery has to work twice as long as the
//! last time before the next recovery is reported, so that a flapping page does not fill the log.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::choice::{self, Choices, Shortfall};
use super::cycle::{Level, Notice};
use super::site::Site;
use super::values::Value;
use crate::base::durations::length;
use crate::io::gateway::Endpoint;

/// The weight of a failed request. Each cycle without a failure subtracts 1.
const FAILURE: u8 = 2;
/// The sum at which a problem is reported: two consecutive failures, or some more with successes between.
const REPORTED: u8 = 4;
/// A page that fails again within this time has to work for longer before the recovery is reported.
const RELAPSE: Duration = Duration::from_secs(3600);
/// The maximum number of good cycles required for a recovery.
const MOST_CYCLES: u32 = 64;

#[derive(Debug)]
struct PageFailure {
    level: u8,
    since: Instant,
    reported: bool,
    /// The number of consecutive good cycles.
    good_cycles: u32,
    /// The number of good cycles after which the recovery is reported.
    needed: u32,
    ended: Option<Instant>,
}

/// The failing pages.
#[derive(Debug, Default)]
pub(super) struct PageFailures(BTreeMap<Endpoint, PageFailure>);

impl PageFailures {
    /// Records the shortfalls of a cycle that ended at `now`, and returns the notices to report.
    ///
    /// `was_requested` returns `true` for the pages that were requested in the cycle.
    pub(super) fn record(
        &mut self,
        short: &BTreeMap<Endpoint, String>,
        was_requested: impl Fn(Endpoint) -> bool,
        now: Instant,
    ) -> Vec<Notice> {
        let mut notices = Vec::new();
        for (endpoint, words) in short {
            let failure = self.0.entry(*endpoint).or_insert_with(|| PageFailure::new(now));
            if was_requested(*endpoint) && failure.fail(now) {
                let message = format!("{} {words}", endpoint.path());
                notices.push(Notice { level: Level::Warn, kind: "page_failing", message });
            } else {
                tracing::debug!(path = endpoint.path(), words, "page fails or lacks values");
            }
        }
        for (endpoint, failure) in &mut self.0 {
            if !short.contains_key(endpoint)
                && let Some(lasted) = failure.succeed(now)
            {
                let message = format!("{} works again after {}", endpoint.path(), length(lasted));
                notices.push(Notice { level: Level::Info, kind: "page_recovered", message });
            }
        }
        self.0.retain(|_, failure| failure.is_recent(now));
        notices
    }

    /// Ends the failure of `endpoint` without a notice.
    pub(super) fn forget(&mut self, endpoint: Endpoint) {
        self.0.remove(&endpoint);
    }
}

impl PageFailure {
    fn new(now: Instant) -> Self {
        Self { level: 0, since: now, reported: false, good_cycles: 0, needed: 1, ended: None }
    }

    /// Records a failure. Returns `true` if it should be reported.
    fn fail(&mut self, now: Instant) -> bool {
        if self.level == 0 && !self.reported {
            self.since = now;
        }
        self.good_cycles = 0;
        self.level = (self.level + FAILURE).min(REPORTED);
        let begins = self.level >= REPORTED && !self.reported;
        if begins {
            self.reported = true;
            let relapse = self.ended.is_some_and(|ended| now.saturating_duration_since(ended) < RELAPSE);
            self.needed = if relapse { (self.needed * 2).min(MOST_CYCLES) } else { 1 };
        }
        begins
    }

    /// Records a good cycle. Returns the length of a reported problem if it has ended now.
    fn succeed(&mut self, now: Instant) -> Option<Duration> {
        self.good_cycles += 1;
        self.level = self.level.saturating_sub(1);
        if !self.reported || self.good_cycles < self.needed {
            return None;
        }
        (self.reported, self.level, self.ended) = (false, 0, Some(now));
        Some(now.saturating_duration_since(self.since))
    }

    fn is_recent(&self, now: Instant) -> bool {
        let ended_lately = self.ended.is_some_and(|ended| now.saturating_duration_since(ended) < RELAPSE);
        self.reported || self.level > 0 || self.good_cycles == 0 || ended_lately
    }
}

/// Describes the shortfall of each page, and the pages that its values are read from instead.
pub(super) fn shortfalls(site: &Site<'_>, choices: &Choices) -> BTreeMap<Endpoint, String> {
    let mut short: BTreeMap<Endpoint, (Shortfall, Consequences)> = BTreeMap::new();
    for (value, chosen) in choices.iter().filter(|(value, _)| site.wants(*value)) {
        let before = value.routes(site.origin()).iter().take_while(|route| Some(**route) != chosen);
        for route in before {
            let Some((page, why)) = choice::shortfall(site, *route, value) else { continue };
            let (worst, consequences) = short.entry(page).or_insert_with(|| (why, Consequences::default()));
            *worst = why.min(*worst);
            // A value that no page has ever had may not be measured here.
            if chosen.is_some() || site.should_have(value) {
                consequences.add(value, chosen.map(super::values::Route::page));
            }
        }
    }
    let mut words: BTreeMap<Endpoint, String> = short
        .into_iter()
        .map(|(page, (why, consequences))| {
            (page, format!("{}: {}", describe(site, page, why), consequences.describe(page)))
        })
        .collect();
    // The last list of meters is still used, but the failure of its page is reported.
    if site.listed().is_some()
        && let Some(why) = site.requests.why(Endpoint::Meters)
    {
        words.insert(Endpoint::Meters, format!("fails ({why}): its last list of meters is used"));
    }
    for page in site.past.without_numbers() {
        let message = || "contains values that are not numbers (nan, inf): left out".to_owned();
        words.entry(page).or_insert_with(message);
    }
    words
}

fn describe(site: &Site<'_>, page: Endpoint, why: Shortfall) -> String {
    match why {
        Shortfall::Failed => format!("fails ({})", site.requests.why(page).unwrap_or("no response")),
        Shortfall::Stale(stamp) => match site.time {
            Some(time) => format!(
                "is not updated (measured at {stamp:.0}, {} behind the gateway's clock)",
                length(time.duration_since(stamp).unsigned_abs())
            ),
            None => format!("is not updated since {stamp:.0}"),
        },
        Shortfall::Lacking => "lacks expected values".to_owned(),
    }
}

/// The values of a failing page, grouped by the page that they are read from instead (`None` for nowhere).
#[derive(Debug, Default)]
struct Consequences(Vec<(Option<Endpoint>, Vec<Value>)>);

impl Consequences {
    fn add(&mut self, value: Value, instead: Option<Endpoint>) {
        match self.0.iter_mut().find(|(page, _)| *page == instead) {
            Some((_, values)) if values.contains(&value) => {}
            Some((_, values)) => values.push(value),
            None => self.0.push((instead, vec![value])),
        }
    }

    fn describe(&self, failing: Endpoint) -> String {
        let parts: Vec<String> = self
            .0
            .iter()
            .map(|(instead, values)| {
                let names: Vec<&str> = values.iter().map(|value| value.name()).collect();
                match instead {
                    Some(page) if *page == failing => {
                        format!("{} from the sum of the inverters instead", names.join(", "))
                    }
                    Some(page) => format!("{} from {} instead", names.join(", "), page.path()),
                    None => format!("{} missing", names.join(", ")),
                }
            })
            .collect();
        if parts.is_empty() { "no value is missing".to_owned() } else { parts.join("; ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: Endpoint = Endpoint::MeterReadings;
    const TICK: Duration = Duration::from_secs(30);

    /// Replaces each cycle (`x` if the page fails, `.` if it works) by `B` or `E` if a begin or an end is reported.
    fn reported(cycles: &str) -> String {
        let (mut failures, mut now) = (PageFailures::default(), Instant::now());
        let one = |cycle: char| {
            let words = "fails (HTTP 500)".to_owned();
            let short = if cycle == 'x' { BTreeMap::from([(PAGE, words)]) } else { BTreeMap::new() };
            let notices = failures.record(&short, |_| true, now);
            now += TICK;
            assert!(notices.len() <= 1);
            match notices.first() {
                Some(notice) if notice.level == Level::Warn => 'B',
                Some(_) => 'E',
                None => cycle,
            }
        };
        cycles.chars().map(one).collect()
    }

    #[test]
    fn a_trouble_is_said_when_it_begins_and_when_it_ends() {
        assert_eq!(reported("..xxxxxxxx...."), "..xBxxxxxxE...");
        assert_eq!(reported("..x.......x..."), "..x.......x...");
    }

    #[test]
    fn a_page_that_comes_and_goes_is_reported_once() {
        let flapping = "x.".repeat(100);
        let reported = reported(&flapping);
        assert_eq!(reported.matches('B').count(), 2, "{reported}");
        assert_eq!(reported.matches('E').count(), 1, "{reported}");
    }

    #[test]
    fn a_page_that_is_left_alone_does_not_count_as_asked() {
        let mut failures = PageFailures::default();
        let short = BTreeMap::from([(PAGE, "keeps failing".to_owned())]);
        let now = Instant::now();
        assert_eq!(failures.record(&short, |_| true, now), []);
        for _ in 0..9 {
            assert_eq!(failures.record(&short, |_| false, now), []);
        }
        assert_eq!(failures.record(&short, |_| true, now).len(), 1);
    }

    #[test]
    fn the_end_says_how_long_it_lasted_and_nothing_is_kept_of_what_is_long_over() {
        let (mut failures, start) = (PageFailures::default(), Instant::now());
        let short = BTreeMap::from([(PAGE, "keeps failing".to_owned())]);
        for minute in 0..90 {
            failures.record(&short, |_| true, start + 2 * TICK * minute);
        }
        let end = start + Duration::from_secs(90 * 60);
        let notices = failures.record(&BTreeMap::new(), |_| true, end);
        assert_eq!(notices[0].message, "/ivp/meters/readings works again after 1 h 30 min");
        failures.record(&BTreeMap::new(), |_| true, end + RELAPSE);
        assert!(failures.0.is_empty());
    }

    #[test]
    fn consequences_are_said_by_where_the_values_come_from() {
        let mut consequences = Consequences::default();
        consequences.add(Value::ProductionPower, Some(Endpoint::ProductionJson));
        consequences.add(Value::GridEnergy, None);
        consequences.add(Value::HousePower, Some(Endpoint::ProductionJson));
        assert_eq!(
            consequences.describe(Endpoint::MeterReadings),
            "production power, house power from /production.json?details=1 instead; import and export missing"
        );
    }
}
