//! The options of the add-on for Home Assistant OS, mapped to the configuration.
//!
//! The Supervisor writes them to a JSON file, after it has checked them against the schema of the add-on
//! (`systemd/addon/enphased/config.yaml`). An option that is empty counts as left out, because its page leaves it so.

use serde::Deserialize;

use super::error::Problem;
use super::file::{CloudTable, File, GatewayTable, MqttTable, ServerTable};
use crate::base::secrets::Secret;

/// The listener for the page inside Home Assistant (`ingress_port`), and the one for other programs.
const LISTEN: [&str; 2] = ["0.0.0.0:8099", "0.0.0.0:8480"];
/// The listener of the first gateway's proxy.
const PROXY: &str = "0.0.0.0:8081";
/// The address from which the Supervisor passes on the requests for the page. It has checked who asks.
const INGRESS: &str = "172.30.32.2";

/// The content of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Options {
    gateways: Vec<GatewayOptions>,
    username: String,
    password: String,
    interval: Option<u32>,
    discovery: Option<bool>,
    details: Option<bool>,
    open_to: Vec<String>,
    mqtt: MqttOptions,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct GatewayOptions {
    address: String,
    serial: String,
    name: String,
    insecure: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct MqttOptions {
    url: String,
    username: String,
    password: String,
}

/// The broker that the Supervisor offers.
#[derive(Clone, Debug, Deserialize)]
pub struct MqttService {
    host: String,
    port: u16,
    #[serde(default)]
    ssl: bool,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<Secret>,
}

/// A response of the Supervisor.
#[derive(Deserialize)]
struct Envelope {
    data: MqttService,
}

impl MqttService {
    /// Reads the response of the Supervisor. Returns `None` for something else.
    pub fn parse(response: &[u8]) -> Option<Self> {
        let Envelope { data } = serde_json::from_slice(response).ok()?;
        (!data.host.is_empty()).then_some(data)
    }

    fn url(&self) -> String {
        let scheme = if self.ssl { "mqtts" } else { "mqtt" };
        format!("{scheme}://{}:{}", self.host, self.port)
    }
}

/// The configuration that the options describe.
pub(super) struct Mapped {
    pub(super) file: File,
    pub(super) password: Option<Secret>,
    pub(super) mqtt_password: Option<Secret>,
    pub(super) warnings: Vec<String>,
}

/// Maps options to a configuration. `service` is the broker of Home Assistant.
pub(super) fn map(text: &str, service: Option<&MqttService>) -> Result<Mapped, Problem> {
    // The error of the library may quote a password.
    let options: Options = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Problem(format!("the options of the add-on cannot be read (line {line}, column {column}); save them again on its page"))
    })?;
    let interval = options.interval.map(|seconds| format!("{seconds}s"));
    let gateways: Vec<GatewayTable> = options
        .gateways
        .into_iter()
        .enumerate()
        .map(|(n, gateway)| gateway.table(n, interval.clone()))
        .collect();
    if gateways.is_empty() || gateways.iter().any(|gateway| gateway.address.is_none()) {
        return Err(Problem(
            "gateways: write the address of each gateway, such as 192.168.1.20; an add-on cannot find it by mDNS".to_owned(),
        ));
    }
    let mut warnings = Vec::new();
    let (mqtt, mqtt_password) = broker(options.mqtt, service);
    let mqtt = mqtt.map(|table| MqttTable {
        homeassistant: Some(options.discovery.unwrap_or(true)),
        details: options.details,
        ..table
    });
    if mqtt.is_none() {
        warnings.push(
            "there is no broker, so Home Assistant gets no entities: install the add-on \"Mosquitto broker\" and restart this one, \
             or write the url of another broker below mqtt"
                .to_owned(),
        );
    }
    let loopback = ["127.0.0.0/8", "::1/128"].map(str::to_owned);
    let file = File {
        cloud: CloudTable { username: filled(options.username), ..CloudTable::default() },
        gateway: gateways,
        mqtt,
        server: Some(ServerTable {
            listen: Some(LISTEN.map(str::to_owned).to_vec()),
            open_to: Some(
                loopback.into_iter().chain(options.open_to.into_iter().filter_map(filled)).collect(),
            ),
            ingress: Some(INGRESS.to_owned()),
            ..ServerTable::default()
        }),
        ..File::default()
    };
    let password = filled(options.password).map(Secret::new);
    Ok(Mapped { file, password, mqtt_password, warnings })
}

impl GatewayOptions {
    /// Returns the table of the gateway at `place` in the list. The proxy has one port, which is the first gateway's.
    fn table(self, place: usize, interval: Option<String>) -> GatewayTable {
        GatewayTable {
            address: filled(self.address),
            serial: filled(self.serial),
            name: filled(self.name),
            interval,
            tls: self.insecure.then(|| "insecure".to_owned()),
            proxy: (place == 0).then(|| vec![PROXY.to_owned()]),
            ..GatewayTable::default()
        }
    }
}

/// Returns the table of the broker that the options name, otherwise of the one that is offered; and its password.
fn broker(options: MqttOptions, service: Option<&MqttService>) -> (Option<MqttTable>, Option<Secret>) {
    let (url, user, password) = match (filled(options.url), service) {
        (Some(url), _) => (url, filled(options.username), filled(options.password).map(Secret::new)),
        (None, Some(service)) => (
            service.url(),
            service.username.clone().and_then(filled),
            service.password.clone().filter(|password| !password.expose().is_empty()),
        ),
        (None, None) => return (None, None),
    };
    (Some(MqttTable { url: Some(url), user, ..MqttTable::default() }), password)
}

/// Returns `None` for an option that was left empty.
fn filled(text: String) -> Option<String> {
    (!text.trim().is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::app::config::environment::Environment;
    use crate::app::config::{Config, Error, load};

    const SERVICE: &str = r#"{"result":"ok","data":{"addon":"core_mosquitto","host":"core-mosquitto","port":1883,"ssl":false,"protocol":"3.1.1","username":"addons","password":"broker secret"}}"#;

    fn path(name: &str) -> PathBuf {
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/addon")).join(name)
    }

    fn loaded(name: &str, service: Option<&str>) -> Result<Config, Error> {
        let environment = Environment {
            options: Some(path(name)),
            mqtt_service: service.and_then(|text| MqttService::parse(text.as_bytes())),
            ..Environment::default()
        };
        load(None, &environment)
    }

    fn problem(name: &str) -> String {
        loaded(name, None)
            .unwrap_err()
            .problems()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn the_options_of_a_house_with_the_broker_of_home_assistant() {
        let config = loaded("options.json", Some(SERVICE)).unwrap();
        assert_eq!(config.warnings, [""; 0]);
        assert_eq!(config.gateways.len(), 1);
        assert_eq!(config.gateways[0].to_string(), "the gateway at 192.168.1.20");
        assert_eq!((config.gateways[0].interval.as_secs(), config.gateways[0].insecure), (30, false));
        assert_eq!(config.account.username.as_deref(), Some("owner@example.com"));
        let credentials = config.account.credentials().unwrap().unwrap();
        assert_eq!(credentials.password.expose(), "pass \"word\"");
        let mqtt = config.mqtt.unwrap();
        assert_eq!(
            (mqtt.address.host.as_str(), mqtt.address.port, mqtt.address.tls),
            ("core-mosquitto", 1883, false)
        );
        assert_eq!(
            (mqtt.user.as_deref(), mqtt.password.unwrap().expose()),
            (Some("addons"), "broker secret")
        );
        assert_eq!((mqtt.discovery.as_deref(), mqtt.details), (Some("homeassistant"), false));
        let server = config.server.unwrap();
        assert_eq!(server.ingress, Some("172.30.32.2".parse().unwrap()));
        let open: Vec<String> = server.limits.open_to.iter().map(ToString::to_string).collect();
        assert_eq!(open, ["127.0.0.0/8", "::1/128", "172.30.32.2/32"]);
    }

    #[test]
    fn the_options_of_two_gateways_and_another_broker() {
        let config = loaded("options_of_two_gateways.json", Some(SERVICE)).unwrap();
        let gateways: Vec<String> = config.gateways.iter().map(ToString::to_string).collect();
        assert_eq!(
            gateways,
            ["the gateway at envoy.lan (serial 122300000001)", "the gateway at 192.168.1.21"]
        );
        assert_eq!(config.gateways[0].name.as_deref(), Some("East"));
        assert!(config.gateways[1].insecure && config.gateways[1].proxy.is_empty());
        assert_eq!(config.gateways[0].proxy.len(), 1);
        assert_eq!(config.gateways[1].interval.as_secs(), 60);
        let mqtt = config.mqtt.unwrap();
        assert_eq!((mqtt.address.host.as_str(), mqtt.address.tls), ("broker.lan", true));
        assert_eq!((mqtt.user.as_deref(), mqtt.password.unwrap().expose()), (Some("sun"), "other secret"));
        assert_eq!((mqtt.discovery, mqtt.details), (None, true));
        assert!(
            config.server.unwrap().limits.open_to.iter().any(|open| open.to_string() == "192.168.1.0/24")
        );
        assert!(config.account.credentials().unwrap().is_none());
    }

    #[test]
    fn without_a_broker_the_readings_are_in_the_log_and_a_warning_says_what_to_do() {
        let config = loaded("options.json", None).unwrap();
        assert!(config.mqtt.is_none() && config.stdout.is_some());
        assert!(config.warnings.concat().contains("Mosquitto broker"), "{:?}", config.warnings);
    }

    #[test]
    fn the_defaults_of_the_page_ask_for_the_address() {
        assert!(
            problem("options_as_installed.json").starts_with("gateways: write the address of each gateway")
        );
    }

    #[test]
    fn a_mistake_is_named_and_no_secret_is_shown() {
        assert!(
            problem("options_with_mistakes.json").contains("gateway address: "),
            "by the rules of the file"
        );
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("options.json");
        for text in [
            "{\"password\": \"hunter2\"",
            "{\"password\": {\"hunter2\": 1}}",
            "{\"gateways\": \"hunter2\"}",
            "7",
        ] {
            fs::write(&file, text).unwrap();
            let environment = Environment { options: Some(file.clone()), ..Environment::default() };
            let error = load(None, &environment).unwrap_err();
            let words = format!("{error} {:?}", error.problems());
            assert!(words.contains("cannot be read") && !words.contains("hunter2"), "{words}");
        }
    }

    #[test]
    fn a_response_without_a_broker_is_none() {
        for text in [
            "",
            "{}",
            "{\"result\":\"error\",\"message\":\"Service not enabled\"}",
            "{\"result\":\"ok\",\"data\":{}}",
        ] {
            assert!(MqttService::parse(text.as_bytes()).is_none(), "{text}");
        }
        let tls = MqttService::parse(SERVICE.replace("false", "true").as_bytes()).unwrap();
        assert_eq!(tls.url(), "mqtts://core-mosquitto:1883");
    }
}
