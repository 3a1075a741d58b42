//! Tests the server of a daemon in a simulated house, in virtual time.

mod api;
pub(crate) mod client;
pub(crate) mod consumers;
mod documentation;
mod history;
mod listeners;
mod live;
mod page;
mod raw_bytes;
mod same_values;
mod sockets;

use enphased::simulator::SimulationOptions;

use crate::support::house::House;

/// A house whose daemon serves this machine.
fn served() -> House {
    served_with("")
}

/// A house whose daemon has `keys` below `[server]`.
fn served_with(keys: &str) -> House {
    let server = format!("\n[server]\nlisten = [\"127.0.0.1:0\"]\n{keys}");
    House::new(SimulationOptions::default()).with(&server)
}
