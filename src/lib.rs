//! `enphased` reads an Enphase solar gateway on the home network and passes the readings to Domoticz, Home Assistant and
//! any other program, with at most one cloud login per token lifetime.
//!
//! Each module below is a layer that uses only the layers before it. Inside a layer no two files depend on each other in
//! a circle. A test enforces both. `docs/architecture.md` explains the tasks, and the paths of a reading and a token.

pub mod base;

pub mod io;

pub mod rules;

pub mod output;

pub mod simulator;

pub mod app;
