//! The configuration as it is written: every key optional, unknown ones reported with the nearest known name.

use std::path::PathBuf;

use serde::Deserialize;

use super::error::Problem;
use crate::output::domoticz::idx::Idx;

/// Every key with what it means.
pub const EXAMPLE: &str = include_str!("example.toml");

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct File {
    pub(super) state_dir: Option<PathBuf>,
    pub(super) time_zone: Option<String>,
    pub(super) cloud: CloudTable,
    pub(super) gateway: Vec<GatewayTable>,
    pub(super) stdout: Option<StdoutTable>,
    pub(super) mqtt: Option<MqttTable>,
}

impl File {
    /// The files that hold a password or a key. A certificate without a key file beside it holds its key too.
    pub(super) fn secret_files(&self) -> Vec<PathBuf> {
        let mqtt = self.mqtt.iter().flat_map(|mqtt| {
            [mqtt.password_file.as_ref(), mqtt.client_key.as_ref().or(mqtt.client_cert.as_ref())]
        });
        let gateways = self.gateway.iter().map(|gateway| gateway.password_file.as_ref());
        gateways.chain([self.cloud.password_file.as_ref()]).chain(mqtt).flatten().cloned().collect()
    }
}

/// `[cloud]`
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CloudTable {
    pub(super) username: Option<String>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) enlighten_url: Option<String>,
    pub(super) entrez_url: Option<String>,
    pub(super) renew_short_tokens: Option<bool>,
}

/// `[[gateway]]`
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct GatewayTable {
    pub(super) address: Option<String>,
    pub(super) serial: Option<String>,
    pub(super) interval: Option<String>,
    pub(super) tls: Option<String>,
    pub(super) livedata: Option<bool>,
    pub(super) user: Option<String>,
    pub(super) password_file: Option<PathBuf>,
}

/// `[stdout]`
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct StdoutTable {
    pub(super) format: Option<String>,
    pub(super) domoticz: Option<Idx>,
}

/// `[mqtt]`
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct MqttTable {
    pub(super) url: Option<String>,
    pub(super) prefix: Option<String>,
    pub(super) user: Option<String>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) client_cert: Option<PathBuf>,
    pub(super) client_key: Option<PathBuf>,
    pub(super) topics: Option<bool>,
    pub(super) homeassistant: Option<bool>,
    pub(super) discovery_prefix: Option<String>,
    pub(super) inverters: Option<bool>,
    pub(super) details: Option<bool>,
    pub(super) domoticz: Option<Idx>,
    pub(super) commands: Option<bool>,
}

/// Reads the text of a configuration file.
pub(super) fn parse(text: &str) -> Result<File, Vec<Problem>> {
    let problem = |error: toml::de::Error| vec![problem(text, &error)];
    let deserializer = toml::Deserializer::parse(text).map_err(problem)?;
    let mut unknown = Vec::new();
    let file: File =
        serde_ignored::deserialize(deserializer, |path| unknown.push(path.to_string())).map_err(problem)?;
    if unknown.is_empty() { Ok(file) } else { Err(unknown.iter().map(|path| unknown_key(path)).collect()) }
}

/// What the parser found, and in which line. The line itself is not shown: people put passwords into files.
fn problem(text: &str, error: &toml::de::Error) -> Problem {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map(|before| format!("line {}: ", before.matches('\n').count() + 1));
    Problem(format!("{}{}", line.unwrap_or_default(), error.message()))
}

/// `path` is written like `gateway.0.intervall`.
fn unknown_key(path: &str) -> Problem {
    let mut parts = path.split('.').filter(|part| part.parse::<usize>().is_err() && *part != "?");
    let key = parts.next_back().unwrap_or(path);
    let table = parts.next().unwrap_or_default();
    let place = if table.is_empty() { String::new() } else { format!(" in [{table}]") };
    let advice = match nearest(table, key) {
        _ if key == "password" => {
            "; secrets do not belong into this file: write the password into a file of its own and name it with \
             `password_file`"
                .to_owned()
        }
        Some(known) => format!("; did you mean `{known}`?"),
        None => "; `enphased config example` shows every key".to_owned(),
    };
    Problem(format!("unknown key `{key}`{place}{advice}"))
}

/// The known key of `table` that is most like `key`, if one is like it at all.
fn nearest(table: &str, key: &str) -> Option<&'static str> {
    let likeness = |known: &&str| strsim::jaro_winkler(known, key);
    let best = known_keys(table).max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(&best) > 0.8).then_some(best)
}

/// The keys of `table`, from the example, which shows every one.
pub(super) fn known_keys(table: &str) -> impl Iterator<Item = &'static str> {
    let mut current = "";
    EXAMPLE.lines().filter_map(move |line| {
        let line = line.trim_start_matches('#');
        if line.starts_with('[') {
            current = line.trim_matches(['[', ']']);
            // A table is a key of the file itself.
            return (table.is_empty()).then_some(current);
        }
        let (key, _) = line.split_once(" = ")?;
        let is_key = key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        (is_key && current == table).then_some(key)
    })
}
