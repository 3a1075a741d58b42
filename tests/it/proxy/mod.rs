//! Tests the proxy of a daemon in a simulated house, in virtual time.

mod absence;
mod attacks;
mod client;
mod counts;
mod login;
mod pages;
mod raw_bytes;
mod refusals;
mod stream;

use enphased::io::http::Listen;
use enphased::simulator::SimulationOptions;
use tokio::time::{Duration, Instant, sleep};

use crate::support::house::House;
use client::get;

/// The keys of a gateway with a plain proxy and one over TLS.
const PROXY: &str = "proxy = [\"127.0.0.1:0\", \"tls://127.0.0.1:0\"]\n";
/// A page that is read at every poll.
const READINGS: &str = "/ivp/meters/readings";

/// A house whose daemon has a proxy, and lets this machine ask as often as it wants.
fn proxied() -> House {
    proxied_with("")
}

/// A house whose gateway has these keys too.
fn proxied_with(keys: &str) -> House {
    of(SimulationOptions::default(), keys)
}

fn of(options: SimulationOptions, keys: &str) -> House {
    let server = "[server]\nrequests_per_minute = 1000000\nmax_consumers = 100\n";
    House::new(options).with_gateway(&format!("{PROXY}{keys}")).with(server)
}

/// Waits until the first poll is over.
async fn polled(house: &House, at: Listen) {
    while house.polls() == 0 || get(at, READINGS).await.status != 200 {
        sleep(Duration::from_millis(100)).await;
    }
}

/// Waits until `seconds` after `start`.
async fn until(start: Instant, seconds: u64) {
    tokio::time::sleep_until(start + Duration::from_secs(seconds)).await;
}
