//! A model of the login rules: runs random histories of events, and checks the login promise at every step.
//!
//! `ENPHASED_STEPS` sets the number of steps (a million by default), `ENPHASED_SEED` the first seed. A history that
//! breaks a promise prints its seed; `ENPHASED_STEPS=1 ENPHASED_SEED=...` repeats it.

mod coverage;
mod daemon;
mod history;
mod process;
mod promises;
mod truth;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use fastrand::Rng;

use coverage::Coverage;
use history::History;
use world::{World, WrongClock};

/// The number of steps in a history.
const LENGTH: u64 = 500;

#[expect(clippy::disallowed_methods, reason = "only the test knows these variables")]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.replace('_', "").parse().unwrap())
}

/// Runs the history of `seed`, and returns how often each check was reached.
fn run_history(seed: u64, wrong_clock: WrongClock) -> Coverage {
    let world = World::new(Rng::with_seed(seed), wrong_clock);
    let mut history = History::new(world);
    for _ in 0..LENGTH {
        history.step();
    }
    history.daemons.truth.coverage
}

/// Runs a quarter of all steps, and fails if a history breaks a promise.
fn search(wrong_clock: WrongClock) {
    let histories = number("ENPHASED_STEPS").unwrap_or(1_000_000).div_ceil(4 * LENGTH);
    let first = number("ENPHASED_SEED").unwrap_or(0);
    let mut coverage = Coverage::default();
    for seed in first..first + histories {
        match catch_unwind(AssertUnwindSafe(|| run_history(seed, wrong_clock))) {
            Ok(more) => coverage = coverage.and(more),
            Err(broken) => {
                println!("{wrong_clock:?}: the history of seed {seed} breaks a promise");
                resume_unwind(broken);
            }
        }
    }
    println!("{wrong_clock:?}: {histories} histories from seed {first}, {coverage:?}");
    let Coverage { logins, shared, other_endpoint, codes, unclear, .. } = coverage;
    let Coverage { asked_first, requested, newcomers, restored, stops, .. } = coverage;
    assert!(histories < 100 || logins > histories, "hardly anything was tried: {coverage:?}");
    // About one history in two hundred enters a code.
    assert!(histories < 4000 || codes > 0, "no code was ever typed: {coverage:?}");
    let rare = [shared, other_endpoint, asked_first, requested, newcomers, restored, stops];
    let rare = rare.into_iter().chain((wrong_clock != WrongClock::Both).then_some(unclear));
    assert!(histories < 400 || rare.min() != Some(0), "something was never tried: {coverage:?}");
}

#[test]
fn with_two_honest_clocks_every_promise_is_kept() {
    search(WrongClock::Neither);
}

#[test]
fn with_a_machine_whose_clock_shows_anything_every_promise_is_kept() {
    search(WrongClock::Machine);
}

#[test]
fn with_a_gateway_whose_clock_shows_anything_every_promise_is_kept() {
    search(WrongClock::Gateway);
}

#[test]
fn with_no_honest_clock_nothing_leaves_unwritten_and_no_token_is_lost() {
    search(WrongClock::Both);
}
