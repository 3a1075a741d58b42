//! Why there is no connection to the broker, by who can change that: time or a person.

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;

use rumqttc::{ConnectReturnCode, ConnectionError};
use rustls::CertificateError;

use super::Address;

/// A connection that failed or ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answers there: it is tried again soon.
    #[error("the MQTT broker at {broker} cannot be reached: {why}")]
    Unreachable {
        /// Where it was looked for.
        broker: Address,
        /// The innermost cause.
        why: String,
    },
    /// A connection that stood has ended: it is made again soon.
    #[error("the connection to the MQTT broker at {broker} was lost: {why}")]
    Lost {
        /// Where it went.
        broker: Address,
        /// The innermost cause.
        why: String,
    },
    /// Wrong user or password, or none where one is asked for.
    #[error(
        "the MQTT broker at {broker} refuses {login}: check the user and the password of [mqtt] against those of \
         the broker (mosquitto_passwd)"
    )]
    Refused {
        /// Which broker.
        broker: Address,
        /// `the user "…" or its password`, or that none was given.
        login: String,
    },
    /// It speaks MQTT and still does not want us.
    #[error("the MQTT broker at {broker} does not accept the connection: {why}")]
    Unwelcome {
        /// Which broker.
        broker: Address,
        /// Its reason.
        why: &'static str,
    },
    /// TLS: its certificate is not believed.
    #[error("the certificate of the MQTT broker at {broker} is not accepted: {why}")]
    Certificate {
        /// Which broker.
        broker: Address,
        /// What is wrong with it and what to do.
        why: String,
    },
    /// TLS: it does not accept our certificate, or wants one.
    #[error(
        "the MQTT broker at {broker} ended the TLS handshake ({why}): if it asks for a client certificate, \
         set client_cert and client_key in [mqtt] to one that its CA has signed"
    )]
    ClientCertificate {
        /// Which broker.
        broker: Address,
        /// The alert it sent.
        why: String,
    },
    /// It sends without end what is not subscribed to.
    #[error("the MQTT broker at {broker} floods this program with messages that it has not subscribed to")]
    Flood {
        /// Which broker.
        broker: Address,
    },
    /// A file of the configuration cannot be used.
    #[error("{key} in [mqtt] names {}, which cannot be used: {why}", path.display())]
    File {
        /// The key in the configuration.
        key: &'static str,
        /// The file it names.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The certificate authorities of this machine cannot be read.
    #[error(
        "the certificate authorities of this machine cannot be read ({why}): install the package ca-certificates, \
         correct SSL_CERT_FILE, or set ca_file in [mqtt]"
    )]
    Authorities {
        /// What is wrong with them.
        why: String,
    },
    /// What answers is not a broker for MQTT 3.1.1, or TLS is spoken to a plain port.
    #[error("what answers at {broker} cannot be talked to: {why}")]
    Protocol {
        /// Where.
        broker: Address,
        /// What was odd.
        why: String,
    },
}

impl Error {
    /// Whether a person has to change something first, so that trying often is of no use.
    pub const fn needs_a_person(&self) -> bool {
        !matches!(self, Self::Unreachable { .. } | Self::Lost { .. })
    }

    /// Why no connection came about; `user` is the one that was sent.
    pub(super) fn at_connect(broker: &Address, user: Option<&str>, error: &ConnectionError) -> Self {
        let broker = broker.clone();
        if let Some(tls) = tls_cause(error) {
            return Self::by_tls(broker, tls);
        }
        match error {
            ConnectionError::ConnectionRefused(code) => Self::by_code(broker, user, *code),
            ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => {
                Self::Unreachable { broker, why: "it does not answer in time".to_owned() }
            }
            ConnectionError::Io(_) | ConnectionError::Tls(_) | ConnectionError::MqttState(_) => {
                let why = format!("{}{}", innermost(error), hung_up(&broker, error));
                Self::Unreachable { broker, why }
            }
            other => Self::Protocol { broker, why: innermost(other) },
        }
    }

    /// Why a connection that stood has ended.
    pub(super) fn later(broker: &Address, error: &ConnectionError) -> Self {
        let broker = broker.clone();
        match tls_cause(error) {
            // With TLS 1.3 a broker judges our certificate after the handshake.
            Some(tls @ rustls::Error::AlertReceived(_)) => Self::by_tls(broker, tls),
            _ => Self::Lost { broker, why: innermost(error) },
        }
    }

    fn by_code(broker: Address, user: Option<&str>, code: ConnectReturnCode) -> Self {
        let why = match code {
            ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
                let login = user.map_or_else(
                    || "a connection without a user".to_owned(),
                    |user| format!("the user {user:?} or its password"),
                );
                return Self::Refused { broker, login };
            }
            ConnectReturnCode::RefusedProtocolVersion => "it does not speak MQTT 3.1.1",
            ConnectReturnCode::BadClientId => {
                "it does not allow this program's client identifier; allow those that begin with enphased- at the broker"
            }
            ConnectReturnCode::ServiceUnavailable => "it says that it is unavailable",
            ConnectReturnCode::Success => "it answered in an odd way",
        };
        Self::Unwelcome { broker, why }
    }

    fn by_tls(broker: Address, error: &rustls::Error) -> Self {
        let why = match error {
            rustls::Error::AlertReceived(alert) => {
                return Self::ClientCertificate { broker, why: format!("{alert:?}") };
            }
            rustls::Error::InvalidCertificate(why) => why,
            rustls::Error::InvalidMessage(_) => {
                let why = "it does not speak TLS there; use its TLS port, or write mqtt://".to_owned();
                return Self::Protocol { broker, why };
            }
            other => return Self::Protocol { broker, why: other.to_string() },
        };
        let why = match why {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "its CA is not known here; set ca_file in [mqtt] to the certificate of the CA that signed it"
                    .to_owned()
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "it has expired; renew it at the broker, or set this machine's clock".to_owned()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "it is not valid yet; this machine's clock may be behind".to_owned()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!(
                    "it was not made for {:?}; write the name of the certificate in the address",
                    broker.host
                )
            }
            other => other.to_string(),
        };
        Self::Certificate { broker, why }
    }
}

/// The causes of an error, outermost first; an `io::Error` hides one that only it can show.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|inner| inner as &(dyn StdError + 'static)).or_else(|| error.source())
    })
}

/// What to try when the other side ends the connection at once: mosquitto's plain port does so to who begins
/// with TLS, and its TLS port to who does not.
fn hung_up(broker: &Address, error: &ConnectionError) -> &'static str {
    let kind = causes(error).find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    let aborted = matches!(error, ConnectionError::MqttState(_));
    let ended = matches!(kind, Some(io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof));
    match (aborted || ended, broker.tls) {
        (false, _) => "",
        (true, true) => "; if that port does not speak TLS, write mqtt://",
        (true, false) => "; if that port speaks TLS, write mqtts://",
    }
}

fn tls_cause(error: &ConnectionError) -> Option<&rustls::Error> {
    causes(error).find_map(<dyn StdError>::downcast_ref)
}

fn innermost(error: &ConnectionError) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker() -> Address {
        "mqtts://broker.lan".parse().unwrap()
    }

    fn over_tls(error: rustls::Error) -> ConnectionError {
        // As tokio-rustls hands it on.
        ConnectionError::Io(io::Error::new(io::ErrorKind::InvalidData, error))
    }

    #[test]
    fn a_wrong_password_names_the_user_and_never_the_password() {
        let error = ConnectionError::ConnectionRefused(ConnectReturnCode::NotAuthorized);
        let error = Error::at_connect(&broker(), Some("solar"), &error);
        assert!(error.needs_a_person());
        insta::assert_snapshot!(error, @r#"the MQTT broker at broker.lan:8883 refuses the user "solar" or its password: check the user and the password of [mqtt] against those of the broker (mosquitto_passwd)"#);
    }

    #[test]
    fn an_unknown_ca_says_which_key_to_set() {
        let error = over_tls(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer));
        let error = Error::at_connect(&broker(), None, &error);
        insta::assert_snapshot!(error, @"the certificate of the MQTT broker at broker.lan:8883 is not accepted: its CA is not known here; set ca_file in [mqtt] to the certificate of the CA that signed it");
    }

    #[test]
    fn a_closed_port_is_worth_trying_again() {
        let error = ConnectionError::Io(io::ErrorKind::ConnectionRefused.into());
        let error = Error::at_connect(&broker(), None, &error);
        assert!(!error.needs_a_person());
        insta::assert_snapshot!(error, @"the MQTT broker at broker.lan:8883 cannot be reached: connection refused");
    }

    #[test]
    fn an_alert_after_the_handshake_speaks_of_the_client_certificate() {
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired);
        let error = Error::later(&broker(), &over_tls(alert));
        assert!(matches!(error, Error::ClientCertificate { .. }), "{error}");
    }
}
