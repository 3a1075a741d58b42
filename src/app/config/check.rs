//! The second step: checks and completes the values, and finds all mistakes at once.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::tz::TimeZone;

use super::alerts::alerts;
use super::environment::Environment;
use super::error::Problem;
use super::file::{File, GatewayTable, MqttTable, ServerTable, StdoutTable};
use super::findings::{Failure, Findings};
use super::history::history;
use super::same_gateway::duplicates;
use super::secret::Account;
use super::server::server;
use super::settings::{Config, Gateway};
use super::tables::{addresses, broker, gateway, standard_output, username};
use super::zone;
use crate::base::reading::Serial;
use crate::output::homeassistant::gateway_name;

/// Checks and completes `file`. `problems` are the mistakes that the parser found. A key with such a mistake counts as not
/// set, so rules about several keys are applied only if there are none.
pub(super) fn check(
    mut file: File,
    problems: Vec<Problem>,
    path: Option<&Path>,
    environment: &Environment,
) -> Result<Config, Failure> {
    let is_complete = problems.is_empty();
    let mut findings = Findings { problems, ..Findings::default() };
    environment.variables.fill(&mut file, &mut findings);
    let zone = match file.time_zone.as_deref() {
        None => {
            let (zone, warning) = zone::system(environment.time_zone.as_deref());
            findings.warnings.extend(warning);
            zone
        }
        Some(name) => findings.take("time_zone", zone::configured(name)).unwrap_or(TimeZone::UTC),
    };
    let gateway_tables = file.gateway.len();
    let secret_files = file.secret_files(path);
    let gateways = if file.gateway.is_empty() { vec![GatewayTable::default()] } else { file.gateway };
    let gateways: Vec<Gateway> =
        gateways.into_iter().filter_map(|table| gateway(table, &mut findings)).collect();
    if is_complete {
        check_together(&gateways, file.stdout.as_ref(), file.mqtt.as_ref(), &mut findings);
    }
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
    let stdout = stdout.and_then(|table| standard_output(table, is_complete, &mut findings));
    let mqtt = file.mqtt.and_then(|table| broker(table, environment, &mut findings));
    let has_proxy = gateways.iter().any(|gateway| !gateway.proxy.is_empty());
    let table = file.server.or_else(|| has_proxy.then(ServerTable::default));
    let server = table.and_then(|table| server(table, &gateways, &mut findings));
    let history = history(file.history.as_ref(), &mut findings);
    let alerts = alerts(file.alerts, environment, &mut findings);
    if !findings.problems.is_empty() {
        return Err(Failure::Problems(findings.problems));
    }
    if let Some(error) = findings.unreadable {
        return Err(Failure::Secret(error));
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
        server,
        history,
        alerts,
        secret_files,
        warnings: findings.warnings,
    })
}

/// Checks the rules about several tables.
fn check_together(
    gateways: &[Gateway],
    stdout: Option<&StdoutTable>,
    mqtt: Option<&MqttTable>,
    findings: &mut Findings,
) {
    let tables =
        [stdout.and_then(|table| table.domoticz.as_ref()), mqtt.and_then(|table| table.domoticz.as_ref())];
    let by_idx = tables.into_iter().flatten().any(|idx| !idx.is_empty());
    if gateways.len() > 1 && by_idx {
        findings.problem(
            "domoticz",
            "an idx can show only one gateway; for several gateways write homeassistant = true",
        );
    }
    for (first, gateway) in duplicates(gateways) {
        let message = format!(
            "two [[gateway]] tables name the same gateway: {first}, and {gateway}; remove one of them"
        );
        findings.problem("gateway", &message);
    }
    check_proxy_serials(gateways, findings);
    let mut names = BTreeSet::new();
    for name in gateways.iter().filter_map(|gateway| gateway.name.as_ref()) {
        if !names.insert(gateway_name::identifying(name)) {
            findings.problem(
                "gateway name",
                &format!("two gateways are called \"{name}\"; give each its own name"),
            );
        }
    }
}

/// Checks that each gateway has a serial number of its own for other programs, and one that is shown.
fn check_proxy_serials(gateways: &[Gateway], findings: &mut Findings) {
    let mut serials: BTreeSet<&str> =
        gateways.iter().filter_map(|gateway| gateway.serial.as_ref()).map(Serial::as_str).collect();
    for gateway in gateways {
        let Some(serial) = &gateway.proxy_serial else { continue };
        if gateway.proxy.is_empty() {
            let words = "it has no effect without proxy; add the addresses, or remove it";
            findings.warnings.push(format!("gateway proxy_serial: {words}"));
        }
        if !serials.insert(serial.as_str()) {
            let words = format!("a gateway has the serial number {serial} already; choose another one");
            findings.problem("gateway proxy_serial", &words);
        }
    }
}
