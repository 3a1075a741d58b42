//! The certificate authorities that this machine trusts.
//!
//! The libraries open whatever `SSL_CERT_FILE` names. A FIFO would be waited for, on the only thread, and a device such as
//! `/dev/zero` would fill the memory; both are refused before.

use std::fs;
use std::path::{Path, PathBuf};

use rustls::{ClientConfig, Error as TlsError};
use rustls_platform_verifier::BuilderVerifierExt;

use super::provider;
use crate::io::files;

/// A system's whole list has 200 kB.
const LARGEST: u64 = 4 << 20;

/// The authorities cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file with their list is none.
    #[error("{}: {source}", path.display())]
    File {
        /// The standard one, or what `SSL_CERT_FILE` names.
        path: PathBuf,
        /// What is wrong with it.
        source: files::Error,
    },
    /// The list holds nothing that is of use.
    #[error(transparent)]
    List(#[from] TlsError),
}

/// TLS to whoever shows a certificate of one of them. They are read from disk and kept in memory: build it when a
/// connection is due and drop it after.
pub fn authorities_config() -> Result<ClientConfig, Error> {
    if let Some(list) = openssl_probe::probe().cert_file {
        expect_list(&list).map_err(|source| Error::File { path: list, source })?;
    }
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    Ok(builder.with_platform_verifier()?.with_no_client_auth())
}

fn expect_list(path: &Path) -> Result<(), files::Error> {
    let metadata = fs::metadata(path)?;
    files::expect_regular(&metadata)?;
    if metadata.len() > LARGEST { Err(files::Error::TooLarge(LARGEST)) } else { Ok(()) }
}
