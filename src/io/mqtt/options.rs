//! The options of a connection to the broker.

use std::io;

use rumqttc::{LastWill, MqttOptions, NetworkOptions, QoS, Transport};
use tokio::net::TcpStream;

use super::certificates::Certificates;
use super::{Address, Error};
use crate::base::message::Message;
use crate::base::secrets::Secret;
use crate::io::resolve;

/// The size limit in bytes of a published message. A reading with a thousand inverters is shorter; some brokers accept
/// no longer messages.
pub const MAX_MESSAGE: usize = 1 << 20;
/// The size limit in bytes of a received message. All expected messages are a word.
const MAX_INCOMING: usize = 16 << 10;
/// The keep-alive interval in seconds. The broker publishes the last will after one and a half intervals without a
/// packet.
const KEEP_ALIVE: u16 = 20;

/// The options of a connection. `Debug` hides the password.
#[derive(Clone, Debug)]
pub struct Options {
    /// The address of the broker.
    pub address: Address,
    /// The user; `None` for a broker without authentication.
    pub user: Option<String>,
    /// The password of the user.
    pub password: Option<Secret>,
    /// The files for TLS.
    pub certificates: Certificates,
    /// The client identifier. Two clients with the same one disconnect each other. It stays the same for the life of
    /// the process, so that the broker replaces a dead connection at once.
    pub client_id: String,
    /// The last will, which the broker publishes when the connection breaks.
    pub will: Option<Message>,
    /// The number of messages that may arrive at once before they count as a flood; [`BURST`](super::BURST) for a
    /// daemon.
    pub burst: u32,
}

impl Options {
    /// Checks that the files for TLS can be used, without connecting.
    pub fn check(&self) -> Result<(), Error> {
        self.settings().map(drop)
    }

    pub(super) fn settings(&self) -> Result<MqttOptions, Error> {
        let broker = (self.address.host.as_str(), self.address.port);
        let mut settings = MqttOptions::new(self.client_id.as_str(), broker);
        if self.address.tls {
            settings.set_transport(Transport::tls_with_config(self.certificates.read()?));
        }
        match (&self.user, &self.password) {
            (Some(user), Some(password)) => {
                settings.set_credentials(user.as_str(), password.expose().to_owned());
            }
            (Some(user), None) => {
                settings.set_username(user.as_str());
            }
            (None, _) => {}
        }
        if let Some(will) = &self.will {
            let will =
                LastWill::new(will.topic.as_str(), will.payload.as_str(), QoS::AtLeastOnce, will.retain);
            settings.set_last_will(will);
        }
        let Address { host, port, .. } = self.address.clone();
        settings.set_socket_connector(move |_, network| connect(host.clone(), port, network));
        settings.set_clean_session(true).set_keep_alive(KEEP_ALIVE);
        settings.set_max_packet_size(MAX_INCOMING, MAX_MESSAGE).set_max_request_batch(16);
        Ok(settings)
    }
}

/// Connects to the first address of the broker that accepts a connection.
async fn connect(host: String, port: u16, network: NetworkOptions) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
    for address in resolve::resolve(&host, port).await? {
        match rumqttc::default_socket_connect(address.to_string(), network.clone()).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}
