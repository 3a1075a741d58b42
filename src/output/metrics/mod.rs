//! Prometheus' text format: families of samples, and those that a reading makes.
//!
//! Names follow Prometheus' rules: one base unit each, at the end (`_watts`, `_joules_total`, `_ratio`). Energies are in
//! joules for that reason: `rate()` of a counter in joules is a power in watts.

pub mod families;
pub mod reading;

pub use families::{Families, Kind};

/// The content type of the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
