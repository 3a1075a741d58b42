//! One gateway, as most houses have: the daemon beside a polling script on pyenphase, the library behind Home
//! Assistant's integration.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use enphased::simulator::{Gateway, GatewayCounts};

use super::number;
use super::peer::Peer;
use super::process::{memory, processor_time};
use super::rig::{Rig, program};
use super::wire::Wire;

/// Starts of the daemon that are measured.
const STARTS: usize = 21;
/// Starts of the script, which takes longer.
const PEER_STARTS: usize = 5;

/// A figure of one program, absent where it has none.
type Figure = Option<f64>;

pub(crate) fn measure() {
    let daemon = daemon();
    let peer = Peer::install().map(|peer| script(&peer));
    if let Err(why) = &peer {
        println!("pyenphase: skipped: {why}");
    }
    let peer = peer.unwrap_or_default();
    println!(
        "\n{:<46}{:>10}{:>10}{:>8}{:>10}{:>9}",
        "one gateway", "enphased", "target", "ratio", "pyenphase", "ratio"
    );
    for row in ROWS {
        let (ours, theirs) = ((row.figure)(&daemon), (row.figure)(&peer));
        let ratio = |other: Figure| ours.zip(other.filter(|it| *it > 0.0)).map(|(ours, other)| ours / other);
        let cells = [(ours, 10), (row.target, 10), (ratio(row.target), 8), (theirs, 10), (ratio(theirs), 9)];
        let cells = cells.map(|(figure, width)| {
            figure.map_or_else(|| format!("{:>width$}", "-"), |figure| format!("{figure:>width$.2}"))
        });
        println!("{:<46}{}", row.name, cells.concat());
    }
}

/// What one program costs.
#[derive(Default)]
struct Cost {
    size_mb: Figure,
    start_ms: Figure,
    slowest_start_ms: Figure,
    steady: Steady,
}

/// What its polls cost, one each second.
#[derive(Default)]
struct Steady {
    processor_ms: Figure,
    requests: Figure,
    bytes_to: Figure,
    bytes_from: Figure,
    handshakes: Figure,
    resident_mb: Figure,
    peak_mb: Figure,
    own_mb: Figure,
}

struct Row {
    name: &'static str,
    figure: fn(&Cost) -> Figure,
    target: Figure,
}

const ROWS: [Row; 11] = [
    Row { name: "size of the program, MB", figure: |cost| cost.size_mb, target: Some(6.0) },
    Row { name: "start to first reading, median, ms", figure: |cost| cost.start_ms, target: Some(50.0) },
    Row { name: "start to first reading, slowest, ms", figure: |cost| cost.slowest_start_ms, target: None },
    Row { name: "processor time of a poll, ms", figure: |cost| cost.steady.processor_ms, target: Some(1.0) },
    Row { name: "requests of a poll", figure: |cost| cost.steady.requests, target: None },
    Row {
        name: "bytes of a poll to the gateway, with TLS",
        figure: |cost| cost.steady.bytes_to,
        target: None,
    },
    Row {
        name: "bytes of a poll from the gateway, with TLS",
        figure: |cost| cost.steady.bytes_from,
        target: None,
    },
    Row { name: "TLS handshakes in that time", figure: |cost| cost.steady.handshakes, target: None },
    Row { name: "resident memory, MB", figure: |cost| cost.steady.resident_mb, target: Some(6.0) },
    Row { name: "resident memory at most, MB", figure: |cost| cost.steady.peak_mb, target: None },
    Row {
        name: "of it its own (not shared with others), MB",
        figure: |cost| cost.steady.own_mb,
        target: None,
    },
];

fn daemon() -> Cost {
    let rig = Rig::new(1);
    let gateway = rig.simulation.gateways.first().unwrap();
    rig.configure(&[gateway.address()], "1s", &Rig::stdout());
    let token = rig.path().join("token");
    fs::write(&token, rig.token()).unwrap();
    let stored = rig.program(&["token", "import", token.to_str().unwrap()]).stdout(Stdio::null()).status();
    assert!(stored.unwrap().success());
    // The simulated gateway answers at once, so what it takes itself is in the figure and small.
    let (start_ms, slowest_start_ms) = starts(STARTS, || drop(rig.daemon().reading()));

    // With a broker connected and everything announced, as under systemd: nothing on standard output.
    let wire = Wire::new(&rig.servers, &gateway.address());
    rig.configure(std::slice::from_ref(&wire.address), "1s", &rig.mqtt("homeassistant = true"));
    let daemon = rig.daemon();
    let steady = steady(daemon.id(), gateway, &wire);
    let size_mb = Some(fs::metadata(program()).unwrap().len() as f64 / 1e6);
    Cost { size_mb, start_ms, slowest_start_ms, steady }
}

/// The script polls only: it has no broker.
fn script(peer: &Peer) -> Cost {
    let rig = Rig::new(1);
    let gateway = rig.simulation.gateways.first().unwrap();
    let (start_ms, slowest_start_ms) =
        starts(PEER_STARTS, || drop(peer.start(&gateway.address(), &rig.token())));
    let wire = Wire::new(&rig.servers, &gateway.address());
    let script = peer.start(&wire.address, &rig.token());
    let steady = steady(script.id(), gateway, &wire);
    Cost { size_mb: None, start_ms, slowest_start_ms, steady }
}

/// The median and the slowest of several starts, each up to the first reading.
fn starts(count: usize, start: impl Fn()) -> (Figure, Figure) {
    let one = |_| {
        let begun = Instant::now();
        start();
        begun.elapsed()
    };
    let mut times: Vec<Duration> = (0..count).map(one).collect();
    times.sort();
    let milliseconds = |time: Option<&Duration>| time.map(|time| time.as_secs_f64() * 1e3);
    (milliseconds(times.get(times.len() / 2)), milliseconds(times.last()))
}

/// What the process costs while it polls each second.
fn steady(process: u32, gateway: &Gateway, wire: &Wire) -> Steady {
    // Each poll asks for this page once.
    let polls =
        |counts: &GatewayCounts| counts.paths.get("/ivp/meters/readings").copied().unwrap_or_default();
    let wait_for = |more: u64| {
        let until = polls(&gateway.counts()) + more;
        while polls(&gateway.counts()) < until {
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    // By then everything is announced.
    wait_for(30);
    let before = (processor_time(process), gateway.counts(), wire.bytes());
    wait_for(number("ENPHASED_POLLS", 120));
    let after = (processor_time(process), gateway.counts(), wire.bytes());
    let polls = (polls(&after.1) - polls(&before.1)) as f64;
    let of_a_poll = |before: u64, after: u64| Some((after - before) as f64 / polls);
    Steady {
        processor_ms: Some(after.0.saturating_sub(before.0).as_secs_f64() * 1e3 / polls),
        requests: of_a_poll(before.1.requests, after.1.requests),
        bytes_to: of_a_poll(before.2.0, after.2.0),
        bytes_from: of_a_poll(before.2.1, after.2.1),
        handshakes: Some((after.1.handshakes - before.1.handshakes) as f64),
        resident_mb: Some(memory(process, "VmRSS:")),
        peak_mb: Some(memory(process, "VmHWM:")),
        own_mb: Some(memory(process, "RssAnon:")),
    }
}
