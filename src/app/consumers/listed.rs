//! The usage of the server by consumers: the state file `consumers.json`, and the lists for people and programs.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::tokens::ConsumerTokens;
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

/// The way in which a consumer is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// By its token.
    Token,
    /// By its address and its name.
    Program,
}

impl Kind {
    /// Returns the word for people and programs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Program => "program",
        }
    }
}

/// A consumer as others see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Listed {
    pub name: String,
    pub kind: Kind,
    pub address: String,
    pub program: String,
    /// Absent before the first request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
    pub requests: u64,
    pub refused: u64,
    pub streams: usize,
    pub active: bool,
    /// The ports of this machine that it has asked: those of the server and of the proxies.
    pub ports: Vec<u16>,
}

impl Listed {
    /// Describes a consumer that has a token and has not asked yet.
    pub fn unseen(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind: Kind::Token,
            address: String::new(),
            program: String::new(),
            first_seen: None,
            last_seen: None,
            requests: 0,
            refused: 0,
            streams: 0,
            active: false,
            ports: Vec::new(),
        }
    }

    /// Describes a consumer. One without a name is called by its program, or by its address.
    pub fn new(usage: &Usage, name: Option<&str>, streams: usize, active: bool) -> Self {
        let address = usage.address.to_string();
        let own = if usage.program.is_empty() { address.as_str() } else { usage.program.as_str() };
        Self {
            name: name.unwrap_or(own).to_owned(),
            kind: match usage.identity {
                Identity::Token(_) => Kind::Token,
                Identity::Program { .. } => Kind::Program,
            },
            address,
            program: usage.program.clone(),
            first_seen: Some(usage.first_seen),
            last_seen: Some(usage.last_seen),
            requests: usage.requests,
            refused: usage.refused,
            streams,
            active,
            ports: usage.ports.iter().copied().collect(),
        }
    }

    /// Returns `true` if the operator has given it this name.
    pub fn was_named(&self, name: &str) -> bool {
        let is_own = self.kind == Kind::Program && (self.program == name || self.address == name);
        self.name == name && !is_own
    }
}

/// Lists what each consumer has done, with the number of its streams and whether it is active, and the tokens that nobody
/// has used yet; the one that asked last first.
pub fn complete<'a>(
    usages: impl Iterator<Item = (&'a Usage, usize, bool)>,
    tokens: Option<&ConsumerTokens>,
) -> Vec<Listed> {
    let usages: Vec<_> = usages.collect();
    let mut list: Vec<Listed> = usages
        .iter()
        .map(|(usage, streams, active)| {
            let name = tokens.and_then(|tokens| tokens.name_of(&usage.identity));
            Listed::new(usage, name, *streams, *active)
        })
        .collect();
    for entry in tokens.into_iter().flat_map(ConsumerTokens::tokens) {
        let identity = Identity::Token(entry.id.clone());
        if !usages.iter().any(|(usage, _, _)| usage.identity == identity) {
            list.push(Listed::unseen(&entry.name));
        }
    }
    sort(&mut list);
    list
}

/// Sorts a list: the consumer that asked last first.
pub fn sort(list: &mut [Listed]) {
    list.sort_by(|a, b| b.last_seen.cmp(&a.last_seen).then_with(|| a.name.cmp(&b.name)));
}
