//! The state of everything in one device of the type Alert: a level for the colour, and a text.

use crate::base::printable::one_line;
use crate::base::reading::{Condition, Inverter};

/// The maximum number of characters of the text.
const LONGEST: usize = 300;
/// The number of inverters that are named.
const NAMED: usize = 3;

/// The levels of a device of the type Alert.
const GREEN: u8 = 1;
const YELLOW: u8 = 2;
const ORANGE: u8 = 3;
const RED: u8 = 4;

/// The state of a gateway, as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Situation<'a> {
    /// The reason that the gateway is unavailable.
    pub unavailable: Option<&'a str>,
    /// The state of the token, e.g. `valid`, with its description.
    pub token: Option<(&'a str, &'a str)>,
    /// The inverters of the last reading.
    pub inverters: &'a [Inverter],
}

/// Returns the level of the worst problem, and a description of all.
pub fn alert(situation: &Situation<'_>) -> (u8, String) {
    let gateway = situation.unavailable.map(|why| (RED, why.to_owned()));
    let token = situation.token.and_then(|(state, message)| {
        let level = match state {
            "valid" => return None,
            "missing" | "expired" => ORANGE,
            _ => YELLOW,
        };
        Some((level, message.to_owned()))
    });
    let silent = inverters(situation.inverters, Condition::Silent, "silent").map(|text| (ORANGE, text));
    let weak = inverters(situation.inverters, Condition::Weak, "weak").map(|text| (YELLOW, text));
    let mut problems: Vec<(u8, String)> = [gateway, token, silent, weak].into_iter().flatten().collect();
    // The worst comes first; otherwise in this order.
    problems.sort_by_key(|(level, _)| std::cmp::Reverse(*level));
    let Some((level, _)) = problems.first() else { return (GREEN, "no problems".to_owned()) };
    let texts: Vec<&str> = problems.iter().map(|(_, text)| text.as_str()).collect();
    (*level, shortened(&one_line(&texts.join("; "), usize::MAX)))
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Names the inverters in this condition, e.g. `2 inverters silent: 482200000001, 482200000002`.
fn inverters(inverters: &[Inverter], condition: Condition, word: &str) -> Option<String> {
    let found = inverters.iter().filter(|inverter| inverter.condition == Some(condition));
    let serials: Vec<&str> = found.map(|inverter| inverter.serial.as_str()).collect();
    let more = if serials.len() > NAMED { ", …" } else { "" };
    let named = serials.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    match serials.len() {
        0 => None,
        1 => Some(format!("inverter {named} {word}")),
        count => Some(format!("{count} inverters {word}: {named}{more}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::test_readings;

    fn roof(conditions: &[Condition]) -> Vec<Inverter> {
        let inverter = |(number, condition): (usize, &Condition)| Inverter {
            condition: Some(*condition),
            ..test_readings::inverter(&format!("48220000000{number}"), 200.0, 5)
        };
        conditions.iter().enumerate().map(inverter).collect()
    }

    #[test]
    fn the_worst_problem_sets_the_level_and_all_are_described() {
        use Condition::{Good, Silent, Weak};
        let (good, bad) = (roof(&[Good, Good]), roof(&[Silent, Weak, Good]));
        let valid = Some(("valid", "the token is valid until 2027"));
        let situations = [
            Situation::default(),
            Situation { token: valid, inverters: &good, ..Situation::default() },
            Situation { token: valid, inverters: &bad, ..Situation::default() },
            Situation {
                token: Some(("expiring", "due for renewal")),
                inverters: &bad,
                ..Situation::default()
            },
            Situation { token: Some(("expired", "the token has expired")), ..Situation::default() },
            Situation { token: Some(("missing", "no credentials")), inverters: &bad, ..Situation::default() },
            Situation { unavailable: Some("it did not respond"), inverters: &bad, token: valid },
            Situation { inverters: &roof(&[Silent; 5]), ..Situation::default() },
        ];
        let shown = situations.map(|situation| {
            let (level, text) = alert(&situation);
            format!("{level} {text}")
        });
        insta::assert_snapshot!(shown.join("\n"));
    }

    #[test]
    fn a_reason_of_any_length_and_content_is_one_short_line() {
        let reason = "a\nb\u{1b}[31m".repeat(200);
        let (level, text) = alert(&Situation { unavailable: Some(&reason), ..Situation::default() });
        assert_eq!(level, RED);
        assert!(text.chars().count() <= LONGEST + 1 && !text.contains(['\n', '\u{1b}']), "{text}");
    }
}
