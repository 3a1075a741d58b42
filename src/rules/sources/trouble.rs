//! What is said of a page that falls short of what it should have: once when that begins, once when it ends.
//!
//! One odd answer is not worth a word. A page that comes and goes is reported when it keeps failing, and then as healed
//! only when it has held for twice as long as the last time, so that a flapping page does not fill the log.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::choice::{self, Choices, Shortfall};
use super::cycle::{Level, Notice};
use super::site::Site;
use super::table::Value;
use crate::io::gateway::Endpoint;
use crate::rules::logins::words::length;

/// What a failed request adds; each cycle without a failure takes one away.
const FAILURE: u8 = 2;
/// At this it is reported: after two failures in a row, or some more with successes between.
const REPORTED: u8 = 4;
/// A page that fails again within this time has to hold for longer.
const RELAPSE: Duration = Duration::from_secs(3600);
/// The most cycles that a page has to hold.
const MOST_CYCLES: u32 = 64;

#[derive(Debug)]
struct Row {
    level: u8,
    since: Instant,
    reported: bool,
    /// Cycles in a row without a shortfall, and how many end the trouble.
    held: u32,
    needed: u32,
    ended: Option<Instant>,
}

/// The pages in trouble.
#[derive(Debug, Default)]
pub(super) struct Troubles(BTreeMap<Endpoint, Row>);

impl Troubles {
    /// Takes what each page falls short of in a cycle that ends at `now`, in words; `asked` are the pages that were asked
    /// for in it. Returns what is to be said.
    pub(super) fn see(
        &mut self,
        short: &BTreeMap<Endpoint, String>,
        asked: impl Fn(Endpoint) -> bool,
        now: Instant,
    ) -> Vec<Notice> {
        let mut notices = Vec::new();
        for (endpoint, words) in short {
            let row = self.0.entry(*endpoint).or_insert_with(|| Row::new(now));
            if asked(*endpoint) && row.falls_short(now) {
                let message = format!("{} {words}", endpoint.path());
                notices.push(Notice { level: Level::Warn, kind: "page_failing", message });
            } else {
                tracing::debug!(path = endpoint.path(), words, "a page falls short");
            }
        }
        for (endpoint, row) in &mut self.0 {
            if !short.contains_key(endpoint)
                && let Some(lasted) = row.holds(now)
            {
                let message = format!("{} is read again after {}", endpoint.path(), length(lasted));
                notices.push(Notice { level: Level::Info, kind: "page_recovered", message });
            }
        }
        self.0.retain(|_, row| row.is_of_interest(now));
        notices
    }
}

impl Row {
    fn new(now: Instant) -> Self {
        Self { level: 0, since: now, reported: false, held: 0, needed: 1, ended: None }
    }

    /// A request failed; returns whether that is to be reported.
    fn falls_short(&mut self, now: Instant) -> bool {
        if self.level == 0 && !self.reported {
            self.since = now;
        }
        self.held = 0;
        self.level = (self.level + FAILURE).min(REPORTED);
        let begins = self.level >= REPORTED && !self.reported;
        if begins {
            self.reported = true;
            let relapse = self.ended.is_some_and(|ended| now.saturating_duration_since(ended) < RELAPSE);
            self.needed = if relapse { (self.needed * 2).min(MOST_CYCLES) } else { 1 };
        }
        begins
    }

    /// Nothing is short; returns how long the trouble lasted if it has ended now.
    fn holds(&mut self, now: Instant) -> Option<Duration> {
        self.held += 1;
        self.level = self.level.saturating_sub(1);
        if !self.reported || self.held < self.needed {
            return None;
        }
        (self.reported, self.level, self.ended) = (false, 0, Some(now));
        Some(now.saturating_duration_since(self.since))
    }

    fn is_of_interest(&self, now: Instant) -> bool {
        let ended_lately = self.ended.is_some_and(|ended| now.saturating_duration_since(ended) < RELAPSE);
        self.reported || self.level > 0 || self.held == 0 || ended_lately
    }
}

/// What each page falls short of, in words, with what is read in its place.
pub(super) fn shortfalls(site: &Site<'_>, choices: &Choices) -> BTreeMap<Endpoint, String> {
    let mut short: BTreeMap<Endpoint, (Shortfall, Consequences)> = BTreeMap::new();
    for (value, chosen) in choices.iter().filter(|(value, _)| site.wants(*value)) {
        let before = value.ways(site.origin()).iter().take_while(|way| Some(**way) != chosen);
        for way in before {
            let Some((page, why)) = choice::shortfall(site, *way, value) else { continue };
            let (worst, consequences) = short.entry(page).or_insert_with(|| (why, Consequences::default()));
            *worst = why.min(*worst);
            // A value that nothing has, and never had, is perhaps not measured here.
            if chosen.is_some() || site.promises(value) {
                consequences.add(value, chosen.map(super::table::Way::page));
            }
        }
    }
    let mut words: BTreeMap<Endpoint, String> = short
        .into_iter()
        .map(|(page, (why, consequences))| {
            (page, format!("{}: {}", why_in_words(site, page, why), consequences.in_words(page)))
        })
        .collect();
    // The last list of meters is as good; that its page fails is said all the same.
    if let Some(why) = site.visits.why(Endpoint::Meters).filter(|_| site.listed().is_some()) {
        words.insert(Endpoint::Meters, format!("fails ({why}): the meters that it listed last are used"));
    }
    for page in site.past.without_numbers() {
        words.entry(page).or_insert_with(|| "holds what is no number (nan, inf): left out".to_owned());
    }
    words
}

fn why_in_words(site: &Site<'_>, page: Endpoint, why: Shortfall) -> String {
    match why {
        Shortfall::Failed => format!("fails ({})", site.visits.why(page).unwrap_or("no answer")),
        Shortfall::Stale(stamp) => match site.time {
            Some(time) => format!(
                "stands still (measured at {stamp:.0}, {} behind the gateway's clock)",
                length(time.duration_since(stamp).unsigned_abs())
            ),
            None => format!("stands still since {stamp:.0}"),
        },
        Shortfall::Lacking => "does not show what it should".to_owned(),
    }
}

/// Where values are read instead: `None` for nowhere.
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

    fn in_words(&self, failing: Endpoint) -> String {
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
        if parts.is_empty() { "no other page is needed".to_owned() } else { parts.join("; ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: Endpoint = Endpoint::MeterReadings;
    const TICK: Duration = Duration::from_secs(30);

    /// One letter for each cycle: `x` when the page fails, `.` when it is well. `B` and `E` where a begin and an end are
    /// said.
    fn said(cycles: &str) -> String {
        let (mut troubles, mut now) = (Troubles::default(), Instant::now());
        let one = |cycle: char| {
            let words = "fails (HTTP 500)".to_owned();
            let short = if cycle == 'x' { BTreeMap::from([(PAGE, words)]) } else { BTreeMap::new() };
            let notices = troubles.see(&short, |_| true, now);
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
        assert_eq!(said("..xxxxxxxx...."), "..xBxxxxxxE...");
        assert_eq!(said("..x.......x..."), "..x.......x...");
    }

    #[test]
    fn a_page_that_comes_and_goes_is_reported_once() {
        let flapping = "x.".repeat(100);
        let said = said(&flapping);
        assert_eq!(said.matches('B').count(), 2, "{said}");
        assert_eq!(said.matches('E').count(), 1, "{said}");
    }

    #[test]
    fn a_page_that_is_left_alone_does_not_count_as_asked() {
        let mut troubles = Troubles::default();
        let short = BTreeMap::from([(PAGE, "keeps failing".to_owned())]);
        let now = Instant::now();
        assert_eq!(troubles.see(&short, |_| true, now), []);
        for _ in 0..9 {
            assert_eq!(troubles.see(&short, |_| false, now), []);
        }
        assert_eq!(troubles.see(&short, |_| true, now).len(), 1);
    }

    #[test]
    fn the_end_says_how_long_it_lasted_and_nothing_is_kept_of_what_is_long_over() {
        let (mut troubles, start) = (Troubles::default(), Instant::now());
        let short = BTreeMap::from([(PAGE, "keeps failing".to_owned())]);
        for minute in 0..90 {
            troubles.see(&short, |_| true, start + 2 * TICK * minute);
        }
        let end = start + Duration::from_secs(90 * 60);
        let notices = troubles.see(&BTreeMap::new(), |_| true, end);
        assert_eq!(notices[0].message, "/ivp/meters/readings is read again after 1 h 30 min");
        troubles.see(&BTreeMap::new(), |_| true, end + RELAPSE);
        assert!(troubles.0.is_empty());
    }

    #[test]
    fn consequences_are_said_by_where_the_values_come_from() {
        let mut consequences = Consequences::default();
        consequences.add(Value::ProductionPower, Some(Endpoint::ProductionJson));
        consequences.add(Value::GridEnergy, None);
        consequences.add(Value::HousePower, Some(Endpoint::ProductionJson));
        assert_eq!(
            consequences.in_words(Endpoint::MeterReadings),
            "production power, house power from /production.json?details=1 instead; import and export missing"
        );
    }
}
