//! What is seen of each problem: from the status of the gateways, their readings and tokens, and the state directory.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};

use crate::app::latest::{Gateway, Obstacle, Snapshot, TokenReport};
use crate::app::status::{Place, Status};
use crate::base::reading::{Condition, Serial};
use crate::io::cloud;
use crate::rules::alerts::{Alerts, Kind, Observation, Observations, Problem, Seen};
use crate::rules::logins::decision::{Stopped, Waiting};

/// The time before the end of a short-lived token at which it ends soon.
const SOON: SignedDuration = SignedDuration::from_hours(2);
/// How long a login may wait before it is reported, with and without a valid token. The cloud may fail for hours.
const WAIT_WITH_TOKEN: Duration = Duration::from_secs(24 * 3600);
const WAIT_WITHOUT_TOKEN: Duration = Duration::from_secs(3600);

/// Everything to look at.
#[derive(Debug)]
pub(super) struct Around<'a> {
    pub(super) places: &'a [Place],
    pub(super) snapshot: &'a Snapshot,
    /// The error of the state directory.
    pub(super) disk: Option<String>,
    pub(super) renew_short_tokens: bool,
    pub(super) local: DateTime,
    pub(super) now: Timestamp,
}

/// Records the hours in which each gateway produces. Returns whether that is news.
pub(super) fn learn_daylight(
    alerts: &mut Alerts,
    places: &[Place],
    snapshot: &Snapshot,
    local: DateTime,
) -> bool {
    let mut is_news = false;
    for place in places.iter().filter(|place| matches!(place.status, Status::Read(_))) {
        let gateway = place.serial.as_ref().and_then(|serial| snapshot.gateway(serial));
        let reading = gateway.and_then(Gateway::fresh_reading);
        let production = reading.and_then(|reading| reading.value.production.as_ref());
        if let Some(watts) = production.and_then(|production| production.power_w) {
            is_news |= alerts.daylight(&place.address).see(local, watts.value());
        }
    }
    alerts.keep_daylight(|address| places.iter().any(|place| place.address == address));
    is_news
}

/// Returns what is seen of every problem that something is known about.
pub(super) fn observe(alerts: &mut Alerts, around: &Around<'_>) -> Observations {
    let mut seen = Observed::default();
    let places = || around.places.iter().filter(|place| place.status != Status::Removed);
    for place in places() {
        let is_day = alerts.daylight(&place.address).is_day(around.local);
        seen.place(place, around.snapshot, is_day);
    }
    let serials: BTreeSet<&Serial> = places().filter_map(|place| place.serial.as_ref()).collect();
    for (serial, gateway) in around.snapshot.gateways().filter(|(serial, _)| serials.contains(serial)) {
        let known: Vec<&Problem> =
            alerts.known().filter(|problem| problem.gateway.as_deref() == Some(serial.as_str())).collect();
        seen.inverters(serial, gateway, &known);
        seen.token(serial, gateway, around);
        seen.totals(serial, gateway, &known);
    }
    let disk = Problem { kind: Kind::Disk, gateway: None, part: None };
    seen.add(disk, None, around.disk.clone().map(|error| present(Kind::Disk, error)));
    let mut names: BTreeSet<&str> = places().map(|place| place.address.as_str()).collect();
    names.extend(serials.iter().map(|serial| serial.as_str()));
    // While a gateway has not responded yet, any serial number may be its own.
    let knows_all = places().all(|place| place.serial.is_some());
    seen.gone(alerts.known(), |problem| {
        let is_of_place = matches!(problem.kind, Kind::GatewayUnreachable | Kind::GatewayKey) || knows_all;
        is_of_place && problem.gateway.as_deref().is_some_and(|gateway| !names.contains(gateway))
    });
    seen.0
}

fn present(kind: Kind, what: String) -> Observation {
    Observation::Present { what, after: kind.begins_after(), paused: false }
}

/// The observations so far.
#[derive(Debug, Default)]
struct Observed(Observations);

impl Observed {
    /// Adds an observation; `None` means that the problem does not exist.
    fn add(&mut self, problem: Problem, serial: Option<&Serial>, observation: Option<Observation>) {
        let observation = observation.unwrap_or(Observation::Absent);
        self.0.insert(problem, Seen { serial: serial.cloned(), observation });
    }

    /// Adds what the status of a gateway shows.
    fn place(&mut self, place: &Place, snapshot: &Snapshot, is_day: bool) {
        let serial = place.serial.as_ref();
        let problem = |kind| Problem { kind, gateway: Some(place.address.clone()), part: None };
        let is_online = || serial.and_then(|serial| snapshot.gateway(serial)).is_some_and(Gateway::is_online);
        let (unreachable, key) = (Kind::GatewayUnreachable, Kind::GatewayKey);
        match &place.status {
            Status::Starting | Status::Removed => {}
            Status::Read(_) => {
                self.add(problem(unreachable), serial, None);
                self.add(problem(key), serial, None);
            }
            Status::Trouble { kind, message } => match *kind {
                "key_changed" | "key_lost" | "key_missing" => {
                    self.add(problem(key), serial, Some(present(key, message.clone())));
                }
                // Reported as the login that is held back, or by the log: two tables lead to one gateway.
                "no_token" | "read_already" => {}
                // One poll has failed, and the gateway is not considered away yet.
                _ if is_online() => self.add(problem(unreachable), serial, None),
                _ => {
                    let after = unreachable.begins_after();
                    let away = Observation::Present { what: message.clone(), after, paused: !is_day };
                    self.add(problem(unreachable), serial, Some(away));
                }
            },
        }
    }

    /// Adds the conditions of the inverters, if they have been compared.
    fn inverters(&mut self, serial: &Serial, gateway: &Gateway, known: &[&Problem]) {
        let Some(reading) = gateway.fresh_reading() else { return };
        let inverters = &reading.value.inverters;
        if !inverters.iter().any(|inverter| inverter.condition.is_some()) {
            return;
        }
        let kinds = [(Kind::InverterSilent, Condition::Silent), (Kind::InverterWeak, Condition::Weak)];
        for (kind, bad) in kinds {
            for inverter in inverters.iter().filter(|inverter| inverter.condition == Some(bad)) {
                let part = Some(inverter.serial.to_string());
                let problem = Problem { kind, gateway: Some(serial.to_string()), part };
                self.add(problem, Some(serial), Some(present(kind, String::new())));
            }
            for problem in known.iter().filter(|problem| problem.kind == kind) {
                let is_it = |serial: &Serial| problem.part.as_deref() == Some(serial.as_str());
                let condition = inverters.iter().find(|inverter| is_it(&inverter.serial));
                match condition.and_then(|inverter| inverter.condition) {
                    Some(condition) if condition == bad => {}
                    Some(_) => self.add((*problem).clone(), Some(serial), None),
                    // An inverter that is not compared any more was removed.
                    None => self.add((*problem).clone(), Some(serial), Some(Observation::Gone)),
                }
            }
        }
    }

    /// Adds what the state of the token shows.
    fn token(&mut self, serial: &Serial, gateway: &Gateway, around: &Around<'_>) {
        let Some(report) = gateway.token.as_ref() else { return };
        let problem = |kind| Problem { kind, gateway: Some(serial.to_string()), part: None };
        let [ending, login] = token(&report.value, around.renew_short_tokens, around.now);
        for (kind, observation) in [(Kind::TokenEnding, ending), (Kind::Login, login)] {
            if let Some(observation) = observation {
                self.add(problem(kind), Some(serial), Some(observation));
            }
        }
    }

    /// Adds the totals that are held back.
    fn totals(&mut self, serial: &Serial, gateway: &Gateway, known: &[&Problem]) {
        if gateway.fresh_reading().is_none() {
            return;
        }
        let kind = Kind::CounterHeld;
        for problem in known.iter().filter(|problem| problem.kind == kind) {
            self.add((*problem).clone(), Some(serial), None);
        }
        for name in &gateway.held {
            let part = Some((*name).to_owned());
            let problem = Problem { kind, gateway: Some(serial.to_string()), part };
            self.add(problem, Some(serial), Some(present(kind, String::new())));
        }
    }

    /// Adds the known problems of what does not exist any more.
    fn gone<'a>(&mut self, known: impl Iterator<Item = &'a Problem>, is_gone: impl Fn(&Problem) -> bool) {
        for problem in known.filter(|problem| is_gone(problem)) {
            self.add(problem.clone(), None, Some(Observation::Gone));
        }
    }
}

/// Returns what a token report shows of a token that ends, and of a login that is held back. `None` means that nothing is
/// known at the moment.
fn token(report: &TokenReport, renew_short_tokens: bool, now: Timestamp) -> [Option<Observation>; 2] {
    let ends = report.expires_at.filter(|at| *at > now);
    let until = |why: &str| match ends {
        Some(at) => format!("the token is valid until {at:.0}; {why}"),
        None => why.to_owned(),
    };
    let absent = Some(Observation::Absent);
    let ending = |what: String| [Some(present(Kind::TokenEnding, what)), Some(Observation::Absent)];
    let login = |what: String, after| [None, Some(Observation::Present { what, after, paused: false })];
    match report.obstacle {
        None => match ends {
            Some(at) if report.state == "short" && !renew_short_tokens && at.duration_since(now) <= SOON => {
                ending(until(
                    "it is short-lived (installer tokens last hours) and is not renewed automatically",
                ))
            }
            _ => [absent.clone(), absent],
        },
        Some(Obstacle::NeedsPerson(why)) if is_refusal(why) => login(until(&why.to_string()), Duration::ZERO),
        Some(Obstacle::NeedsPerson(why)) if ends.is_some() => ending(until(&why.to_string())),
        Some(Obstacle::NeedsPerson(why)) => login(why.to_string(), Duration::ZERO),
        Some(Obstacle::Waits(Waiting::GatewaySilent | Waiting::GatewayNotAsked | Waiting::GatewayUnsure)) => {
            [None, None]
        }
        Some(Obstacle::Waits(why)) => {
            let after = match why {
                Waiting::HoldOff(cloud::Kind::TooManySessions | cloud::Kind::Blocked) => Duration::ZERO,
                _ if ends.is_some() => WAIT_WITH_TOKEN,
                _ => WAIT_WITHOUT_TOKEN,
            };
            login(until(&format!("a login is needed, and waits: {why}")), after)
        }
    }
}

/// Returns whether the cloud has refused a login.
const fn is_refusal(why: Stopped) -> bool {
    matches!(why, Stopped::WrongCredentials | Stopped::SecondFactor)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::app::latest::{Availability, Latest};
    use crate::base::reading::{Inverter, Reading};
    use crate::base::test_readings;
    use crate::rules::alerts::Now;

    const NOW: &str = "2026-11-20T12:00:00Z";

    fn report(state: &'static str, expires_in_h: Option<i64>, obstacle: Option<Obstacle>) -> TokenReport {
        let now: Timestamp = NOW.parse().unwrap();
        TokenReport {
            state,
            role: None,
            source: None,
            issued_at: None,
            expires_at: expires_in_h.map(|hours| now + SignedDuration::from_hours(hours)),
            next_login_at: None,
            days_left: None,
            message: String::new(),
            waiting: None,
            obstacle,
        }
    }

    /// Describes what is seen of a token that ends, and of a login.
    fn shown(report: &TokenReport, renew_short_tokens: bool) -> String {
        let seen = token(report, renew_short_tokens, NOW.parse().unwrap());
        let words = seen.map(|seen| match seen {
            None => "unknown".to_owned(),
            Some(Observation::Present { after, .. }) => format!("after {} h", after.as_secs() / 3600),
            Some(other) => format!("{other:?}").to_lowercase(),
        });
        words.join(", ")
    }

    #[test]
    fn a_token_that_ends_and_a_login_that_waits_are_told_apart() {
        use crate::io::cloud::Kind::{Blocked, TooManySessions, Transient};
        let (waits, person) = (|why| Some(Obstacle::Waits(why)), |why| Some(Obstacle::NeedsPerson(why)));
        let (month, expired) = (Some(700), Some(-1));
        for (state, ends, obstacle, expected) in [
            ("valid", month, None, "absent, absent"),
            ("expiring", month, None, "absent, absent"),
            ("short", Some(10), None, "absent, absent"),
            ("short", Some(1), None, "after 0 h, absent"),
            ("expiring", month, person(Stopped::NoCredentials), "after 0 h, absent"),
            ("missing", None, person(Stopped::NoCredentials), "unknown, after 0 h"),
            ("expired", expired, person(Stopped::ShortToken), "unknown, after 0 h"),
            ("expiring", month, person(Stopped::WrongCredentials), "unknown, after 0 h"),
            ("missing", None, person(Stopped::SecondFactor), "unknown, after 0 h"),
            ("expiring", month, waits(Waiting::HoldOff(TooManySessions)), "unknown, after 0 h"),
            ("missing", None, waits(Waiting::HoldOff(Blocked)), "unknown, after 0 h"),
            ("expiring", month, waits(Waiting::HoldOff(Transient)), "unknown, after 24 h"),
            ("missing", None, waits(Waiting::HoldOff(Transient)), "unknown, after 1 h"),
            ("expired", expired, waits(Waiting::GatewayNotAsked), "unknown, unknown"),
        ] {
            assert_eq!(shown(&report(state, ends, obstacle), false), expected, "{state} {obstacle:?}");
        }
        assert_eq!(shown(&report("short", Some(1), None), true), "absent, absent", "it is renewed");
    }

    /// A house with one gateway.
    struct Roof {
        latest: Latest,
        place: Place,
        alerts: Alerts,
        minutes: u64,
    }

    impl Roof {
        fn new() -> Self {
            let serial = Some(test_readings::full().gateway.serial);
            let status = Status::Read(String::new());
            let place = Place { address: "192.168.1.20".to_owned(), serial, status };
            Self { latest: Latest::new(), place, alerts: Alerts::default(), minutes: 0 }
        }

        fn read(&self, conditions: &[(&str, Option<Condition>)]) {
            let inverter = |(serial, condition): &(&str, Option<Condition>)| Inverter {
                condition: *condition,
                ..test_readings::inverter(serial, 200.0, 5)
            };
            let inverters = conditions.iter().map(inverter).collect();
            self.latest.put_reading(Reading { inverters, ..test_readings::full() });
        }

        /// Looks; returns each announcement in a few words.
        fn look(&mut self) -> Vec<String> {
            self.minutes += 20;
            let now: Timestamp = NOW.parse().unwrap();
            let observations = {
                let reader = self.latest.reader();
                let snapshot = reader.borrow();
                let around = Around {
                    places: std::slice::from_ref(&self.place),
                    snapshot: &snapshot,
                    disk: None,
                    renew_short_tokens: false,
                    local: date(2026, 11, 20).at(12, 0, 0, 0),
                    now,
                };
                observe(&mut self.alerts, &around)
            };
            let run = Duration::from_secs(60 * self.minutes);
            let notices = self.alerts.look(&observations, Now { wall: now + run, run });
            let items = notices.iter().flat_map(|notice| &notice.items);
            let word = |is_end: bool| if is_end { "ended" } else { "begun" };
            items
                .map(|item| {
                    let part = item.problem.part.as_deref().unwrap_or("itself");
                    format!("{:?} {part} {}", item.problem.kind, word(item.is_end()))
                })
                .collect()
        }
    }

    #[test]
    fn inverters_are_announced_each_and_an_unknown_condition_changes_nothing() {
        use Condition::{Good, Silent, Weak};
        let mut roof = Roof::new();
        roof.read(&[("1", None), ("2", None)]);
        assert_eq!(roof.look(), [""; 0], "they have not been compared");
        roof.read(&[("1", Some(Silent)), ("2", Some(Weak)), ("3", Some(Good))]);
        assert_eq!(roof.look(), ["InverterSilent 1 begun", "InverterWeak 2 begun"]);
        let serial = roof.place.serial.clone().unwrap();
        roof.latest.put_availability(&serial, Availability::Offline("away".to_owned()));
        assert_eq!(roof.look(), [""; 0], "the last reading says nothing new");
        roof.read(&[]);
        assert_eq!(roof.look(), [""; 0], "the page of the inverters fails");
        roof.read(&[("1", Some(Good)), ("3", Some(Good))]);
        assert_eq!(roof.look(), ["InverterSilent 1 ended", "InverterWeak 2 ended"], "one was removed");
    }

    #[test]
    fn only_a_gateway_that_is_away_counts_and_one_that_was_removed_ends_its_problems() {
        let mut roof = Roof::new();
        roof.read(&[("1", Some(Condition::Silent)), ("2", Some(Condition::Good))]);
        roof.place.status = Status::Trouble { kind: "away", message: "no response".to_owned() };
        assert_eq!(roof.look(), ["InverterSilent 1 begun"]);
        for _ in 0..5 {
            assert_eq!(roof.look(), [""; 0], "one poll failed; the reading is still fresh");
        }
        let serial = roof.place.serial.clone().unwrap();
        roof.latest.put_availability(&serial, Availability::Offline("away".to_owned()));
        let announced: Vec<String> = (0..4).flat_map(|_| roof.look()).collect();
        assert_eq!(announced, ["GatewayUnreachable itself begun"]);
        for kind in ["no_token", "read_already"] {
            roof.place.status = Status::Trouble { kind, message: String::new() };
            assert_eq!(roof.look(), [""; 0], "{kind} says nothing about it");
        }
        roof.place.address = "192.168.1.21".to_owned();
        roof.place.serial = Serial::parse("122300000009").ok();
        roof.place.status = Status::Starting;
        assert_eq!(roof.look(), ["GatewayUnreachable itself ended", "InverterSilent 1 ended"]);
    }
}
