//! A configuration in which nothing is left to check.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::secret::{Account, SecretSource};
use crate::base::reading::Serial;
use crate::base::secrets::Secret;
use crate::io::cloud;
use crate::io::gateway::Target;
use crate::io::gateway::address::Address;
use crate::io::mqtt;
use crate::output::domoticz::idx::Idx;

/// A configuration in which nothing is left to check.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it was read from; `None` when there is none.
    pub path: Option<PathBuf>,
    /// Where the state lies.
    pub state_dir: PathBuf,
    /// The zone whose midnight ends a day.
    pub zone: TimeZone,
    /// Where the cloud is.
    pub cloud: cloud::Addresses,
    /// The account to log in with.
    pub account: Account,
    /// Whether tokens that live for hours are renewed too.
    pub renew_short_tokens: bool,
    /// At least one.
    pub gateways: Vec<Gateway>,
    /// How many tables there are for them; without any, one gateway is found by mDNS.
    pub gateway_tables: usize,
    /// Readings on standard output.
    pub stdout: Option<Stdout>,
    /// Readings to a broker.
    pub mqtt: Option<Mqtt>,
    /// The files it names that hold a password or a key.
    pub secret_files: Vec<PathBuf>,
    /// What is allowed, and not wise.
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads the passwords now, because this process is about to lose the right to read them. One that cannot be read
    /// is reported where it is needed.
    pub fn hold_passwords(&mut self) {
        let gateways = self.gateways.iter_mut().map(|gateway| &mut gateway.password);
        gateways.chain([&mut self.account.password]).flatten().for_each(SecretSource::hold);
    }
}

/// One gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Where it is; `None` to find it by mDNS.
    pub address: Option<Address>,
    /// The only one accepted there.
    pub serial: Option<Serial>,
    /// From 1 s to 1 h.
    pub interval: Duration,
    /// Whether any certificate is accepted.
    pub insecure: bool,
    /// Whether live values are read, whose stream has to be enabled every 15 minutes.
    pub live_data: bool,
    /// For firmware before 7, in place of `envoy`.
    pub user: Option<String>,
    /// For firmware before 7, in place of the last six digits of the serial.
    pub password: Option<SecretSource>,
}

impl fmt::Display for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.address, &self.serial) {
            (Some(address), Some(serial)) => write!(f, "the gateway at {address} (serial {serial})"),
            (Some(address), None) => write!(f, "the gateway at {address}"),
            (None, Some(serial)) => write!(f, "the gateway with serial {serial}"),
            (None, None) => f.write_str("the gateway that is found by mDNS"),
        }
    }
}

impl Gateway {
    /// What is needed to open the gateway.
    pub fn target(&self) -> Target {
        Target {
            address: self.address.clone(),
            serial: self.serial.clone(),
            insecure: self.insecure,
            has_password: self.password.is_some(),
        }
    }
}

/// The forms of standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A line for people.
    Text,
    /// The document.
    Json,
    /// Messages for `domoticz/in`.
    Domoticz,
    /// Line protocol.
    Influx,
}

/// Standard output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stdout {
    /// In which form.
    pub format: Format,
    /// The devices in Domoticz.
    pub idx: Idx,
}

/// The broker and what goes there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of the file, and they do not depend on each other"
)]
pub struct Mqtt {
    /// Where it is.
    pub address: mqtt::Address,
    /// The user.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// The files for TLS.
    pub certificates: mqtt::certificates::Certificates,
    /// The first level of every topic of ours.
    pub prefix: String,
    /// Whether each value has a topic of its own.
    pub topics: bool,
    /// The first level of discovery topics; `None` for no discovery.
    pub discovery: Option<String>,
    /// Whether each inverter is announced.
    pub inverters: bool,
    /// Whether voltages, frequencies and temperatures are announced.
    pub details: bool,
    /// The devices in Domoticz.
    pub idx: Idx,
    /// Whether a poll and a look at the token may be asked for.
    pub commands: bool,
}
