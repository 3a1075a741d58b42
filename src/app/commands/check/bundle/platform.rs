//! Describes the program, the operating system and the machine.

use std::fs;

use jiff::Timestamp;

use crate::app::config::environment::Environment;
use crate::base::version::BUILD;

/// Returns one line for each fact about the program and the machine.
pub(super) fn lines(environment: &Environment, now: Timestamp) -> Vec<String> {
    let system = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let system = system.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or("unknown");
    let read =
        |path: &str| fs::read_to_string(path).ok().map(|text| text.trim_matches(['\n', '\0']).to_owned());
    let mut lines = vec![
        format!("version   {BUILD}"),
        format!("machine   {} {}", std::env::consts::ARCH, std::env::consts::OS),
        format!("system    {}", system.trim_matches('"')),
        format!("kernel    {}", read("/proc/sys/kernel/osrelease").unwrap_or_default()),
        format!("time      {now:.0}"),
    ];
    lines.extend(read("/proc/device-tree/model").map(|model| format!("model     {model}")));
    let uptime = read("/proc/uptime").and_then(|text| text.split('.').next().map(str::to_owned));
    lines.extend(uptime.map(|seconds| format!("up        {seconds} s")));
    if environment.state_directory.is_some() {
        lines.push("started   by systemd".to_owned());
    }
    lines
}

/// Returns the host name of this machine, unless it is the default one.
pub(super) fn host() -> Option<String> {
    fs::read_to_string("/proc/sys/kernel/hostname").ok().filter(|name| name.trim() != "localhost")
}
