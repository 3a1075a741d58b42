//! The state file `running.json`: facts about the configuration of the running daemon, from which `config validate
//! --reload` finds out what a reload would refuse.

use serde::{Deserialize, Serialize};

use crate::app::config::Config;
use crate::io::state_dir::{Saver, StateDir, Stored};

const NAME: &str = "running.json";

/// The content of the file.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Running {
    gateway_tables: usize,
}

/// Records the configuration that the daemon uses from now on. Writes only changes, to spare the SD card.
pub(super) async fn record(state: &StateDir, config: &Config) {
    let now = Running { gateway_tables: config.gateway_tables };
    if matches!(state.read::<Running>(NAME).await, Ok(Stored::Found(known)) if known == now) {
        return;
    }
    // A start or a reload does not wait for the disk.
    let saver = Saver::new(NAME.to_owned());
    saver.save(state, &now);
    if let Some(Err(error)) = saver.outcome() {
        tracing::debug!(%error, "cannot record the configuration in use");
    }
}

/// Returns the reason that the running daemon would refuse `new` at a reload, although it is valid.
pub async fn refusal(state: &StateDir, new: &Config) -> Option<String> {
    match state.read::<Running>(NAME).await {
        Ok(Stored::Found(running)) => lost_gateways(running.gateway_tables, new),
        // No daemon has used this directory yet.
        _ => None,
    }
}

/// Returns the reason that a daemon with `tables` configured gateways refuses `new`. A configuration without gateways is
/// valid, because mDNS can locate one; but a file that has lost its tables was probably emptied or cut off by mistake.
pub(super) fn lost_gateways(tables: usize, new: &Config) -> Option<String> {
    if tables == 0 || new.gateway_tables > 0 {
        return None;
    }
    let path = new.path.as_ref().map(|path| format!(" {}", path.display())).unwrap_or_default();
    Some(format!(
        "the configuration{path} no longer has a [[gateway]] table: the file is empty, cut off or missing. To locate \
         the gateway by mDNS instead, restart the service"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::config;
    use crate::app::config::environment::Environment;

    fn config(text: &str) -> Config {
        config::complete(text, None, &Environment::default()).unwrap()
    }

    #[tokio::test]
    async fn a_reload_that_would_be_refused_is_predicted() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        assert_eq!(refusal(&state, &config("")).await, None, "no daemon has used the directory");
        record(&state, &config("[[gateway]]")).await;
        assert!(refusal(&state, &config("")).await.unwrap().contains("no longer has a [[gateway]] table"));
        assert_eq!(refusal(&state, &config("[[gateway]]\naddress = \"envoy\"")).await, None);
        record(&state, &config("")).await;
        assert_eq!(
            refusal(&state, &config("[mqtt]")).await,
            None,
            "the gateway is located by mDNS on purpose"
        );
    }

    #[tokio::test]
    async fn the_file_is_written_only_when_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        record(&state, &config("[[gateway]]")).await;
        let first = state.stamp(NAME).await.unwrap();
        record(&state, &config("[[gateway]]\ninterval = \"5s\"")).await;
        assert_eq!(state.stamp(NAME).await.unwrap(), first);
    }
}
