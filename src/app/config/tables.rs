//! Checks and completes the values of each table.

use std::time::Duration;

use jiff::SignedDuration;
use reqwest::Url;

use super::environment::Environment;
use super::file::{CloudTable, GatewayTable, MqttTable, StdoutTable};
use super::findings::Findings;
use super::secret::{SecretSource, stripped};
use super::settings::{Format, Gateway, Mqtt, Stdout};
use crate::base::reading::Serial;
use crate::base::secrets::Secret;
use crate::io::cloud::Addresses;
use crate::io::http::Listen;
use crate::io::mqtt;
use crate::output::homeassistant::gateway_name;
use crate::output::topics;

const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
const LONGEST_INTERVAL: Duration = Duration::from_secs(3600);
/// Below this interval, some gateways stop responding (docs/protocol.md, section 3.10).
const SAFE_INTERVAL: Duration = Duration::from_secs(5);
/// The maximum length of a prefix. A topic has at most 256 characters, and the part after the prefix at most about 80.
const LONGEST_PREFIX: usize = 128;
/// The maximum length of a user or a password, for which MQTT has two bytes.
const LONGEST_LOGIN: usize = 65_535;

/// Returns the e-mail address without surrounding invisible characters, with which the cloud would not recognise it.
pub(super) fn username(written: Option<&str>, findings: &mut Findings) -> Option<String> {
    let username = stripped(written?);
    if Some(username) != written {
        findings.warnings.push(
            "cloud username: ignoring blanks or other invisible characters before or after it".to_owned(),
        );
    }
    Some(username.to_owned())
}

pub(super) fn gateway(table: GatewayTable, findings: &mut Findings) -> Option<Gateway> {
    let address = match table.address.as_deref().map(str::parse) {
        None => None,
        Some(parsed) => Some(findings.take("gateway address", parsed)?),
    };
    let interval = findings.take("gateway interval", interval(table.interval.as_deref()))?;
    if interval < SAFE_INTERVAL {
        findings.warnings.push(format!(
            "gateway interval: {} s is short; some gateways stop responding below {} s",
            interval.as_secs(),
            SAFE_INTERVAL.as_secs()
        ));
    }
    let insecure = match table.tls.as_deref() {
        None | Some("trust") => false,
        Some("insecure") => true,
        Some(_) => {
            findings.problem("gateway tls", "write \"trust\" or \"insecure\"");
            false
        }
    };
    let serial = match table.serial.as_deref().map(|text| Serial::parse(text.trim())) {
        None => None,
        Some(parsed) => Some(findings.take("gateway serial", parsed)?),
    };
    let name = match table.name.as_deref().map(gateway_name::parse) {
        None => None,
        Some(parsed) => Some(findings.take("gateway name", parsed)?),
    };
    Some(Gateway {
        address,
        serial,
        name,
        interval,
        insecure,
        live_data: table.livedata.unwrap_or(false),
        user: table.user,
        password: table.password_file.map(SecretSource::File),
        proxy: proxy(table.proxy.as_deref().unwrap_or_default(), findings),
        proxy_serial: match table.proxy_serial.as_deref().map(|text| Serial::parse(text.trim())) {
            None => None,
            Some(parsed) => Some(findings.take("gateway proxy_serial", parsed)?),
        },
    })
}

/// Parses the addresses of a proxy.
fn proxy(written: &[String], findings: &mut Findings) -> Vec<Listen> {
    written.iter().filter_map(|text| findings.take("gateway proxy", text.parse())).collect()
}

fn interval(text: Option<&str>) -> Result<Duration, String> {
    let text = text.unwrap_or("30s");
    let parsed: Result<SignedDuration, _> = text.parse();
    let interval = parsed.ok().and_then(|length| Duration::try_from(length).ok());
    let interval =
        interval.ok_or_else(|| format!("\"{text}\" is not a duration; write it like \"30s\" or \"5m\""))?;
    if (SHORTEST_INTERVAL..=LONGEST_INTERVAL).contains(&interval) {
        Ok(interval)
    } else {
        Err(format!("\"{text}\" is out of range; write \"1s\" to \"1h\""))
    }
}

pub(super) fn addresses(table: &CloudTable, findings: &mut Findings) -> Addresses {
    let mut url = |key: &str, written: Option<&String>, default: &str| {
        let written = written.map_or(default, String::as_str);
        findings.take(key, cloud_url(written)).unwrap_or_default()
    };
    Addresses {
        enlighten: url(
            "cloud enlighten_url",
            table.enlighten_url.as_ref(),
            "https://enlighten.enphaseenergy.com",
        ),
        entrez: url("cloud entrez_url", table.entrez_url.as_ref(), "https://entrez.enphaseenergy.com"),
    }
}

/// Checks the URL of a cloud server. The password is sent there, so plain http is accepted only within this machine.
fn cloud_url(text: &str) -> Result<String, &'static str> {
    let url = Url::parse(text).map_err(|_reason| "this is not a URL; write it like \"https://host\"")?;
    let loopback = match url.host_str() {
        Some("localhost" | "[::1]") => true,
        Some(host) => host.parse().is_ok_and(|ip: std::net::Ipv4Addr| ip.is_loopback()),
        None => return Err("this URL has no host"),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("remove the user and the password from the URL");
    }
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        _ => return Err("the password would be sent unencrypted; write https://"),
    }
    Ok(text.trim_end_matches('/').to_owned())
}

pub(super) fn standard_output(
    table: StdoutTable,
    is_complete: bool,
    findings: &mut Findings,
) -> Option<Stdout> {
    let format = match table.format.as_deref() {
        None | Some("text") => Format::Text,
        Some("json") => Format::Json,
        Some("domoticz") => Format::Domoticz,
        Some("influx") => Format::Influx,
        Some(_) => {
            findings.problem("stdout format", "write \"text\", \"json\", \"domoticz\" or \"influx\"");
            return None;
        }
    };
    let idx = table.domoticz.unwrap_or_default();
    if format == Format::Domoticz && idx.is_empty() && is_complete {
        findings.problem("stdout domoticz", "write the idx of at least one device, e.g. { production = 12 }");
    }
    Some(Stdout { format, idx })
}

pub(super) fn broker(table: MqttTable, environment: &Environment, findings: &mut Findings) -> Option<Mqtt> {
    let url = table.url.as_deref().unwrap_or("mqtt://localhost:1883");
    let address: mqtt::Address = findings.take("mqtt url", url.parse())?;
    let prefix = findings.take("mqtt prefix", level(table.prefix.as_deref().unwrap_or("enphased")))?;
    let discovery = level(table.discovery_prefix.as_deref().unwrap_or("homeassistant"));
    let discovery = findings.take("mqtt discovery_prefix", discovery)?;
    if table.client_cert.is_none() && table.client_key.is_some() {
        findings.problem("mqtt client_key", "client_key needs client_cert; write both");
    }
    let password =
        environment.secret(table.password_file, "mqtt-password", environment.mqtt_password.as_ref());
    let password = password.and_then(|source| findings.secret("mqtt", source.read("broker's password")));
    let (user, secret) = (table.user.as_deref(), password.as_ref().map(Secret::expose));
    if [user, secret].into_iter().flatten().any(|text| text.len() > LONGEST_LOGIN) {
        findings.problem("mqtt user", "the user or the password is longer than MQTT allows (65535 bytes)");
    }
    if !address.tls && (table.ca_file.is_some() || table.client_cert.is_some()) {
        findings
            .warnings
            .push("mqtt: ca_file, client_cert and client_key are ignored without mqtts://".to_owned());
    }
    Some(Mqtt {
        address,
        user: table.user,
        password,
        certificates: mqtt::certificates::Certificates {
            ca_file: table.ca_file,
            client_cert: table.client_cert,
            client_key: table.client_key,
        },
        prefix,
        topics: table.topics.unwrap_or(true),
        discovery: table.homeassistant.unwrap_or(false).then_some(discovery),
        inverters: table.inverters.unwrap_or(true),
        details: table.details.unwrap_or(false),
        idx: table.domoticz.unwrap_or_default(),
        commands: table.commands.unwrap_or(false),
    })
}

/// Checks the first levels of a topic.
fn level(text: &str) -> Result<String, &'static str> {
    let text = text.trim_matches('/');
    if text.starts_with('$') || text.len() > LONGEST_PREFIX || !topics::is_topic(text) {
        return Err("this cannot be the beginning of a topic; write a plain word such as \"enphased\"");
    }
    Ok(text.to_owned())
}
