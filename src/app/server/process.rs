//! What this process uses, read from `/proc`.

use std::fs;
use std::time::Duration;

use rustix::param::{clock_ticks_per_second, page_size};

/// What this process uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) cpu: Duration,
    pub(super) resident_bytes: u64,
    pub(super) open_files: u64,
}

impl Usage {
    /// Reads the current values, or returns `None` on a system without `/proc`.
    pub(super) fn now() -> Option<Self> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        let open_files = fs::read_dir("/proc/self/fd").ok()?.count();
        // The directory itself is open while it is read.
        Self::parse(&stat, open_files.saturating_sub(1))
    }

    /// Parses `/proc/self/stat` (proc(5)).
    fn parse(stat: &str, open_files: usize) -> Option<Self> {
        // The name of the program is in parentheses, and may contain blanks.
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<u64> =
            fields.split_whitespace().map(|field| field.parse().unwrap_or_default()).collect();
        let ticks = fields.get(11)? + fields.get(12)?;
        Some(Self {
            cpu: Duration::from_millis(ticks.saturating_mul(1000) / clock_ticks_per_second().max(1)),
            resident_bytes: fields.get(21)?.saturating_mul(u64::try_from(page_size()).ok()?),
            open_files: u64::try_from(open_files).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_those_of_proc() {
        let stat = "42 (a b) c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1 0 100 9000 3 0 0";
        let usage = Usage::parse(stat, 7).unwrap();
        assert_eq!(usage.cpu, Duration::from_millis(200_000 / clock_ticks_per_second()));
        assert_eq!(usage.resident_bytes, 3 * u64::try_from(page_size()).unwrap());
        assert_eq!(usage.open_files, 7);
        assert!(Usage::now().is_some_and(|usage| usage.resident_bytes > 100_000 && usage.open_files > 0));
        assert_eq!(Usage::parse("", 0), None);
    }
}
