//! The first step: parses the file. Every key is optional, and unknown keys are reported with the most similar known one.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::error::{MAX_PROBLEMS, Problem};
use crate::base::secrets::Secret;
use crate::base::similar::most_similar;
use crate::output::domoticz::idx::Idx;

/// An example configuration with every key and its meaning.
pub const EXAMPLE: &str = include_str!("example.toml");

/// The content of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct File {
    pub(super) state_dir: Option<PathBuf>,
    pub(super) time_zone: Option<String>,
    pub(super) cloud: CloudTable,
    pub(super) gateway: Vec<GatewayTable>,
    pub(super) stdout: Option<StdoutTable>,
    pub(super) mqtt: Option<MqttTable>,
    pub(super) server: Option<ServerTable>,
    pub(super) history: Option<HistoryTable>,
    pub(super) alerts: Option<AlertsTable>,
}

impl File {
    /// Returns the files that contain a password or a key. Without a key file, the certificate's file contains the key. The
    /// address for alerts may contain a secret, and then so does the configuration, which is at `path`.
    pub(super) fn secret_files(&self, path: Option<&Path>) -> Vec<PathBuf> {
        let mqtt = self.mqtt.iter().flat_map(|mqtt| {
            [mqtt.password_file.as_ref(), mqtt.client_key.as_ref().or(mqtt.client_cert.as_ref())]
        });
        let gateways = self.gateway.iter().map(|gateway| gateway.password_file.as_ref());
        let alerts = self.alerts.iter().map(|alerts| alerts.url_file.as_ref());
        let whole = self.alerts.iter().filter(|alerts| alerts.url.is_some()).filter_map(|_| path);
        let others = [self.cloud.password_file.as_ref()];
        gateways
            .chain(others)
            .chain(mqtt)
            .chain(alerts)
            .flatten()
            .map(PathBuf::as_path)
            .chain(whole)
            .map(Path::to_owned)
            .collect()
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
    pub(super) name: Option<String>,
    pub(super) interval: Option<String>,
    pub(super) tls: Option<String>,
    pub(super) livedata: Option<bool>,
    pub(super) user: Option<String>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) proxy: Option<Vec<String>>,
    pub(super) proxy_serial: Option<String>,
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

/// `[server]`
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ServerTable {
    pub(super) listen: Option<Vec<String>>,
    pub(super) open_to: Option<Vec<String>>,
    pub(super) host_names: Option<Vec<String>>,
    pub(super) allow_origins: Option<Vec<String>>,
    pub(super) ingress: Option<String>,
    pub(super) max_connections: Option<usize>,
    pub(super) max_consumers: Option<usize>,
    pub(super) max_streams: Option<usize>,
    pub(super) requests_per_minute: Option<u32>,
}

/// `[history]`
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct HistoryTable {
    pub(super) enabled: Option<bool>,
    pub(super) keep: Option<String>,
}

/// `[alerts]`
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AlertsTable {
    pub(super) url: Option<Secret>,
    pub(super) url_file: Option<PathBuf>,
    pub(super) format: Option<String>,
}

/// Parses a configuration file. Returns the values that could be read, and all mistakes: a value of a wrong type does not
/// hide the others. Only text that is not TOML ends the search.
pub(super) fn parse(text: &str) -> (File, Vec<Problem>) {
    let (mut text, mut wrong) = (text.to_owned(), BTreeMap::new());
    loop {
        let mut unknown = Vec::new();
        let note = |path: serde_ignored::Path<'_>| unknown.push(path.to_string());
        let parsed =
            toml::Deserializer::parse(&text).and_then(|parser| serde_ignored::deserialize(parser, note));
        match parsed {
            Ok(file) => {
                let unknown = unknown.iter().map(|path| unknown_key(path));
                return (file, wrong.into_values().chain(unknown).collect());
            }
            Err(error) => {
                wrong.insert(error.span().map(|span| span.start), problem(&text, &error));
                match without_lines(&text, error.span()) {
                    Some(rest) if wrong.len() <= MAX_PROBLEMS => text = rest,
                    _ => return (File::default(), wrong.into_values().collect()),
                }
            }
        }
    }
}

/// Replaces the lines of a key whose value has a wrong type with empty ones. Returns `None` if no other mistake can be
/// found without them: the lines are not those of a key, or the text is not TOML.
fn without_lines(text: &str, span: Option<Range<usize>>) -> Option<String> {
    let span = span?;
    toml::Deserializer::parse(text).ok()?;
    let start = text.get(..span.start)?.rfind('\n').map_or(0, |end| end + 1);
    let end = text.get(span.end..)?.find('\n').map_or(text.len(), |length| span.end + length);
    let (before, lines, after) = (text.get(..start)?, text.get(start..end)?, text.get(end..)?);
    if lines.trim().is_empty() || lines.trim_start().starts_with('[') {
        return None;
    }
    Some([before, &"\n".repeat(lines.matches('\n').count()), after].concat())
}

/// Describes an error of the parser, with its line number. The line itself is not shown, because it may contain a password.
fn problem(text: &str, error: &toml::de::Error) -> Problem {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map(|before| format!("line {}: ", before.matches('\n').count() + 1));
    Problem(format!("{}{}", line.unwrap_or_default(), error.message()))
}

/// Describes an unknown key. `path` looks like `gateway.0.intervall`.
fn unknown_key(path: &str) -> Problem {
    let mut parts = path.split('.').filter(|part| part.parse::<usize>().is_err() && *part != "?");
    let key = parts.next_back().unwrap_or(path);
    let table = parts.next().unwrap_or_default();
    let place = if table.is_empty() { String::new() } else { format!(" in [{table}]") };
    let advice = match most_similar(key, known_keys(table)) {
        _ if key == "password" => {
            "; secrets do not belong in this file: write the password to a file of its own, and its path to \
             `password_file`"
                .to_owned()
        }
        Some(known) => format!("; did you mean `{known}`?"),
        None => "; `enphased config example` shows every key".to_owned(),
    };
    Problem(format!("unknown key `{key}`{place}{advice}"))
}

/// Returns the keys of `table`, taken from the example, which has every key.
pub(super) fn known_keys(table: &str) -> impl Iterator<Item = &'static str> {
    let mut current = "";
    EXAMPLE.lines().filter_map(move |line| {
        let line = line.trim_start_matches('#');
        if line.starts_with('[') {
            current = line.trim_matches(['[', ']']);
            // The name of a table is a key of the top level.
            return (table.is_empty()).then_some(current);
        }
        let (key, _) = line.split_once(" = ")?;
        let is_key = key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        (is_key && current == table).then_some(key)
    })
}
