//! Requests for one page, as many as are answered.

use std::env;
use std::net::SocketAddr;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::client::{Kept, head};
use super::served::{Served, pinned};

/// The connections at a time.
const CONNECTIONS: usize = 4;

/// What was answered.
pub(crate) struct Load {
    pub(crate) sender: &'static str,
    pub(crate) per_second: f64,
    pub(crate) median_ms: f64,
    pub(crate) late: u64,
    /// The number of responses other than 200.
    pub(crate) others: u64,
}

/// Measures the requests for the newest reading that one core answers.
pub(crate) fn measure() -> Load {
    let served = Served::start();
    of(&served, served.address, &served.path)
}

/// Measures the requests for `path` at `address` that one core answers.
pub(crate) fn of(served: &Served, address: SocketAddr, path: &str) -> Load {
    let seconds: u64 = env::var("ENPHASED_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(10);
    let has_wrk = Command::new("wrk").arg("--version").output().is_ok();
    let send = if has_wrk { by_wrk } else { by_threads };
    let (load, late) = served.late_polls(|| send(address, path, seconds));
    Load { late, ..load }
}

fn by_wrk(address: SocketAddr, path: &str, seconds: u64) -> Load {
    let mut command = pinned(0);
    command.args(["wrk", "-t1", &format!("-c{CONNECTIONS}"), &format!("-d{seconds}s"), "--latency"]);
    let output = command.arg(format!("http://{address}{path}")).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    println!("\n{text}");
    let after = |start: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(start));
        line.map(|rest| rest.trim().to_owned())
    };
    Load {
        sender: "wrk",
        per_second: after("Requests/sec:").unwrap().parse().unwrap(),
        median_ms: milliseconds(&after("50%").unwrap()),
        late: 0,
        others: after("Non-2xx or 3xx responses:").map_or(0, |count| count.parse().unwrap()),
    }
}

/// Parses a time such as `1.20ms` or `830.00us`.
fn milliseconds(text: &str) -> f64 {
    let (number, factor) = match (text.strip_suffix("ms"), text.strip_suffix("us")) {
        (Some(number), _) => (number, 1.0),
        (_, Some(number)) => (number, 1e-3),
        _ => (text.trim_end_matches('s'), 1e3),
    };
    number.parse::<f64>().unwrap() * factor
}

fn by_threads(address: SocketAddr, path: &str, seconds: u64) -> Load {
    let length = Duration::from_secs(seconds);
    let ask = || {
        let (mut connection, mut times, mut others) = (Kept::open(address), Vec::new(), 0);
        let request = head(path, "load", "keep-alive");
        let begun = Instant::now();
        while begun.elapsed() < length {
            let sent = Instant::now();
            others += u64::from(!connection.ask(&request));
            times.push(sent.elapsed());
        }
        (times, others)
    };
    let done: Vec<(Vec<Duration>, u64)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let others = done.iter().map(|(_, others)| others).sum();
    let mut times: Vec<Duration> = done.into_iter().flat_map(|(times, _)| times).collect();
    times.sort();
    let median_ms = times.get(times.len() / 2).unwrap().as_secs_f64() * 1e3;
    let per_second = times.len() as f64 / length.as_secs_f64();
    Load { sender: "threads", per_second, median_ms, late: 0, others }
}
