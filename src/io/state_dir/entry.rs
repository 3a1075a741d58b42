//! An entry of the state directory, as `check` reports it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// An entry of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Entry {
    pub name: String,
    /// The owner.
    pub uid: u32,
    /// The permission bits.
    pub mode: u32,
    /// `true` for a regular file.
    pub is_file: bool,
    /// The length in bytes.
    pub length: u64,
    /// The time of the last change, in seconds since 1970.
    pub modified: i64,
}

impl Entry {
    pub(super) fn new(name: String, data: &Metadata) -> Self {
        Self {
            name,
            uid: data.uid(),
            mode: data.mode() & 0o7777,
            is_file: data.is_file(),
            length: data.len(),
            modified: data.mtime(),
        }
    }
}
