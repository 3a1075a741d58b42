//! Decisions as pure functions: whether the cloud may be contacted, which page yields which value, what a total may be,
//! when to ask again.

pub mod counters;
pub mod inverter_health;
pub mod logins;
pub mod production_meter;
pub mod schedule;
pub mod sources;
