//! The key and the certificate of this daemon's TLS listeners, made once and kept in the state directory.
//!
//! The certificate is signed by itself and names this machine. No program that talks to a gateway checks it; a person can
//! compare the fingerprint of its key with the one that `enphased check` shows.

use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use tokio_rustls::TlsAcceptor;

use crate::base::secrets::{self, Secret};
use crate::io::state_dir::{self, StateDir, Stored};
use crate::io::tls::{Fingerprint, provider};

/// The name of the file.
pub const NAME: &str = "server-key.json";
/// The common name in the certificate.
const COMMON_NAME: &str = "enphased";

/// A key with its certificate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Certificate {
    #[serde(serialize_with = "secrets::store")]
    key: Secret,
    certificate: String,
}

/// The reason that there is no key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] state_dir::Error),
    /// The library could not make a key, or refused it.
    #[error("cannot make a key for the TLS listeners: {0}")]
    Made(String),
}

impl Certificate {
    /// Returns the stored key, or makes and stores one. A damaged file is set aside and replaced: its fingerprint changes.
    pub async fn of(state: &StateDir, names: &[String]) -> Result<Self, Error> {
        if let Some(stored) = Self::stored(state).await? {
            return Ok(stored);
        }
        let made = Self::make(names)?;
        state.write(NAME, &made).await?;
        Ok(made)
    }

    /// Returns the stored key, if there is one.
    pub async fn stored(state: &StateDir) -> Result<Option<Self>, Error> {
        match state.read::<Self>(NAME).await? {
            Stored::Found(stored) if stored.acceptor().is_ok() => Ok(Some(stored)),
            Stored::Found(_) | Stored::Damaged(_) => {
                tracing::warn!(
                    "the key of the TLS listeners is damaged; another is made, with another fingerprint"
                );
                Ok(None)
            }
            Stored::Absent => Ok(None),
        }
    }

    fn make(names: &[String]) -> Result<Self, Error> {
        let failed = |error: rcgen::Error| Error::Made(error.to_string());
        let mut alternative: Vec<String> = vec!["localhost".to_owned()];
        alternative.extend(names.iter().cloned());
        let mut params = CertificateParams::new(alternative).map_err(failed)?;
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, COMMON_NAME);
        params.distinguished_name = name;
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.self_signed(&key).map_err(failed)?;
        Ok(Self { key: Secret::new(key.serialize_pem()), certificate: certificate.pem() })
    }

    /// Returns what accepts TLS connections (1.2 or 1.3) with this key.
    pub fn acceptor(&self) -> Result<TlsAcceptor, Error> {
        let failed = |error: &dyn std::error::Error| Error::Made(error.to_string());
        let key =
            PrivateKeyDer::from_pem_slice(self.key.expose().as_bytes()).map_err(|error| failed(&error))?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(&error))?
            .with_no_client_auth()
            .with_single_cert(vec![self.der()?], key)
            .map_err(|error| failed(&error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Returns the fingerprint of the public key, as `check` shows it.
    pub fn fingerprint(&self) -> Result<Fingerprint, Error> {
        Fingerprint::of(&self.der()?).map_err(|error| Error::Made(error.to_string()))
    }

    fn der(&self) -> Result<CertificateDer<'static>, Error> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes())
            .map_err(|error| Error::Made(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_key_is_made_once_and_a_damaged_one_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        let names = ["solarpi".to_owned()];
        let first = Certificate::of(&state, &names).await.unwrap().fingerprint().unwrap();
        let again = Certificate::of(&state, &names).await.unwrap();
        assert_eq!(again.fingerprint().unwrap(), first);
        assert!(!format!("{again:?}").contains("PRIVATE"), "the key is not printed");
        std::fs::write(dir.path().join(NAME), "{\"key\":\"\",\"certificate\":\"\"}").unwrap();
        let replaced = Certificate::of(&state, &names).await.unwrap().fingerprint().unwrap();
        assert_ne!(replaced, first);
    }
}
