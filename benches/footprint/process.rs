//! What the kernel tells of a process.

use std::fs;
use std::time::Duration;

/// A line of `/proc/PID/status`, in MB.
pub(crate) fn memory(process: u32, line: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let value = status.lines().find_map(|found| found.strip_prefix(line)).unwrap();
    let kilobytes: f64 = value.trim().trim_end_matches("kB").trim().parse().unwrap();
    kilobytes * 1024.0 / 1e6
}

/// User and system time so far, in nanoseconds steps.
pub(crate) fn processor_time(process: u32) -> Duration {
    // `stat` counts hundredths of a second; `schedstat` of the one thread counts nanoseconds.
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let spent = tasks.map(|task| {
        let text = fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
        text.split_whitespace().next().unwrap().parse::<u64>().unwrap()
    });
    Duration::from_nanos(spent.sum())
}
