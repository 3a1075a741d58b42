//! `enphased` reads an Enphase gateway on the home network and hands the readings to Domoticz, Home
//! Assistant or any pipe, on at most one cloud login per token lifetime.
//!
//! The modules below are a stack: each uses only those listed before it, and a test keeps it so. Read in this
//! order, the program explains itself.
//!
//! **Words**, which everything speaks: [`units`] (a power is not an energy), [`reading`] (the document that
//! one poll yields), [`message`] (what a broker is given), [`printable`] (text from outside, safe to print),
//! [`clock`] (time as an argument), [`retry`] (growing delays), [`rate_limit`] (a burst, then one each gap), [`outage`]
//! (what is said of one), [`pulse`] (a loop still turns), [`secrets`] (what must not be printed), [`redaction`] (what must not be sent with a report), [`files`]
//! (bounded reading of regular files), [`streams`] (standard output and error, whoever reads them).
//!
//! **Outside things**, one each: [`state`] (the state directory), [`names`] (host names), [`tls`] (to the cloud, and to
//! gateways by their keys), [`token`] (what a token says, and where it is kept), [`cloud`] (log in, fetch a token), [`gateway`] (a connected
//! gateway: located, identified, its key judged; its endpoints and wire formats), [`mqtt`] (the broker).
//!
//! **Rules**, which decide and never do: [`logins`] (the login promise), [`sources`] (which endpoint gives
//! what, and the oddities of each firmware), [`counters`] (totals that never go backward, days), [`siblings`]
//! (inverters that are silent or weak), [`production_meter`] (a meter that sees nothing), [`schedule`] (when to ask again).
//!
//! **Outputs**, a reading in and messages out: [`text`], [`json`], [`influx`], [`topics`], [`domoticz`],
//! [`homeassistant`].
//!
//! **Beside** the daemon: [`simulator`], a cloud, a gateway and a sun for the demo and the tests.
//!
//! **The program**: [`config`], [`board`] (the newest of everything, for whoever publishes), [`wishes`]
//! (what is asked for over MQTT), [`standing`] (how each gateway stands, in a few words), [`supply`] (keeps a gateway's token, by the rules of `logins`),
//! [`poller`], [`publisher`], [`daemon`], [`commands`], [`cli`].

pub mod units;

pub mod reading;

pub mod message;

pub mod printable;

#[cfg(test)]
pub mod sample;

pub mod clock;

pub mod retry;

pub mod rate_limit;

pub mod outage;

pub mod pulse;

pub mod secrets;

pub mod redaction;

pub mod files;

pub mod streams;

pub mod state;

pub mod names;

pub mod tls;

pub mod token;

pub mod cloud;

pub mod gateway;

pub mod mqtt;

pub mod logins;

pub mod sources;

pub mod counters;

pub mod siblings;

pub mod production_meter;

pub mod schedule;

pub mod text;

pub mod json;

pub mod influx;

pub mod topics;

pub mod domoticz;

pub mod homeassistant;

pub mod simulator;

pub mod config;

pub mod board;

pub mod wishes;

pub mod standing;

pub mod supply;

pub mod poller;

pub mod publisher;

pub mod daemon;

pub mod commands;

pub mod cli;
