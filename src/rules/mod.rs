//! Decisions as pure functions: when the cloud may be contacted, which page yields which value, which totals are
//! plausible, when to poll again.

pub mod counters;
pub mod inverter_health;
pub mod logins;
pub mod production_meter;
pub mod schedule;
pub mod silence;
pub mod sources;
