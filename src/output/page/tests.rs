//! What an owner reads in the states that a house can be in.

use std::sync::Arc;

use jiff::civil::date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::base::reading::{Condition, Counter, Reading, Serial};
use crate::base::test_readings;
use crate::base::units::{Percent, WattHours, Watts};
use crate::io::history::rows::{Counted, CountedOn, Sample, Series};
use crate::output::alerts::CurrentProblem;
use crate::rules::alerts::{self as rules, Kind};
use crate::rules::history::periods::Period;
use crate::rules::history::sums::Remarks;

fn zone() -> TimeZone {
    TimeZone::fixed(jiff::tz::offset(1))
}

fn site(reading: Option<Reading>) -> Site {
    let serial = reading.as_ref().map(|reading| reading.gateway.serial.clone());
    let serial = serial.unwrap_or_else(|| Serial::parse("122300000000").unwrap());
    Site {
        name: names(&[(&serial, reading.as_ref().and_then(|reading| reading.gateway.name.as_deref()))])
            .remove(0),
        serial,
        reading: reading.map(Arc::new),
        is_fresh: true,
        trouble: None,
        token: Some(token("valid")),
        today: Today::default(),
    }
}

const WAITING: &str = "a login is needed, because there is no token yet, and waits for 24 h";

fn token(state: &'static str) -> Token {
    Token {
        state,
        role: Some("owner".to_owned()),
        expires_at: (state != "missing").then(|| "2027-10-01T10:00:00Z".parse().unwrap()),
        next_login_at: Some("2027-09-03T04:00:00Z".parse().unwrap()),
        message: WAITING.to_owned(),
        waiting: (state == "missing").then(|| WAITING.to_owned()),
    }
}

fn house(sites: Vec<Site>) -> House {
    House {
        now: test_readings::at("11:19:40"),
        zone: zone(),
        sites,
        unknown: Vec::new(),
        summary: "locating the gateway".to_owned(),
        cloud: Some(Cloud {
            contacted_at: Some("2026-10-01T10:00:00Z".parse().unwrap()),
            reason: Some("there is no token yet".to_owned()),
            outcome: Some("succeeded".to_owned()),
            held_off: None,
            logins_in_30_days: 0,
        }),
        announced: Vec::new(),
        broker: None,
    }
}

/// Returns the text of HTML, one line for each block.
fn text(html: &str) -> String {
    let mut text = String::new();
    for piece in html.split('<').skip(1) {
        let (tag, after) = piece.split_once('>').unwrap();
        let is_inline = [
            "b", "/b", "i", "/i", "small", "/small", "code", "/code", "time", "/time", "em", "/em", "span",
            "/span", "tspan", "/tspan", "td", "/td", "th", "/th", "a", "/a",
        ]
        .contains(&tag.split(' ').next().unwrap());
        text.push_str(if is_inline { " " } else { "\n" });
        if tag.contains(" hidden") {
            text.push_str("(hidden)");
        }
        text.push_str(after);
    }
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

fn read(house: &House) -> String {
    text(&sections(house).into_string())
}

/// Returns the text of one section.
fn section(house: &House, id: &str) -> String {
    let html = sections(house).into_string();
    let begin = html[..html.find(&format!("id=\"{id}\"")).unwrap()].rfind('<').unwrap();
    let rest = &html[begin..];
    text(&rest[..rest.find("</section>").unwrap()])
}

#[test]
fn everything_is_shown() {
    insta::assert_snapshot!(read(&house(vec![site(Some(test_readings::full()))])));
}

#[test]
fn what_is_not_measured_is_not_there() {
    let shown = read(&house(vec![site(Some(test_readings::bare()))]));
    for word in ["House", "Grid", "Battery", "grid", "L1"] {
        assert!(!shown.contains(word), "{word}: {shown}");
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn a_site_with_a_battery_alone_has_no_sun() {
    let mut reading = test_readings::full();
    (reading.production, reading.consumption) = (None, None);
    reading.inverters = Vec::new();
    let shown = section(&house(vec![site(Some(reading))]), "now");
    assert!(!shown.contains("Sun") && !shown.contains("House"), "{shown}");
    assert!(shown.contains("Battery 80 %") && shown.contains("Exporting 2.58 kW"), "{shown}");
}

#[test]
fn the_first_minute_waits_for_a_reading() {
    insta::assert_snapshot!(read(&house(Vec::new())));
    let mut trouble = house(Vec::new());
    trouble.unknown.push("the gateway at 192.168.1.20 did not respond".to_owned());
    assert!(section(&trouble, "problems").contains("did not respond"));
    let known = section(&house(vec![site(None)]), "now");
    assert!(known.contains("Waiting for the first reading"), "{known}");
}

#[test]
fn values_of_a_gateway_that_is_away_are_not_those_of_now() {
    let mut away = site(Some(test_readings::full()));
    away.is_fresh = false;
    away.trouble = Some("no response".to_owned());
    let mut house = house(vec![away]);
    house.now += SignedDuration::from_hours(2);
    let now = section(&house, "now");
    assert!(now.contains("Not now: values of 12:19") && now.contains("2 h ago"), "{now}");
    assert!(!sections(&house).into_string().contains("data-title="), "no value in the title of the window");
    assert!(section(&house, "today").contains("As of 12:19"));
    let problems = section(&house, "problems");
    assert!(
        problems.contains("Gateway 122300000000: no response. Its values below are those of 12:19."),
        "{problems}"
    );
    // What was today then is yesterday now.
    house.now += SignedDuration::from_hours(24);
    assert!(!section(&house, "today").contains("14.8 kWh"));
}

#[test]
fn an_announced_problem_is_shown_once_with_its_advice() {
    let mut away = site(Some(test_readings::full()));
    away.trouble = Some("a different key".to_owned());
    let mut house = house(vec![away]);
    let announced = |kind, serial| {
        let problem = rules::Problem { kind, gateway: Some("192.168.1.20".to_owned()), part: None };
        let since = test_readings::at("08:00:00");
        CurrentProblem::from(rules::Current { problem, serial, since, what: "the reason".to_owned() })
    };
    house.announced = vec![announced(Kind::GatewayUnreachable, None), announced(Kind::Disk, None)];
    let shown = section(&house, "problems");
    assert!(shown.contains("a different key") && shown.contains("since 09:00"), "{shown}");
    assert_eq!(shown.matches("the reason").count(), 1, "{shown}");
    house.announced = vec![announced(Kind::GatewayKey, Some(house.sites[0].serial.clone()))];
    let shown = section(&house, "problems");
    assert!(!shown.contains("a different key") && shown.contains("enphased gateway trust"), "{shown}");
}

#[test]
fn an_old_value_of_a_gateway_that_responds_is_marked() {
    let mut reading = test_readings::full();
    reading.storage.as_mut().unwrap().measured_at = Some(test_readings::at("09:19:00"));
    let shown = section(&house(vec![site(Some(reading))]), "now");
    assert!(shown.contains("Battery 80 %\n2 h old"), "{shown}");
}

#[test]
fn at_night_there_is_no_sun() {
    let mut reading = test_readings::full();
    reading.production.as_mut().unwrap().power_w = Watts::new(-3.0);
    reading.grid.as_mut().unwrap().power_w = Watts::new(0.0);
    reading.storage.as_mut().unwrap().power_w = Watts::new(420.0);
    let shown = section(&house(vec![site(Some(reading))]), "now");
    assert!(
        shown.contains("-3 W") && shown.contains("no sun") && shown.contains("Discharging 420 W"),
        "{shown}"
    );
}

#[test]
fn the_token_and_a_login_that_waits_are_explained() {
    let mut waiting = site(None);
    waiting.token = Some(token("missing"));
    waiting.is_fresh = false;
    let mut house = house(vec![waiting]);
    house.cloud.as_mut().unwrap().held_off = Some((
        "2026-11-21T10:00:00Z".parse().unwrap(),
        "the cloud reported too many active sessions".to_owned(),
    ));
    insta::assert_snapshot!(section(&house, "token"));
    insta::assert_snapshot!(section(&house, "problems"));
}

#[test]
fn a_token_that_the_gateway_refuses_is_a_problem() {
    let mut refused = site(None);
    refused.token =
        Some(Token { waiting: Some("a login is needed, and waits".to_owned()), ..token("valid") });
    refused.is_fresh = false;
    refused.trouble = Some("the gateway does not accept the token".to_owned());
    let mut house = house(vec![refused]);
    house.cloud.as_mut().unwrap().held_off =
        Some(("2026-11-21T10:00:00Z".parse().unwrap(), "once a day".to_owned()));
    let problems = section(&house, "problems");
    assert!(problems.contains(": a login is needed, and waits"), "{problems}");
    assert!(!problems.contains("nothing has to be done"), "{problems}");
    assert_eq!(problems.matches("enphased").count(), 2, "one login that waits is one problem: {problems}");
    assert!(section(&house, "token").contains("A login is needed, and waits."));
}

#[test]
fn inverters_that_are_silent_or_weak_are_named_and_coloured_by_today() {
    let mut reading = test_readings::bare();
    reading.inverters[0].condition = Some(Condition::Silent);
    let mut site = site(Some(reading));
    site.today.inverters.insert("482200000002".into(), counted(1240.0));
    let mut house = house(vec![site]);
    insta::assert_snapshot!(section(&house, "inverters"));
    let html = sections(&house).into_string();
    assert!(html.contains("class=\"l0 silent\"") && html.contains("class=\"l5\""));
    assert!(section(&house, "problems").contains("Inverter 482200000001 reported nothing"));
    house.sites[0].today.inverters.clear();
    assert!(section(&house, "inverters").contains("power of the last report"));
}

/// Returns a counter that has counted this energy today, up to the total of 9 kWh.
fn counted(today: f64) -> CountedOn {
    let total = WattHours::new(9000.0).unwrap();
    let counted =
        Counted { series: Series::site(Counter::Production), total, at: test_readings::at("11:10:00") };
    CountedOn { counted, energy: WattHours::new(today) }
}

#[test]
fn a_tile_shows_the_energy_up_to_the_newest_report() {
    let mut reading = test_readings::bare();
    let inverter = &mut reading.inverters[0];
    inverter.energy_wh = WattHours::new(9030.0);
    let serial = inverter.serial.as_str().into();
    let mut site = site(Some(reading));
    site.today.inverters.insert(serial, counted(1240.0));
    let mut house = house(vec![site]);
    assert!(section(&house, "inverters").contains("1.27 kWh"), "{}", section(&house, "inverters"));
    // The values of a gateway that is away since yesterday are not those of today.
    house.now += SignedDuration::from_hours(24);
    assert!(!section(&house, "inverters").contains("1.27 kWh"), "{}", section(&house, "inverters"));
}

#[test]
fn several_gateways_have_a_picture_each_and_a_sum_of_what_all_measure() {
    let mut second = test_readings::full();
    second.gateway.serial = Serial::parse("122300000001").unwrap();
    second.gateway.name = Some("Garage".to_owned());
    let both = || vec![site(Some(test_readings::full())), site(Some(second.clone()))];
    let now = section(&house(both()), "now");
    assert!(
        now.contains("All gateways together") && now.contains("7.56 kW") && now.contains("Garage"),
        "{now}"
    );
    assert!(section(&house(both()), "today").contains("29.7 kWh"));
    assert!(
        section(&house(both()), "today").contains("Garage 14.8 kWh"),
        "{}",
        section(&house(both()), "today")
    );
    let mut away = both();
    away[1].is_fresh = false;
    let now = section(&house(away), "now");
    assert!(!now.contains("7.56 kW") && now.contains("There is no sum"), "{now}");
    // One that was replaced, or has no token yet, is named and has no picture.
    let mut replaced = both();
    replaced[0].reading = None;
    replaced[0].trouble = Some("the gateway was replaced".to_owned());
    let now = section(&house(replaced), "now");
    assert!(now.contains("Gateway 122300000000 has not been read yet") && !now.contains("together"), "{now}");
    // A gateway without meters measures no grid: the sum has none either.
    let mixed =
        section(&house(vec![site(Some(test_readings::full())), site(Some(test_readings::bare()))]), "now");
    let sum = mixed.split("Gateway 122300000000").next().unwrap();
    assert!(sum.contains("4.26 kW") && !sum.contains("Grid"), "{sum}");
    let mixed = house(vec![site(Some(test_readings::full())), site(Some(test_readings::bare()))]);
    let html = sections(&mixed).into_string();
    let used = html.split("<dt>Used</dt>").nth(1).unwrap().split("</dd>").next().unwrap();
    assert!(used.contains("122300000000") && !used.contains("<b>"), "no sum of a part: {used}");
}

#[test]
fn today_comes_from_the_history_until_the_first_midnight() {
    let mut reading = test_readings::full();
    reading.production.as_mut().unwrap().today_wh = None;
    let mut site = site(Some(reading));
    site.today.site = Some(period("2026-11-20", 5_340.0));
    let shown = section(&house(vec![site]), "today");
    assert!(shown.contains("5.34 kWh") && shown.contains("From 08:10 to 12:10"), "{shown}");
}

fn period(start: &str, produced: f64) -> Period {
    Period {
        start: start.parse().unwrap(),
        device: "".into(),
        energy: [WattHours::new(produced), WattHours::new(produced / 2.0), None, None, None, None],
        days: 1,
        since: test_readings::at("07:10:00"),
        until: test_readings::at("11:10:00"),
        estimated: false,
    }
}

fn past(view: View, samples: Vec<Sample>, periods: Vec<Period>) -> History {
    History {
        view,
        gateway: Some(Serial::parse("122300000000").unwrap()),
        gateways: vec![(Serial::parse("122300000000").unwrap(), "Roof".to_owned())],
        today: date(2026, 11, 20),
        zone: zone(),
        rows: Rows::Found(Found { samples, periods, first: Some(date(2025, 11, 20)), sum: None }),
    }
}

/// Returns samples from midnight on with a gap at noon.
fn samples(count: i64) -> Vec<Sample> {
    let midnight: Timestamp = "2026-11-19T23:00:00Z".parse().unwrap();
    let watts = |value: i64| Watts::new(f64::from(i32::try_from(value).unwrap()));
    let sample = |slot: i64| Sample {
        start: midnight + SignedDuration::from_secs(300 * slot),
        seconds: 300,
        power: [watts(slot * 10), watts(400 + slot % 7), watts(400 - slot * 10), watts(-slot)],
        energy: [None; 6],
        soc: Percent::new(40.0),
        estimated: false,
    };
    (0..count).filter(|slot| !(144..150).contains(slot)).map(sample).collect()
}

#[test]
fn the_curve_of_a_day_has_a_gap_and_a_table() {
    let html =
        history(&past(View::Day(date(2026, 11, 20)), samples(170), vec![period("2026-11-20", 14_848.0)]))
            .into_string();
    let line = html.split("class=\"line sun\" d=\"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(line.matches('M').count(), 2, "two runs: {line}");
    let shown = text(&html);
    assert!(shown.contains("0:30 70 W 402 W 330 W importing 7 W charging 40 %"), "{shown}");
    assert!(shown.contains("Friday, 20 November 2026") && shown.contains("produced 14.8 kWh"), "{shown}");
    assert!(!html.contains("\"Later\""), "tomorrow is not there yet");
    assert!(html.contains("href=\"?day=2026-11-19\""));
}

#[test]
fn the_sum_of_all_gateways_says_where_it_is_incomplete() {
    let (roof, barn) = (Serial::parse("122300000000").unwrap(), Serial::parse("122300001003").unwrap());
    let shown = |view, sum: Sum, periods| {
        let mut past = past(view, Vec::new(), periods);
        past.gateway = None;
        past.gateways.push((barn.clone(), "Gateway …1003".to_owned()));
        if let Rows::Found(found) = &mut past.rows {
            found.sum = Some(sum);
        }
        history(&past).into_string()
    };
    let month = View::Month(date(2026, 10, 1));
    let html = shown(month, Sum::default(), vec![period("2026-10-01", 14_848.0)]);
    assert!(html.contains("href=\"?month=2026-10\" aria-current=\"true\">All gateways"), "{html}");
    assert!(html.contains("href=\"?month=2026-10&amp;gateway=122300001003\">Gateway …1003"), "{html}");
    assert!(html.contains("href=\"?day=2026-10-01\""), "the bars lead to the sum of their days: {html}");
    assert!(!html.contains("No sum"), "{html}");
    let remarks = Remarks {
        unmeasured: [Counter::Consumption, Counter::Import, Counter::Export].into(),
        waiting: Some((date(2026, 10, 9), [barn.clone()].into())),
        begun: vec![(barn.clone(), date(2026, 10, 2))],
        ended: vec![(roof.clone(), date(2026, 10, 3))],
    };
    let text_of = |view| text(&shown(view, Sum { remarks: remarks.clone(), has_gaps: true }, Vec::new()));
    let words = text_of(month);
    for sentence in [
        "No sum of what was used, imported or exported: not every gateway measures it.",
        "No sum from 9 October 2026 on: Gateway …1003 was not recorded.",
        "The curve has gaps where not every gateway was recorded.",
        "Gateway …1003 is part of it from 2 October 2026 on.",
        "Roof is part of it until 3 October 2026.",
    ] {
        assert!(words.contains(sentence), "{sentence}: {words}");
    }
    let words = text_of(View::Day(date(2026, 10, 9)));
    assert!(words.contains("No sum: Gateway …1003 was not recorded throughout this day."), "{words}");
    assert!(!words.contains("Nothing was recorded"), "{words}");
}

#[test]
fn bars_lead_to_their_days_and_say_when_they_cover_several() {
    let mut gap = period("2026-10-09", 9_000.0);
    gap.days = 8;
    let html =
        history(&past(View::Month(date(2026, 10, 1)), Vec::new(), vec![period("2026-10-01", 14_848.0), gap]));
    let html = html.into_string();
    assert_eq!(html.matches("<rect").count(), 4);
    assert!(html.contains("href=\"?day=2026-10-01\"") && html.contains("href=\"?month=2026-11\""));
    assert!(text(&html).contains("9 October (8 days) 9.00 kWh"), "{}", text(&html));
}

#[test]
fn without_a_history_it_says_why() {
    let shown = |rows| {
        let view = View::Day(date(2026, 11, 20));
        text(&history(&History { rows, ..past(view, Vec::new(), Vec::new()) }).into_string())
    };
    assert!(shown(Rows::Off).contains("The history is switched off"));
    assert!(shown(Rows::Found(Found::default())).contains("The history is empty"));
    assert!(
        shown(Rows::Unavailable("the disk is slow".to_owned()))
            .contains("cannot be read now: the disk is slow")
    );
    assert!(
        text(&history(&past(View::Years, Vec::new(), Vec::new())).into_string())
            .contains("Nothing was recorded")
    );
}

fn reader(name: &str, program: &str) -> Reader {
    Reader {
        name: name.to_owned(),
        program: program.to_owned(),
        address: "192.168.1.30".to_owned(),
        last_seen: test_readings::at("11:18:00"),
        is_live: true,
        is_active: true,
        is_you: false,
    }
}

/// With 240 inverters, a whole day and 32 readers, page, style and script stay below 80 KB.
#[test]
fn the_page_is_small_in_a_large_house() {
    let mut reading = test_readings::full();
    reading.inverters =
        (0..240).map(|n| test_readings::inverter(&format!("482200000{n:03}"), 245.0, n % 60)).collect();
    let mut site = site(Some(reading));
    for inverter in &site.reading.as_ref().unwrap().inverters {
        site.today.inverters.insert(inverter.serial.as_str().into(), counted(1240.0));
    }
    let house = house(vec![site]);
    let tags = Tags { style: "0123456789abcdef", script: "0123456789abcdef" };
    let many: Vec<Reader> = (0..32).map(|n| reader(&format!("program {n}"), "a/1")).collect();
    let days = (1..=30).map(|day| period(&format!("2026-11-{day:02}"), 14_848.0)).collect();
    for past in [
        past(View::Day(date(2026, 11, 20)), samples(288), vec![period("2026-11-20", 14_848.0)]),
        past(View::Month(date(2026, 11, 1)), Vec::new(), days),
    ] {
        let page = document(&house, &tags, &history(&past), &readers(&many, house.now)).into_string();
        let whole = page.len() + STYLE.len() + SCRIPT.len();
        assert!(whole < 80_000, "{} + {} + {} = {whole} bytes", page.len(), STYLE.len(), SCRIPT.len());
    }
}

/// Returns every address in HTML.
fn addresses(html: &str) -> Vec<&str> {
    ["href=\"", "src=\"", "action=\""]
        .iter()
        .flat_map(|name| html.split(name).skip(1).filter_map(|rest| rest.split('"').next()))
        .collect()
}

/// Home Assistant shows the page below a path of its own.
#[test]
fn every_address_is_relative() {
    let tags = Tags { style: "a", script: "b" };
    let house = house(vec![site(Some(test_readings::full()))]);
    let past = past(View::Month(date(2026, 11, 1)), Vec::new(), vec![period("2026-11-01", 14_848.0)]);
    let page = document(&house, &tags, &history(&past), &readers(&[], house.now)).into_string();
    let found = addresses(&page);
    assert!(found.len() > 12, "{found:?}");
    for address in found {
        assert!(!address.starts_with('/'), "{address}");
        assert!(!address.contains("://") || address.starts_with("data:"), "{address}");
    }
    assert!(
        !page.contains(" style=") && !page.contains("<style") && !page.contains(" onclick"),
        "the policy forbids it"
    );
    assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
    for quoted in SCRIPT.split(['"', '\'', '`']).skip(1).step_by(2) {
        assert!(!quoted.starts_with('/') && !quoted.contains("://"), "{quoted}");
    }
}

/// Counts the characters that make structure.
fn structure(html: &str) -> [usize; 3] {
    ['<', '>', '"'].map(|c| html.matches(c).count())
}

proptest! {
    /// No text from outside adds an element or ends an attribute.
    #[test]
    fn everything_from_outside_is_escaped(text in "[<>&\"'/=a-z ;\u{202e}]{1,30}") {
        let render = |text: &str| {
            let mut reading = test_readings::full();
            reading.gateway.name = Some(text.to_owned());
            reading.grid_connection.as_mut().unwrap().state = Some(text.to_owned());
            reading.tariff.as_mut().unwrap().mode = Some(text.to_owned());
            reading.dry_contacts[0].name = Some(format!("x{text}"));
            let mut site = site(Some(reading));
            site.is_fresh = false;
            site.trouble = Some(text.to_owned());
            site.token = Some(Token { role: Some(text.to_owned()), message: text.to_owned(), ..token("missing") });
            let mut house = house(vec![site.clone(), site]);
            house.summary = text.to_owned();
            house.unknown.push(text.to_owned());
            house.broker = Some(text.to_owned());
            let cloud = house.cloud.as_mut().unwrap();
            (cloud.reason, cloud.outcome) = (Some(text.to_owned()), Some(text.to_owned()));
            let mut past = past(View::Day(date(2026, 11, 20)), samples(9), Vec::new());
            past.gateways = vec![past.gateways[0].clone(), (past.gateways[0].0.clone(), text.to_owned())];
            let readers = readers(&[reader(&format!("n{text}"), text)], house.now);
            let tags = Tags { style: "a", script: "b" };
            let refused = refused("title", text, true).into_string();
            document(&house, &tags, &history(&past), &readers).into_string() + &refused
        };
        let (hostile, plain) = (render(&text), render("plain"));
        prop_assert_eq!(structure(&hostile), structure(&plain));
        prop_assert!(!hostile.contains('\u{202e}'), "the direction of writing");
    }
}
