//! What the configuration takes from the environment, read once in `main` and handed down.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use directories::ProjectDirs;

use super::secret::SecretSource;
use crate::base::secrets::Secret;

/// Where a system's configuration lies.
const SYSTEM: &str = "/etc/enphased/config.toml";
/// Where a system's state lies.
const SYSTEM_STATE: &str = "/var/lib/enphased";

/// The environment of the process.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `$ENPHASED_CONFIG`.
    pub config: Option<PathBuf>,
    /// Where else a configuration is looked for, in this order.
    pub places: Vec<PathBuf>,
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
    /// `$TZ`; empty, it is UTC.
    pub time_zone: Option<String>,
    /// `$RUST_LOG`.
    pub log: Option<String>,
    /// Which file is the journal, as `device:inode` (`$JOURNAL_STREAM`); stderr may have been led elsewhere.
    pub journal: Option<String>,
    /// Where the service manager listens (`$NOTIFY_SOCKET`).
    pub notify_socket: Option<String>,
    /// How often the service manager wants a sign of life (`$WATCHDOG_USEC`), if it is this process that it watches.
    pub watchdog: Option<Duration>,
    /// Whether colours are not wanted (`$NO_COLOR`).
    pub no_color: bool,
}

impl Environment {
    /// Collects everything by `read`, which gives a variable of the process.
    pub fn collect(read: impl Fn(&str) -> Option<String>) -> Self {
        let time_zone = read("TZ");
        let read = |name: &str| read(name).filter(|value| !value.is_empty());
        let path = |name: &str| read(name).map(PathBuf::from);
        let user = ProjectDirs::from("", "", "enphased");
        let user_config = user.as_ref().map(|dirs| dirs.config_dir().join("config.toml"));
        let user_state =
            user.as_ref().map(|dirs| dirs.state_dir().unwrap_or(dirs.data_local_dir()).to_owned());
        Self {
            config: path("ENPHASED_CONFIG"),
            places: user_config.into_iter().chain([PathBuf::from(SYSTEM)]).collect(),
            // systemd lists several with colons; the first is ours.
            state_directory: read("STATE_DIRECTORY")
                .and_then(|list| list.split(':').next().map(PathBuf::from)),
            user_state,
            credentials: path("CREDENTIALS_DIRECTORY"),
            password: read("ENPHASED_PASSWORD").map(Secret::new),
            mqtt_password: read("ENPHASED_MQTT_PASSWORD").map(Secret::new),
            time_zone,
            log: read("RUST_LOG"),
            journal: read("JOURNAL_STREAM"),
            notify_socket: read("NOTIFY_SOCKET"),
            watchdog: read("WATCHDOG_USEC")
                .filter(|_| read("WATCHDOG_PID").is_none_or(|pid| pid == process::id().to_string()))
                .and_then(|length| {
                    length.parse().ok().filter(|length| *length > 0).map(Duration::from_micros)
                }),
            no_color: read("NO_COLOR").is_some(),
        }
    }

    /// Where the state lies when the configuration, read from `config`, does not say.
    pub(super) fn state_dir(&self, config: Option<&Path>) -> PathBuf {
        let system = config.is_some_and(|path| path == Path::new(SYSTEM));
        let fallback = || {
            let user = self.user_state.clone().filter(|_| !system);
            user.unwrap_or_else(|| PathBuf::from(SYSTEM_STATE))
        };
        self.state_directory.clone().unwrap_or_else(fallback)
    }

    /// A secret: the systemd credential `name`, else the file that is configured, else the environment. The
    /// credential is that very file, handed over by root to a daemon whose own user cannot open it; a command run
    /// by root has no credential, and opens the file. Where there is no file the unit gives a line break.
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
