//! The certificate authorities that this machine trusts.
//!
//! The libraries open any path in `SSL_CERT_FILE`. A FIFO would block the only thread, and a device such as `/dev/zero`
//! would fill the memory, so both are refused before.

use std::fs;
use std::path::{Path, PathBuf};

use rustls::{ClientConfig, Error as TlsError};
use rustls_platform_verifier::BuilderVerifierExt;

use super::provider::provider;
use crate::io::files;

/// The size limit of the list. The list of all authorities of a system has 200 kB.
const MAX_FILE: u64 = 4 << 20;

/// Why the authorities cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The list is not a usable file.
    #[error("{}: {source}", path.display())]
    File {
        /// The standard path, or the one in `SSL_CERT_FILE`.
        path: PathBuf,
        /// The problem with the file.
        source: files::Error,
    },
    /// The list contains no usable certificate.
    #[error(transparent)]
    List(#[from] TlsError),
}

/// Returns the configuration for TLS that trusts these authorities. They are read from disk and take memory, so create
/// it when a connection is due and drop it afterwards.
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
    if metadata.len() > MAX_FILE { Err(files::Error::TooLarge(MAX_FILE)) } else { Ok(()) }
}
