use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn at(run: Duration) -> Now {
    let start: Timestamp = "2026-06-21T06:00:00Z".parse().unwrap();
    Now { wall: start + run, run }
}

fn problem(kind: Kind) -> Problem {
    Problem { kind, gateway: Some("192.168.1.20".to_owned()), part: None }
}

fn present(kind: Kind) -> Observation {
    Observation::Present { what: "no response".to_owned(), after: kind.begins_after(), paused: false }
}

fn seen(kind: Kind, observation: Observation) -> Observations {
    Observations::from([(problem(kind), Seen { serial: None, observation })])
}

/// Looks once, and returns `begun` or `ended` for each announcement.
fn look(alerts: &mut Alerts, kind: Kind, observation: Observation, now: Now) -> Vec<&'static str> {
    let notices = alerts.look(&seen(kind, observation), now);
    notices.iter().flat_map(|notice| &notice.items).map(word).collect()
}

fn word(item: &Item) -> &'static str {
    if item.is_end() { "ended" } else { "begun" }
}

/// Looks each minute at what `is_bad` says; returns the announcements with their minutes.
fn minutes(kind: Kind, length: u64, is_bad: impl Fn(u64) -> bool) -> Vec<(u64, &'static str)> {
    let mut alerts = Alerts::default();
    let mut announced = Vec::new();
    for minute in 0..length {
        let observation = if is_bad(minute) { present(kind) } else { Observation::Absent };
        let now = at(MINUTE * u32::try_from(minute).unwrap());
        announced.extend(look(&mut alerts, kind, observation, now).into_iter().map(|word| (minute, word)));
    }
    announced
}

#[test]
fn a_gateway_that_is_away_for_an_hour_is_announced_once_and_so_is_its_return() {
    let announced = minutes(Kind::GatewayUnreachable, 600, |minute| (100..300).contains(&minute));
    assert_eq!(announced, [(160, "begun"), (310, "ended")]);
    assert_eq!(minutes(Kind::GatewayUnreachable, 600, |minute| (100..159).contains(&minute)), []);
}

#[test]
fn one_response_of_a_gateway_that_fails_again_is_no_end() {
    let announced =
        minutes(Kind::GatewayUnreachable, 900, |minute| (100..700).contains(&minute) && minute % 70 != 0);
    assert_eq!(announced.iter().map(|(_, word)| *word).collect::<Vec<_>>(), ["begun", "ended"]);
}

#[test]
fn a_problem_that_comes_and_goes_all_day_is_announced_once_a_day() {
    let announced = minutes(Kind::GatewayKey, 3 * 24 * 60, |minute| minute % 30 < 15);
    let begun: Vec<u64> =
        announced.iter().filter(|(_, word)| *word == "begun").map(|(minute, _)| *minute).collect();
    assert_eq!(begun, [0, 1440, 2880]);
    assert_eq!(announced.len(), 6, "each has an end: {announced:?}");
}

#[test]
fn a_problem_that_begins_again_is_announced_a_day_later_if_it_still_lasts() {
    let announced = minutes(Kind::GatewayKey, 3000, |minute| !(10..100).contains(&minute));
    assert_eq!(announced, [(0, "begun"), (11, "ended"), (1440, "begun")]);
    let announced = minutes(Kind::GatewayKey, 3000, |minute| minute < 10 || (100..1400).contains(&minute));
    assert_eq!(
        announced,
        [(0, "begun"), (11, "ended")],
        "it was never announced again, so neither is its end"
    );
}

#[test]
fn at_night_the_hour_does_not_pass() {
    let kind = Kind::GatewayUnreachable;
    let mut alerts = Alerts::default();
    let night =
        || Observation::Present { what: "asleep".to_owned(), after: kind.begins_after(), paused: true };
    for hour in 0..=10 {
        assert_eq!(look(&mut alerts, kind, night(), at(HOUR * hour)), [""; 0]);
    }
    let morning = at(HOUR * 10);
    assert_eq!(look(&mut alerts, kind, present(kind), at(morning.run + 59 * MINUTE)), [""; 0]);
    let mut announced = Vec::new();
    for minute in 60..62 {
        announced.extend(look(&mut alerts, kind, present(kind), at(morning.run + minute * MINUTE)));
    }
    assert_eq!(announced, ["begun"]);
    let current = alerts.current().next().unwrap();
    assert_eq!(current.since, at(Duration::ZERO).wall, "it began in the evening");
    assert_eq!(look(&mut alerts, kind, night(), at(morning.run + 20 * HOUR)), [""; 0], "it still lasts");
    assert_eq!(alerts.current().count(), 1);
}

#[test]
fn what_is_not_observed_stays_as_it_is() {
    let mut alerts = Alerts::default();
    assert_eq!(look(&mut alerts, Kind::InverterSilent, present(Kind::InverterSilent), at(HOUR)), ["begun"]);
    for hour in 2..100 {
        assert_eq!(alerts.look(&Observations::new(), at(HOUR * hour)), []);
    }
    assert_eq!(alerts.current().count(), 1);
    assert_eq!(look(&mut alerts, Kind::InverterSilent, Observation::Gone, at(HOUR * 100)), ["ended"]);
    assert_eq!(alerts.current().count(), 0);
    assert_eq!(alerts.known().count(), 1, "its end was not delivered");
    alerts.forget_ends();
    alerts.look(&Observations::new(), at(HOUR * 101));
    assert_eq!(alerts.known().count(), 0);
}

fn restarted(alerts: &Alerts, now: Now) -> Alerts {
    let text = serde_json::to_string(&alerts.stored()).unwrap();
    Alerts::resume(serde_json::from_str(&text).unwrap(), now)
}

#[test]
fn a_restart_announces_nothing_again_and_forgets_no_end() {
    let kind = Kind::GatewayUnreachable;
    let mut alerts = Alerts::default();
    look(&mut alerts, kind, present(kind), at(Duration::ZERO));
    assert_eq!(look(&mut alerts, kind, present(kind), at(HOUR)), ["begun"]);
    let again = |run: Duration| Now { run: run.saturating_sub(HOUR), ..at(run) };
    let mut alerts = restarted(&alerts, again(2 * HOUR));
    assert_eq!(look(&mut alerts, kind, present(kind), again(2 * HOUR)), [""; 0]);
    assert_eq!(look(&mut alerts, kind, present(kind), again(30 * HOUR)), [""; 0]);
    assert_eq!(look(&mut alerts, kind, Observation::Absent, again(31 * HOUR)), [""; 0]);
    let mut alerts = restarted(&alerts, again(31 * HOUR));
    assert_eq!(look(&mut alerts, kind, Observation::Absent, again(31 * HOUR)), [""; 0]);
    assert_eq!(look(&mut alerts, kind, Observation::Absent, again(32 * HOUR)), ["ended"]);
}

#[test]
fn a_total_that_is_held_back_for_a_day_is_announced_although_the_daemon_restarts_at_night() {
    let kind = Kind::CounterHeld;
    let mut alerts = Alerts::default();
    look(&mut alerts, kind, present(kind), at(Duration::ZERO));
    let run = |run: Duration| Now { run: run.saturating_sub(20 * HOUR), ..at(run) };
    let mut alerts = restarted(&alerts, run(20 * HOUR));
    assert_eq!(look(&mut alerts, kind, present(kind), run(23 * HOUR)), [""; 0]);
    assert_eq!(look(&mut alerts, kind, present(kind), run(24 * HOUR)), ["begun"]);
}

#[test]
fn after_the_loss_of_the_state_existing_problems_wait_for_a_day() {
    let mut alerts = Alerts::after_loss(at(HOUR));
    assert_eq!(look(&mut alerts, Kind::GatewayKey, present(Kind::GatewayKey), at(HOUR)), [""; 0]);
    assert_eq!(alerts.current().count(), 1, "the page shows it");
    let later = seen(Kind::Disk, present(Kind::Disk));
    alerts.look(&later, at(2 * HOUR));
    assert_eq!(alerts.look(&later, at(2 * HOUR + 5 * MINUTE)).len(), 1, "this one is new");
    assert_eq!(look(&mut alerts, Kind::GatewayKey, present(Kind::GatewayKey), at(HOUR + DAY)), ["begun"]);
}

#[test]
fn a_clock_that_was_set_back_delays_by_a_day_at_most() {
    let kind = Kind::GatewayKey;
    let mut alerts = Alerts::default();
    look(&mut alerts, kind, present(kind), at(DAY));
    look(&mut alerts, kind, Observation::Absent, at(DAY + HOUR));
    look(&mut alerts, kind, Observation::Absent, at(DAY + 2 * HOUR));
    let back = |run: Duration| Now { wall: at(Duration::ZERO).wall - SignedDuration::from_hours(5000), run };
    let mut alerts = restarted(&alerts, back(Duration::ZERO));
    assert_eq!(look(&mut alerts, kind, present(kind), back(HOUR)), [""; 0]);
    assert_eq!(look(&mut alerts, kind, present(kind), back(DAY)), ["begun"]);
}

#[test]
fn what_fails_together_is_one_notice() {
    let mut alerts = Alerts::default();
    let inverter = |number: u32| Problem { part: Some(number.to_string()), ..problem(Kind::InverterSilent) };
    let observed = |observation: Observation| -> Observations {
        let seen = |number| (inverter(number), Seen { serial: None, observation: observation.clone() });
        (0..20).map(seen).collect()
    };
    let begun = alerts.look(&observed(present(Kind::InverterSilent)), at(HOUR));
    assert_eq!((begun.len(), begun[0].items.len()), (1, 20));
    alerts.delivered(&begun[0]);
    assert_eq!(alerts.owed(), []);
    let ended = alerts.look(&observed(Observation::Absent), at(2 * HOUR));
    assert_eq!((ended.len(), ended[0].items.len(), ended[0].is_end), (1, 20, true));
    assert_eq!(alerts.owed(), ended);
}

#[test]
fn an_end_replaces_a_beginning_that_was_not_delivered() {
    let kind = Kind::GatewayKey;
    let mut alerts = Alerts::default();
    let begun = alerts.look(&seen(kind, present(kind)), at(HOUR));
    look(&mut alerts, kind, Observation::Absent, at(2 * HOUR));
    assert_eq!(look(&mut alerts, kind, Observation::Absent, at(3 * HOUR)), ["ended"]);
    // The delivery of the first one is completed late.
    alerts.delivered(&begun[0]);
    let owed = alerts.owed();
    assert_eq!(owed.len(), 1);
    let item = &owed[0].items[0];
    assert!(item.is_end());
    assert_eq!(item.since, at(HOUR).wall, "it says since when it was");
}

#[test]
fn no_number_of_problems_takes_memory_without_end() {
    let mut alerts = Alerts::default();
    for number in 0..3 * MOST {
        let problem = Problem { part: Some(number.to_string()), ..problem(Kind::InverterSilent) };
        let seen = Seen { serial: None, observation: present(Kind::InverterSilent) };
        alerts.look(&Observations::from([(problem, seen)]), at(HOUR));
    }
    assert_eq!(alerts.known().count(), MOST);
}

/// A step of a random history.
#[derive(Clone, Copy, Debug)]
enum Step {
    See { bad: bool, paused: bool },
    Nothing,
    Gone,
    Restart,
    Deliver,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (any::<bool>(), any::<bool>()).prop_map(|(bad, paused)| Step::See { bad, paused }),
        2 => Just(Step::Nothing),
        1 => Just(Step::Gone),
        2 => Just(Step::Restart),
        1 => Just(Step::Deliver),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_no_beginning_comes_twice_a_day_and_each_has_one_end(
        kind in proptest::sample::select(Kind::ALL.to_vec()),
        steps in proptest::collection::vec((step(), 1_u64..300), 1..400),
    ) {
        let mut alerts = Alerts::default();
        let (mut passed, mut started) = (Duration::ZERO, Duration::ZERO);
        let (mut last_begun, mut open): (Option<Duration>, bool) = (None, false);
        for (step, minutes) in steps {
            passed += MINUTE * u32::try_from(minutes).unwrap();
            let now = Now { run: passed.saturating_sub(started), ..at(passed) };
            let observation = match step {
                Step::See { bad: true, paused } =>
                    Some(Observation::Present { what: String::new(), after: kind.begins_after(), paused }),
                Step::See { bad: false, .. } => Some(Observation::Absent),
                Step::Gone => Some(Observation::Gone),
                Step::Nothing => None,
                Step::Restart => {
                    started = passed;
                    alerts = restarted(&alerts, Now { run: Duration::ZERO, ..now });
                    continue;
                }
                Step::Deliver => {
                    for notice in alerts.owed() {
                        alerts.delivered(&notice);
                    }
                    prop_assert_eq!(alerts.owed(), vec![]);
                    continue;
                }
            };
            let seen = observation.map(|observation| seen(kind, observation)).unwrap_or_default();
            let notices = alerts.look(&seen, now);
            for item in notices.iter().flat_map(|notice| &notice.items) {
                if item.is_end() {
                    prop_assert!(open, "an end without a beginning");
                    open = false;
                } else {
                    prop_assert!(!open, "a beginning without an end before it");
                    prop_assert!(last_begun.is_none_or(|last| passed >= last + DAY));
                    (open, last_begun) = (true, Some(passed));
                }
                prop_assert!(item.since <= now.wall);
            }
            prop_assert!(!open || alerts.current().count() == 1);
        }
        // Everything is well again: an announced problem ends.
        for _ in 0..2 {
            passed += HOUR;
            let now = Now { run: passed.saturating_sub(started), ..at(passed) };
            for item in alerts.look(&seen(kind, Observation::Absent), now).iter().flat_map(|notice| &notice.items) {
                prop_assert!(item.is_end() && open);
                open = false;
            }
        }
        prop_assert!(!open);
    }
}
