//! Long random histories of the login rules: everything that can happen to them, in any order, with the
//! promises checked at every step.
//!
//! `ENPHASED_STEPS` sets how many steps are taken (a million by default), `ENPHASED_SEED` the first seed. A
//! history that breaks a promise names its seed; `ENPHASED_STEPS=1 ENPHASED_SEED=...` tells it again.

mod daemon;
mod process;
mod promises;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use fastrand::Rng;

use daemon::Story;
use promises::Judged;
use world::{Liar, World};

/// How long a history is.
const LENGTH: u64 = 500;

#[expect(clippy::disallowed_methods, reason = "how far a search goes is told to the test alone")]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.replace('_', "").parse().unwrap())
}

/// Tells the history of `seed`; what was judged in it.
fn tell(seed: u64, liar: Liar) -> Judged {
    let world = World::new(Rng::with_seed(seed), liar);
    let mut story = Story::new(world);
    for _ in 0..LENGTH {
        story.step();
    }
    story.promises.judged
}

/// Searches a share of all steps for a history in which a promise is broken.
fn search(liar: Liar) {
    let histories = number("ENPHASED_STEPS").unwrap_or(1_000_000).div_ceil(4 * LENGTH);
    let first = number("ENPHASED_SEED").unwrap_or(0);
    let mut judged = Judged::default();
    for seed in first..first + histories {
        match catch_unwind(AssertUnwindSafe(|| tell(seed, liar))) {
            Ok(more) => judged = judged.and(more),
            Err(broken) => {
                println!("{liar:?}: the history of seed {seed} breaks a promise");
                resume_unwind(broken);
            }
        }
    }
    println!("{liar:?}: {histories} histories from seed {first}, {judged:?}");
    let Judged { logins, shared, otherwise, codes, unclear, .. } = judged;
    let Judged { asked_first, wished, strangers, restored, stops, .. } = judged;
    assert!(histories < 100 || logins > histories, "hardly anything was tried: {judged:?}");
    // Codes are typed in one history of two hundred.
    assert!(histories < 4000 || codes > 0, "no code was ever typed: {judged:?}");
    let rare = [shared, otherwise, asked_first, wished, strangers, restored, stops];
    let rare = rare.into_iter().chain((liar != Liar::Both).then_some(unclear));
    assert!(histories < 400 || rare.min() != Some(0), "something was never tried: {judged:?}");
}

#[test]
fn with_two_honest_clocks_every_promise_is_kept() {
    search(Liar::Nobody);
}

#[test]
fn with_a_machine_whose_clock_shows_anything_every_promise_is_kept() {
    search(Liar::Machine);
}

#[test]
fn with_a_gateway_whose_clock_shows_anything_every_promise_is_kept() {
    search(Liar::Gateway);
}

#[test]
fn with_no_honest_clock_nothing_leaves_unwritten_and_no_token_is_lost() {
    search(Liar::Both);
}
