//! The checked and completed configuration.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::secret::{Account, SecretSource};
use crate::base::reading::Serial;
use crate::base::secrets::Secret;
use crate::io::cloud;
use crate::io::gateway::Target;
use crate::io::gateway::address::Address;
use crate::io::http::Listen;
use crate::io::{mqtt, webhook};
use crate::output::domoticz::idx::Idx;
use crate::rules::access::Limits;

/// A checked and completed configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file that it was read from; `None` without a file.
    pub path: Option<PathBuf>,
    /// The state directory.
    pub state_dir: PathBuf,
    /// The time zone whose midnight ends a day.
    pub zone: TimeZone,
    /// The addresses of the cloud.
    pub cloud: cloud::Addresses,
    /// The account to log in with.
    pub account: Account,
    /// `true` if short-lived tokens are renewed automatically too.
    pub renew_short_tokens: bool,
    /// The gateways, at least one.
    pub gateways: Vec<Gateway>,
    /// The number of `[[gateway]]` tables. Without any, one gateway is located by mDNS.
    pub gateway_tables: usize,
    /// The output of readings to standard output.
    pub stdout: Option<Stdout>,
    /// The output of readings to a broker.
    pub mqtt: Option<Mqtt>,
    /// The HTTP server, and who may ask it or a proxy; `None` if there is neither.
    pub server: Option<Server>,
    /// The history; `None` if it is switched off.
    pub history: Option<History>,
    /// The delivery of alerts; `None` if there is none.
    pub alerts: Option<Alerts>,
    /// The configured files that contain a password or a key.
    pub secret_files: Vec<PathBuf>,
    /// Settings that are allowed but not recommended.
    pub warnings: Vec<String>,
}

impl Config {
    /// Returns every address to listen at, with the service that answers there.
    pub fn listens(&self) -> impl Iterator<Item = (Service, Listen)> {
        let server = self.server.iter().flat_map(|server| &server.listen);
        let proxies = self.gateways.iter().enumerate();
        let proxies = proxies.flat_map(|(place, gateway)| gateway.proxy.iter().map(move |at| (place, at)));
        let server = server.map(|listen| (Service::Server, *listen));
        server.chain(proxies.map(|(place, listen)| (Service::Proxy(place), *listen)))
    }

    /// Returns the longest poll interval of all gateways.
    pub fn longest_interval(&self) -> Duration {
        self.gateways.iter().map(|gateway| gateway.interval).max().unwrap_or_default()
    }

    /// Reads the passwords into memory, for a process that is about to lose the permission to read them. A password that
    /// cannot be read is reported where it is needed.
    pub fn load_passwords(&mut self) {
        let gateways = self.gateways.iter_mut().map(|gateway| &mut gateway.password);
        gateways.chain([&mut self.account.password]).flatten().for_each(SecretSource::load);
    }
}

/// The settings of one gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// The address; `None` to locate the gateway by mDNS.
    pub address: Option<Address>,
    /// The serial number that the gateway has to have.
    pub serial: Option<Serial>,
    /// The name in Domoticz and Home Assistant.
    pub name: Option<String>,
    /// The poll interval, from 1 s to 1 h.
    pub interval: Duration,
    /// `true` if any certificate is accepted.
    pub insecure: bool,
    /// Reads live values, whose stream has to be enabled every 15 minutes.
    pub live_data: bool,
    /// The user for firmware before 7, in place of `envoy`.
    pub user: Option<String>,
    /// The password for firmware before 7, in place of the last six digits of the serial number.
    pub password: Option<SecretSource>,
    /// The addresses at which other programs get the gateway's pages.
    pub proxy: Vec<Listen>,
    /// The serial number that `/info` shows there, in place of the gateway's own.
    pub proxy_serial: Option<Serial>,
}

impl fmt::Display for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.address, &self.serial) {
            (Some(address), Some(serial)) => write!(f, "the gateway at {address} (serial {serial})"),
            (Some(address), None) => write!(f, "the gateway at {address}"),
            (None, Some(serial)) => write!(f, "the gateway with serial {serial}"),
            (None, None) => f.write_str("the gateway that is located by mDNS"),
        }
    }
}

impl Gateway {
    /// Returns the address, or else what distinguishes the gateway from the others.
    pub fn place(&self) -> String {
        match (&self.address, &self.serial) {
            (Some(address), _) => address.to_string(),
            (None, Some(serial)) => serial.to_string(),
            (None, None) => "mdns".to_owned(),
        }
    }

    /// Returns `true` if a poller of `other` need not be restarted for these settings: they differ in nothing but the
    /// addresses of the proxy and what it shows.
    pub fn is_polled_like(&self, other: &Self) -> bool {
        let polled = |gateway: &Self| Self { proxy: Vec::new(), proxy_serial: None, ..gateway.clone() };
        // Without a proxy no pages are kept.
        self.proxy.is_empty() == other.proxy.is_empty() && polled(self) == polled(other)
    }

    /// Returns the settings for opening the gateway.
    pub fn target(&self) -> Target {
        Target {
            address: self.address.clone(),
            serial: self.serial.clone(),
            insecure: self.insecure,
            has_password: self.password.is_some(),
        }
    }
}

/// The settings of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The time for which 5-minute samples are kept. Days are kept for ever.
    pub keep: SignedDuration,
}

/// The delivery of alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alerts {
    /// The address that receives them.
    pub address: webhook::Address,
    /// The format of the messages.
    pub format: AlertFormat,
}

/// The format of alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertFormat {
    /// A text with a title in a header, as for ntfy.
    Text,
    /// A JSON object.
    Json,
}

/// The formats of standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A line for people.
    Text,
    /// The JSON document.
    Json,
    /// Messages for `domoticz/in`.
    Domoticz,
    /// The line protocol of InfluxDB.
    Influx,
}

/// The settings of standard output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stdout {
    /// The format.
    pub format: Format,
    /// The devices in Domoticz.
    pub idx: Idx,
}

/// The settings of the broker and of what is published there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of the file, and they do not depend on each other"
)]
pub struct Mqtt {
    /// The address of the broker.
    pub address: mqtt::Address,
    /// The user.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// The files for TLS.
    pub certificates: mqtt::certificates::Certificates,
    /// The first level of every topic.
    pub prefix: String,
    /// `true` if each value is also published on a topic of its own.
    pub topics: bool,
    /// The first level of discovery topics; `None` for no discovery.
    pub discovery: Option<String>,
    /// `true` if discovery includes each inverter.
    pub inverters: bool,
    /// `true` if phases and the details of inverters are enabled from the start.
    pub details: bool,
    /// The devices in Domoticz.
    pub idx: Idx,
    /// `true` if MQTT messages may request a poll or a check of the token.
    pub commands: bool,
}

/// The service that answers at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The server.
    Server,
    /// The proxy for the gateway at this index.
    Proxy(usize),
}

/// The default maximum number of connections of all listeners.
pub const MAX_CONNECTIONS: usize = 128;

/// The settings of the HTTP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The addresses to listen at; none if only proxies are configured.
    pub listen: Vec<Listen>,
    /// Names of this machine, besides its own, under which it may be asked.
    pub host_names: Vec<String>,
    /// The origins of web pages elsewhere that may read.
    pub allow_origins: Vec<String>,
    /// The address of a proxy that has checked who asks, and passes on the name that it was asked by.
    pub ingress: Option<IpAddr>,
    /// The maximum number of connections.
    pub max_connections: usize,
    /// The limits for consumers.
    pub limits: Limits,
}

impl Server {
    /// Returns whether an address is for TLS.
    pub fn uses_tls(&self) -> bool {
        self.listen.iter().any(|listen| listen.tls)
    }
}
