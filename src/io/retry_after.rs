//! The header `Retry-After`.

use std::time::Duration;

use jiff::Timestamp;

/// The back-off that a server asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// For this long.
    Wait(Duration),
    /// Until this time, by the server's clock.
    Until(Timestamp),
}

impl RetryAfter {
    /// Returns the time left from `now`; zero if it has passed.
    pub fn from(self, now: Timestamp) -> Duration {
        match self {
            Self::Wait(length) => length,
            Self::Until(time) => Duration::try_from(time.duration_since(now)).unwrap_or_default(),
        }
    }

    /// Parses the header. `date` is the time of the server's clock, because the clock of this machine may be years off.
    pub(in crate::io) fn parse(header: &str, date: Option<&str>) -> Option<Self> {
        if let Ok(seconds) = header.trim().parse() {
            return Some(Self::Wait(Duration::from_secs(seconds)));
        }
        // A number out of range means the longest wait; the record caps it (L6).
        if !header.trim().is_empty() && header.trim().bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Self::Wait(Duration::MAX));
        }
        let time = |text: &str| jiff::fmt::rfc2822::parse(text.trim()).ok().map(|time| time.timestamp());
        let until = Self::Until(time(header)?);
        Some(date.and_then(time).map_or(until, |now| Self::Wait(until.from(now))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let now: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let seconds = RetryAfter::parse("3600", None).unwrap();
        let date = RetryAfter::parse("Fri, 20 Nov 2026 12:00:00 GMT", None).unwrap();
        assert_eq!(seconds.from(now), Duration::from_secs(3600));
        assert_eq!(date.from(now), Duration::from_secs(7200));
        for nonsense in ["soon", "", " ", "-5", "1.5"] {
            assert_eq!(RetryAfter::parse(nonsense, None), None, "{nonsense}");
        }
        let endless = RetryAfter::parse("99999999999999999999999", None).unwrap();
        assert_eq!(endless.from(now), Duration::MAX, "the record caps it");
    }

    #[test]
    fn a_retry_after_date_is_measured_by_the_cloud_s_own_clock() {
        let (until, date) = ("Fri, 20 Nov 2026 12:00:00 GMT", "Fri, 20 Nov 2026 10:00:00 GMT");
        let wait = Some(RetryAfter::Wait(Duration::from_secs(7200)));
        assert_eq!(RetryAfter::parse(until, Some(date)), wait, "whatever our clock shows");
    }
}
