//! The environment variables that the program uses, read once in `main` and passed down.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use directories::ProjectDirs;

use super::options::MqttService;
use super::secret::SecretSource;
use super::variables::Variables;
use crate::base::secrets::Secret;

/// The configuration file of the system service.
const SYSTEM: &str = "/etc/enphased/config.toml";
/// The state directory of the system service.
const SYSTEM_STATE: &str = "/var/lib/enphased";

/// The variables of this program that set no key of the configuration.
const OTHERS: [&str; 6] = [
    "ENPHASED_CONFIG",
    "ENPHASED_PASSWORD",
    "ENPHASED_MQTT_PASSWORD",
    "ENPHASED_ALERTS_URL",
    "ENPHASED_OPTIONS",
    "ENPHASED_SUPERVISOR",
];

/// The environment of the process.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `$ENPHASED_CONFIG`.
    pub config: Option<PathBuf>,
    /// The default configuration files, in the order of the search.
    pub search_paths: Vec<PathBuf>,
    /// `$STATE_DIRECTORY`, which systemd sets.
    pub state_directory: Option<PathBuf>,
    /// The user's own state directory.
    pub user_state: Option<PathBuf>,
    /// `$CREDENTIALS_DIRECTORY`, which systemd sets.
    pub credentials: Option<PathBuf>,
    /// `$ENPHASED_PASSWORD`.
    pub password: Option<Secret>,
    /// `$ENPHASED_MQTT_PASSWORD`.
    pub mqtt_password: Option<Secret>,
    /// The variables that set keys of the configuration.
    pub variables: Variables,
    /// `$ENPHASED_ALERTS_URL`.
    pub alerts_url: Option<Secret>,
    /// The options of the add-on for Home Assistant OS (`$ENPHASED_OPTIONS`), which replace the configuration file.
    pub options: Option<PathBuf>,
    /// The token by which the Supervisor identifies the add-on (`$SUPERVISOR_TOKEN`).
    pub supervisor_token: Option<Secret>,
    /// The address of the Supervisor (`$ENPHASED_SUPERVISOR`), if it is another than usual.
    pub supervisor: Option<String>,
    /// The broker that the Supervisor offers, once it has been asked.
    pub mqtt_service: Option<MqttService>,
    /// The reason that the Supervisor could not be asked.
    pub supervisor_trouble: Option<String>,
    /// `$TZ`; empty means UTC.
    pub time_zone: Option<String>,
    /// `$RUST_LOG`.
    pub log: Option<String>,
    /// The journal's file as `device:inode` (`$JOURNAL_STREAM`). Standard error may have been redirected elsewhere.
    pub journal: Option<String>,
    /// The socket of the service manager (`$NOTIFY_SOCKET`).
    pub notify_socket: Option<String>,
    /// The watchdog timeout (`$WATCHDOG_USEC`), if the service manager watches this process.
    pub watchdog: Option<Duration>,
    /// Omits colours (`$NO_COLOR`).
    pub no_color: bool,
}

impl Environment {
    /// Collects the variables with `read`, which returns the value of one. `names` are the names of all.
    pub fn collect(read: impl Fn(&str) -> Option<String>, names: impl Iterator<Item = String>) -> Self {
        let time_zone = read("TZ");
        let is_watched =
            || read("WATCHDOG_PID").is_none_or(|pid| pid.is_empty() || pid == process::id().to_string());
        let watchdog = if is_watched() { read("WATCHDOG_USEC") } else { None };
        let read = |name: &str| read(name).filter(|value| !value.is_empty());
        let path = |name: &str| read(name).map(PathBuf::from);
        let user = ProjectDirs::from("", "", "enphased");
        let user_config = user.as_ref().map(|dirs| dirs.config_dir().join("config.toml"));
        let user_state =
            user.as_ref().map(|dirs| dirs.state_dir().unwrap_or(dirs.data_local_dir()).to_owned());
        Self {
            config: path("ENPHASED_CONFIG"),
            search_paths: user_config.into_iter().chain([PathBuf::from(SYSTEM)]).collect(),
            // systemd separates several directories with colons; the unit's first one is used.
            state_directory: read("STATE_DIRECTORY")
                .and_then(|list| list.split(':').next().map(PathBuf::from)),
            user_state,
            credentials: path("CREDENTIALS_DIRECTORY"),
            password: read("ENPHASED_PASSWORD").map(Secret::new),
            mqtt_password: read("ENPHASED_MQTT_PASSWORD").map(Secret::new),
            alerts_url: read("ENPHASED_ALERTS_URL").map(Secret::new),
            options: path("ENPHASED_OPTIONS"),
            supervisor_token: read("SUPERVISOR_TOKEN").map(Secret::new),
            supervisor: read("ENPHASED_SUPERVISOR"),
            mqtt_service: None,
            supervisor_trouble: None,
            variables: Variables::collect(read, names, &OTHERS),
            time_zone,
            log: read("RUST_LOG"),
            journal: read("JOURNAL_STREAM"),
            notify_socket: read("NOTIFY_SOCKET"),
            watchdog: watchdog
                .and_then(|length| length.parse().ok())
                .filter(|length| *length > 0)
                .map(Duration::from_micros),
            no_color: read("NO_COLOR").is_some(),
        }
    }

    /// Returns the default state directory for a configuration that was read from `config`.
    pub(super) fn state_dir(&self, config: Option<&Path>) -> PathBuf {
        let system = config.is_some_and(|path| path == Path::new(SYSTEM));
        let fallback = || {
            let user = if system { None } else { self.user_state.clone() };
            user.unwrap_or_else(|| PathBuf::from(SYSTEM_STATE))
        };
        self.state_directory.clone().unwrap_or_else(fallback)
    }

    /// Returns the source of a secret: the systemd credential `name`, else the configured file, else the environment.
    /// systemd copies that file to the credential for a daemon whose user cannot open the file; a command that root runs has
    /// no credential and opens the file. If the file is missing, the credential contains only a line break.
    pub(super) fn secret(
        &self,
        file: Option<PathBuf>,
        name: &str,
        variable: Option<&Secret>,
    ) -> Option<SecretSource> {
        let filled = |path: &PathBuf| fs::metadata(path).is_ok_and(|data| data.len() > 1);
        let credential = self.credentials.as_ref().map(|dir| dir.join(name)).filter(filled);
        credential.or(file).map(SecretSource::File).or(variable.cloned().map(SecretSource::Given))
    }
}
