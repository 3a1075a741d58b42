//! Formats times and dates for the page.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use crate::output::text::amounts::age;

/// Formats the time of the day, with the date unless it is that of `now`: `12:19`, `20 November, 12:19`.
pub(super) fn moment(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let (at, now) = (at.to_zoned(zone.clone()), now.to_zoned(zone.clone()));
    let format = match (at.date() == now.date(), at.year() == now.year()) {
        (true, _) => "%H:%M",
        (false, true) => "%-d %B, %H:%M",
        (false, false) => "%-d %B %Y, %H:%M",
    };
    at.strftime(format).to_string()
}

/// Formats the date of a time: `20 November 2027`.
pub(super) fn date_of(at: Timestamp, zone: &TimeZone) -> String {
    date(at.to_zoned(zone.clone()).date())
}

/// Formats a date: `20 November 2027`.
pub(super) fn date(date: Date) -> String {
    date.strftime("%-d %B %Y").to_string()
}

/// Formats how long ago a time is: `just now`, `3 min ago`.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    let since = now.duration_since(at);
    if since < SignedDuration::from_mins(1) { "just now".to_owned() } else { format!("{} ago", age(since)) }
}

/// Returns an element with the age of a time, which the script keeps up to date.
pub(super) fn live_age(at: Timestamp, now: Timestamp) -> Markup {
    html! { time datetime=(at) data-age { (ago(at, now)) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_as_much_of_its_date_as_is_needed() {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let now = "2026-11-20T11:19:40Z".parse().unwrap();
        let shown = |at: &str| moment(at.parse().unwrap(), now, &zone);
        assert_eq!(shown("2026-11-20T00:05:00Z"), "01:05");
        assert_eq!(shown("2026-11-19T22:59:00Z"), "19 November, 23:59");
        assert_eq!(shown("2025-11-20T11:00:00Z"), "20 November 2025, 12:00");
        assert_eq!(date_of("2026-12-31T23:30:00Z".parse().unwrap(), &zone), "1 January 2027");
    }

    #[test]
    fn an_age_is_in_words() {
        let now = "2026-11-20T11:19:40Z".parse::<Timestamp>().unwrap();
        let shown = [0, 59, 60, 7200].map(|seconds| ago(now - SignedDuration::from_secs(seconds), now));
        assert_eq!(shown, ["just now", "just now", "1 min ago", "2 h ago"]);
        assert_eq!(ago(now + SignedDuration::from_secs(90), now), "just now", "another clock is ahead");
    }
}
