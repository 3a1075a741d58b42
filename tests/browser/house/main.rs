//! A simulated house with the real daemon in it, for a browser:
//!   cargo run --example browser-house -- STATE DIRECTORY [PORT]
//!
//! Prints one line of JSON with the address of the server, and with a consumer's token; runs until standard input ends.
//! Started again with the same directory and port, it is the daemon after a restart. Without arguments it lists the states.

mod gateways;
mod house;
mod states;

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;

use house::House;
use states::State;
use tokio::sync::oneshot;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut out = std::io::stdout();
    let Some(name) = arguments.next() else {
        for state in State::all() {
            writeln!(out, "{}", state.name)?;
        }
        return Ok(());
    };
    let state = State::all().into_iter().find(|state| state.name == name);
    let (Some(state), Some(directory)) = (state, arguments.next().map(PathBuf::from)) else {
        return Err(
            "usage: browser-house STATE DIRECTORY [PORT]; without arguments it lists the states".into()
        );
    };
    let port = arguments.next().map_or(Ok(0), |port| port.parse())?;
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::INFO).init();
    let house = House::build(state, &directory)?;
    house.run(port, &mut out, end_of_input()).await
}

/// Returns when standard input ends, which it does with the process at its other end.
///
/// A thread of its own reads it: tokio's would keep the paused time from passing.
async fn end_of_input() {
    let (end, ended) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        let copied = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        drop((copied, end));
    });
    drop(ended.await);
}
