//! The second step: what is written is checked and completed. All mistakes are found in one go.

use std::path::Path;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use reqwest::Url;

use super::environment::Environment;
use super::error::Problem;
use super::file::{CloudTable, File, GatewayTable, MqttTable, StdoutTable};
use super::same_gateway::doubles;
use super::secret::{Account, SecretSource, UnreadableSecret, stripped};
use super::settings::{Config, Format, Gateway, Mqtt, Stdout};
use super::zone;
use crate::base::reading::Serial;
use crate::base::secrets::Secret;
use crate::io::cloud::Addresses;
use crate::io::mqtt;
use crate::output::topics;

const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
const LONGEST_INTERVAL: Duration = Duration::from_secs(3600);
/// Polled more often than this, some gateways stop answering (docs/protocol.md, section 3.10).
/// A topic has at most 256 characters, and the longest that is put after a prefix has about 80.
const LONGEST_PREFIX: usize = 128;
/// MQTT has two bytes for the length of a user or a password.
const LONGEST_LOGIN: usize = 65_535;
const WISE_INTERVAL: Duration = Duration::from_secs(5);

/// Why a configuration cannot be completed.
pub(super) enum Wrong {
    /// What is written is wrong.
    Problems(Vec<Problem>),
    /// A secret cannot be read now, for a reason that may pass.
    Secret(UnreadableSecret),
}

/// Collects what is wrong, so that one run tells everything.
#[derive(Default)]
struct Findings {
    problems: Vec<Problem>,
    warnings: Vec<String>,
    unreadable: Option<UnreadableSecret>,
}

impl Findings {
    /// The value, or `None` and a problem with `key`.
    fn take<T, E: ToString>(&mut self, key: &str, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.problems.push(Problem(format!("{key}: {}", error.to_string())));
                None
            }
        }
    }

    /// The secret, or `None` and a problem with `key`, unless the reason may pass by itself.
    fn secret(&mut self, key: &str, read: Result<Secret, UnreadableSecret>) -> Option<Secret> {
        match read {
            Err(error) if error.may_pass() => {
                self.unreadable = Some(error);
                None
            }
            read => self.take(key, read),
        }
    }

    fn wrong(&mut self, key: &str, why: &str) {
        self.problems.push(Problem(format!("{key}: {why}")));
    }
}

/// Checks and completes.
pub(super) fn check(file: File, path: Option<&Path>, environment: &Environment) -> Result<Config, Wrong> {
    let mut findings = Findings::default();
    let zone = match file.time_zone.as_deref() {
        None => {
            let (zone, warning) = zone::system(environment.time_zone.as_deref());
            findings.warnings.extend(warning);
            zone
        }
        Some(name) => findings.take("time_zone", zone::configured(name)).unwrap_or(TimeZone::UTC),
    };
    let gateway_tables = file.gateway.len();
    let secret_files = file.secret_files();
    let gateways = if file.gateway.is_empty() { vec![GatewayTable::default()] } else { file.gateway };
    let gateways: Vec<Gateway> =
        gateways.into_iter().filter_map(|table| gateway(table, &mut findings)).collect();
    alone_where_they_must_be(&gateways, file.stdout.as_ref(), file.mqtt.as_ref(), &mut findings);
    let account = Account {
        username: username(file.cloud.username.as_deref(), &mut findings),
        password: environment.secret(
            file.cloud.password_file.clone(),
            "enlighten-password",
            environment.password.as_ref(),
        ),
    };
    let cloud = addresses(&file.cloud, &mut findings);
    let has_output = file.stdout.is_some() || file.mqtt.is_some();
    let stdout = if has_output { file.stdout } else { Some(StdoutTable::default()) };
    let stdout = stdout.and_then(|table| standard_output(table, &mut findings));
    let mqtt = file.mqtt.and_then(|table| broker(table, environment, &mut findings));
    if !findings.problems.is_empty() {
        return Err(Wrong::Problems(findings.problems));
    }
    if let Some(error) = findings.unreadable {
        return Err(Wrong::Secret(error));
    }
    Ok(Config {
        path: path.map(Path::to_owned),
        state_dir: file.state_dir.unwrap_or_else(|| environment.state_dir(path)),
        zone,
        cloud,
        account,
        renew_short_tokens: file.cloud.renew_short_tokens.unwrap_or(false),
        gateways,
        gateway_tables,
        stdout,
        mqtt,
        secret_files,
        warnings: findings.warnings,
    })
}

/// The e-mail address, without what nobody sees around it: with that it is another one to the cloud.
fn username(written: Option<&str>, findings: &mut Findings) -> Option<String> {
    let username = stripped(written?);
    if Some(username) != written {
        findings.warnings.push(
            "cloud username: there are blanks or other invisible characters before or after it; they are left out"
                .to_owned(),
        );
    }
    Some(username.to_owned())
}

fn gateway(table: GatewayTable, findings: &mut Findings) -> Option<Gateway> {
    let address = match table.address.as_deref().map(str::parse) {
        None => None,
        Some(parsed) => Some(findings.take("gateway address", parsed)?),
    };
    let interval = findings.take("gateway interval", interval(table.interval.as_deref()))?;
    if interval < WISE_INTERVAL {
        findings.warnings.push(format!(
            "an interval of {} s is hard on the gateway: some stop answering below {} s",
            interval.as_secs(),
            WISE_INTERVAL.as_secs()
        ));
    }
    let insecure = match table.tls.as_deref() {
        None | Some("trust") => false,
        Some("insecure") => true,
        Some(_) => {
            findings.wrong("gateway tls", "write \"trust\" or \"insecure\"");
            false
        }
    };
    let serial = match table.serial.as_deref().map(|text| Serial::parse(text.trim())) {
        None => None,
        Some(parsed) => Some(findings.take("gateway serial", parsed)?),
    };
    Some(Gateway {
        address,
        serial,
        interval,
        insecure,
        live_data: table.livedata.unwrap_or(false),
        user: table.user,
        password: table.password_file.map(SecretSource::File),
    })
}

fn interval(text: Option<&str>) -> Result<Duration, String> {
    let text = text.unwrap_or("30s");
    let parsed: Result<SignedDuration, _> = text.parse();
    let interval = parsed.ok().and_then(|length| Duration::try_from(length).ok());
    let interval = interval
        .ok_or_else(|| format!("\"{text}\" is no length of time; write it like \"30s\" or \"5m\""))?;
    if (SHORTEST_INTERVAL..=LONGEST_INTERVAL).contains(&interval) {
        Ok(interval)
    } else {
        Err(format!("\"{text}\" is out of range; it goes from \"1s\" to \"1h\""))
    }
}

/// Rules about more than one gateway.
fn alone_where_they_must_be(
    gateways: &[Gateway],
    stdout: Option<&StdoutTable>,
    mqtt: Option<&MqttTable>,
    findings: &mut Findings,
) {
    let tables =
        [stdout.and_then(|table| table.domoticz.as_ref()), mqtt.and_then(|table| table.domoticz.as_ref())];
    let by_idx = tables.into_iter().flatten().any(|idx| !idx.is_empty());
    if gateways.len() > 1 && by_idx {
        findings.wrong("domoticz", "one idx cannot show several gateways; use homeassistant = true for them");
    }
    for (first, gateway) in doubles(gateways) {
        let why = format!(
            "two [[gateway]] tables name the same gateway: {first}, and {gateway}; remove one of them"
        );
        findings.wrong("gateway", &why);
    }
}

fn addresses(table: &CloudTable, findings: &mut Findings) -> Addresses {
    let mut url = |key: &str, written: Option<&String>, usual: &str| {
        let written = written.map_or(usual, String::as_str);
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

/// The password goes there: in the clear only within this machine.
fn cloud_url(text: &str) -> Result<String, &'static str> {
    let url = Url::parse(text).map_err(|_reason| "this is no URL; write it like \"https://host\"")?;
    let loopback = match url.host_str() {
        Some("localhost" | "[::1]") => true,
        Some(host) => host.parse().is_ok_and(|ip: std::net::Ipv4Addr| ip.is_loopback()),
        None => return Err("this URL has no host"),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the user and the password do not belong into the URL");
    }
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        _ => return Err("the password would travel in the clear; write https://"),
    }
    Ok(text.trim_end_matches('/').to_owned())
}

fn standard_output(table: StdoutTable, findings: &mut Findings) -> Option<Stdout> {
    let format = match table.format.as_deref() {
        None | Some("text") => Format::Text,
        Some("json") => Format::Json,
        Some("domoticz") => Format::Domoticz,
        Some("influx") => Format::Influx,
        Some(_) => {
            findings.wrong("stdout format", "write \"text\", \"json\", \"domoticz\" or \"influx\"");
            return None;
        }
    };
    let idx = table.domoticz.unwrap_or_default();
    if format == Format::Domoticz && idx.is_empty() {
        findings.wrong("stdout domoticz", "name the idx of at least one device, e.g. { production = 12 }");
    }
    Some(Stdout { format, idx })
}

fn broker(table: MqttTable, environment: &Environment, findings: &mut Findings) -> Option<Mqtt> {
    let url = table.url.as_deref().unwrap_or("mqtt://localhost:1883");
    let address: mqtt::Address = findings.take("mqtt url", url.parse())?;
    let prefix = findings.take("mqtt prefix", level(table.prefix.as_deref().unwrap_or("enphased")))?;
    let discovery = level(table.discovery_prefix.as_deref().unwrap_or("homeassistant"));
    let discovery = findings.take("mqtt discovery_prefix", discovery)?;
    if table.client_cert.is_none() && table.client_key.is_some() {
        findings.wrong("mqtt client_key", "there is a key without a certificate; name client_cert too");
    }
    let password =
        environment.secret(table.password_file, "mqtt-password", environment.mqtt_password.as_ref());
    let password = password.and_then(|source| findings.secret("mqtt", source.read("broker's password")));
    let (user, secret) = (table.user.as_deref(), password.as_ref().map(Secret::expose));
    if [user, secret].into_iter().flatten().any(|text| text.len() > LONGEST_LOGIN) {
        findings.wrong("mqtt user", "the user or the password is longer than MQTT allows (65535 bytes)");
    }
    if !address.tls && (table.ca_file.is_some() || table.client_cert.is_some()) {
        findings
            .warnings
            .push("the certificates of [mqtt] are for TLS, and without mqtts:// are not used".to_owned());
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

/// The first levels of topics.
fn level(text: &str) -> Result<String, &'static str> {
    let text = text.trim_matches('/');
    if text.starts_with('$') || text.len() > LONGEST_PREFIX || !topics::is_topic(text) {
        return Err("this cannot begin a topic; write a plain word such as \"enphased\"");
    }
    Ok(text.to_owned())
}
