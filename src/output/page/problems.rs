//! The current problems, and what to do about each. The words are those of docs/messages.md.

use maud::{Markup, html};

use super::flow::capital;
use super::house::{House, Site, words};
use super::times::moment;
use crate::base::reading::{Condition, Serial};
use crate::output::alerts::{CurrentProblem, advice};
use crate::rules::alerts::Kind;

/// The advice for a gateway that does not respond.
const TRIED_AGAIN: &str = "It is asked again and again, and nothing has to be done if it is restarting. If it lasts: \
    `enphased check` shows the cause and what to do.";

/// The advice for a token that comes by itself, and for one that does not.
const LATER: &str = "Leave the program running: it tries again by itself, and restarts do not shorten the wait. `enphased \
    token status` explains it.";
const BY_HAND: &str = "`enphased token status` explains it, and `enphased token refresh` gets a new one.";

/// The advice for a gateway whose trouble does not end by itself.
const SHOWN_BY_CHECK: &str = "`enphased check` shows the cause and what to do.";

/// A current problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// A stable word for the kind.
    kind: &'static str,
    /// What happened.
    what: String,
    /// What to do.
    advice: String,
}

impl Problem {
    fn new(kind: &'static str, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { kind, what: words(&what.into()), advice: advice.into() }
    }
}

/// Collects the problems, the most urgent first.
pub(super) fn problems(house: &House) -> Vec<Problem> {
    let mut problems: Vec<Problem> =
        house.unknown.iter().map(|trouble| Problem::new("gateway", trouble, TRIED_AGAIN)).collect();
    for site in &house.sites {
        problems.extend(absence(site, house));
    }
    problems.extend(logins(house));
    problems.extend(announced(house));
    for site in &house.sites {
        problems.extend(inverters(site));
    }
    if let Some(broker) = &house.broker {
        problems.push(Problem::new(
            "broker",
            format!("The broker: {broker}"),
            "Readings continue, and everything is sent when it can be reached again. Does it run, and is its address right?",
        ));
    }
    problems
}

/// Returns the problems that only whoever watches for them can find. The others are shown here as soon as they begin.
fn announced(house: &House) -> impl Iterator<Item = Problem> {
    let is_found_here = |kind| match kind {
        Kind::GatewayUnreachable | Kind::InverterSilent | Kind::InverterWeak | Kind::Login => true,
        Kind::GatewayKey | Kind::TokenEnding | Kind::CounterHeld | Kind::Disk => false,
    };
    let shown = house.announced.iter().filter(move |known| !is_found_here(known.problem.kind));
    shown.map(|known| {
        let since = moment(known.since, house.now, &house.zone);
        let what = format!("{}, since {since}: {}", known.title, known.message);
        Problem::new("announced", what, sentence(known.advice))
    })
}

fn absence(site: &Site, house: &House) -> Option<Problem> {
    let trouble = site.trouble.as_ref()?;
    let has_other_key = |known: &&CurrentProblem| {
        known.problem.kind == Kind::GatewayKey && known.serial.as_ref() == Some(&site.serial)
    };
    if house.announced.iter().any(|known| has_other_key(&known)) {
        return None;
    }
    let waiting = site.token.as_ref().and_then(|token| token.waiting.as_ref());
    if waiting.is_some_and(|waiting| trouble.contains(waiting)) {
        // The problem with its token says the same.
        return None;
    }
    let is_lasting = waiting.is_some() || site.reading.is_none();
    let since = site.reading.as_ref().map_or_else(String::new, |reading| {
        format!(". Its values below are those of {}", moment(reading.time, house.now, &house.zone))
    });
    Some(Problem::new(
        "gateway",
        format!("{}: {trouble}{since}.", site.long_name()),
        if is_lasting { SHOWN_BY_CHECK } else { TRIED_AGAIN },
    ))
}

fn sentence(text: &str) -> String {
    format!("{}.", capital(text))
}

/// Problems with tokens and logins.
fn logins(house: &House) -> Vec<Problem> {
    let mut problems = Vec::new();
    let held_off = house.cloud.as_ref().and_then(|cloud| cloud.held_off.as_ref());
    for site in &house.sites {
        let Some(token) = &site.token else { continue };
        let is_tried_again = token.next_login_at.is_some() || held_off.is_some();
        let advice = if is_tried_again { LATER } else { BY_HAND };
        match (token.state, &token.waiting) {
            ("missing" | "expired", _) => {
                problems.push(Problem::new("token", format!("{}: {}", site.long_name(), token.message), advice));
            }
            // The gateway refuses it.
            ("valid", Some(waiting)) => {
                problems.push(Problem::new("token", format!("{}: {waiting}", site.long_name()), advice));
            }
            ("short", _) => problems.push(Problem::new(
                "token",
                format!("{}: {}", site.long_name(), token.message),
                "Such a token is not renewed automatically. Bring a new one, or an owner's: `enphased token refresh`.",
            )),
            _ => {}
        }
    }
    if let (Some((until, because)), true) = (held_off, problems.is_empty()) {
        problems.push(Problem::new(
            "login",
            format!("No login before {}: {because}", moment(*until, house.now, &house.zone)),
            "While a token is stored, none of this stops the readings. `enphased token status` explains it.",
        ));
    }
    problems
}

fn inverters(site: &Site) -> Vec<Problem> {
    let inverters = site.reading.as_ref().map_or(&[][..], |reading| &reading.inverters);
    let named = |wanted| {
        let found = inverters.iter().filter(|inverter| inverter.condition == Some(wanted));
        found.map(|inverter| inverter.serial.clone()).collect::<Vec<_>>()
    };
    let problem = |kind, of, serials: Vec<Serial>, did: &str| {
        let list: Vec<&str> = serials.iter().map(Serial::as_str).collect();
        let subject = if list.len() == 1 { "Inverter" } else { "Inverters" };
        (!list.is_empty())
            .then(|| Problem::new(kind, format!("{subject} {} {did}", list.join(", ")), sentence(advice(of))))
    };
    let silent = problem(
        "silent",
        Kind::InverterSilent,
        named(Condition::Silent),
        "reported nothing on the last sunny day, while the others did",
    );
    let weak = problem(
        "weak",
        Kind::InverterWeak,
        named(Condition::Weak),
        "produced less than a third of the others on the last sunny day",
    );
    [silent, weak].into_iter().flatten().collect()
}

/// Renders the section.
pub(super) fn section(house: &House) -> Markup {
    let problems = problems(house);
    html! {
        section #problems.card.wide.none[problems.is_empty()] aria-labelledby="problems-title" data-count=(problems.len()) {
            h2 #problems-title { (if problems.is_empty() { "No problems" } else { "Problems" }) }
            @if !problems.is_empty() {
                ul {
                    @for problem in &problems {
                        li data-kind=(problem.kind) {
                            b { (problem.what) }
                            p { @for (part, is_code) in code(&problem.advice) { @if is_code { code { (part) } } @else { (part) } } }
                        }
                    }
                }
            }
        }
    }
}

/// Splits a text at its backticks; the second part of each pair is code.
pub(super) fn code(text: &str) -> impl Iterator<Item = (&str, bool)> {
    text.split('`').enumerate().map(|(n, part)| (part, n % 2 == 1))
}
