//! Checks and completes the table `[alerts]`.

use super::environment::Environment;
use super::file::AlertsTable;
use super::findings::Findings;
use super::secret::SecretSource;
use super::settings::{AlertFormat, Alerts};
use crate::io::webhook::Address;

/// The name of the systemd credential.
const CREDENTIAL: &str = "alerts-url";

/// Completes the table, if there is one or the environment has an address.
pub(super) fn alerts(
    table: Option<AlertsTable>,
    environment: &Environment,
    findings: &mut Findings,
) -> Option<Alerts> {
    let table = table.or_else(|| environment.alerts_url.as_ref().map(|_url| AlertsTable::default()))?;
    let format = match table.format.as_deref() {
        None | Some("text") => AlertFormat::Text,
        Some("json") => AlertFormat::Json,
        Some(_) => {
            findings.problem("alerts format", "write \"text\" or \"json\"");
            return None;
        }
    };
    if table.url.is_some() && table.url_file.is_some() {
        findings.warnings.push("alerts: url_file is ignored, because url is written too".to_owned());
    }
    let from_elsewhere = environment.secret(table.url_file, CREDENTIAL, environment.alerts_url.as_ref());
    let source = table.url.map(SecretSource::Given).or(from_elsewhere);
    let Some(source) = source else {
        findings.problem("alerts url", "write the address that receives the alerts, as url or in a url_file");
        return None;
    };
    let text = findings.secret("alerts", source.read("address for alerts"))?;
    let address = findings.take("alerts url", Address::parse(&text))?;
    Some(Alerts { address, format })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::base::secrets::Secret;

    const URL: &str = "https://ntfy.sh/my-roof";

    fn completed(table: AlertsTable, environment: &Environment) -> Result<Alerts, String> {
        let mut findings = Findings::default();
        let alerts = alerts(Some(table), environment, &mut findings);
        let problems: Vec<String> = findings.problems.iter().map(ToString::to_string).collect();
        alerts.ok_or_else(|| problems.join("; "))
    }

    fn with_url(url: &str) -> AlertsTable {
        AlertsTable { url: Some(Secret::new(url.to_owned())), ..AlertsTable::default() }
    }

    #[test]
    fn the_address_is_in_the_file_in_a_file_of_its_own_or_in_the_environment() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), format!("{URL}\n")).unwrap();
        let given = Environment { alerts_url: Some(Secret::new(URL.to_owned())), ..Environment::default() };
        let in_file = AlertsTable { url_file: Some(file.path().to_owned()), ..AlertsTable::default() };
        for (table, environment) in [
            (with_url(URL), Environment::default()),
            (in_file, Environment::default()),
            (AlertsTable::default(), given),
        ] {
            assert_eq!(completed(table, &environment).unwrap().address.expose(), URL);
        }
        let mut findings = Findings::default();
        assert_eq!(alerts(None, &Environment::default(), &mut findings), None, "off by default");
        let given = Environment { alerts_url: Some(Secret::new(URL.to_owned())), ..Environment::default() };
        assert!(alerts(None, &given, &mut findings).is_some(), "a container has no file");
    }

    #[test]
    fn an_address_in_the_configuration_wins() {
        let both = AlertsTable { url_file: Some("/nowhere".into()), ..with_url(URL) };
        let mut findings = Findings::default();
        assert!(alerts(Some(both), &Environment::default(), &mut findings).is_some());
        assert_eq!(findings.warnings, ["alerts: url_file is ignored, because url is written too"]);
    }

    #[test]
    fn mistakes_are_named_without_the_address() {
        let default = Environment::default();
        let format = AlertsTable { format: Some("xml".to_owned()), ..with_url(URL) };
        for (table, problem) in [
            (AlertsTable::default(), "alerts url: write the address"),
            (format, "alerts format: write \"text\" or \"json\""),
            (with_url("my-secret-roof"), "alerts url: this is not a URL"),
            (with_url("http://93.184.216.34/my-secret-roof"), "alerts url: the message would cross"),
        ] {
            let said = completed(table, &default).unwrap_err();
            assert!(said.starts_with(problem) && !said.contains("my-secret"), "{said}");
        }
    }
}
