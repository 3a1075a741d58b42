//! A simulated cloud, gateway and house, for the demo and the tests.
//!
//! The servers speak real HTTP on loopback as tasks of the caller's runtime, so with tokio's paused time a day of polls
//! takes about a second. A gateway serves the files of a folder in the layout of `fixtures/`, with the numbers of its
//! [`World`] patched in. The simulator does not use the program's wire types: otherwise one misreading would be on both
//! sides and cancel out.
//!
//! [`Simulation`] combines everything. [`Fault`] makes single responses of a server fail, and [`Condition`] changes a whole
//! gateway.

mod cloud;
mod counts;
mod fault;
mod gateway;
mod integrator;
mod jwt;
mod pages;
mod patch;
mod response;
mod server;
mod simulation;
mod snapshot;
mod sun;
mod tls;
mod world;

pub use cloud::{
    Account, Cloud, CloudOptions, ENTREZ_AUTH_TOKEN, LOGIN, SEND_OTP, SecondFactor, TOKENS, VALIDATE_OTP,
    responses,
};
pub use counts::{CloudCounts, GatewayCounts, Request};
pub use fault::{Failure, Fault};
pub use gateway::{Condition, Gateway, GatewayOptions};
pub use jwt::{Role, mint_token, token_public_key};
pub use pages::Pages;
pub use response::Answer;
pub use simulation::{Simulation, SimulationOptions};
pub use snapshot::{Battery, Energies, InverterReport, Snapshot, WorldOptions};
pub use tls::{Key, Transport};
pub use world::World;
