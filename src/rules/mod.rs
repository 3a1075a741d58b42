//! Decisions as pure functions: who may ask the server, what a program gets of a gateway's pages, when the cloud may be
//! contacted, what is announced as a problem, which page yields which value, which totals are plausible, what belongs to which day, when to poll again.

pub mod access;
pub mod alerts;
pub mod counters;
pub mod history;
pub mod inverter_health;
pub mod logins;
pub mod production_meter;
pub mod proxy;
pub mod readiness;
pub mod schedule;
pub mod silence;
pub mod sources;
