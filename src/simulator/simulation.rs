//! A complete simulation: houses, gateways of one account, and the cloud.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::cloud::{Account, Cloud, CloudOptions};
use super::gateway::{Gateway, GatewayOptions};
use super::pages::Pages;
use super::snapshot::{Battery, WorldOptions};
use super::world::World;
use crate::base::clock::Clock;
use crate::base::units::{WattHours, Watts};

/// The options of a simulation.
#[derive(Clone, Debug)]
pub struct SimulationOptions {
    /// The gateways, all of one account. Gateways without a configured serial number get the recorded one plus an offset,
    /// so that the same pages can be used for several.
    pub gateways: Vec<GatewayOptions>,
    /// The cloud. Without accounts it gets one with [`Simulation::EMAIL`] and [`Simulation::PASSWORD`].
    pub cloud: CloudOptions,
    /// The offset of local solar time from UTC.
    pub offset: jiff::SignedDuration,
    /// The seed of the weather and the consumption.
    pub seed: u64,
}

impl Default for SimulationOptions {
    /// Returns the options for one gateway with three phases.
    fn default() -> Self {
        Self {
            gateways: vec![GatewayOptions::new(Pages::metered())],
            cloud: CloudOptions::default(),
            offset: jiff::SignedDuration::ZERO,
            seed: 1,
        }
    }
}

impl SimulationOptions {
    /// Returns the options for `demo`: a gateway with current transformers and one with batteries, both with delays.
    pub fn demo() -> Self {
        let live = |pages| GatewayOptions {
            delay: Duration::from_millis(40),
            nightly_restart: true,
            ..GatewayOptions::new(pages)
        };
        Self { gateways: vec![live(Pages::metered()), live(Pages::battery())], ..Self::default() }
    }
}

/// A running simulation, which ends when it is dropped.
#[derive(Debug)]
pub struct Simulation {
    /// The cloud.
    pub cloud: Cloud,
    /// The gateways, in the order of the options.
    pub gateways: Vec<Gateway>,
    /// The house behind each gateway.
    pub worlds: Vec<World>,
}

impl Simulation {
    /// The owner's account. The plus sign detects a form that is not encoded.
    pub const EMAIL: &str = "owner+home@example.com";
    /// The owner's password.
    pub const PASSWORD: &str = "sun & shade 100%";

    /// Starts everything in the caller's tokio runtime.
    ///
    /// # Errors
    /// Fails if no port of loopback is free.
    pub fn start(clock: &Clock, options: SimulationOptions) -> io::Result<Self> {
        let (mut gateways, mut worlds) = (Vec::new(), Vec::new());
        for (place, gateway) in (0_u64..).zip(options.gateways) {
            let world =
                WorldOptions { offset: options.offset, ..world(&gateway.pages, options.seed + place) };
            let world = World::new(clock, world);
            let serial = gateway.serial.clone().or_else(|| numbered(&gateway.pages, place));
            gateways.push(Gateway::start(clock, &world, &GatewayOptions { serial, ..gateway })?);
            worlds.push(world);
        }
        let mut cloud = options.cloud;
        if cloud.accounts.is_empty() {
            cloud.accounts.push(Account {
                email: Self::EMAIL.into(),
                password: Self::PASSWORD.into(),
                serials: gateways.iter().map(Gateway::serial).collect(),
                second_factor: None,
            });
        }
        Ok(Self { cloud: Cloud::start(clock, cloud)?, gateways, worlds })
    }

    /// Returns a configuration file for a daemon in this simulation, without a password. Each `[[gateway]]` table ends with
    /// the lines `gateway`, so more lines for the last one can be appended, and then other tables.
    pub fn config_toml(&self, state_dir: &Path, gateway: &str) -> String {
        let state_dir = state_dir.to_string_lossy();
        format!("state_dir = {state_dir:?}\n{}{}", self.cloud_toml(), self.gateways_toml(gateway))
    }

    /// Returns the `[cloud]` table of [`Self::config_toml`].
    pub fn cloud_toml(&self) -> String {
        format!(
            "[cloud]\nusername = {:?}\nenlighten_url = {:?}\nentrez_url = {:?}\n",
            Self::EMAIL,
            self.cloud.enlighten_url(),
            self.cloud.entrez_url(),
        )
    }

    /// Returns the `[[gateway]]` tables of [`Self::config_toml`].
    pub fn gateways_toml(&self, gateway: &str) -> String {
        let table = |it: &Gateway| format!("[[gateway]]\naddress = {:?}\n{gateway}", it.address());
        self.gateways.iter().map(table).collect()
    }
}

/// Returns the options of a house of the size that the pages show.
fn world(pages: &Pages, seed: u64) -> WorldOptions {
    let options = WorldOptions { seed, ..WorldOptions::default() };
    let inverters = pages.json("/api/v1/production/inverters").and_then(|rows| Some(rows.as_array()?.len()));
    let capacity = pages.json("/ivp/ensemble/secctrl").and_then(|page| page["Max_energy"].as_f64());
    let battery = capacity.filter(|capacity| *capacity > 0.0).and_then(|capacity| {
        Some(Battery { capacity: WattHours::new(capacity)?, power: Watts::new(capacity * 0.384)? })
    });
    WorldOptions { inverters: inverters.unwrap_or(options.inverters), battery, ..options }
}

/// Returns the recorded serial number plus an offset for the gateway's index; the first keeps the recorded one.
fn numbered(pages: &Pages, place: u64) -> Option<String> {
    let serial = pages.serial()?;
    let number: u64 = serial.parse().ok()?;
    Some(if place == 0 { serial } else { format!("{:0>12}", number + place * 1000) })
}
