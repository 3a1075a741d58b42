//! The history: the task that records it, and the requests that read it.

pub mod recorder;
