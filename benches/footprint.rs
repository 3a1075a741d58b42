//! What the daemon costs: `cargo bench --bench footprint`.
//!
//! The built program polls a simulated gateway over TLS every second and publishes to a real mosquitto, both on
//! this machine. Its own figures are read from `/proc`; nothing is asserted.

#![allow(
    clippy::unwrap_used,
    clippy::unnecessary_debug_formatting,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark measures real time and says what went wrong by failing"
)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use enphased::clock::Clock;
use enphased::simulator::{Role, Simulation, SimulationOptions, mint_token};

/// Polls that are measured; `ENPHASED_POLLS` takes another number.
const POLLS: u32 = 60;
/// Starts that are measured.
const STARTS: usize = 11;
const PROGRAM: &str = env!("CARGO_BIN_EXE_enphased");

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let clock = Clock::system();
    let simulation =
        runtime.block_on(async { Simulation::start(&clock, SimulationOptions::default()) }).unwrap();
    // The gateway answers from a thread of its own.
    std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    let dir = tempfile::tempdir().unwrap();
    let (mut broker, port) = mosquitto();
    store_token(dir.path(), &simulation, &clock);
    println!("{:<46}{:>12}{:>12}{:>9}", "", "measured", "target", "ratio");
    let size = fs::metadata(PROGRAM).unwrap().len();
    row("size of the program", megabytes(size), 6.0, "MB");
    starts(dir.path(), &simulation);
    steady(dir.path(), &simulation, port);
    broker.kill().unwrap();
}

fn row(name: &str, measured: f64, target: f64, unit: &str) {
    println!("{name:<46}{measured:>9.2} {unit}{target:>9.2} {unit}{:>9.2}", measured / target);
}

fn plain(name: &str, measured: f64, unit: &str) {
    println!("{name:<46}{measured:>9.2} {unit}");
}

#[expect(clippy::cast_precision_loss, reason = "sizes far below 2^52")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// A broker on a free port of loopback.
fn mosquitto() -> (Child, u16) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = Command::new("mosquitto");
    command.args(["-p", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
    (command.spawn().expect("mosquitto is not installed"), port)
}

fn configure(dir: &Path, simulation: &Simulation, extra: &str) {
    let text = format!(
        "state_dir = {:?}\n[[gateway]]\naddress = {:?}\ninterval = \"1s\"\n[stdout]\nformat = \"json\"\n{extra}",
        dir.join("state"),
        simulation.gateways.first().unwrap().address(),
    );
    fs::write(dir.join("config.toml"), text).unwrap();
}

fn program(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.env_clear().arg("--config").arg(dir.join("config.toml")).args(arguments).stderr(Stdio::null());
    command
}

fn store_token(dir: &Path, simulation: &Simulation, clock: &Clock) {
    configure(dir, simulation, "");
    let serial = simulation.gateways.first().unwrap().serial();
    let token = mint_token(&serial, Role::Owner, clock.now(), Duration::from_secs(365 * 86_400));
    fs::write(dir.join("token"), token).unwrap();
    let token = dir.join("token");
    let stored = program(dir, &["token", "import", token.to_str().unwrap()]).stdout(Stdio::null()).status();
    assert!(stored.unwrap().success());
}

fn start(dir: &Path) -> (Child, BufReader<ChildStdout>) {
    let mut child = program(dir, &["run"]).stdout(Stdio::piped()).spawn().unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    (child, out)
}

fn wait_for_reading(out: &mut BufReader<ChildStdout>) {
    let mut line = String::new();
    assert!(out.read_line(&mut line).unwrap() > 0, "the daemon ended");
}

/// From the start of the process to its first reading. The simulated gateway answers at once, so what it takes
/// itself is in the figure and small.
fn starts(dir: &Path, simulation: &Simulation) {
    configure(dir, simulation, "");
    let mut times: Vec<Duration> = (0..STARTS)
        .map(|_| {
            let begun = Instant::now();
            let (mut child, mut out) = start(dir);
            wait_for_reading(&mut out);
            let taken = begun.elapsed();
            child.kill().unwrap();
            child.wait().unwrap();
            taken
        })
        .collect();
    times.sort();
    let median = times.get(STARTS / 2).unwrap();
    row("start to first reading, median", median.as_secs_f64() * 1e3, 100.0, "ms");
    plain("start to first reading, slowest", times.last().unwrap().as_secs_f64() * 1e3, "ms");
}

/// Memory and processor time of polling every second with a broker connected.
fn steady(dir: &Path, simulation: &Simulation, port: u16) {
    let polls = std::env::var("ENPHASED_POLLS").ok().and_then(|text| text.parse().ok()).unwrap_or(POLLS);
    configure(dir, simulation, &format!("[mqtt]\nurl = \"mqtt://127.0.0.1:{port}\"\nhomeassistant = true\n"));
    let (mut child, mut out) = start(dir);
    for _ in 0..5 {
        wait_for_reading(&mut out);
    }
    let gateway = simulation.gateways.first().unwrap();
    let (cpu, requests) = (processor_time(child.id()), gateway.counts().requests);
    for _ in 0..polls {
        wait_for_reading(&mut out);
    }
    let per_poll = processor_time(child.id()).saturating_sub(cpu).as_secs_f64() * 1e3 / f64::from(polls);
    row("processor time of a poll", per_poll, 2.0, "ms");
    #[expect(clippy::cast_precision_loss, reason = "few requests")]
    plain("requests of a poll", (gateway.counts().requests - requests) as f64 / f64::from(polls), "");
    row("resident memory", memory(child.id(), "VmRSS:"), 8.0, "MB");
    plain("resident memory, at most", memory(child.id(), "VmHWM:"), "MB");
    plain("of it its own (not shared with other programs)", memory(child.id(), "RssAnon:"), "MB");
    child.kill().unwrap();
    child.wait().unwrap();
}

fn processor_time(pid: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap();
    Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
}

fn memory(pid: u32, field: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    megabytes(line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024)
}
