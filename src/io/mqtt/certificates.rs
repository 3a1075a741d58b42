//! TLS to the broker: the trusted CA, and the client certificate.

use std::path::{Path, PathBuf};

use rumqttc::TlsConfiguration;
use rustls::pki_types::pem::{Error as Pem, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use zeroize::Zeroizing;

use super::Error;
use crate::io::files;
use crate::io::tls::{self, authorities_config};

/// The size limit of a file. The list of all CAs of a system has 200 kB.
const MAX_FILE: u64 = 4 << 20;

/// The files for TLS, all in PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificates {
    /// The certificate of the CA that signed the broker's certificate; `None` to trust the CAs of the system.
    pub ca_file: Option<PathBuf>,
    /// The client certificate, for brokers that require one.
    pub client_cert: Option<PathBuf>,
    /// The key of `client_cert`; `None` if that file contains both.
    pub client_key: Option<PathBuf>,
}

impl Certificates {
    /// Reads the files. This is done at each attempt to connect, so that renewed files need no restart.
    pub(super) fn read(&self) -> Result<TlsConfiguration, Error> {
        let Some(ca_file) = &self.ca_file else {
            return self.with_system_roots();
        };
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(certificates("ca_file", ca_file)?);
        if added == 0 {
            return Err(unusable("ca_file", ca_file, "it contains no certificate of a CA"));
        }
        let builder = ClientConfig::builder_with_provider(tls::provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable("ca_file", ca_file, &error.to_string()))?
            .with_root_certificates(roots);
        let Some(client_cert) = &self.client_cert else {
            return Ok(builder.with_no_client_auth().into());
        };
        let chain = certificates("client_cert", client_cert)?;
        let (key_name, key_file) = match &self.client_key {
            Some(file) => ("client_key", file),
            None => ("client_cert", client_cert),
        };
        let key = PrivateKeyDer::from_pem_slice(&read(key_name, key_file)?)
            .map_err(|error| unusable(key_name, key_file, &describe_pem_error(&error, "private key")))?;
        let config = builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| unusable(key_name, key_file, &error.to_string()))?;
        Ok(config.into())
    }

    fn with_system_roots(&self) -> Result<TlsConfiguration, Error> {
        if let Some(client_cert) = &self.client_cert {
            let why = "a client certificate also requires ca_file (for a public CA the list of the system, on Debian \
                       /etc/ssl/certs/ca-certificates.crt)";
            return Err(unusable("client_cert", client_cert, why));
        }
        let config = authorities_config().map_err(|error| Error::Authorities { why: error.to_string() })?;
        Ok(config.into())
    }
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let bytes = read(key, path)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(key, path, &describe_pem_error(&error, "certificate")))?;
    if chain.is_empty() {
        return Err(unusable(key, path, "it contains no certificate in PEM format"));
    }
    Ok(chain)
}

/// Reads the file that `key` names. It may contain a private key, so the content is wiped.
fn read(key: &'static str, path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    files::read_bounded(path, MAX_FILE).map_err(|error| unusable(key, path, &error.to_string()))
}

fn describe_pem_error(error: &Pem, wanted: &str) -> String {
    match error {
        Pem::NoItemsFound => format!("it contains no {wanted} in PEM format"),
        other => other.to_string(),
    }
}

fn unusable(key: &'static str, path: &Path, why: &str) -> Error {
    Error::File { key, path: path.to_owned(), why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_invalid_ca_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let ca = dir.path().join("ca.pem");
        let read = |file: &Path| {
            let certificates = Certificates { ca_file: Some(file.to_owned()), ..Certificates::default() };
            certificates.read().unwrap_err().to_string()
        };
        assert!(read(&ca).contains("No such file"), "{}", read(&ca));
        fs::write(&ca, "-----BEGIN NOTHING-----\n").unwrap();
        assert!(read(&ca).starts_with("cannot use the file of ca_file in [mqtt], "), "{}", read(&ca));
        fs::write(&ca, "hello").unwrap();
        assert!(read(&ca).contains("it contains no certificate"), "{}", read(&ca));
        let zero = read(Path::new("/dev/zero"));
        assert!(zero.contains("it is a device, not a regular file"), "{zero}");
    }

    #[test]
    fn a_client_certificate_alone_is_not_enough() {
        let certificates =
            Certificates { client_cert: Some("/x/client.pem".into()), ..Certificates::default() };
        assert!(certificates.read().unwrap_err().to_string().contains("requires ca_file"));
    }
}
