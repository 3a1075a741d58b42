//! The login promise: decides when the cloud may be contacted, and explains why it may not.
//!
//! Everything here is a pure function of the [`record::Record`] on disk and the current situation; nothing here
//! sends, waits or writes. [`crate::app::token_provider`] carries the decisions out: it writes the record, sends the
//! request, and writes the outcome.
//!
//! `docs/login-promise.md` numbers the rules. Each has its module:
//!
//! - L2 (reasons) and L8 (short tokens): [`need`]
//! - L4, L6, L7, the state that an attempt leaves behind: [`record`], made of [`attempt`], [`hold_off`], [`refusals`] and
//!   [`session`]
//! - L6 (hold-offs and ceilings): [`limits`]
//! - L7 (one login, all tokens): [`decision`]
//! - L9 (clocks): [`clocks`]
//! - the responses of gateways to their tokens: [`verdict`]
//! - gateways that have not been seen before: [`newcomer`]
//! - accounts with a second factor: [`second_factor`]

pub mod attempt;
pub mod clocks;
pub mod decision;
pub mod display;
pub mod hold_off;
pub mod limits;
#[cfg(test)]
mod model;
pub mod need;
pub mod newcomer;
pub mod record;
pub mod refusals;
pub mod second_factor;
pub mod session;
pub mod situation;
pub mod verdict;

pub use decision::{Decision, decide};
pub use record::Record;
