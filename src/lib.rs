//! `enphased` reads an Enphase gateway on the home network and serves the readings to Domoticz, Home Assistant and any
//! other program, on at most one cloud login per token lifetime.
//!
//! Each module below is a layer and uses only the layers before it; inside a layer no two files depend on each other in
//! a circle. A test keeps it so. `docs/architecture.md` explains the tasks, and how a reading and a token travel.

pub mod base;

pub mod io;

pub mod rules;

pub mod output;

pub mod simulator;

pub mod app;
