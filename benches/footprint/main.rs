//! What the daemon costs: `cargo bench --bench footprint`.
//!
//! The built program polls simulated gateways over TLS and publishes to a real mosquitto, all on this machine. Its
//! own figures are read from `/proc`; nothing is asserted. `ENPHASED_PARTS=month,one,fleets` chooses parts,
//! `ENPHASED_FLEETS=1,10,100,1000` the fleets; `ENPHASED_PROGRAM` names another build, such as the static one that the packages hold.

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

mod fleet;
mod month;
mod one;
mod peer;
mod process;
mod rig;
mod wire;

use std::env;
use std::str::FromStr;

/// A number from the environment, so that a run can be longer or shorter.
fn number<T: FromStr>(name: &str, otherwise: T) -> T {
    env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn main() {
    let parts = env::var("ENPHASED_PARTS").unwrap_or_else(|_| "month,one,fleets".to_owned());
    println!("{}", rig::program().display());
    for part in parts.split(',') {
        match part {
            "one" => one::measure(),
            "fleets" => fleet::measure(),
            "month" => month::measure(),
            other => panic!("{other} is no part: month, one or fleets"),
        }
    }
}
