//! What consumers have done: the state file `consumers.json`, and the lists for people and programs.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::io::state_dir::{StateDir, Stored};
use crate::rules::access::consumers::{Identity, Usage};

/// The name of the file.
pub const NAME: &str = "consumers.json";

/// The content of the file with what consumers have done.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// The consumers.
    pub consumers: Vec<Usage>,
}

impl Seen {
    /// Reads the file. One that is missing or damaged counts as empty: nothing depends on it but a list for people.
    pub async fn read(state: &StateDir) -> Self {
        match state.read(NAME).await {
            Ok(Stored::Found(seen)) => seen,
            Ok(Stored::Absent | Stored::Damaged(_)) | Err(_) => Self::default(),
        }
    }
}

/// A consumer as others see it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Listed {
    pub name: String,
    /// `token` or `program`.
    pub kind: &'static str,
    pub address: String,
    pub program: String,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    pub requests: u64,
    pub refused: u64,
    pub streams: usize,
    pub active: bool,
}

impl Listed {
    /// Describes a consumer that has a token and has not asked yet.
    pub fn unseen(name: &str, created_at: Timestamp) -> Self {
        Self {
            name: name.to_owned(),
            kind: "token",
            address: String::new(),
            program: String::new(),
            first_seen: created_at,
            last_seen: created_at,
            requests: 0,
            refused: 0,
            streams: 0,
            active: false,
        }
    }

    /// Describes a consumer. One without a name is called by its program, or by its address.
    pub fn new(usage: &Usage, name: Option<&str>, streams: usize, active: bool) -> Self {
        let address = usage.address.to_string();
        let own = if usage.program.is_empty() { address.as_str() } else { usage.program.as_str() };
        Self {
            name: name.unwrap_or(own).to_owned(),
            kind: match usage.identity {
                Identity::Token(_) => "token",
                Identity::Program { .. } => "program",
            },
            address,
            program: usage.program.clone(),
            first_seen: usage.first_seen,
            last_seen: usage.last_seen,
            requests: usage.requests,
            refused: usage.refused,
            streams,
            active,
        }
    }
}
