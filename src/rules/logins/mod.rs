//! The login promise: whether the cloud may be contacted now, and if not, when and why.
//!
//! Everything here is a pure function of the [`record::Record`] on disk and of what is seen now; nothing here
//! sends, waits or writes. [`crate::app::token_provider`] carries the decisions out: record first, then the request, then
//! the outcome.
//!
//! The rules by their names in the design: L2 (reasons) and L8 (short tokens) are in [`need`], L7 (one login, all
//! tokens) in [`decision`], L6 (hold-offs) in [`wait`]; what an attempt leaves behind (L4, L6, L7) is in [`record`]; L9
//! (clocks) is in [`age`]; what a gateway says of a token is a [`verdict`]; [`attempt`] and [`hold`] are what the record
//! is made of; [`newcomer`] is for gateways that nobody has seen before, [`code`] for accounts with a second factor.

pub mod age;
pub mod attempt;
pub mod code;
pub mod decision;
#[cfg(test)]
mod history;
pub mod hold;
pub mod need;
pub mod newcomer;
pub mod record;
pub mod situation;
pub mod verdict;
pub mod wait;
pub mod words;

pub use decision::{Decision, decide};
pub use record::Record;
