//! What the server costs: `cargo bench --bench server`.
//!
//! The built program polls a simulated gateway over TLS once a second and serves consumers, all on this machine, in one run:
//! memory without a consumer and with 1 to 1,000 that take live values, requests per second on one core, polls that are late
//! meanwhile; and the same for the proxy of a gateway with 240 inverters, all of whose pages are read. Figures are printed beside their goals; nothing is asserted. `ENPHASED_PROGRAM` names another build, such as
//! the static one that the packages hold; `ENPHASED_CONSUMERS=1,10,100,1000` the numbers of consumers; `ENPHASED_SECONDS`
//! the length of the load. Requests are sent by `wrk` if it is installed, otherwise by threads of this program. Of two cores,
//! one is the program's.

#![allow(
    clippy::unwrap_used,
    clippy::unnecessary_debug_formatting,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a benchmark measures real time and says what went wrong by failing"
)]

mod client;
mod large;
mod live;
mod load;
#[path = "../footprint/process.rs"]
#[allow(dead_code, reason = "the other benchmark uses the rest")]
mod process;
mod proxied;
#[path = "../footprint/rig.rs"]
#[allow(dead_code, reason = "the other benchmark uses the rest")]
mod rig;
mod served;

use std::env;
use std::fs;

use rustix::process::{Resource, getrlimit, setrlimit};

fn main() {
    // A file descriptor for each consumer.
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    println!("{}", rig::program().display());
    let size = fs::metadata(rig::program()).unwrap().len() as f64 / 1e6;
    let consumers = env::var("ENPHASED_CONSUMERS").unwrap_or_else(|_| "1,10,100,1000".to_owned());
    let consumers: Vec<usize> = consumers.split(',').map(|number| number.parse().unwrap()).collect();
    let costs: Vec<live::Cost> = consumers.into_iter().map(live::cost).collect();
    let bare = live::idle_without_history();
    let load = load::measure();
    let proxy = proxied::cost();

    println!("\n{:<62}{:>10}{:>10}", "the server", "figure", "goal");
    let row = |name: &str, figure: f64, goal: f64| println!("{name:<62}{figure:>10.2}{goal:>10.2}");
    row("size of the program, MB", size, 7.0);
    let idle = costs.iter().map(|cost| cost.idle).fold(0.0, f64::max);
    row("resident memory without a consumer, MB", idle, 8.0);
    row("the same with the history off, MB", bare, 7.0);
    for cost in &costs {
        row(&format!("memory for each of {} live consumers, kB", cost.consumers), cost.each, 40.0);
    }
    for cost in &costs {
        row(&format!("late polls with {} live consumers", cost.consumers), cost.late as f64, 0.0);
    }
    row(&format!("readings per second, by {}", load.sender), load.per_second, 5000.0);
    row("median until the response, ms", load.median_ms, 1.0);
    row("late polls under that load", load.late as f64, 0.0);
    row("other responses than 200", load.others as f64, 0.0);

    println!("\n{:<62}{:>10}{:>10}", "a proxy, 240 inverters", "figure", "goal");
    row(&format!("memory for all pages ({:.0} kB of them), kB", proxy.pages), proxy.memory, 400.0);
    for (name, load) in [("readings of the meters", proxy.small), ("lists of inverters", proxy.inverters)] {
        row(&format!("{name} per second, by {}", load.sender), load.per_second, 5000.0);
        row("median until the response, ms", load.median_ms, 1.0);
        row("late polls under that load", load.late as f64, 0.0);
        row("other responses than 200", load.others as f64, 0.0);
    }
}
