//! Checks the pages of a gateway: which can be read, whether they are well-formed, and which page yields each value.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::time::Instant;

use super::super::failure::{Code, Failure};
use super::report::Report;
use crate::io::gateway::{Connected, Endpoint, Error};
use crate::rules::production_meter::{ADVICE, Comparison};
use crate::rules::sources::{self, Cycle, Options, Sources};

/// The pages that some gateways need for a reading. They are requested even if this gateway's reading does not need them.
const PAGES: [Endpoint; 7] = [
    Endpoint::MeterReadings,
    Endpoint::Production,
    Endpoint::Inverters,
    Endpoint::DeviceData,
    Endpoint::EnsembleInventory,
    Endpoint::LiveData,
    Endpoint::Tariff,
];

/// The maximum number of cycles. A page that does not respond ends a cycle, and the next cycle skips it.
const CYCLES: u32 = 3;

/// The result of requesting a page.
#[derive(Debug)]
enum Outcome {
    Read,
    Missing,
    Forbidden,
    /// The request failed, or the page is malformed.
    Wrong(String),
}

/// The check of the pages of one gateway.
#[derive(Debug)]
pub(super) struct PageCheck {
    sources: Sources,
    outcomes: BTreeMap<Endpoint, Outcome>,
    /// The time that the gateway took for each page that it has shown.
    costs: BTreeMap<Endpoint, Duration>,
    cycle: Cycle,
}

impl PageCheck {
    /// Creates a check that has not requested anything yet.
    pub(super) fn new(gateway: &Connected, live_data: bool) -> Self {
        let options = Options { live_data, ..Options::default() };
        let sources = Sources::new(gateway.info().clone(), options, gateway.identified_at());
        Self { sources, outcomes: BTreeMap::new(), costs: BTreeMap::new(), cycle: Cycle::Nothing }
    }

    /// Makes a reading as the daemon does.
    pub(super) async fn read(&mut self, gateway: &mut Connected, time: Timestamp) {
        let firmware = gateway.info().clone().firmware;
        for _ in 0..CYCLES {
            self.sources.begin_cycle(Instant::now());
            while let Some(endpoint) = self.sources.next(Instant::now()) {
                let answer = self.get(gateway, endpoint).await;
                let odd = self.sources.take(endpoint, answer.as_deref(), Instant::now());
                let certain = endpoint.page().is_certain(firmware);
                let outcome = match (odd, &answer) {
                    (Some(malformed), _) => Outcome::Wrong(malformed.to_string()),
                    // Every gateway of this firmware has this page, and an owner may read it.
                    (None, Err(error)) if certain => Outcome::Wrong(error.in_short()),
                    (None, answer) => Outcome::of(answer.as_ref().map(|_| ())),
                };
                self.outcomes.insert(endpoint, outcome);
            }
            self.cycle = self.sources.cycle(time);
            if matches!(self.cycle, Cycle::Reading(_) | Cycle::NoProduction { .. }) {
                break;
            }
        }
    }

    /// Requests the pages that the reading did not need.
    pub(super) async fn request_others(&mut self, gateway: &mut Connected) {
        for endpoint in PAGES {
            if self.outcomes.contains_key(&endpoint) {
                continue;
            }
            let answer = self.get(gateway, endpoint).await;
            let outcome = match answer.as_deref().map(|body| sources::understand(endpoint, body)) {
                Ok(Err(malformed)) => Outcome::Wrong(malformed.to_string()),
                Ok(Ok(())) => Outcome::Read,
                Err(error) => Outcome::of(Err(error)),
            };
            self.outcomes.insert(endpoint, outcome);
        }
    }

    /// Requests a page, and records how long that took.
    async fn get(&mut self, gateway: &mut Connected, endpoint: Endpoint) -> Result<Bytes, Error> {
        let start = Instant::now();
        let answer = gateway.get(endpoint).await;
        if answer.is_ok() {
            self.costs.insert(endpoint, start.elapsed());
        }
        answer
    }

    /// Writes the results. `by_token` says whether the gateway uses tokens or a user and a password.
    pub(super) fn write(&self, by_token: bool, report: &mut Report<'_>) -> Result<(), Failure> {
        let with = |is: fn(&Outcome) -> bool| -> Vec<&'static str> {
            let pages = Endpoint::ALL.into_iter().filter(|page| self.outcomes.get(page).is_some_and(is));
            pages.map(name).collect()
        };
        let read = with(|outcome| matches!(outcome, Outcome::Read));
        let read = joined(&read);
        let message = if by_token {
            format!("readable with this token: {read}")
        } else {
            format!("readable with this user: {read}")
        };
        report.good("pages", &message)?;
        if let Some(words) = self.cost() {
            report.good("pages", &words)?;
        }
        let missing = with(|outcome| matches!(outcome, Outcome::Missing));
        if !missing.is_empty() {
            report.note("pages", &format!("not present in this firmware: {}", joined(&missing)))?;
        }
        let forbidden = with(|outcome| matches!(outcome, Outcome::Forbidden));
        if !forbidden.is_empty() {
            let pages = joined(&forbidden);
            let message = if by_token {
                format!("readable by installers only: {pages}")
            } else {
                format!("not readable with this user and password: {pages}")
            };
            report.note("pages", &message)?;
        }
        for (endpoint, outcome) in &self.outcomes {
            if let Outcome::Wrong(why) = outcome {
                let message = format!("{} ({}): {why}", name(*endpoint), endpoint.path());
                report.wrong("pages", &Failure::new(Code::TryLater, message))?;
            }
        }
        for (endpoint, words) in self.sources.shortfalls() {
            if matches!(self.outcomes.get(&endpoint), Some(Outcome::Read)) {
                let message = format!("{} {words}", endpoint.path());
                report.wrong("pages", &Failure::new(Code::TryLater, message))?;
            }
        }
        self.write_values(report)
    }

    /// Describes how long the gateway took for its pages.
    fn cost(&self) -> Option<String> {
        let (slowest, longest) = self.costs.iter().max_by_key(|(_, cost)| **cost)?;
        let mut costs: Vec<Duration> = self.costs.values().copied().collect();
        costs.sort();
        let median = costs.get(costs.len() / 2)?;
        let slowest = name(*slowest);
        Some(format!(
            "the gateway took {:.2} s for a page (the median of {}), and {:.2} s for the slowest: {slowest}",
            median.as_secs_f64(),
            costs.len(),
            longest.as_secs_f64()
        ))
    }

    fn write_values(&self, report: &mut Report<'_>) -> Result<(), Failure> {
        let wrong = |words: String| Failure::new(Code::TryLater, words);
        match &self.cycle {
            Cycle::Reading(reading) => {
                let mut by_page: BTreeMap<Endpoint, Vec<&'static str>> = BTreeMap::new();
                for (value, page) in self.sources.chosen() {
                    by_page.entry(page).or_default().push(value);
                }
                let parts: Vec<String> = by_page
                    .into_iter()
                    .map(|(page, values)| format!("{} from {}", values.join(", "), page.path()))
                    .collect();
                report.good("values", &parts.join("; "))?;
                if let Some(comparison) = Comparison::of(reading).filter(Comparison::is_blind) {
                    report.note("production", &format!("{comparison}. If this persists: {ADVICE}"))?;
                }
                if reading.production.is_none() {
                    report.note(
                        "values",
                        "no page lists an inverter or a production meter, so production is not measured here",
                    )?;
                }
                Ok(())
            }
            Cycle::NoProduction { why, .. } => {
                report.wrong("values", &wrong(format!("no page yields production: {why}")))
            }
            Cycle::NotDue | Cycle::Nothing => {
                report.wrong("values", &wrong("no page could be read from this gateway".to_owned()))
            }
        }
    }
}

impl Outcome {
    fn of(answer: Result<(), &Error>) -> Self {
        match answer {
            Ok(()) => Self::Read,
            Err(Error::Missing { .. }) => Self::Missing,
            Err(Error::Forbidden { .. }) => Self::Forbidden,
            Err(error) => Self::Wrong(error.in_short()),
        }
    }
}

/// Returns the name of a page for people.
const fn name(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Meters => "list of meters",
        Endpoint::MeterReadings => "meters",
        Endpoint::Production => "production",
        Endpoint::Energy => "counters",
        Endpoint::ProductionJson => "production details",
        Endpoint::ProductionHtml => "production (HTML)",
        Endpoint::EnsembleInventory => "batteries",
        Endpoint::EnsembleSecctrl => "battery totals",
        Endpoint::EnsemblePower => "battery powers",
        Endpoint::LiveData => "live data",
        Endpoint::DeviceData => "inverter details",
        Endpoint::Inverters => "inverters",
        Endpoint::DryContacts => "dry contacts",
        Endpoint::DryContactSettings => "names of dry contacts",
        Endpoint::EnsembleGenerator => "generator",
        Endpoint::Tariff => "tariff",
        Endpoint::Inventory => "device list",
    }
}

fn joined(names: &[&str]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}
