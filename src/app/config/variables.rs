//! The environment variables that set a key of the configuration, for containers. A key in the file wins.

use std::path::PathBuf;

use super::file::{File, GatewayTable, MqttTable, ServerTable};
use super::findings::Findings;
use crate::base::similar::most_similar;

/// The beginning of the name of every variable of this program.
const PREFIX: &str = "ENPHASED_";

/// A variable that sets a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Variable {
    Gateway,
    Interval,
    Username,
    PasswordFile,
    MqttUrl,
    MqttUser,
    MqttPasswordFile,
    HomeAssistant,
    Listen,
    OpenTo,
}

impl Variable {
    /// Every variable, in the order of the documentation. A gateway comes before what belongs to it.
    pub const ALL: [Self; 10] = [
        Self::Gateway,
        Self::Interval,
        Self::Username,
        Self::PasswordFile,
        Self::MqttUrl,
        Self::MqttUser,
        Self::MqttPasswordFile,
        Self::HomeAssistant,
        Self::Listen,
        Self::OpenTo,
    ];

    /// Returns the name in the environment.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "ENPHASED_GATEWAY",
            Self::Interval => "ENPHASED_INTERVAL",
            Self::Username => "ENPHASED_USERNAME",
            Self::PasswordFile => "ENPHASED_PASSWORD_FILE",
            Self::MqttUrl => "ENPHASED_MQTT_URL",
            Self::MqttUser => "ENPHASED_MQTT_USER",
            Self::MqttPasswordFile => "ENPHASED_MQTT_PASSWORD_FILE",
            Self::HomeAssistant => "ENPHASED_HOMEASSISTANT",
            Self::Listen => "ENPHASED_LISTEN",
            Self::OpenTo => "ENPHASED_OPEN_TO",
        }
    }

    /// Returns the key, as messages name it.
    const fn key(self) -> &'static str {
        match self {
            Self::Gateway => "gateway address",
            Self::Interval => "gateway interval",
            Self::Username => "cloud username",
            Self::PasswordFile => "cloud password_file",
            Self::MqttUrl => "mqtt url",
            Self::MqttUser => "mqtt user",
            Self::MqttPasswordFile => "mqtt password_file",
            Self::HomeAssistant => "mqtt homeassistant",
            Self::Listen => "server listen",
            Self::OpenTo => "server open_to",
        }
    }
}

/// The variables of the environment that begin like those of this program.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    /// The variables that set a key, with their values.
    set: Vec<(Variable, String)>,
    /// A misspelt name, and the variable that is probably meant.
    misspelt: Vec<(String, &'static str)>,
}

impl Variables {
    /// Collects the variables with `read`, which returns the value of one that is not empty. `names` are the names of all
    /// variables, and `others` the known ones that set no key.
    pub(super) fn collect(
        read: impl Fn(&str) -> Option<String>,
        names: impl Iterator<Item = String>,
        others: &[&'static str],
    ) -> Self {
        let set = Variable::ALL.iter().filter_map(|variable| Some((*variable, read(variable.name())?)));
        let known = || Variable::ALL.iter().map(|variable| variable.name()).chain(others.iter().copied());
        let misspelt = names.filter_map(|name| {
            let own = name.strip_prefix(PREFIX)?;
            if known().any(|known| known == name) {
                return None;
            }
            // Container runtimes add variables of their own, named after a linked service, so another name is no mistake.
            let similar = most_similar(own, known().filter_map(|known| known.strip_prefix(PREFIX)))?;
            let meant = known().find(|known| known.strip_prefix(PREFIX) == Some(similar))?;
            Some((name, meant))
        });
        Self { set: set.collect(), misspelt: misspelt.collect() }
    }

    /// Returns `true` if a variable sets another key than the listener, which the container image sets for its health check.
    pub(super) fn sets_more_than_a_listener(&self) -> bool {
        self.set.iter().any(|(variable, _)| *variable != Variable::Listen)
    }

    /// Returns the names of the variables that set a key.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.set.iter().map(|(variable, _)| variable.name())
    }

    /// Sets the keys that `file` leaves out.
    pub(super) fn fill(&self, file: &mut File, findings: &mut Findings) {
        for (name, meant) in &self.misspelt {
            findings.warnings.push(format!("{name} in the environment is ignored; did you mean {meant}?"));
        }
        let has_gateway = !file.gateway.is_empty();
        for (variable, value) in &self.set {
            let value = value.trim();
            if set(file, *variable, value, has_gateway, findings) {
                continue;
            }
            // The container image sets a listener for its health check.
            if *variable != Variable::Listen {
                let (name, key) = (variable.name(), variable.key());
                findings.warnings.push(format!(
                    "{name} in the environment is ignored, because the configuration file sets {key}; remove one of them"
                ));
            }
        }
    }
}

/// Sets one key. Returns `false` if `file` has it already.
fn set(file: &mut File, variable: Variable, value: &str, has_gateway: bool, findings: &mut Findings) -> bool {
    let text = || value.to_owned();
    let path = || PathBuf::from(value);
    let list = || value.split([',', ' ']).filter(|part| !part.is_empty()).map(str::to_owned).collect();
    match variable {
        // The tables of the file are complete: an address can belong to none of several.
        Variable::Gateway | Variable::Interval if has_gateway => false,
        Variable::Gateway => fill(&mut first_gateway(file).address, text),
        Variable::Interval => fill(&mut first_gateway(file).interval, text),
        Variable::Username => fill(&mut file.cloud.username, text),
        Variable::PasswordFile => fill(&mut file.cloud.password_file, path),
        Variable::MqttUrl => fill(&mut mqtt(file).url, text),
        Variable::MqttUser => fill(&mut mqtt(file).user, text),
        Variable::MqttPasswordFile => fill(&mut mqtt(file).password_file, path),
        Variable::HomeAssistant => {
            let parsed = findings.take(variable.name(), switch(value));
            parsed.is_none_or(|on| fill(&mut mqtt(file).homeassistant, || on))
        }
        Variable::Listen => fill(&mut server(file).listen, list),
        Variable::OpenTo => fill(&mut server(file).open_to, list),
    }
}

fn fill<T>(key: &mut Option<T>, value: impl FnOnce() -> T) -> bool {
    let is_free = key.is_none();
    if is_free {
        *key = Some(value());
    }
    is_free
}

fn first_gateway(file: &mut File) -> &mut GatewayTable {
    if file.gateway.is_empty() {
        file.gateway.push(GatewayTable::default());
    }
    // The vector has an element now.
    #[expect(clippy::indexing_slicing, reason = "an element was pushed above")]
    &mut file.gateway[0]
}

fn mqtt(file: &mut File) -> &mut MqttTable {
    file.mqtt.get_or_insert_default()
}

fn server(file: &mut File) -> &mut ServerTable {
    file.server.get_or_insert_default()
}

fn switch(text: &str) -> Result<bool, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("write true or false"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::app::config::environment::Environment;
    use crate::app::config::{Config, Error, complete};

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let variables: BTreeMap<String, String> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let names = variables.keys().cloned().collect::<Vec<_>>();
        Environment::collect(|name| variables.get(name).cloned(), names.into_iter())
    }

    fn completed(file: &str, variables: &[(&str, &str)]) -> Config {
        complete(file, None, &environment(variables)).unwrap()
    }

    #[test]
    fn the_environment_alone_is_a_configuration() {
        let config = completed(
            "",
            &[
                ("ENPHASED_GATEWAY", "192.168.1.20"),
                ("ENPHASED_INTERVAL", "1m"),
                ("ENPHASED_USERNAME", "owner@example.com"),
                ("ENPHASED_PASSWORD_FILE", "/run/secrets/enphase"),
                ("ENPHASED_MQTT_URL", "mqtts://broker:8883"),
                ("ENPHASED_MQTT_USER", "enphased"),
                ("ENPHASED_MQTT_PASSWORD_FILE", concat!(env!("CARGO_MANIFEST_DIR"), "/LICENSE")),
                ("ENPHASED_HOMEASSISTANT", "true"),
                ("ENPHASED_LISTEN", "0.0.0.0:8480, tls://0.0.0.0:8443"),
                ("ENPHASED_OPEN_TO", "192.168.1.0/24 172.16.0.0/12"),
            ],
        );
        assert_eq!(config.warnings, [""; 0]);
        assert_eq!(config.gateways.len(), 1);
        assert_eq!(config.gateways[0].to_string(), "the gateway at 192.168.1.20");
        assert_eq!(config.gateways[0].interval.as_secs(), 60);
        assert_eq!(config.gateway_tables, 1);
        assert_eq!(config.account.username.as_deref(), Some("owner@example.com"));
        assert!(format!("{:?}", config.account.password).contains("/run/secrets/enphase"));
        let mqtt = config.mqtt.unwrap();
        assert_eq!((mqtt.address.host.as_str(), mqtt.address.port, mqtt.address.tls), ("broker", 8883, true));
        assert_eq!(
            (mqtt.user.as_deref(), mqtt.discovery.as_deref()),
            (Some("enphased"), Some("homeassistant"))
        );
        assert_eq!(mqtt.password.unwrap().expose(), "MIT License");
        assert_eq!(config.secret_files.len(), 2, "{:?}", config.secret_files);
        let server = config.server.unwrap();
        assert_eq!((server.listen.len(), server.limits.open_to.len()), (2, 2));
        assert!(config.stdout.is_none(), "the broker is the output");
    }

    #[test]
    fn the_file_wins_and_what_is_ignored_is_said() {
        let file = "[cloud]\nusername = \"a@example.com\"\n[[gateway]]\n[[gateway]]\nserial = \"12\"\n\
                    [mqtt]\nhomeassistant = false\n[server]\nlisten = [\"127.0.0.1:1\"]\n";
        let config = completed(
            file,
            &[
                ("ENPHASED_GATEWAY", "192.168.1.20"),
                ("ENPHASED_USERNAME", "b@example.com"),
                ("ENPHASED_MQTT_URL", "mqtt://broker"),
                ("ENPHASED_HOMEASSISTANT", "1"),
                ("ENPHASED_LISTEN", "0.0.0.0:8480"),
            ],
        );
        assert!(config.gateways.iter().all(|gateway| gateway.address.is_none()));
        assert_eq!(config.account.username.as_deref(), Some("a@example.com"));
        let mqtt = config.mqtt.unwrap();
        assert_eq!(
            (mqtt.address.host.as_str(), mqtt.discovery),
            ("broker", None),
            "the file leaves out the url"
        );
        assert_eq!(config.server.unwrap().listen[0].address.port(), 1);
        let ignored: Vec<&str> =
            config.warnings.iter().map(|warning| warning.split(' ').next().unwrap()).collect();
        assert_eq!(ignored, ["ENPHASED_GATEWAY", "ENPHASED_USERNAME", "ENPHASED_HOMEASSISTANT"]);
    }

    #[test]
    fn a_wrong_value_is_a_problem_with_its_name() {
        let wrong = environment(&[("ENPHASED_HOMEASSISTANT", "maybe"), ("ENPHASED_MQTT_URL", "broker")]);
        let Err(Error::Invalid { problems, .. }) = complete("", None, &wrong) else { panic!("it is valid") };
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(problems[0], "ENPHASED_HOMEASSISTANT: write true or false");
        assert!(problems[1].starts_with("mqtt url: this is not the address of a broker"), "{problems:?}");
    }

    #[test]
    fn a_misspelt_name_is_reported_and_one_of_a_container_runtime_is_not() {
        let config = completed(
            "",
            &[
                ("ENPHASED_GATWAY", "192.168.1.20"),
                ("ENPHASED_GATEWAY_ADDRESS", "192.168.1.20"),
                ("ENPHASED_PASWORD", "secret"),
                ("ENPHASED_PORT_8480_TCP_ADDR", "10.0.0.1"),
                ("ENPHASED_SERVICE_HOST", "10.0.0.1"),
                ("ENPHASED_CONFIG", ""),
                ("ENPHASED_MQTT_PASSWORD", "secret"),
                ("ENPHASED_GATEWAY", ""),
            ],
        );
        assert_eq!(
            config.warnings,
            [
                "ENPHASED_GATEWAY_ADDRESS in the environment is ignored; did you mean ENPHASED_GATEWAY?",
                "ENPHASED_GATWAY in the environment is ignored; did you mean ENPHASED_GATEWAY?",
                "ENPHASED_PASWORD in the environment is ignored; did you mean ENPHASED_PASSWORD?",
            ]
        );
        assert!(config.mqtt.is_none() && config.gateways[0].address.is_none());
    }
}
