//! Why there is no connection to the broker.

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;

use rumqttc::{ConnectReturnCode, ConnectionError};
use rustls::CertificateError;

use super::Address;
use crate::base::causes::{causes, innermost};

/// A connection that failed or ended.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the names of the fields say it")]
pub enum Error {
    /// No response; retried soon.
    #[error("the MQTT broker at {broker} cannot be reached: {why}")]
    Unreachable { broker: Address, why: String },
    /// An established connection ended; retried soon.
    #[error("the connection to the MQTT broker at {broker} was lost: {why}")]
    Lost { broker: Address, why: String },
    /// Wrong user or password, or none although the broker requires one.
    #[error(
        "the MQTT broker at {broker} refused {login}: check the user and the password of [mqtt] against those of \
         the broker (mosquitto_passwd)"
    )]
    Refused {
        broker: Address,
        /// `the user "…" or its password`, or that none was given.
        login: String,
    },
    /// The broker rejected the connection for another reason.
    #[error("the MQTT broker at {broker} rejected the connection: {why}")]
    Rejected { broker: Address, why: &'static str },
    /// The certificate of the broker is not trusted.
    #[error("the certificate of the MQTT broker at {broker} is not accepted: {why}")]
    Certificate {
        broker: Address,
        /// The problem with the certificate, and the solution.
        why: String,
    },
    /// The broker did not accept the client certificate, or requires one.
    #[error(
        "the MQTT broker at {broker} ended the TLS handshake ({why}): if it requires a client certificate, \
         set client_cert and client_key in [mqtt] to one that its CA has signed"
    )]
    ClientCertificate {
        broker: Address,
        /// The TLS alert.
        why: String,
    },
    /// The broker keeps sending messages without a subscription.
    #[error("the MQTT broker at {broker} floods this program with messages to which it has not subscribed")]
    Flood { broker: Address },
    /// A file of the configuration cannot be used.
    #[error("cannot use the file of {key} in [mqtt], {}: {why}", path.display())]
    File {
        /// The key in the configuration.
        key: &'static str,
        path: PathBuf,
        why: String,
    },
    /// The certificate authorities of this machine cannot be read.
    #[error(
        "the certificate authorities of this machine cannot be read ({why}): install the package ca-certificates, \
         correct SSL_CERT_FILE, or set ca_file in [mqtt]"
    )]
    Authorities { why: String },
    /// The server does not speak MQTT 3.1.1, or only one side uses TLS.
    #[error("the server at {broker} does not respond like an MQTT broker: {why}")]
    Protocol { broker: Address, why: String },
}

impl Error {
    /// Returns whether a person has to change something first, so that frequent retries are useless.
    pub const fn needs_a_person(&self) -> bool {
        !matches!(self, Self::Unreachable { .. } | Self::Lost { .. })
    }

    /// Returns the error for a failed attempt to connect as `user`.
    pub(super) fn at_connect(broker: &Address, user: Option<&str>, error: &ConnectionError) -> Self {
        let broker = broker.clone();
        if let Some(tls) = tls_cause(error) {
            return Self::by_tls(broker, tls);
        }
        match error {
            ConnectionError::ConnectionRefused(code) => Self::by_code(broker, user, *code),
            ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => {
                Self::Unreachable { broker, why: "it did not respond in time".to_owned() }
            }
            ConnectionError::Io(_) | ConnectionError::Tls(_) | ConnectionError::MqttState(_) => {
                let why = format!("{}{}", innermost(error), scheme_advice(&broker, error));
                Self::Unreachable { broker, why }
            }
            other => Self::Protocol { broker, why: innermost(other) },
        }
    }

    /// Returns the error for an established connection that ended.
    pub(super) fn after_connect(broker: &Address, error: &ConnectionError) -> Self {
        let broker = broker.clone();
        match tls_cause(error) {
            // With TLS 1.3 a broker checks the client certificate after the handshake.
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
            ConnectReturnCode::ServiceUnavailable => "it reports that it is unavailable",
            ConnectReturnCode::Success => "it returned an unexpected code",
        };
        Self::Rejected { broker, why }
    }

    fn by_tls(broker: Address, error: &rustls::Error) -> Self {
        let why = match error {
            rustls::Error::AlertReceived(alert) => {
                return Self::ClientCertificate { broker, why: format!("{alert:?}") };
            }
            rustls::Error::InvalidCertificate(why) => why,
            rustls::Error::InvalidMessage(_) => {
                let why = "this port does not speak TLS; use the TLS port, or write mqtt://".to_owned();
                return Self::Protocol { broker, why };
            }
            other => return Self::Protocol { broker, why: other.to_string() },
        };
        let why = match why {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "its CA is unknown; set ca_file in [mqtt] to the certificate of the CA that signed it"
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
                    "it is not valid for {:?}; use the name in the certificate as the host in url",
                    broker.host
                )
            }
            other => other.to_string(),
        };
        Self::Certificate { broker, why }
    }
}

/// Returns advice for a connection that the broker closed at once. The plain port of mosquitto does so when a client
/// begins with TLS, and the TLS port when it does not.
fn scheme_advice(broker: &Address, error: &ConnectionError) -> &'static str {
    let kind = causes(error).find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    let aborted = matches!(error, ConnectionError::MqttState(_));
    let closed = matches!(kind, Some(io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof));
    match (aborted || closed, broker.tls) {
        (false, _) => "",
        (true, true) => "; if that port does not speak TLS, write mqtt://",
        (true, false) => "; if that port speaks TLS, write mqtts://",
    }
}

fn tls_cause(error: &ConnectionError) -> Option<&rustls::Error> {
    causes(error).find_map(<dyn StdError>::downcast_ref)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker() -> Address {
        "mqtts://broker.lan".parse().unwrap()
    }

    fn over_tls(error: rustls::Error) -> ConnectionError {
        // As tokio-rustls returns it.
        ConnectionError::Io(io::Error::new(io::ErrorKind::InvalidData, error))
    }

    #[test]
    fn a_wrong_password_names_the_user_and_never_the_password() {
        let error = ConnectionError::ConnectionRefused(ConnectReturnCode::NotAuthorized);
        let error = Error::at_connect(&broker(), Some("solar"), &error);
        assert!(error.needs_a_person());
        insta::assert_snapshot!(error, @r#"the MQTT broker at broker.lan:8883 refused the user "solar" or its password: check the user and the password of [mqtt] against those of the broker (mosquitto_passwd)"#);
    }

    #[test]
    fn an_unknown_ca_says_which_key_to_set() {
        let error = over_tls(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer));
        let error = Error::at_connect(&broker(), None, &error);
        insta::assert_snapshot!(error, @"the certificate of the MQTT broker at broker.lan:8883 is not accepted: its CA is unknown; set ca_file in [mqtt] to the certificate of the CA that signed it");
    }

    #[test]
    fn a_closed_port_is_retried_soon() {
        let error = ConnectionError::Io(io::ErrorKind::ConnectionRefused.into());
        let error = Error::at_connect(&broker(), None, &error);
        assert!(!error.needs_a_person());
        insta::assert_snapshot!(error, @"the MQTT broker at broker.lan:8883 cannot be reached: connection refused");
    }

    #[test]
    fn an_alert_after_the_handshake_means_the_client_certificate() {
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired);
        let error = Error::after_connect(&broker(), &over_tls(alert));
        assert!(matches!(error, Error::ClientCertificate { .. }), "{error}");
    }
}
