//! The history: the task that records it, and the requests that read it.

pub mod chart;
mod disk_job;
pub mod disks;
pub mod query;
pub mod reader;
pub mod recorder;
pub mod sum_chart;
