//! A cloud, a gateway and a sun for the demo and the tests.
//!
//! They speak real HTTP on loopback as tasks of the caller's runtime, so that with tokio's paused time a day of
//! polls passes in about a second. A gateway answers from files of a folder in the layout of `fixtures/`, with
//! the numbers of its [`World`] patched in. Nothing here knows the program's wire types: one misreading must
//! not stand on both sides and cancel out.
//!
//! [`Simulation`] is everything at once. Each server can be told to misbehave: [`Fault`] spoils answers,
//! [`Condition`] changes a whole gateway.

mod answer;
mod cloud;
mod counts;
mod fault;
mod gateway;
mod jwt;
mod ledger;
mod pages;
mod patch;
mod server;
mod simulation;
mod snapshot;
mod sun;
mod tls;
mod world;

pub use answer::Answer;
pub use cloud::{
    Account, Cloud, CloudOptions, ENTREZ_AUTH_TOKEN, LOGIN, SEND_OTP, SecondFactor, TOKENS, VALIDATE_OTP,
    answers,
};
pub use counts::{CloudCounts, GatewayCounts, Request};
pub use fault::{Failure, Fault};
pub use gateway::{Condition, Gateway, GatewayOptions};
pub use jwt::{Role, mint_token, token_public_key};
pub use pages::Pages;
pub use simulation::{Simulation, SimulationOptions};
pub use snapshot::{Battery, Energies, InverterReport, Snapshot, WorldOptions};
pub use tls::{Key, Transport};
pub use world::World;
