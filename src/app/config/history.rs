//! Checks and completes the table `[history]`.

use jiff::SignedDuration;

use super::file::HistoryTable;
use super::findings::Findings;
use super::settings::History;

/// The hours of a year, with a quarter of a leap day.
const YEAR_H: i64 = 8766;
const SHORTEST_H: i64 = 30 * 24;
const LONGEST_H: i64 = 100 * YEAR_H;
const DEFAULT: &str = "10y";

/// Returns the settings of the history, unless it is switched off.
pub(super) fn history(table: Option<&HistoryTable>, findings: &mut Findings) -> Option<History> {
    let written = table.and_then(|table| table.keep.as_deref()).unwrap_or(DEFAULT);
    let keep = findings.take("history keep", keep(written))?;
    let enabled = table.and_then(|table| table.enabled).unwrap_or(true);
    enabled.then_some(History { keep })
}

fn keep(text: &str) -> Result<SignedDuration, String> {
    let malformed =
        || format!("\"{text}\" is not a number of days or years; write it like \"90d\" or \"10y\"");
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let number = digits.parse::<u32>().map(i64::from).map_err(|_not_a_number| malformed())?;
    let hours = match text.strip_prefix(digits).map(str::trim) {
        Some("d") => number.saturating_mul(24),
        Some("y") => number.saturating_mul(YEAR_H),
        _ => return Err(malformed()),
    };
    if (SHORTEST_H..=LONGEST_H).contains(&hours) {
        Ok(SignedDuration::from_hours(hours))
    } else {
        Err(format!("\"{text}\" is out of range; write \"30d\" to \"100y\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_years_are_understood_and_nothing_else() {
        assert_eq!(keep("30d"), Ok(SignedDuration::from_hours(720)));
        assert_eq!(keep("10y"), Ok(SignedDuration::from_hours(87_660)));
        assert_eq!(keep("2 y"), Ok(SignedDuration::from_hours(17_532)));
        for text in ["29d", "101y", "0y", "99999999999999999y"] {
            assert!(keep(text).is_err(), "{text}");
        }
        for text in ["", "y", "10", "10 months", "-10y", "1.5y", "10yy"] {
            assert!(keep(text).unwrap_err().contains("write it like"), "{text}");
        }
    }

    #[test]
    fn the_history_is_on_unless_it_is_switched_off() {
        let mut findings = Findings::default();
        assert!(history(None, &mut findings).is_some());
        let off = HistoryTable { enabled: Some(false), keep: Some("soon".to_owned()) };
        assert_eq!(history(Some(&off), &mut findings), None);
        assert_eq!(findings.problems.len(), 1, "a mistake is reported although the history is off");
        let on = HistoryTable { enabled: None, keep: Some("90d".to_owned()) };
        assert_eq!(history(Some(&on), &mut findings).unwrap().keep, SignedDuration::from_hours(2160));
    }
}
