//! How to reach a broker and what to leave there.

use std::io;

use rumqttc::{LastWill, MqttOptions, NetworkOptions, QoS, Transport};
use tokio::net::TcpStream;

use super::certificates::Certificates;
use super::{Address, Error};
use crate::base::message::Message;
use crate::base::secrets::Secret;
use crate::io::resolve;

/// The longest message that is sent. A reading with a thousand inverters stays below; some brokers take no longer one.
pub const LARGEST: usize = 1 << 20;
/// The longest message that is read. All that is listened to is a word.
const LARGEST_INCOMING: usize = 16 << 10;
/// Seconds of silence after which the broker is asked whether it lives. It publishes the last will after one
/// and a half of them.
const KEEP_ALIVE: u16 = 20;

/// What a connection is made from. Its `Debug` hides the password.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the broker is.
    pub address: Address,
    /// The user; `None` for a broker that asks for none.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// The files for TLS.
    pub certificates: Certificates,
    /// Our name at the broker. No two clients may have the same, or they throw each other out; it stays the
    /// same for the life of the process, so that the broker sees at once that an old connection is dead.
    pub client_id: String,
    /// What the broker publishes when the connection breaks off.
    pub will: Option<Message>,
    /// How many messages may come at once, before they are a flood; [`WORDS`](super::WORDS) for a daemon.
    pub burst: u32,
}

impl Options {
    /// Reads the files for TLS as a connection would, for who wants to know before.
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
        settings.set_max_packet_size(LARGEST_INCOMING, LARGEST).set_max_request_batch(16);
        Ok(settings)
    }
}

/// To the first address of the broker that answers.
async fn connect(host: String, port: u16, network: NetworkOptions) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in resolve::resolve(&host, port).await? {
        match rumqttc::default_socket_connect(address.to_string(), network.clone()).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}
