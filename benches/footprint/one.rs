//! One gateway, as most houses have.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use enphased::simulator::{Gateway, GatewayCounts};

use super::process::{memory, processor_time};
use super::rig::{Rig, program};
use super::wire::Wire;
use super::{number, plain, row};

/// Starts that are measured.
const STARTS: usize = 21;

pub(crate) fn measure() {
    let rig = Rig::new(1);
    row("size of the program", fs::metadata(program()).unwrap().len() as f64 / 1e6, 6.0, "MB");
    let gateway = rig.simulation.gateways.first().unwrap().address();
    rig.configure(&[gateway], "1s", &Rig::stdout());
    let token = rig.path().join("token");
    fs::write(&token, rig.token()).unwrap();
    let stored = rig.program(&["token", "import", token.to_str().unwrap()]).stdout(Stdio::null()).status();
    assert!(stored.unwrap().success());
    starts(&rig);
    steady(&rig);
}

/// From the start of the process to its first reading. The simulated gateway answers at once, so what it takes
/// itself is in the figure and small.
fn starts(rig: &Rig) {
    let start = || {
        let begun = Instant::now();
        drop(rig.daemon().reading());
        begun.elapsed()
    };
    let mut times: Vec<Duration> = (0..STARTS).map(|_| start()).collect();
    times.sort();
    let median = times.get(STARTS / 2).unwrap();
    row("start to first reading, median", median.as_secs_f64() * 1e3, 50.0, "ms");
    plain("start to first reading, slowest", times.last().unwrap().as_secs_f64() * 1e3, "ms");
}

/// Polling every second with a broker connected and everything announced, as under systemd: nothing on standard
/// output.
fn steady(rig: &Rig) {
    let polls: u64 = number("ENPHASED_POLLS", 120);
    let gateway = rig.simulation.gateways.first().unwrap();
    let wire = Wire::new(&rig.servers, &gateway.address());
    rig.configure(std::slice::from_ref(&wire.address), "1s", &rig.mqtt("homeassistant = true"));
    let daemon = rig.daemon();
    // By then everything is announced.
    wait_for_polls(gateway, 30);
    let before = (processor_time(daemon.id()), gateway.counts(), wire.bytes());
    wait_for_polls(gateway, polls);
    let after = (processor_time(daemon.id()), gateway.counts(), wire.bytes());
    let polls = (readings(&after.1) - readings(&before.1)) as f64;
    let spent = after.0.saturating_sub(before.0).as_secs_f64() * 1e3;
    row("processor time of a poll", spent / polls, 1.0, "ms");
    plain("requests of a poll", (after.1.requests - before.1.requests) as f64 / polls, "");
    plain("bytes of a poll to the gateway, with TLS", (after.2.0 - before.2.0) as f64 / polls, "");
    plain("bytes of a poll from the gateway, with TLS", (after.2.1 - before.2.1) as f64 / polls, "");
    plain("TLS handshakes in that time", (after.1.handshakes - before.1.handshakes) as f64, "");
    row("resident memory", memory(daemon.id(), "VmRSS:"), 6.0, "MB");
    plain("resident memory, at most", memory(daemon.id(), "VmHWM:"), "MB");
    plain("of it its own (not shared with other programs)", memory(daemon.id(), "RssAnon:"), "MB");
}

fn wait_for_polls(gateway: &Gateway, polls: u64) {
    let until = readings(&gateway.counts()) + polls;
    while readings(&gateway.counts()) < until {
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// How often the meters were read, which each poll does once.
fn readings(counts: &GatewayCounts) -> u64 {
    counts.paths.get("/ivp/meters/readings").copied().unwrap_or_default()
}
