//! Formats durations for people.

use std::time::Duration;

/// Formats a duration for people, as `3 days`, `2 h 5 min` or `40 s`.
pub fn length(length: Duration) -> String {
    let seconds = length.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (2.., ..) => format!("{days} days"),
        (_, 1.., _) if minutes.is_multiple_of(60) => format!("{hours} h"),
        (_, 1.., _) => format!("{hours} h {} min", minutes % 60),
        (_, _, 1..) => format!("{minutes} min"),
        _ => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_said_as_people_say_them() {
        let formatted =
            [0, 59, 60, 3600, 3660, 86_400, 172_800].map(|seconds| length(Duration::from_secs(seconds)));
        assert_eq!(formatted, ["0 s", "59 s", "1 min", "1 h", "1 h 1 min", "24 h", "2 days"]);
    }
}
