//! The number of connections that the process has file descriptors for.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The descriptors for everything else: gateways, the broker, state files and the log.
const RESERVE: u64 = 256;

/// Returns how many of `wanted` connections are possible, after raising the soft limit of open files if that is necessary and
/// permitted. Warns if there will be fewer. Without this, connections of consumers could leave none for the gateways.
pub fn possible_connections(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let needed = RESERVE + u64::try_from(wanted).unwrap_or(u64::MAX);
    if let Some(current) = raised(&limit, needed) {
        let raised = Rlimit { current: Some(current), ..limit };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::debug!(%error, "cannot raise the limit of open files");
        }
    }
    let current = getrlimit(Resource::Nofile).current;
    let possible = possible(current, wanted);
    if possible < wanted {
        let files = current.unwrap_or_default();
        tracing::warn!(
            "max_connections = {wanted} needs {needed} open files, and the limit is {files}, which is enough for \
             {possible}; raise LimitNOFILE= in the service, or `ulimit -n`"
        );
    }
    possible
}

/// Returns the new soft limit if `limit` has to be raised for `needed` descriptors, and can be.
fn raised(limit: &Rlimit, needed: u64) -> Option<u64> {
    let current = limit.current?;
    let possible = limit.maximum.map_or(needed, |maximum| maximum.min(needed));
    (current < needed && current < possible).then_some(possible)
}

/// Returns how many of `wanted` connections a limit of `files` leaves room for; at least one.
fn possible(files: Option<u64>, wanted: usize) -> usize {
    let Some(files) = files else { return wanted };
    usize::try_from(files.saturating_sub(RESERVE)).unwrap_or(usize::MAX).clamp(1, wanted.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(current: u64, maximum: u64) -> Rlimit {
        Rlimit { current: Some(current), maximum: Some(maximum) }
    }

    #[test]
    fn the_limit_is_raised_only_if_that_is_necessary_and_possible() {
        assert_eq!(raised(&limit(1024, 524_288), 384), None);
        assert_eq!(raised(&limit(1024, 524_288), 4352), Some(4352));
        assert_eq!(raised(&limit(1024, 2048), 4352), Some(2048));
        assert_eq!(raised(&limit(2048, 2048), 4352), None);
        assert_eq!(raised(&Rlimit { current: None, maximum: None }, 4352), None);
    }

    #[test]
    fn other_files_come_before_connections() {
        assert_eq!(possible(Some(1024), 128), 128);
        assert_eq!(possible(Some(1024), 4096), 768);
        assert_eq!(possible(Some(100), 4096), 1);
        assert_eq!(possible(None, 4096), 4096);
    }
}
